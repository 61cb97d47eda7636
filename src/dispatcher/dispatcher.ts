/**
 * The dispatcher: a consumer group member that hands batches to a target and commits after success.
 *
 * ```
 * group member ─ assigned/revoked ─> assignments: lanes <─ chunks ─ fetcher <─ pause/resume ─ intake
 *                                                  │ batches
 *                                                  ├─ slots (flow: line, pace, breaker) ─> target
 *                                                  ├─ retry topics, dead letters ─> appender
 *                                                  └─ committable offsets ─> commit pump ─> group member
 * ```
 *
 * This file puts the parts together and runs their life: start, drain, close,
 * and what ends it early. What happens to partitions is in `assignments.ts`.
 */

import type { DispatcherConfig } from '../config/index.ts'
import type { AssignedPartition, Cluster, TopicPartition } from '../client/index.ts'
import {
  type Clock,
  invariant,
  messageOf,
  PipelineError,
  type Random,
  systemClock,
  systemRandom,
  within
} from '../core/index.ts'
import type { Target } from '../targets/index.ts'
import { type AnyTracer, type Logger, type Meter, noopMeter, silentLogger, tracingOf } from '../telemetry/index.ts'
import { Assignments } from './assignments.ts'
import type { BreakerState } from './breaker.ts'
import { CommitPump } from './commit-pump.ts'
import { describeDispatcher, type DispatcherDescription } from './describe.ts'
import { DeadLetterAside, DeadLetterWriter } from './dead-letters.ts'
import type { DrainReport } from './drain-report.ts'
import type { ExactlyOnceSurroundings } from './exactly-once.ts'
import { committedOffsetOf, exactlyOnceOf } from './exactly-once-parts.ts'
import { FlowControl, type Route } from './flow/flow-control.ts'
import type { SettingsChange } from './flow/live-settings.ts'
import { Watchdog, type WatchedLane } from './flow/watchdog.ts'
import { Intake } from './intake.ts'
import { type AppenderLike, type FetcherLike, type KafkaSide, kafkaSideOf, type MemberLike } from './kafka-side.ts'
import type { AnyLane, LaneSurroundings, LaneView } from './lane-surroundings.ts'
import { openLane } from './open-lane.ts'
import { membershipOf } from './membership-options.ts'
import { topicsNamedIn, warnOfMissingTopics } from './missing-topics.ts'
import { Meters } from './meters.ts'
import { clashOf, originTopics, type Retries, retriesOf, retryTopicsOf } from './parking/create.ts'
import type { RetryTopics } from './parking/retry-topics.ts'
import { observeDispatcher } from './observe.ts'
import { SHARED_PARTITIONS_MAX } from './partition-buffer.ts'
import type { EventOrigin, PayloadLimits } from './payload.ts'
import { RecordFilter } from './record-filter.ts'
import { endSift, filterSift, joinSifts } from './sift.ts'
import { type DispatcherState, type DispatcherStatus, readStatus } from './status.ts'
import { loadTransform, ModuleTransform, type Transform } from './transform.ts'
import { WorkspacePool } from './workspace.ts'

