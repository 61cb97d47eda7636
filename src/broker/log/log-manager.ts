/**
 * All logs of a broker: one data folder, its topics, and the work that nobody
 * waits for (retention, flushes, checkpoints).
 *
 * How long a start after a crash takes depends on what lies behind the recovery
 * points. The manager keeps the sum of that below `recoveryBytesMax`: when more
 * was written, it flushes the partitions with the most, one after the other.
 *
 * Changes of topics run one at a time. A topic exists from the moment the
 * registry names it and is gone from the moment it does not.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { messageOf, PipelineError, type Random, systemClock, systemRandom, type Timer } from '../../core/index.ts'
import { KAFKA_ERRORS } from '../../protocol/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { BatchValidator } from './batch-validator.ts'
import { type BrokerIdentity, loadIdentity } from './broker-identity.ts'
import { cleanerSettings, LogCleaner } from './cleaner/index.ts'
import { Checkpoints, type FoundCheckpoints, markCleanStop, takeCheckpoints } from './checkpoints.ts'
import { type DataFolderLock, lockDataFolder } from './data-folder-lock.ts'
import { systemErrorCode } from './disk.ts'
import { dataFolderFailed, DiskTrouble } from './disk-trouble.ts'
import { asideFolderName, DELETE_SUFFIX, partitionFolderName, STRAY_SUFFIX } from './file-names.ts'
import { FilePool } from './file-pool.ts'
import { FlushBudget } from './flush-budget.ts'
import type { LogEnvironment } from './log-environment.ts'
import type { LogManagerOptions, NewTopic, Topic, TopicResult } from './log-manager-options.ts'
import { mapLimited } from './map-limited.ts'
import { hasRecords, topicIdOf } from './partition-folder.ts'
import { PartitionLog } from './partition-log.ts'
import { IndexCache } from './segment-indexes.ts'
import type { OffsetCheckpointEntry } from './small-files.ts'
import { tidyDataFolder } from './tidy-data-folder.ts'
import { type ConfigTexts, toLogConfig, topicConfigProblems } from './topic-config.ts'
import { collisionName, topicNameProblem } from './topic-names.ts'
import { loadRegistry, saveRegistry, type TopicRecord, type TopicRegistry } from './topic-registry.ts'
import { randomHex, randomUuid } from './uuid.ts'

/** Partitions that are opened or closed at once: recovery of one is bound by the CPU. */
const OPEN_COUNT_MAX = 8
const RECOVERY_BYTES_MAX = 64 * 1024 * 1024
const TICK_MS = 1000
/** Longest period that timers take: with more they would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff

/** Timers, by Kafka's settings and defaults. */
const PERIODS = {
  retention: { name: 'log.retention.check.interval.ms', default: 300_000 },
  checkpoint: { name: 'log.flush.offset.checkpoint.interval.ms', default: 60_000 },
  producerCheck: { name: 'producer.id.expiration.check.interval.ms', default: 600_000 },
  producerExpiration: { name: 'producer.id.expiration.ms', default: 86_400_000 }
} as const

