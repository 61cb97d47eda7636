/**
 * Another Kafka topic as a source of events: a member of a group, a raw fetch,
 * and offsets that are committed only when the events before them are safe.
 *
 * Each partition is a lane (`kafka-lane.ts`). A partition is given back after
 * what was handed over is safe and its offset is committed; a stop is the same
 * for all of them. The source outlives a cluster that is away, its own and the
 * pipeline's: it waits and goes on from the first event that is not safe. What
 * ends it is a refusal (authorization), or a loop.
 *
 * Limits: memory is three fetched answers a partition and what the producer
 * buffers. After a crash, what was handed over since the last commit comes
 * again: at most `commitIntervalMs` of events and what was in flight.
 */

import {
  Admin,
  type AssignedPartition,
  type Cluster,
  type FetchedChunk,
  Fetcher,
  type FetchPartitionError,
  GroupMember,
  partitionKeyOf,
  type TopicPartition
} from '../../client/index.ts'
import {
  backoffMs,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  within
} from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Intake, Submission } from '../intake.ts'
import type { KafkaSourceConfig } from '../options.ts'
import { KafkaCommitter } from './kafka-committer.ts'
import { KafkaLane, type LaneHost } from './kafka-lane.ts'
import type { KafkaChunk } from './kafka-rows.ts'
import type { Source, SourceProgress } from './source.ts'
import { AGAIN_BACKOFF, mayPassLater } from './source-trouble.ts'

/** Longest wait for what was handed over of partitions that are given back, in milliseconds. */
const DRAIN_MS = 30_000
/** Longest wait for the last commit of them, in milliseconds. */
const FINAL_COMMIT_MS = 5_000
/** Wait before a partition is looked at again that could not be read, in milliseconds. */
const REFETCH_MS = 2_000

/** What a Kafka source is made of. */
export interface KafkaSourceOptions extends Omit<KafkaSourceConfig, 'type' | 'cluster'> {
  /** Connects to the cluster to read from; the source closes it. */
  readonly connect: () => Promise<Cluster>
  /** Where the pipeline writes: the same topics of the same cluster are refused as a source. */
  readonly target: { readonly cluster: Cluster; readonly topics: readonly string[] }
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** A source of records. Runs once. */
export class KafkaSource implements Source {
  readonly name: string
  readonly #options: KafkaSourceOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #closing = new AbortController()
  /** Aborts when the source cannot go on. */
  readonly #failing = new AbortController()
  readonly #lanes = new Map<string, KafkaLane>()
  /** What lanes that are gone have done. */
  readonly #past = { eventCount: 0, readBytes: 0, safeBytes: 0 }
  readonly #failures = new Map<string, number>()
  /** How often a lane was to go on anew. */
  readonly #turns = new WeakMap<KafkaLane, number>()
  readonly #host: LaneHost
  #intake: Intake | undefined
  #cluster: Cluster | undefined
  #fetcher: Fetcher | undefined
  #committer: KafkaCommitter | undefined
  #error: PipelineError | undefined

