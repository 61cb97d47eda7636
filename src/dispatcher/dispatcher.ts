/**
 * The dispatcher: a consumer group member that hands batches to a target and commits after success.
 *
 * ```
 * group member ─ assigned/revoked ─> lanes <─ chunks ─ fetcher <─ pause/resume ─ intake
 *                                     │ batches, one at a time per partition
 *                                     ├─ slots (concurrency, breaker) ─> target
 *                                     ├─ dead letters ─> appender
 *                                     └─ committable offsets ─> commit pump ─> group member
 * ```
 *
 * Giving a partition back: nothing new is started, what is at the target may
 * finish within `drainMs`, completed offsets are committed, and only then is
 * the partition released. Whatever answers later belongs to a lane that is
 * gone: it moves no offset, and the member would refuse the commit anyway.
 */

import type { DispatcherConfig } from '../config/index.ts'
import {
  Admin,
  Appender,
  type AssignedPartition,
  type Cluster,
  type FetchedChunk,
  Fetcher,
  type FetchPartitionError,
  GroupMember,
  type TopicPartition
} from '../client/index.ts'
import {
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  within
} from '../core/index.ts'
import type { Target } from '../targets/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../telemetry/index.ts'
import { CommitPump } from './commit-pump.ts'
import { DeadLetterWriter } from './dead-letters.ts'
import { Intake } from './intake.ts'
import type { LaneSurroundings, LaneView } from './lane-surroundings.ts'
import { Lane } from './lane.ts'
import { Meters } from './meters.ts'
import type { EventOrigin } from './payload.ts'
import { SlotQueue } from './slots.ts'
import { type DispatcherState, type DispatcherStatus, readStatus } from './status.ts'
import { WorkspacePool } from './workspace.ts'

/** What a dispatcher is made from. */
export interface DispatcherOptions {
  readonly config: DispatcherConfig
  readonly cluster: Cluster
  /** Where batches go. Stays the caller's: close it after the dispatcher. */
  readonly target: Target
  /** What `esm` events say of their origin. Default: a self-managed cluster with the brokers that metadata names. */
  readonly origin?: EventOrigin
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
}

/** A running dispatcher. */
export interface Dispatcher {
  /** Resolves when the dispatcher has ended: with an error if it did not end because it was asked to. */
  readonly ended: Promise<PipelineError | undefined>
  /**
   * Stops: starts nothing new, lets batches in flight finish, commits, leaves the group. Idempotent.
   *
   * @param deadlineMs - Longest wait for batches in flight, in milliseconds. Default `drainMs` of the configuration.
   */
  drain(deadlineMs?: number): Promise<void>
  /** Stops without waiting for batches in flight: they will be delivered again. Idempotent. */
  close(): Promise<void>
  /** What it is doing now. */
  status(): DispatcherStatus
}

/** Batches that may be delivered before their commit is accepted, for each that may be at the target at once. */
const COMMITS_BEHIND = 2
/** Wait before a partition is fetched again that could not be read, in milliseconds. */
const REFETCH_MS = 5000
/** Longest wait for the last commit and for the dead letter appender when stopping, in milliseconds. */
const FINAL_COMMIT_MS = 5000
/** Longest wait for the group to hear that this member leaves, in milliseconds; after that its session runs out. */
const LEAVE_MS = 5000