/** What a dispatcher is made from. */
export interface DispatcherOptions {
  readonly config: DispatcherConfig
  /** The cluster; not needed if there is a `kafka`. */
  readonly cluster?: Cluster
  /** What is done of Kafka. Default: the client's classes on `cluster`. */
  readonly kafka?: KafkaSide
  /** Where batches go. Stays the caller's: close it after the dispatcher. */
  readonly target: Target
  /** Targets of classes in `config.priorities` that have their own, by class. Stay the caller's as well. */
  readonly classTargets?: Readonly<Record<string, Target>>
  /** What `esm` events say of their origin. Default: a self-managed cluster with the brokers that metadata names. */
  readonly origin?: EventOrigin
  /** Sees each record before it is sent. Default: the module that `config.transform` names, if it names one. */
  readonly transform?: Transform
  /** Where each partition ends, for a run over a part of a topic: nothing at or behind it is sent. Default: nowhere. */
  readonly endOf?: (at: TopicPartition) => bigint | undefined
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
  /** Traces batches: OpenTelemetry's `Tracer` or `TracerProvider`, or `createTraces().tracing`. Default: no traces. */
  readonly tracer?: AnyTracer | undefined
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
  drain(deadlineMs?: number): Promise<DrainReport>
  /** Stops without waiting for batches in flight: they will be delivered again. Idempotent. */
  close(): Promise<void>
  /**
   * Changes settings from the next batch on: `batch`, `concurrency`, `adaptiveConcurrency`, `flow`, `breaker`, shares
   * and limits of `priorities`, `starvationMs`, `progressTimeoutMs`. `null` goes back to the default.
   *
   * @returns Paths of the settings that differ now.
   * @throws PipelineError `ERR_CONFIG_INVALID` with every problem, or `ERR_DISPATCHER_NOT_CHANGEABLE` with the settings
   *   that need a restart. The old settings stay then.
   */
  update(change: SettingsChange): string[]
  /** Takes a whole configuration, as it was read and checked. Otherwise as `update`. */
  replaceSettings(config: DispatcherConfig): string[]
  /**
   * Sends nothing more of a partition, and fetches nothing, until `resume`; what is at the target may finish. Holds in
   * this process, also when the partition goes and comes back, and not elsewhere. Idempotent.
   */
  pause(topic: string, partition: number): void
  /** Ends `pause`. Idempotent. */
  resume(topic: string, partition: number): void
  /** What it is doing now, in numbers. */
  status(): DispatcherStatus
  /** What it is doing now and what keeps it from going on, in full, as JSON can hold it. */
  describe(): DispatcherDescription
}

/** Batches that may be delivered before their commit is accepted, for each that may be at the target at once. */
const COMMITS_BEHIND = 2
/** Least time between two commits, in milliseconds, while few batches wait for one. */
const COMMIT_INTERVAL_MS = 10
/** Longest wait for transactions that are being ended when stopping, in milliseconds. */
const TRANSACTIONS_CLOSE_MS = 5000
/** Longest wait for the dead letter appender when stopping, in milliseconds. */
const APPENDER_CLOSE_MS = 5000
/** Longest wait for the group to hear that this member leaves, in milliseconds; after that its session runs out. */
const LEAVE_MS = 5000
/** Longest time that the group gets to plan without this member before it stops working, in milliseconds. */
const RETIRE_MS = 5000