  constructor(options: KafkaSourceOptions) {
    this.name = `kafka:${options.topics.join(',')}`
    this.#options = options
    const { keepKey, keepHeaders, keepTimestamp, tombstones } = options
    this.#host = {
      rows: { keepKey, keepHeaders, keepTimestamp, tombstones },
      submit: (lane, chunk) => this.#submit(lane, chunk),
      setPaused: ({ topic, partition }, isPaused) => {
        if (isPaused) this.#fetcher?.pause(topic, partition)
        else this.#fetcher?.resume(topic, partition)
      },
      moved: lane => this.#moved(lane),
      halted: (lane, error) => this.#halted(lane, error)
    }
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    this.#intake = intake
    const stopping = AbortSignal.any([signal, this.#closing.signal, this.#failing.signal])
    const cluster = await this.#connect()
    this.#cluster = cluster
    try {
      await this.#refuseLoop(cluster)
      await this.#read(cluster, stopping)
    } finally {
      await cluster.close()
    }
    if (this.#error !== undefined) throw this.#error
  }

  progress(): SourceProgress {
    const sum = { ...this.#past }
    for (const lane of this.#lanes.values()) addTo(sum, lane)
    return sum
  }

  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  async #connect(): Promise<Cluster> {
    try {
      return await this.#options.connect()
    } catch (cause) {
      throw new PipelineError('ERR_PRODUCER_SOURCE_FAILED', `${this.name}: ${messageOf(cause)}`, { cause })
    }
  }

  /** What the pipeline writes must not come back to it, whatever name the cluster is reached by. */
  async #refuseLoop(cluster: Cluster): Promise<void> {
    const { target, topics } = this.#options
    const shared = topics.filter(topic => target.topics.includes(topic))
    if (shared.length === 0) return
    await Promise.all([cluster.metadata([]), target.cluster.metadata([])])
    if (cluster.clusterId !== null && cluster.clusterId !== target.cluster.clusterId) return
    const message =
      `the source reads ${shared.join(', ')} of the cluster that the pipeline writes the same topics to: ` +
      'its events would go round for ever'
    throw new PipelineError('ERR_PRODUCER_SOURCE_LOOP', message, { fields: { topics: shared } })
  }

  async #read(cluster: Cluster, stopping: AbortSignal): Promise<void> {
    const { groupId, topics, startAt, isolation, sessionTimeoutMs, rebalanceTimeoutMs, commitIntervalMs } =
      this.#options
    const clock = this.#clock
    const logger = this.#logger
    const isReadCommitted = isolation === 'committed'
    const fetcher = new Fetcher({
      cluster,
      isReadCommitted,
      partitionBytesMax: this.#options.partitionBytesMax,
      clock,
      logger,
      onRecords: chunk => this.#onRecords(chunk),
      onPartitionError: failure => this.#onPartitionError(failure)
    })
    const member = new GroupMember({
      cluster,
      groupId,
      topics,
      autoOffsetReset: startAt,
      isReadCommitted,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      clock,
      logger,
      listener: {
        assigned: partitions => this.#assigned(partitions),
        revoked: partitions => this.#revoked(partitions),
        lost: partitions => this.#lost(partitions),
        failed: error => this.#fail(error)
      }
    })
    this.#fetcher = fetcher
    const commitOffsets = member.commitOffsets.bind(member)
    this.#committer = new KafkaCommitter({ commitOffsets, intervalMs: commitIntervalMs, clock, logger })
    fetcher.start()
    member.start()
    if (!stopping.aborted) await new Promise<void>(resolve => stopping.addEventListener('abort', () => resolve()))
    await member.close({ reason: 'the producer stops' })
    this.#lost([...this.#lanes.values()]) // what the group took before the member could give it back
    this.#committer.close()
    await fetcher.close()
  }

  #assigned(partitions: readonly AssignedPartition[]): void {
    for (const start of partitions) {
      const key = partitionKeyOf(start)
      this.#lanes.set(key, new KafkaLane(this.#host, start))
      this.#fetcher?.add(start)
    }
    if (partitions.length > 0) this.#logger.info({ partitions: partitions.length }, `${this.name}: partitions assigned`)
  }

  async #revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const lanes = this.#lanesOf(partitions)
    for (const lane of lanes) this.#fetcher?.remove(lane.topic, lane.partition)
    const drainMs = Math.min(DRAIN_MS, this.#options.rebalanceTimeoutMs / 2)
    await within(this.#clock, drainMs, Promise.all(lanes.map(lane => lane.stop())))
    if (this.#committer !== undefined) await within(this.#clock, FINAL_COMMIT_MS, this.#committer.flush())
    this.#remove(lanes)
  }

  #lost(partitions: readonly TopicPartition[]): void {
    const lanes = this.#lanesOf(partitions)
    for (const lane of lanes) void lane.stop()
    this.#remove(lanes)
  }

  #lanesOf(partitions: readonly TopicPartition[]): KafkaLane[] {
    return partitions.flatMap(partition => this.#lanes.get(partitionKeyOf(partition)) ?? [])
  }

  #remove(lanes: readonly KafkaLane[]): void {
    for (const lane of lanes) {
      const key = partitionKeyOf(lane)
      this.#fetcher?.remove(lane.topic, lane.partition)
      this.#committer?.forget(lane)
      this.#failures.delete(key)
      if (this.#lanes.get(key) !== lane) continue
      this.#lanes.delete(key)
      addTo(this.#past, lane)
    }
  }

  #onRecords(chunk: FetchedChunk): void {
    const lane = this.#lanes.get(partitionKeyOf(chunk))
    if (lane === undefined) chunk.lease?.release()
    else lane.push(chunk)
  }

  #onPartitionError(failure: FetchPartitionError): void {
    const { topic, partition, error, willRetry } = failure
    this.#logger.warn({ topic, partition, code: error.code }, `a source partition cannot be read: ${error.message}`)
    const lane = this.#lanes.get(partitionKeyOf(failure))
    if (willRetry || lane === undefined) return
    if (error.code === 'ERR_CLIENT_OFFSET_OUT_OF_RANGE') void this.#reset(lane)
    else if (error.retriable) void this.#goOn(lane, REFETCH_MS)
    else this.#fail(error)
  }