/** The logs of one broker. */
export class LogManager {
  readonly dataDir: string
  readonly identity: BrokerIdentity
  /** Whether the broker before this one was stopped in good order. */
  readonly wasCleanStop: boolean
  readonly #options: LogManagerOptions
  readonly #settings: ConfigTexts
  readonly #environment: LogEnvironment
  readonly #lock: DataFolderLock
  readonly #checkpoints: Checkpoints
  readonly #budget: FlushBudget
  readonly #topics = new Map<string, Topic>()
  readonly #topicsById = new Map<string, Topic>()
  readonly #deletedTopicIds = new Set<string>()
  readonly #listeners = new Set<() => void>()
  readonly #removals = new Set<Promise<void>>()
  /** Whether the checkpoints may still name a topic that was deleted. */
  #hasStaleOffsets = false
  readonly #cleaner: LogCleaner
  #timers: Timer[] = []
  #changes: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  private constructor(
    options: LogManagerOptions,
    parts: { lock: DataFolderLock; identity: BrokerIdentity; found: FoundCheckpoints }
  ) {
    this.dataDir = options.dataDir
    this.identity = parts.identity
    this.wasCleanStop = parts.found.wasCleanStop
    this.#options = options
    this.#settings = options.settings ?? {}
    this.#lock = parts.lock
    this.#checkpoints = new Checkpoints(options.dataDir, {
      recoveryPoints: () => this.#offsets(log => log.recoveryPoint),
      logStartOffsets: () => this.#logStartOffsets()
    })
    this.#budget = new FlushBudget({
      bytesMax: options.recoveryBytesMax ?? RECOVERY_BYTES_MAX,
      logs: () => this.#logs(),
      saveRecoveryPoints: () => this.#checkpoints.saveRecoveryPoints(),
      logger: this.#logger
    })
    const pool = new FilePool({ openMax: options.openFilesMax ?? 512, ...(options.disk && { disk: options.disk }) })
    this.#environment = {
      pool,
      indexes: new IndexCache(pool),
      clock: options.clock ?? systemClock,
      random: this.#random,
      logger: this.#logger,
      validator: new BatchValidator(),
      trouble: new DiskTrouble(this.#logger),
      saveLogStartOffsets: () => this.#checkpoints.saveLogStartOffsets(),
      noteWritten: bytes => this.#budget.noteWritten(bytes)
    }
    this.#cleaner = new LogCleaner({
      dataDir: options.dataDir,
      logs: () => this.#logs(),
      pool,
      indexes: this.#environment.indexes,
      settings: () => cleanerSettings(this.#settings),
      clock: this.#environment.clock,
      logger: this.#logger
    })
  }

  /**
   * Opens a data folder and recovers all partitions.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DIR_LOCKED`, `ERR_BROKER_DATA_DIR_MISMATCH`,
   *   `ERR_BROKER_TOPIC_REGISTRY_CORRUPT`, `ERR_BROKER_DATA_DIR_FAILED` (the disk).
   */
  static async open(options: LogManagerOptions): Promise<LogManager> {
    let lock: DataFolderLock | undefined
    try {
      await fs.mkdir(options.dataDir, { recursive: true })
      lock = await lockDataFolder(options.dataDir)
      const identity = await loadIdentity(options.dataDir, options.nodeId ?? 1, options.random ?? systemRandom)
      const registry = await tidyDataFolder({
        folder: options.dataDir,
        registry: await loadRegistry(options.dataDir),
        logger: options.logger ?? silentLogger,
        random: options.random ?? systemRandom
      })
      const found = await takeCheckpoints(options.dataDir)
      const manager = new LogManager(options, { lock, identity, found })
      await manager.#openTopics(registry, found)
      await manager.#cleaner.load()
      manager.#startTimers()
      return manager
    } catch (error) {
      await lock?.release()
      throw PipelineError.is(error) ? error : dataFolderFailed(options.dataDir, error)
    }
  }

  /** All topics. */
  get topics(): readonly Topic[] {
    return [...this.#topics.values()]
  }

  /** A topic by name. */
  topic(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** A topic by id. */
  topicById(id: string): Topic | undefined {
    return this.#topicsById.get(id)
  }

  /** The log of a partition. */
  log(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.logs[partition]
  }

  /** Broker settings that topic defaults come from. */
  get settings(): ConfigTexts {
    return this.#settings
  }

  /** Bytes that a start after a crash would have to check now, those of offline logs left out. */
  get unflushedBytes(): number {
    return this.#budget.unflushedBytes
  }

  /** Calls back when topics, partitions or settings of topics change. Returns the end of the calls. */
  onTopicsChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * What CreateTopics would answer, without creating anything.
   *
   * @returns `undefined` if the topic can be created.
   */
  newTopicProblem(topic: NewTopic): { readonly errorCode: number; readonly errorMessage: string } | undefined {
    const { name } = topic
    const nameProblem = topicNameProblem(name)
    if (nameProblem !== undefined)
      return refuse(KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION, `Topic name is invalid: ${nameProblem}`)
    if (this.#topics.has(name)) return refuse(KAFKA_ERRORS.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`)
    const collision = this.topics.find(each => collisionName(each.name) === collisionName(name))
    if (collision !== undefined) {
      return refuse(
        KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION,
        `Topic '${name}' collides with existing topic: ${collision.name}`
      )
    }
    const count = topic.partitionCount
    if (count !== undefined && (!Number.isInteger(count) || count < 1)) {
      return refuse(KAFKA_ERRORS.INVALID_PARTITIONS, 'Number of partitions must be larger than 0.')
    }
    const problems = topicConfigProblems(topic.configs ?? {})
    return problems.length > 0 ? refuse(KAFKA_ERRORS.INVALID_CONFIG, problems.join('; ')) : undefined
  }

  /** Creates a topic with its partitions. Resolves when it is durable; never rejects for bad input or a full disk. */
  createTopic(topic: NewTopic): Promise<TopicResult> {
    return this.#change(async () => {
      const problem = this.newTopicProblem(topic)
      if (problem !== undefined) return problem
      const partitionCount = topic.partitionCount ?? this.#number({ name: 'num.partitions', default: 1 })
      // A new topic must not find the offsets of an old one of its name.
      await this.#dropStaleOffsets()
      const id = randomUuid(this.#random)
      const record = { name: topic.name, id, partitionCount, configs: { ...topic.configs } }
      const logs = await this.#openPartitions(record, { from: 0 })
      const created: Topic = { name: record.name, id, configs: record.configs, logs }
      try {
        await this.#saveRegistry([...this.#topics.values(), created])
      } catch (error) {
        await mapLimited(logs, OPEN_COUNT_MAX, log => this.#discard(log))
        throw error
      }
      this.#put(created)
      return { errorCode: 0, topic: created }
    })
  }

  /** Adds partitions to a topic. `totalCount` is how many there shall be. */
  createPartitions(name: string, totalCount: number): Promise<TopicResult> {
    return this.#change(async () => {
      const topic = this.#topics.get(name)
      if (topic === undefined) return unknownTopic(name)
      const count = topic.logs.length
      if (!Number.isInteger(totalCount) || totalCount <= count) {
        const text = `The topic ${name} currently has ${count} partition(s); ${totalCount} would not be an increase.`
        return refuse(KAFKA_ERRORS.INVALID_PARTITIONS, text)
      }
      const record = { name, id: topic.id, partitionCount: totalCount, configs: topic.configs }
      const logs = [...topic.logs, ...(await this.#openPartitions(record, { from: count }))]
      const grown: Topic = { ...topic, logs }
      await this.#saveRegistry([...this.topics.filter(each => each.name !== name), grown])
      this.#put(grown)
      return { errorCode: 0, topic: grown }
    })
  }

  /** Replaces the overrides of a topic. */
  setTopicConfigs(name: string, configs: ConfigTexts): Promise<TopicResult> {
    return this.#change(async () => {
      const topic = this.#topics.get(name)
      if (topic === undefined) return unknownTopic(name)
      const problems = topicConfigProblems(configs)
      if (problems.length > 0) return refuse(KAFKA_ERRORS.INVALID_CONFIG, problems.join('; '))
      const changed: Topic = { ...topic, configs: { ...configs } }
      await this.#saveRegistry([...this.topics.filter(each => each.name !== name), changed])
      this.#put(changed)
      return { errorCode: 0, topic: changed }
    })
  }

  /** Settings of the broker have changed: topics without a setting of their own follow. */
  settingsChanged(): void {
    for (const topic of this.#topics.values()) {
      const config = toLogConfig(topic.configs, this.#settings)
      for (const log of topic.logs) log.setConfig(config)
    }
  }

  /**
   * Deletes a topic. Resolves when it is gone for clients; its files are removed afterwards.
   *
   * @param whenGone - Called before a topic of that name can be made again: the end of what was kept for the old one.
   *   Nothing waits for it: it may itself need a change of topics.
   */
  deleteTopic(name: string, whenGone: () => void = () => undefined): Promise<TopicResult> {
    return this.#change(async () => {
      const topic = this.#topics.get(name)
      if (topic === undefined) return unknownTopic(name)
      this.#deletedTopicIds.add(topic.id)
      try {
        await this.#saveRegistry(this.topics.filter(each => each.name !== name))
      } catch (error) {
        this.#deletedTopicIds.delete(topic.id)
        throw error
      }
      this.#topics.delete(name)
      this.#topicsById.delete(topic.id)
      this.#changed()
      this.#hasStaleOffsets = true
      // The topic is gone already: what the disk refuses from here on is made up for later.
      await this.#dropStaleOffsets().catch((error: unknown) => this.#warnOfRemoval(name, error))
      whenGone()
      const folders = await mapLimited(topic.logs, OPEN_COUNT_MAX, log =>
        this.#moveAside(log).catch((error: unknown) => this.#warnOfRemoval(name, error))
      )
      this.#removeLater(topic.id, folders)
      return { errorCode: 0, topic }
    })
  }

  /** Removes old segments of all partitions now. Resolves with how many. */
  async applyRetention(): Promise<number> {
    let count = 0
    for (const log of this.#logs()) {
      try {
        count += await log.applyRetention()
      } catch (error) {
        const fields = { topic: log.topic, partition: log.partition, error: messageOf(error) }
        this.#logger.error(fields, 'old segments could not be removed: tried again at the next check')
      }
    }
    return count
  }

  /** Compacts topics: what was done so far, and a run at once for tests and tools. */
  get cleaner(): LogCleaner {
    return this.#cleaner
  }

  /** Makes everything appended so far durable and moves all recovery points. */
  flush(): Promise<void> {
    return this.#budget.flushAll()
  }

  /** Flushes everything, marks the stop as clean, and gives the folder back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #logger(): Logger {
    return this.#options.logger ?? silentLogger
  }

  get #random(): Random {
    return this.#options.random ?? systemRandom
  }

  #number(setting: { readonly name: string; readonly default: number }): number {
    const text = this.#settings[setting.name]
    return text === undefined ? setting.default : Number(text)
  }

  #logs(): PartitionLog[] {
    return [...this.#topics.values()].flatMap(topic => topic.logs)
  }

  #offsets(offsetOf: (log: PartitionLog) => bigint): OffsetCheckpointEntry[] {
    return this.#logs().map(log => ({ topic: log.topic, partition: log.partition, offset: offsetOf(log) }))
  }

  /** Only those that say more than the first segment does, as Kafka. */
  #logStartOffsets(): OffsetCheckpointEntry[] {
    return this.#logs()
      .filter(log => log.logStartOffset > log.firstSegmentOffset)
      .map(log => ({ topic: log.topic, partition: log.partition, offset: log.logStartOffset }))
  }

  #put(topic: Topic): void {
    // Settings of the broker may have changed while its partitions were opened.
    const config = toLogConfig(topic.configs, this.#settings)
    for (const log of topic.logs) log.setConfig(config)
    this.#topics.set(topic.name, topic)
    this.#topicsById.set(topic.id, topic)
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Runs one change of topics after the others; a disk that refuses becomes an answer. */
  #change(work: () => Promise<TopicResult>): Promise<TopicResult> {
    const guarded = async (): Promise<TopicResult> => {
      if (this.#closing !== undefined) return refuse(KAFKA_ERRORS.BROKER_NOT_AVAILABLE, 'the broker is stopping')
      try {
        return await work()
      } catch (error) {
        if (systemErrorCode(error) === '') throw error
        this.#logger.error({ error: messageOf(error) }, 'a change of topics failed on disk')
        return refuse(KAFKA_ERRORS.KAFKA_STORAGE_ERROR, `the change could not be written: ${messageOf(error)}`)
      }
    }
    const run = this.#changes.then(guarded)
    this.#changes = run.catch(() => undefined)
    return run
  }

  async #openTopics(registry: TopicRegistry, found: FoundCheckpoints): Promise<void> {
    for (const record of registry.topics) {
      const logs = await this.#openPartitions(record, { from: 0, found })
      this.#put({ name: record.name, id: record.id, configs: record.configs, logs })
    }
    // Offsets of topics that are gone must not outlive them.
    await this.#checkpoints.saveRecoveryPoints()
    await this.#checkpoints.saveLogStartOffsets()
  }

  async #openPartitions(
    record: TopicRecord,
    { from, found }: { from: number; found?: FoundCheckpoints }
  ): Promise<PartitionLog[]> {
    const config = toLogConfig(record.configs, this.#settings)
    const partitions = Array.from({ length: record.partitionCount - from }, (_, index) => from + index)
    return mapLimited(partitions, OPEN_COUNT_MAX, async partition => {
      const name = partitionFolderName(record.name, partition)
      const folder = path.join(this.dataDir, name)
      if (found === undefined) await this.#clearPlace(folder, record.id)
      return PartitionLog.open({
        folder,
        topic: record.name,
        partition,
        topicId: record.id,
        config,
        environment: this.#environment,
        recoveryPoint: found?.recoveryPoints.get(name) ?? 0n,
        logStartOffset: found?.logStartOffsets.get(name) ?? 0n,
        wasCleanStop: found?.wasCleanStop ?? true
      })
    })
  }

  async #dropStaleOffsets(): Promise<void> {
    if (!this.#hasStaleOffsets) return
    await this.#checkpoints.saveRecoveryPoints()
    await this.#checkpoints.saveLogStartOffsets()
    await this.#cleaner.saveCheckpoint()
    this.#hasStaleOffsets = false
  }

  /** Puts a folder aside that stands where a new partition shall: a deletion could not, or a creation was cut short. */
  async #clearPlace(folder: string, topicId: string): Promise<void> {
    const found = await topicIdOf(folder)
    if (found === undefined || found === topicId) return
    const isWorthless = this.#deletedTopicIds.has(found) || !(await hasRecords(folder))
    const suffix = isWorthless ? DELETE_SUFFIX : STRAY_SUFFIX
    await fs.rename(
      folder,
      path.join(this.dataDir, asideFolderName(path.basename(folder), randomHex(this.#random), suffix))
    )
  }

  async #saveRegistry(topics: readonly Topic[]): Promise<void> {
    const records = topics.map(({ name, id, configs, logs }) => ({ name, id, partitionCount: logs.length, configs }))
    await saveRegistry(this.dataDir, { topics: records, deletedTopicIds: [...this.#deletedTopicIds] })
  }

  /** Takes a partition out of use and gives its folder a name that no partition has. */
  async #moveAside(log: PartitionLog): Promise<string> {
    await log.abandon()
    const name = asideFolderName(path.basename(log.folder), randomHex(this.#random), DELETE_SUFFIX)
    const folder = path.join(this.dataDir, name)
    await fs.rename(log.folder, folder)
    return folder
  }

  async #discard(log: PartitionLog): Promise<void> {
    await fs.rm(await this.#moveAside(log), { recursive: true, force: true })
  }

  /** The registry still names the id: the next start removes what is left. */
  #warnOfRemoval(topic: string, error: unknown): undefined {
    this.#logger.warn({ topic, error: messageOf(error) }, 'files of a deleted topic could not be removed')
  }

  /** @param folders - One for each partition; `undefined` where the folder could not be put aside. */
  #removeLater(topicId: string, folders: readonly (string | undefined)[]): void {
    const removal = this.#remove(topicId, folders).catch((error: unknown) => this.#warnOfRemoval(topicId, error))
    this.#removals.add(removal)
    void removal.finally(() => this.#removals.delete(removal))
  }

  async #remove(topicId: string, folders: readonly (string | undefined)[]): Promise<void> {
    for (const folder of folders) if (folder !== undefined) await fs.rm(folder, { recursive: true, force: true })
    if (folders.includes(undefined)) return
    const saved = this.#changes.then(async () => {
      this.#deletedTopicIds.delete(topicId)
      await this.#saveRegistry(this.topics)
    })
    // The next change must not have the error of this one.
    this.#changes = saved.catch(() => undefined)
    await saved
  }

  #startTimers(): void {
    this.#cleaner.start()
    const { clock } = this.#environment
    const every = (periodMs: number, work: () => unknown): void => {
      this.#timers.push(clock.every(Math.min(periodMs, TIMER_MS_MAX), () => void work()).unref())
    }
    every(TICK_MS, () => this.#flushOverdue())
    every(this.#number(PERIODS.checkpoint), () => this.#budget.flushAll())
    every(this.#number(PERIODS.retention), () => this.applyRetention())
    every(this.#number(PERIODS.producerCheck), () => {
      for (const log of this.#logs()) log.expireProducers(this.#number(PERIODS.producerExpiration))
    })
  }

  /** `flush.ms`. */
  #flushOverdue(): void {
    const nowMs = this.#environment.clock.now()
    for (const log of this.#logs()) {
      const sinceMs = log.firstUnflushedMs
      if (sinceMs !== undefined && nowMs - sinceMs >= log.config.flushMs) void log.flush()
    }
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    this.#timers = []
    await this.#cleaner.close()
    await this.#changes
    await Promise.all(this.#removals)
    await this.#budget.idle()
    const logs = this.#logs()
    await mapLimited(logs, OPEN_COUNT_MAX, log => log.close())
    try {
      await this.#checkpoints.saveRecoveryPoints()
      await this.#checkpoints.saveLogStartOffsets()
      if (!logs.some(log => log.isOffline)) await markCleanStop(this.dataDir)
    } catch (error) {
      // Without the mark the next start checks what lies behind the recovery points.
      this.#logger.warn({ error: messageOf(error) }, 'the stop could not be marked as clean')
    }
    await this.#environment.pool.close()
    await this.#lock.release()
  }
}

function refuse(error: { readonly code: number }, errorMessage: string): { errorCode: number; errorMessage: string } {
  return { errorCode: error.code, errorMessage }
}

function unknownTopic(name: string): TopicResult {
  return refuse(KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, `This server does not host the topic '${name}'.`)
}