/**
 * Starts a dispatcher: it joins its group in the background and works until it is drained.
 *
 * @throws PipelineError `ERR_DISPATCHER_DEAD_LETTER_LOOP` if it would read its own dead letters,
 *   `ERR_DISPATCHER_TRANSFORM_INVALID`, and what the cluster throws when it cannot be reached.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const { config } = options
  const kafka = kafkaOf(options)
  if (config.topics.includes(config.deadLetterTopic)) {
    throw new PipelineError(
      'ERR_DISPATCHER_DEAD_LETTER_LOOP',
      `the dead letter topic ${config.deadLetterTopic} is one of the topics of group ${config.groupId}: choose another`
    )
  }
  const clash = clashOf(retryTopicsOf(config), config)
  if (clash !== undefined) {
    const message = `the retry topic ${clash} is one of the topics of group ${config.groupId}, or its dead letter topic`
    throw new PipelineError('ERR_DISPATCHER_DEAD_LETTER_LOOP', message)
  }
  const metadata = await kafka.metadata(topicsNamedIn(config))
  warnOfMissingTopics(config, metadata.topics, options.logger ?? silentLogger)
  const brokers = metadata.brokers.map(broker => `${broker.host}:${broker.port}`).join(',')
  const origin = options.origin ?? { bootstrapServers: brokers }
  const transform = options.transform ?? (await transformOf(config))
  const runtime = new DispatcherRuntime({
    ...options,
    ...(transform === undefined ? {} : { transform }),
    kafka,
    origin
  })
  await runtime.prepare()
  runtime.start()
  return runtime
}

async function transformOf({ transform }: DispatcherConfig): Promise<Transform | undefined> {
  return transform === undefined ? undefined : await loadTransform(transform.file, '.')
}

function kafkaOf({ kafka, cluster }: DispatcherOptions): KafkaSide {
  if (kafka !== undefined) return kafka
  invariant(cluster !== undefined, 'a dispatcher needs a cluster')
  return kafkaSideOf(cluster)
}

interface RuntimeOptions extends DispatcherOptions {
  readonly kafka: KafkaSide
  readonly origin: EventOrigin
}

class DispatcherRuntime implements Dispatcher {
  readonly ended: Promise<PipelineError | undefined>
  readonly #config: DispatcherConfig
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #meters: Meters
  readonly #appender: AppenderLike
  readonly #fetcher: FetcherLike
  readonly #intake: Intake<LaneView>
  readonly #flow: FlowControl
  readonly #watchdog: Watchdog
  readonly #pump: CommitPump
  readonly #member: MemberLike
  readonly #assignments: Assignments
  readonly #exactlyOnce: ExactlyOnceSurroundings | undefined
  readonly #topics: RetryTopics | undefined
  readonly #originOf: (topic: string) => string
  readonly #retries: Retries | undefined
  readonly #targetName: string
  #state: DispatcherState = 'starting'
  #drained: Promise<DrainReport> | undefined
  #end: (error: PipelineError | undefined) => void = () => undefined

  constructor(options: RuntimeOptions) {
    const { config, kafka, clock = systemClock, random = systemRandom } = options
    this.#config = config
    this.#targetName = options.target.name
    this.#topics = retryTopicsOf(config)
    const originOf = originTopics(this.#topics, config.topics)
    this.#originOf = originOf
    this.#clock = clock
    this.#logger = (options.logger ?? silentLogger).child({ group: config.groupId })
    const logger = this.#logger
    this.ended = new Promise(resolve => (this.#end = resolve))
    this.#meters = new Meters(options.meter ?? noopMeter, config.groupId, this.#clock)
    this.#appender = kafka.createAppender({ lingerMs: 5, clock, random, logger })
    const partitionBytesMax = partitionBytes(config)
    this.#fetcher = this.#createFetcher(kafka, { partitionBytesMax, clock, random })
    const { target, classTargets } = options
    this.#flow = new FlowControl({
      config,
      target,
      classTargets,
      clock,
      logger,
      onBreaker: (route, state) => this.#onBreaker(route, state)
    })
    this.#intake = new Intake(
      this.#fetcher,
      { bytesMax: config.bufferBytes, laneBytesMin: 2 * partitionBytesMax, answerBytesMax: partitionBytesMax },
      lane => this.#flow.routeOf(originOf(lane.topic)).name
    )
    const flow = this.#flow
    this.#pump = new CommitPump({
      commitOffsets: offsets => this.#member.commitOffsets(offsets),
      newest: noted => this.#assignments.newest(noted),
      intervalMs: COMMIT_INTERVAL_MS,
      onCommitted: committed => this.#assignments.onCommitted(committed),
      get movesMax() {
        return COMMITS_BEHIND * flow.concurrencyMax
      },
      // What is delivered without being committed comes twice if the group goes on without this member.
      onLate: isLate => (isLate ? flow.hold() : flow.resume()),
      clock,
      random,
      logger
    })
    this.#member = this.#createMember(kafka, clock, random)
    const surroundings = { config, target, kafka, clock, random, logger, meters: this.#meters }
    this.#exactlyOnce = exactlyOnceOf({
      ...surroundings,
      member: () => this.#member,
      concurrency: () => flow.concurrencyMax,
      onUnknown: lane => void this.#assignments.resync(lane)
    })
    const arounds = new Map(flow.routes.map(route => [route, this.#surroundings(options, route)]))
    const aroundOf = (topic: string): LaneSurroundings => {
      const around = arounds.get(flow.routeOf(originOf(topic)))
      invariant(around !== undefined, 'every route has its surroundings')
      return around
    }
    this.#retries = this.#createRetries(options, aroundOf)
    this.#assignments = this.#createAssignments(options, aroundOf)
    this.#watchdog = this.#createWatchdog()
    this.#observe(options.meter ?? noopMeter, kafka.clientId ?? '')
  }

  /** Sees to the topics that the dispatcher writes and reads itself. */
  async prepare(): Promise<void> {
    await this.#retries?.tiers.ensure(this.#config.topics)
  }

  start(): void {
    this.#fetcher.start()
    this.#exactlyOnce?.transactions.start()
    this.#member.start()
    this.#watchdog.start()
    this.#state = 'running'
  }

  status(): DispatcherStatus {
    return readStatus({
      state: this.#state,
      memberId: this.#member.memberId,
      generation: this.#member.generation,
      breaker: this.#flow.breakerState,
      bufferedBytes: this.#intake.totalBytes,
      totals: this.#meters.totals,
      lanes: this.#assignments.lanes.map(lane => ({
        lane,
        isPaused: this.#intake.isPaused(lane),
        committed: this.#assignments.committed(lane),
        end: this.#assignments.end(lane)
      }))
    })
  }

  describe(): DispatcherDescription {
    const assignments = this.#assignments
    return describeDispatcher({
      state: this.#state,
      groupId: this.#config.groupId,
      member: this.#member,
      target: this.#targetName,
      bufferedBytes: this.#intake.totalBytes,
      routes: this.#flow.describe().routes,
      intake: this.#intake.describe(),
      watchdog: this.#watchdog.describe(),
      producers: this.#exactlyOnce?.transactions.describe() ?? [],
      retries: this.#retries?.tiers.describe() ?? [],
      totals: this.#meters.totals,
      lanes: assignments.lanes,
      committed: at => assignments.committed(at),
      end: at => assignments.end(at),
      fetchPausedBy: lane => this.#intake.reasonOf(lane)
    })
  }

  update(change: SettingsChange): string[] {
    return this.#flow.update(change)
  }

  replaceSettings(config: DispatcherConfig): string[] {
    return this.#flow.replace(config)
  }

  pause(topic: string, partition: number): void {
    this.#flow.routeOf(topic).slots.pausePartition(topic, partition)
    this.#intake.hold({ topic, partition })
    this.#logger.info({ topic, partition }, 'a partition was paused by an operator')
  }

  resume(topic: string, partition: number): void {
    this.#intake.unhold({ topic, partition })
    this.#flow.routeOf(topic).slots.resumePartition(topic, partition)
    this.#logger.info({ topic, partition }, 'a partition was resumed by an operator')
  }

  drain(deadlineMs = this.#config.drainMs): Promise<DrainReport> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async close(): Promise<void> {
    this.#assignments.abort()
    await this.drain(0)
  }

  async #drain(deadlineMs: number, error?: PipelineError): Promise<DrainReport> {
    const unfinishedBefore = this.#assignments.unfinishedCount
    this.#state = 'draining'
    this.#watchdog.close()
    // While the group plans without this member, its partitions go on: what others take over is drained one by one.
    if (deadlineMs > 0 && error === undefined) {
      const timeoutMs = Math.min(deadlineMs / 2, RETIRE_MS)
      // Bounded here as well: without a coordinator to ask the member would look for one first.
      await within(this.#clock, timeoutMs, this.#member.retire?.({ timeoutMs }) ?? Promise.resolve())
    }
    const fetcherClosed = this.#fetcher.close()
    await this.#assignments.drain(deadlineMs)
    await this.#exactlyOnce?.transactions.close(TRANSACTIONS_CLOSE_MS)
    // Leaves the group: `revoked` finds no lanes any more.
    await within(this.#clock, LEAVE_MS, this.#member.close())
    await Promise.all([this.#appender.close(APPENDER_CLOSE_MS), this.#retries?.appender.close(APPENDER_CLOSE_MS)])
    await within(this.#clock, LEAVE_MS, fetcherClosed)
    this.#flow.close()
    this.#state = error === undefined ? 'closed' : 'failed'
    this.#end(error)
    const unfinishedPartitions = this.#assignments.unfinishedCount - unfinishedBefore
    return { isComplete: unfinishedPartitions === 0, unfinishedPartitions }
  }

  #createFetcher(kafka: KafkaSide, options: { partitionBytesMax: number; clock: Clock; random: Random }): FetcherLike {
    return kafka.createFetcher({
      ...options,
      // No more than a partition may keep alive beside its own records: an answer is shared, not copied.
      maxBytes: SHARED_PARTITIONS_MAX * options.partitionBytesMax,
      isReadCommitted: this.#config.isolationLevel === 'read_committed',
      // Kafka's clients check too (`check.crcs`): what a disk or a network has changed must not be delivered.
      isCrcChecked: true,
      onRecords: chunk => this.#assignments.onRecords(chunk),
      onPartitionError: failure => this.#assignments.onPartitionError(failure),
      logger: this.#logger
    })
  }

  #surroundings(options: RuntimeOptions, { target, slots, batch, health }: Route): LaneSurroundings {
    const { config, origin, transform, random = systemRandom } = options
    const clock = this.#clock
    const logger = this.#logger
    const limits: PayloadLimits = {
      get bytesMax() {
        return batch.bytesMax
      },
      bodyBytesMax: target.bodyBytesMax
    }
    const payload = { ...config.payload, limits, origin }
    return {
      groupId: config.groupId,
      target,
      batch,
      retry: {
        attemptsMax: config.retry.attemptsMax,
        backoff: { initialMs: config.retry.initialMs, maxMs: config.retry.maxMs },
        bisect: config.retry.bisect,
        order: config.order === 'partition' ? 'partition' : 'key',
        ...(config.retry.ageMaxMs === undefined ? {} : { ageMaxMs: config.retry.ageMaxMs })
      },
      slots,
      workspaces: new WorkspacePool(payload, () => this.#flow.concurrencyMax, target.takesRecords),
      aside: this.#createDeadLetters(options),
      sift: config.filters.length === 0 ? undefined : filterSift(new RecordFilter(config.filters)),
      transform: transform === undefined ? undefined : new ModuleTransform({ transform, clock, random, logger }),
      exactlyOnce: this.#exactlyOnce,
      health,
      meters: this.#meters,
      tracing: tracingOf(options.tracer, logger),
      clock,
      random,
      logger,
      isPaused: lane => this.#intake.isPaused(lane),
      onMoved: lane => this.#assignments.onMoved(lane),
      onTaken: lane => this.#intake.changed(lane),
      onUnreadable: (lane, error) => this.#assignments.onUnreadable(lane, error),
      onFatal: (lane, error) => this.#onFatal(lane, error)
    }
  }

  #createAssignments(options: RuntimeOptions, aroundOf: (topic: string) => LaneSurroundings): Assignments {
    const { config, kafka } = options
    return new Assignments({
      settings: config,
      fetcher: this.#fetcher,
      intake: this.#intake,
      pump: this.#pump,
      listOffsets: questions => kafka.listOffsets(questions),
      committedOffset: committedOffsetOf(this.#exactlyOnce, kafka, config.groupId),
      isReadCommitted: config.isolationLevel === 'read_committed',
      openLane: start => {
        const tiers = this.#retries?.tiers
        const around = endingAt(aroundOf(start.topic), options.endOf?.(start))
        const own = tiers?.station(start)?.surroundings(around) ?? around
        return tiers?.laneOf(start, start.epoch) ?? openLane(config, { ...start, around: own })
      },
      retry: this.#retries?.tiers,
      endOf: options.endOf,
      meters: this.#meters,
      clock: this.#clock,
      logger: this.#logger
    })
  }

  #createRetries(options: RuntimeOptions, aroundOf: (topic: string) => LaneSurroundings): Retries | undefined {
    const { config, kafka, meter = noopMeter, random = systemRandom } = options
    const deadLetters = this.#createDeadLetters(options)
    const fetching = {
      fetchFrom: (lane: AnyLane, offset: bigint) => this.#assignments.fetchFrom(lane, offset),
      rest: (lane: AnyLane) => this.#fetcher.remove(lane.topic, lane.partition)
    }
    const parts = { config, kafka, deadLetters, aroundOf, fetching, meters: this.#meters, meter }
    return retriesOf(this.#topics, { ...parts, clock: this.#clock, random, logger: this.#logger })
  }

  #createDeadLetters({ config, random = systemRandom }: RuntimeOptions): DeadLetterAside {
    const meters = this.#meters
    const deadLetters = new DeadLetterWriter({
      topic: config.deadLetterTopic,
      appender: this.#appender,
      tooLarge: config.deadLetters.tooLarge,
      onReference: () => meters.referenced(),
      clock: this.#clock,
      random,
      logger: this.#logger
    })
    return new DeadLetterAside({ groupId: config.groupId, deadLetters, meters, clock: this.#clock })
  }

  #createMember(kafka: KafkaSide, clock: Clock, random: Random): MemberLike {
    const config = this.#config
    const topics = this.#topics
    return kafka.createMember({
      groupId: config.groupId,
      topics: config.topics,
      ...(topics === undefined ? {} : { companions: (at: TopicPartition) => topics.companionsOf(at) }),
      ...membershipOf(config),
      clock,
      random,
      logger: this.#logger,
      listener: {
        assigned: partitions => this.#assigned(partitions),
        revoked: partitions => this.#assignments.revoked(partitions),
        lost: partitions => this.#assignments.lost(partitions),
        failed: error => this.#memberFailed(error)
      }
    })
  }

  #assigned(partitions: readonly AssignedPartition[]): void {
    if (partitions.length === 0) return
    this.#logger.info({ partitions: partitions.length, generation: this.#member.generation }, 'partitions assigned')
    this.#assignments.assigned(partitions)
  }

  #onBreaker({ name, target }: Route, state: BreakerState): void {
    this.#logger.warn({ breaker: state, target: target.name }, `the breaker of the target is ${state}`)
    this.#intake.setTargetDown(state !== 'closed', name)
  }

  #createWatchdog(): Watchdog {
    const { settings } = this.#flow
    return new Watchdog({
      timeoutMs: () => settings.config.progressTimeoutMs,
      lanes: () => this.#assignments.lanes.map(lane => this.#watched(lane)),
      onStalled: (partitions, timeoutMs) => this.#stalled(partitions, timeoutMs),
      clock: this.#clock,
      logger: this.#logger
    })
  }

  #watched(lane: AnyLane): WatchedLane {
    const { target, slots } = this.#flow.routeOf(this.#originOf(lane.topic))
    return {
      lane,
      isPausedByOperator: this.#intake.isHeld(lane),
      blockedBy: slots.blockedBy,
      invocationMs: target.timeoutMs,
      batchAgeMs: this.#flow.settings.config.batch.ageMs
    }
  }

  #stalled(partitions: readonly string[], timeoutMs: number): void {
    const message =
      `no progress for ${timeoutMs} ms in ${partitions.join(', ')}, and nothing explains it: ` +
      'leaving the group, so that others serve its partitions'
    this.#fail(new PipelineError('ERR_DISPATCHER_STALLED', message, { retriable: true, fields: { partitions } }))
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

  #observe(meter: Meter, clientId: string): void {
    const assignments = this.#assignments
    const group = this.#config.groupId
    this.#flow.observe(meter, group)
    observeDispatcher(meter, {
      group,
      clientId,
      meters: this.#meters,
      clock: this.#clock,
      bufferedBytes: () => this.#intake.totalBytes,
      partitionCount: () => assignments.count,
      pausedCount: () => this.#intake.pausedCount,
      stoodStillMs: () => Math.round(this.#watchdog.stoodStillMaxMs),
      heldUp: () => this.#watchdog.explanations,
      lanes: () => assignments.lanes,
      committed: lane => assignments.committed(lane),
      end: lane => assignments.end(lane)
    })
  }
}

/** The surroundings of a lane that ends at an offset. */
function endingAt(around: LaneSurroundings, end: bigint | undefined): LaneSurroundings {
  return end === undefined ? around : { ...around, sift: joinSifts([endSift(end), around.sift]) }
}

/**
 * Answers are small parts of the buffer: a partition is asked for more long before it is empty, and what is on its way
 * when a pause comes is little.
 */
function partitionBytes({ bufferBytes }: DispatcherConfig): number {
  return Math.min(1_048_576, Math.max(131_072, Math.floor(bufferBytes / 64)))
}