  async #submit(lane: KafkaLane, chunk: KafkaChunk): Promise<Submission> {
    if (this.#intake === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the source does not run')
    return await this.#intake.submit(chunk, { source: `kafka:${lane.topic}/${lane.partition}` })
  }

  #moved(lane: KafkaLane): void {
    const key = partitionKeyOf(lane)
    if (this.#lanes.get(key) !== lane) return
    const { topic, partition, committable } = lane
    if (!lane.isHalted) this.#failures.delete(key)
    this.#committer?.move({ topic, partition, offset: committable })
  }

  #halted(lane: KafkaLane, error: PipelineError): void {
    const { topic, partition } = lane
    this.#fetcher?.remove(topic, partition)
    if (this.#closing.signal.aborted || this.#failing.signal.aborted) return
    if (!mayPassLater(error)) {
      this.#fail(error)
      return
    }
    const key = partitionKeyOf(lane)
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const waitMs = backoffMs(AGAIN_BACKOFF, failures, this.#random)
    const fields = { topic, partition, offset: lane.committable.toString(), code: error.code, waitMs }
    this.#logger.warn(fields, `events were not taken, the partition is read again from there: ${error.message}`)
    void this.#goOn(lane, waitMs)
  }

  /**
   * Reads a partition again after a wait, from the first record that is not safe. Nothing of it may be open or waiting
   * then: what lies before a chunk that is handed over later would count as safe. Of several calls the last one counts.
   */
  async #goOn(lane: KafkaLane, waitMs: number, offset?: bigint): Promise<void> {
    const { topic, partition } = lane
    const turn = (this.#turns.get(lane) ?? 0) + 1
    this.#turns.set(lane, turn)
    this.#fetcher?.remove(topic, partition)
    const ending = AbortSignal.any([this.#closing.signal, this.#failing.signal])
    await sleep(this.#clock, waitMs, ending)
    await lane.idle()
    if (ending.aborted || lane.isStopped || this.#lanes.get(partitionKeyOf(lane)) !== lane) return
    if (this.#turns.get(lane) !== turn) return
    lane.restart(offset)
    this.#fetcher?.add({ topic, partition, offset: lane.committable })
  }

  /** The offset to read is not there: retention was faster, or the topic was made anew. */
  async #reset(lane: KafkaLane): Promise<void> {
    const { startAt } = this.#options
    const { topic, partition } = lane
    const name = `${topic}-${partition}`
    const lost = lane.committable
    if (startAt === 'none' || this.#cluster === undefined) {
      const message = `${this.name}: offset ${lost} of ${name} does not exist any more, and startAt is none`
      this.#fail(new PipelineError('ERR_PRODUCER_SOURCE_FAILED', message))
      return
    }
    await lane.idle()
    try {
      const [listed] = await new Admin(this.#cluster).listOffsets([{ topic, partition, at: startAt }])
      if (listed?.errorCode !== 0) throw new Error(`the offsets of ${name} cannot be listed`)
      const fields = { topic, partition, from: lost.toString(), to: listed.offset.toString() }
      this.#logger.error(
        fields,
        `${this.name}: the offset to read does not exist any more, records in between are gone`
      )
      await this.#goOn(lane, 0, listed.offset)
    } catch (error) {
      this.#logger.warn({ topic, partition }, messageOf(error))
      await sleep(this.#clock, REFETCH_MS, AbortSignal.any([this.#closing.signal, this.#failing.signal]))
      if (this.#lanes.get(partitionKeyOf(lane)) === lane && !lane.isStopped) void this.#reset(lane)
    }
  }

  #fail(error: PipelineError): void {
    this.#error ??=
      error.code.startsWith('ERR_PRODUCER_') || error.code === 'ERR_CLIENT_OPTIONS_INVALID'
        ? error
        : new PipelineError('ERR_PRODUCER_SOURCE_FAILED', `${this.name}: ${error.message}`, { cause: error })
    this.#failing.abort()
  }
}

function addTo(sum: { eventCount: number; readBytes: number; safeBytes: number }, lane: SourceProgress): void {
  sum.eventCount += lane.eventCount
  sum.readBytes += lane.readBytes
  sum.safeBytes += lane.safeBytes
}