/**
 * Starts a dispatcher: it joins its group in the background and works until it is drained.
 *
 * @throws PipelineError `ERR_DISPATCHER_DEAD_LETTER_LOOP` if it would read its own dead letters, and what the cluster
 *   throws when it cannot be reached.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const { config, cluster } = options
  if (config.topics.includes(config.deadLetterTopic)) {
    throw new PipelineError(
      'ERR_DISPATCHER_DEAD_LETTER_LOOP',
      `the dead letter topic ${config.deadLetterTopic} is one of the topics of group ${config.groupId}: choose another`
    )
  }
  const metadata = await cluster.metadata([config.deadLetterTopic])
  const found = metadata.topics.find(topic => topic.topic === config.deadLetterTopic)
  if (found === undefined || found.errorCode !== 0) {
    const fields = { topic: config.deadLetterTopic }
    const message = 'the dead letter topic does not exist: a partition with a bad record waits until it does'
    ;(options.logger ?? silentLogger).warn(fields, message)
  }
  const brokers = metadata.brokers.map(broker => `${broker.host}:${broker.port}`).join(',')
  const runtime = new DispatcherRuntime(options, options.origin ?? { bootstrapServers: brokers })
  runtime.start()
  return runtime
}

class DispatcherRuntime implements Dispatcher {
  readonly ended: Promise<PipelineError | undefined>
  readonly #config: DispatcherConfig
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #meters: Meters
  readonly #admin: Admin
  readonly #appender: Appender
  readonly #fetcher: Fetcher
  readonly #intake: Intake<LaneView>
  readonly #slots: SlotQueue
  readonly #pump: CommitPump
  readonly #member: GroupMember
  readonly #around: LaneSurroundings
  readonly #lanes = new Map<string, Lane>()
  /** Partitions of this member, those without a lane for the moment included. */
  readonly #owned = new Set<string>()
  readonly #ends = new Map<string, bigint>()
  readonly #committed = new Map<string, bigint>()
  readonly #stopping = new AbortController()
  #state: DispatcherState = 'starting'
  #epoch = 0
  #drained: Promise<void> | undefined
  #end: (error: PipelineError | undefined) => void = () => undefined

  constructor(options: DispatcherOptions, origin: EventOrigin) {
    const { config, cluster } = options
    const clock = options.clock ?? systemClock
    const random = options.random ?? systemRandom
    this.#config = config
    this.#clock = clock
    this.#logger = (options.logger ?? silentLogger).child({ group: config.groupId })
    const logger = this.#logger
    this.ended = new Promise(resolve => (this.#end = resolve))
    this.#meters = new Meters(options.meter ?? noopMeter, config.groupId)
    this.#admin = new Admin(cluster)
    this.#appender = new Appender({ cluster, lingerMs: 5, clock, random, logger })
    const { bufferBytes } = config
    // Answers are small parts of the buffer: a partition is asked for more long before it is empty, and what is on its
    // way when a pause comes is little.
    const partitionBytesMax = Math.min(1_048_576, Math.max(65_536, Math.floor(bufferBytes / 128)))
    this.#fetcher = new Fetcher({
      cluster,
      maxBytes: Math.min(16_777_216, Math.max(1_048_576, Math.floor(bufferBytes / 16))),
      partitionBytesMax,
      onRecords: chunk => this.#onRecords(chunk),
      onPartitionError: failure => this.#onPartitionError(failure),
      clock,
      random,
      logger
    })
    this.#intake = new Intake(this.#fetcher, { bytesMax: bufferBytes, laneBytesMin: 2 * partitionBytesMax })
    this.#slots = new SlotQueue({
      concurrency: config.concurrency,
      breaker: config.breaker,
      clock,
      onBreaker: state => this.#onBreaker(state)
    })
    this.#pump = new CommitPump({
      commitOffsets: offsets => this.#member.commitOffsets(offsets),
      onCommitted: ({ topic, partition, offset }) => this.#committed.set(keyOf(topic, partition), offset),
      movesMax: COMMITS_BEHIND * config.concurrency,
      // What is delivered without being committed comes twice if the group goes on without this member.
      onLate: isLate => (isLate ? this.#slots.hold() : this.#slots.resume()),
      clock,
      random,
      logger
    })
    this.#member = this.#createMember(cluster, clock, random)
    this.#around = this.#surroundings(options, origin)
    this.#observe(options.meter ?? noopMeter)
  }

  start(): void {
    this.#fetcher.start()
    this.#member.start()
    this.#state = 'running'
  }

  status(): DispatcherStatus {
    return readStatus({
      state: this.#state,
      memberId: this.#member.memberId,
      generation: this.#member.generation,
      breaker: this.#slots.breakerState,
      bufferedBytes: this.#intake.totalBytes,
      totals: this.#meters.totals,
      lanes: [...this.#lanes.values()].map(lane => ({
        lane,
        isPaused: this.#intake.isPaused(lane),
        committed: this.#committed.get(keyOf(lane.topic, lane.partition)),
        end: this.#ends.get(keyOf(lane.topic, lane.partition))
      }))
    })
  }

  drain(deadlineMs = this.#config.drainMs): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  close(): Promise<void> {
    for (const lane of this.#lanes.values()) lane.abort()
    return this.drain(0)
  }

  async #drain(deadlineMs: number, error?: PipelineError): Promise<void> {
    this.#state = 'draining'
    this.#stopping.abort()
    const fetcherClosed = this.#fetcher.close()
    await this.#release([...this.#lanes.values()], deadlineMs)
    // Leaves the group: `revoked` finds no lanes any more.
    await within(this.#clock, LEAVE_MS, this.#member.close())
    await this.#appender.close(FINAL_COMMIT_MS)
    await within(this.#clock, LEAVE_MS, fetcherClosed)
    this.#slots.close()
    this.#state = error === undefined ? 'closed' : 'failed'
    this.#end(error)
  }

  #surroundings({ config, target, random = systemRandom }: DispatcherOptions, origin: EventOrigin): LaneSurroundings {
    const clock = this.#clock
    const logger = this.#logger
    const appender = this.#appender
    const limits = { bytesMax: Math.min(config.batch.bytesMax, target.bodyBytesMax), bodyBytesMax: target.bodyBytesMax }
    const payload = { ...config.payload, limits, origin }
    return {
      groupId: config.groupId,
      target,
      batch: { ...config.batch, bytesMax: limits.bytesMax },
      retry: {
        attemptsMax: config.retry.attemptsMax,
        backoff: { initialMs: config.retry.initialMs, maxMs: config.retry.maxMs }
      },
      slots: this.#slots,
      workspaces: new WorkspacePool(payload, config.concurrency),
      deadLetters: new DeadLetterWriter({
        topic: config.deadLetterTopic,
        appender,
        clock,
        random,
        logger
      }),
      health: { answeredSentMs: Number.NEGATIVE_INFINITY },
      meters: this.#meters,
      clock,
      random,
      logger,
      isPaused: lane => this.#intake.isPaused(lane),
      onMoved: lane => this.#onMoved(lane),
      onTaken: lane => this.#intake.changed(lane),
      onUnreadable: (lane, error) => this.#onUnreadable(lane, error),
      onFatal: (lane, error) => this.#onFatal(lane, error)
    }
  }

  #createMember(cluster: Cluster, clock: Clock, random: Random): GroupMember {
    const config = this.#config
    return new GroupMember({
      cluster,
      groupId: config.groupId,
      topics: config.topics,
      ...(config.groupInstanceId === undefined ? {} : { groupInstanceId: config.groupInstanceId }),
      sessionTimeoutMs: config.sessionTimeoutMs,
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      rebalanceTimeoutMs: config.rebalanceTimeoutMs,
      assignors: config.assignors,
      autoOffsetReset: config.autoOffsetReset,
      clock,
      random,
      logger: this.#logger,
      listener: {
        assigned: partitions => this.#assigned(partitions),
        revoked: partitions => this.#revoked(partitions),
        lost: partitions => this.#lost(partitions),
        failed: error => this.#memberFailed(error)
      }
    })
  }

  #assigned(partitions: readonly AssignedPartition[]): void {
    if (partitions.length === 0 || this.#stopping.signal.aborted) return
    this.#meters.rebalanced()
    this.#logger.info({ partitions: partitions.length, generation: this.#member.generation }, 'partitions assigned')
    for (const { topic, partition, offset } of partitions) {
      this.#owned.add(keyOf(topic, partition))
      this.#open(topic, partition, offset)
    }
  }

  #open(topic: string, partition: number, offset: bigint): void {
    this.#epoch += 1
    const lane = new Lane({ topic, partition, offset, epoch: this.#epoch, around: this.#around })
    this.#lanes.set(keyOf(topic, partition), lane)
    this.#committed.set(keyOf(topic, partition), offset)
    this.#fetcher.add({ topic, partition, offset })
    this.#intake.add(lane)
  }

  async #revoked(partitions: readonly TopicPartition[]): Promise<void> {
    for (const { topic, partition } of partitions) this.#owned.delete(keyOf(topic, partition))
    const lanes = this.#lanesOf(partitions)
    if (lanes.length === 0) return
    this.#meters.rebalanced()
    // Half of the time that the group gives: the rest is for the commit and for joining again.
    const deadlineMs = Math.min(this.#config.drainMs, this.#config.rebalanceTimeoutMs / 2)
    await this.#release(lanes, deadlineMs)
    this.#logger.info({ partitions: lanes.length }, 'partitions given back')
  }

  /** Ends lanes in good order: no new work, a bounded wait, the last commit. */
  async #release(lanes: readonly Lane[], deadlineMs: number): Promise<void> {
    for (const lane of lanes) {
      lane.stop()
      this.#fetcher.remove(lane.topic, lane.partition)
      this.#intake.remove(lane)
    }
    await within(this.#clock, deadlineMs, Promise.all(lanes.map(lane => lane.ended)))
    for (const lane of lanes) if (lane.state !== 'ended') lane.abort()
    await within(this.#clock, FINAL_COMMIT_MS, this.#pump.flush())
    this.#pump.forget(lanes)
    for (const lane of lanes) this.#remove(lane)
  }

  #lost(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#owned.delete(keyOf(topic, partition))
    const lanes = this.#lanesOf(partitions)
    this.#pump.forget(partitions)
    for (const lane of lanes) {
      lane.abort()
      this.#fetcher.remove(lane.topic, lane.partition)
      this.#intake.remove(lane)
      this.#remove(lane)
    }
    if (lanes.length === 0) return
    this.#meters.rebalanced()
    this.#logger.warn({ partitions: lanes.length }, 'partitions lost: they already belong to others')
  }

  #remove(lane: Lane): void {
    const key = keyOf(lane.topic, lane.partition)
    if (this.#lanes.get(key) !== lane) return
    this.#lanes.delete(key)
    this.#ends.delete(key)
    this.#committed.delete(key)
  }

  #lanesOf(partitions: readonly TopicPartition[]): Lane[] {
    const lanes: Lane[] = []
    for (const { topic, partition } of partitions) {
      const lane = this.#lanes.get(keyOf(topic, partition))
      if (lane !== undefined) lanes.push(lane)
    }
    return lanes
  }

  #onRecords(chunk: FetchedChunk): void {
    const key = keyOf(chunk.topic, chunk.partition)
    const lane = this.#lanes.get(key)
    if (lane === undefined) return
    this.#ends.set(key, chunk.highWatermark)
    if (chunk.nextOffset === lane.position && chunk.records.length === 0) return
    lane.push(chunk)
    this.#intake.changed(lane)
  }

  #onMoved(lane: LaneView): void {
    const { topic, partition, committable } = lane
    // A lane that is gone has no say, whatever it still hears from the target.
    if (this.#lanes.get(keyOf(topic, partition)) !== lane) return
    if (committable > (this.#committed.get(keyOf(topic, partition)) ?? -1n)) {
      this.#pump.move({ topic, partition, offset: committable })
    }
  }

  #onBreaker(state: string): void {
    this.#logger.warn({ breaker: state }, `the breaker of the target is ${state}`)
    this.#intake.setTargetDown(state !== 'closed')
  }

  #onPartitionError(failure: FetchPartitionError): void {
    const { topic, partition, error, willRetry } = failure
    const fields = { topic, partition, code: error.code, offset: failure.offset.toString() }
    this.#logger.warn(fields, `a partition cannot be fetched: ${error.message}`)
    const lane = this.#lanes.get(keyOf(topic, partition))
    if (willRetry || lane === undefined) return
    if (error.code === 'ERR_CLIENT_OFFSET_OUT_OF_RANGE') void this.#reset(lane)
    else this.#refetch(lane, failure.offset)
  }

  #onUnreadable(lane: LaneView, error: unknown): void {
    const fields = { topic: lane.topic, partition: lane.partition, offset: lane.position.toString() }
    this.#logger.error(fields, `records cannot be read, their partition waits: ${messageOf(error)}`)
    this.#fetcher.remove(lane.topic, lane.partition)
    this.#refetch(lane, lane.position)
  }

  /** Fetches a partition again after a while, from an offset at which its lane goes on. */
  #refetch(lane: LaneView, offset: bigint): void {
    this.#clock
      .after(REFETCH_MS, () => {
        const { topic, partition } = lane
        if (this.#lanes.get(keyOf(topic, partition)) !== lane) return
        this.#fetcher.add({ topic, partition, offset })
        if (this.#intake.isPaused(lane)) this.#fetcher.pause(topic, partition)
      })
      .unref()
  }

  /** The offset to read is not there (retention, or a new topic of the same name): starts where the group may. */
  async #reset(lane: Lane): Promise<void> {
    const { topic, partition } = lane
    await this.#release([lane], this.#config.drainMs)
    const key = keyOf(topic, partition)
    // Meanwhile the partition may be given back, and even come again with a lane of its own.
    const isWanted = (): boolean => this.#owned.has(key) && !this.#lanes.has(key) && !this.#stopping.signal.aborted
    while (isWanted()) {
      try {
        const [listed] = await this.#admin.listOffsets([{ topic, partition, at: this.#config.autoOffsetReset }])
        if (listed !== undefined && listed.errorCode === 0 && isWanted()) {
          const fields = { topic, partition, from: lane.committable.toString(), to: listed.offset.toString() }
          this.#logger.error(fields, 'the committed offset does not exist any more, records in between are gone')
          this.#open(topic, partition, listed.offset)
          return
        }
      } catch (error) {
        this.#logger.warn({ topic, partition }, `the ends of a partition cannot be read: ${messageOf(error)}`)
      }
      await sleep(this.#clock, 1000, this.#stopping.signal)
    }
  }

  #memberFailed(cause: PipelineError): void {
    const message = `group ${this.#config.groupId}: membership has ended: ${cause.message}`
    this.#fail(new PipelineError('ERR_DISPATCHER_GROUP_LOST', message, { cause, retriable: cause.retriable }))
  }

  #onFatal(lane: LaneView, error: unknown): void {
    const fields = { topic: lane.topic, partition: lane.partition, epoch: lane.epoch }
    this.#logger.error(fields, `a partition has ended with an error: ${messageOf(error)}`)
    this.#fail(
      PipelineError.is(error) ? error : new PipelineError('ERR_CORE_INVARIANT', messageOf(error), { cause: error })
    )
  }

  #fail(error: PipelineError): void {
    this.#logger.error({ code: error.code }, error.message)
    this.#drained ??= this.#drain(this.#config.drainMs, error)
  }

  #observe(meter: Meter): void {
    const attributes = { group: this.#config.groupId }
    const observe = (name: string, description: string, read: () => number): void => {
      meter.createObservableGauge(name, { description }).addCallback(result => result.observe(read(), attributes))
    }
    observe('comporta.dispatcher.in_flight', 'Batches under way', () => this.#meters.inFlightBatches)
    observe('comporta.dispatcher.buffered', 'Bytes fetched and not in a batch yet', () => this.#intake.totalBytes)
    observe('comporta.dispatcher.partitions', 'Partitions assigned', () => this.#lanes.size)
    observe('comporta.dispatcher.paused', 'Partitions that rest', () => this.#intake.pausedCount)
    observe('comporta.dispatcher.breaker_open', '1 while the target is down', () =>
      this.#slots.breakerState === 'closed' ? 0 : 1
    )
    meter
      .createObservableGauge('comporta.dispatcher.lag', { description: 'Records between committed and end' })
      .addCallback(result => {
        for (const { topic, partition, lag } of this.status().partitions) {
          if (lag !== undefined) result.observe(lag, { ...attributes, topic, partition })
        }
      })
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}-${partition}`
}
