/**
 * An event source mapping at work: a member of a consumer group that reads one topic, invokes a function with batches
 * as AWS does, and commits what is done.
 *
 * The rules are in `machine.ts`; this file has the sockets, the clock and the memory. Records wait as fetched chunks
 * (`PartitionReader`) and are decoded as the machine has room; a partition whose share is full is not fetched.
 *
 * Giving partitions back: nothing new begins with them, what the function has may end, offsets are committed, and only
 * then are they released. A retry that waits is given back at once.
 */

import {
  type AssignedPartition,
  type Cluster,
  type FetchedChunk,
  Fetcher,
  type FetchPartitionError,
  GroupMember,
  type GroupMemberOptions,
  type TopicPartition
} from '../../client/index.ts'
import {
  type BackoffOptions,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  type Timer,
  within
} from '../../core/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../../telemetry/index.ts'
import { createFailureSender, type FailureSender } from './destinations.ts'
import type { EventOrigin } from './event-text.ts'
import { EventWriter } from './event-text.ts'
import { compileFilters, type RecordFilter } from './filter.ts'
import { createInvoker, type Invoker } from './invoker.ts'
import { type Action, type InvokeOutcome, MappingMachine } from './machine.ts'
import { mappingMeters, type MappingMeters, type MappingTotals } from './mapping-meters.ts'
import { PartitionCommits } from './partition-commits.ts'
import { PartitionReader } from './partition-reader.ts'
import { readReply } from './response.ts'
import {
  ESM_LIMITS,
  type EventSourceMappingOptions,
  mappingProblems,
  readDestination,
  stableUuid,
  WINDOW_DEFAULT_MS
} from './settings.ts'
import { offsetAfterLoss, startingOffsets } from './starting-offsets.ts'

/** How a mapping runs: where Kafka, the function and the destination are. */
export interface MappingRunOptions extends EventSourceMappingOptions {
  readonly cluster: Cluster
  /** Address of the Invoke API. Default: AWS. */
  readonly endpoint?: string | undefined
  /** AWS region. Default: AWS's own chain; `us-east-1` with an endpoint of this machine. */
  readonly region?: string | undefined
  /** Longest wait for the function, in milliseconds. Default 910_000. */
  readonly timeoutMs?: number | undefined
  /** Address of SQS, SNS and S3. Default: AWS's own chain (`AWS_ENDPOINT_URL…`). */
  readonly destinationEndpoint?: string | undefined
  /** Wait before a retry; AWS has none to set and names none. Default 500 ms, doubling up to 60 s. */
  readonly backoff?: BackoffOptions | undefined
  /** Memory for records that wait, in bytes, all partitions together. Default 67_108_864. */
  readonly bufferBytes?: number | undefined
  /** Session timeout and the like of the membership. Default: the client's. */
  readonly membership?: MembershipOptions | undefined
  /** Variables of the process, for AWS's endpoints. Default: none. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly meter?: Meter
}

/** Timing of the membership, see `GroupMemberOptions`. */
export type MembershipOptions = Partial<
  Pick<GroupMemberOptions, 'sessionTimeoutMs' | 'heartbeatIntervalMs' | 'rebalanceTimeoutMs' | 'groupProtocol'>
>

/** What a mapping is doing. */
export interface MappingStatus {
  readonly uuid: string
  readonly functionName: string
  readonly topic: string
  readonly groupId: string
  readonly totals: Readonly<MappingTotals>
  readonly pollers: number
  /** Invocations under way. */
  readonly invoking: number
  /** Batches that wait for a retry, or are at the destination. */
  readonly waiting: number
  readonly partitions: readonly PartitionStatus[]
}

/** What a mapping is doing with one partition. */
export interface PartitionStatus {
  readonly partition: number
  readonly committed: number | undefined
  /** Records between what is done and the end; `undefined` before the first answer of Kafka. */
  readonly lag: number | undefined
}

const MINUTE_MS = 60_000
const GAUGES_EVERY_MS = 5000
const LANE_BYTES_MIN = 65_536
const FETCH_BYTES_MAX = 1_048_576
const DRAIN_SHARE = 0.5
const REBALANCE_TIMEOUT_MS = 300_000

interface Held {
  readonly reader: PartitionReader
  end: number | undefined
  isPaused: boolean
}

/** One mapping at work. Made by `startEventSourceMapping`. */
export class EventSourceMapping {
  readonly uuid: string
  readonly groupId: string
  /** Resolves when the mapping has ended: with the error that ended it, or `undefined` after `close`. */
  readonly ended: Promise<PipelineError | undefined>
  readonly #options: MappingRunOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #meters: MappingMeters
  readonly #writer: EventWriter
  readonly #filter: RecordFilter | undefined
  readonly #machine: MappingMachine
  readonly #invoker: Invoker
  readonly #sender: FailureSender | undefined
  readonly #member: GroupMember
  readonly #fetcher: Fetcher
  readonly #commits: PartitionCommits
  readonly #held = new Map<number, Held>()
  readonly #aborting = new AbortController()
  readonly #end = Promise.withResolvers<PipelineError | undefined>()
  readonly #timers: readonly Timer[]
  #timer: Timer | undefined
  #isPumpAsked = false
  #isClosed = false
  #closing: Promise<boolean> | undefined

  constructor(options: MappingRunOptions, parts: MappingParts) {
    const { clock = systemClock, logger = silentLogger, meter = noopMeter, cluster, topic } = options
    this.uuid = parts.uuid
    this.groupId = parts.groupId
    this.ended = this.#end.promise
    this.#options = options
    this.#clock = clock
    this.#logger = logger.child({ mapping: this.uuid, topic })
    this.#meters = mappingMeters(meter, this.uuid)
    this.#writer = parts.writer
    this.#filter = compileFilters(options.filters ?? [])
    this.#sender = parts.sender
    this.#invoker = parts.invoker
    this.#machine = machineOf(options, parts)
    this.#fetcher = new Fetcher({
      cluster,
      partitionBytesMax: FETCH_BYTES_MAX,
      onRecords: chunk => this.#onRecords(chunk),
      onPartitionError: failure => this.#onPartitionError(failure),
      clock,
      logger: this.#logger
    })
    this.#member = new GroupMember({
      cluster,
      groupId: this.groupId,
      topics: [topic],
      autoOffsetReset: options.startingPosition === 'latest' ? 'latest' : 'earliest',
      ...options.membership,
      listener: {
        assigned: partitions => this.#assigned(partitions),
        revoked: partitions => this.#revoked(partitions),
        lost: partitions => this.#lost(partitions),
        failed: error => this.#fail(error)
      },
      clock,
      logger: this.#logger
    })
    this.#commits = new PartitionCommits({
      topic,
      member: this.#member,
      read: () => new Map([...this.#held.keys()].map(each => [each, this.#machine.committable(each)])),
      clock,
      logger: this.#logger
    })
    this.#timers = [
      clock.every(MINUTE_MS, () => this.#scale()).unref(),
      clock.every(GAUGES_EVERY_MS, () => this.#record()).unref()
    ]
    this.#member.start()
    this.#fetcher.start()
  }

  /** What it is doing. */
  status(): MappingStatus {
    const { pollers, invoking, waiting } = this.#machine.counts()
    const { functionName, topic } = this.#options
    const partitions = [...this.#held].map(([partition, { end }]) => ({
      partition,
      committed: this.#commits.committed(partition),
      lag: end === undefined ? undefined : Math.max(0, end - this.#machine.committable(partition))
    }))
    const totals = { ...this.#meters.totals }
    return {
      uuid: this.uuid,
      functionName,
      topic,
      groupId: this.groupId,
      totals,
      pollers,
      invoking,
      waiting,
      partitions
    }
  }

  /**
   * Ends in good order: nothing new begins, what the function has may end until the deadline, offsets are committed,
   * the group is left. Idempotent; the first deadline counts.
   *
   * @returns Whether everything that was begun has ended.
   */
  drain(deadlineMs: number): Promise<boolean> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  /** Ends at once: invocations under way are abandoned, and their records come again. Idempotent. */
  async close(): Promise<void> {
    this.#aborting.abort()
    await this.drain(0)
  }

  async #close(deadlineMs: number): Promise<boolean> {
    for (const timer of this.#timers) timer.cancel()
    this.#machine.close(this.#held.keys())
    const isIdle = await this.#idle([...this.#held.keys()], deadlineMs)
    this.#aborting.abort()
    await this.#member.close()
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#fetcher.close()
    for (const { reader } of this.#held.values()) reader.close()
    this.#invoker.close()
    await this.#sender?.close()
    this.#end.resolve(undefined)
    return isIdle
  }

  // Partitions

  async #assigned(partitions: readonly AssignedPartition[]): Promise<void> {
    const { cluster, topic, startingPosition = 'trimHorizon' } = this.#options
    if (this.#closing !== undefined) return
    const at = { groupId: this.groupId, position: startingPosition }
    let starts: Map<number, bigint> | undefined
    while (starts === undefined && !this.#aborting.signal.aborted) {
      starts = await startingOffsets(cluster, at, partitions).catch(async (error: unknown) => {
        this.#logger.warn({ reason: messageOf(error) }, 'the starting position is not known yet; asking again')
        await sleep(this.#clock, 500, this.#aborting.signal)
        return undefined
      })
    }
    for (const { partition } of partitions) {
      const offset = starts?.get(partition)
      if (offset === undefined || this.#held.has(partition)) continue
      const reader = new PartitionReader({ topic, partition, filter: this.#filter }, Number(offset))
      this.#held.set(partition, { reader, end: undefined, isPaused: false })
      this.#machine.assign(partition, Number(offset))
      this.#commits.forget(partition)
      this.#fetcher.add({ topic, partition, offset })
    }
    this.#logger.info({ partitions: partitions.map(each => each.partition) }, 'partitions assigned')
    this.#commits.changed()
  }

  async #revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const mine = partitions.map(each => each.partition).filter(each => this.#held.has(each))
    for (const partition of mine) this.#fetcher.remove(this.#options.topic, partition)
    this.#machine.close(mine)
    const timeoutMs = (this.#options.membership?.rebalanceTimeoutMs ?? REBALANCE_TIMEOUT_MS) * DRAIN_SHARE
    await this.#idle(mine, timeoutMs)
    await this.#commits.flush()
    this.#forget(mine)
  }

  #lost(partitions: readonly TopicPartition[]): void {
    const mine = partitions.map(each => each.partition).filter(each => this.#held.has(each))
    for (const partition of mine) this.#fetcher.remove(this.#options.topic, partition)
    this.#forget(mine)
    if (mine.length > 0) this.#logger.warn({ partitions: mine }, 'partitions are lost: what was under way comes again')
  }

  #forget(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.#held.get(partition)?.reader.close()
      this.#held.delete(partition)
      this.#machine.remove(partition)
      this.#commits.forget(partition)
    }
    this.#pumpSoon()
  }

  /** Waits until nothing is under way with these partitions. */
  async #idle(partitions: readonly number[], deadlineMs: number): Promise<boolean> {
    const isBusy = (): boolean => partitions.some(each => this.#held.has(each) && this.#machine.isBusy(each))
    const isOver = (): boolean => this.#aborting.signal.aborted
    const waiting = (async () => {
      while (isBusy() && !isOver()) await sleep(this.#clock, 5)
      return true
    })()
    if (!isBusy()) return true
    await within(this.#clock, deadlineMs, waiting)
    return !isBusy()
  }

  #onPartitionError({ topic, partition, error, willRetry }: FetchPartitionError): void {
    if (willRetry) return
    if (error.code !== 'ERR_CLIENT_OFFSET_OUT_OF_RANGE') return this.#fail(error)
    const { cluster, startingPosition = 'trimHorizon' } = this.#options
    const held = this.#held.get(partition)
    this.#logger.warn({ partition, reason: error.message }, 'an offset is gone; going on where the mapping would start')
    offsetAfterLoss(cluster, { topic, partition }, startingPosition).then(
      offset => {
        // It may have been given back, and come again with an offset of its own, meanwhile.
        if (held === undefined || this.#held.get(partition) !== held || this.#closing !== undefined) return
        this.#forget([partition])
        const reader = new PartitionReader({ topic, partition, filter: this.#filter }, Number(offset))
        this.#held.set(partition, { reader, end: undefined, isPaused: false })
        this.#machine.assign(partition, Number(offset))
        this.#fetcher.add({ topic, partition, offset })
      },
      (reason: unknown) => this.#fail(asPipelineError(reason))
    )
  }

  #fail(error: PipelineError): void {
    this.#logger.error({ code: error.code, reason: error.message }, 'the mapping has ended')
    this.#end.resolve(error)
    // What state it is in is not known: nothing more is invoked, or committed beyond what is done.
    this.close().catch((reason: unknown) => this.#logger.warn({ reason: messageOf(reason) }, 'closing failed'))
  }

  // Records

  #onRecords(chunk: FetchedChunk): void {
    const held = this.#held.get(chunk.partition)
    if (held === undefined) return
    held.end = Number(chunk.highWatermark)
    held.reader.push(chunk)
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#isPumpAsked || this.#isClosed) return
    this.#isPumpAsked = true
    queueMicrotask(() => {
      this.#isPumpAsked = false
      if (this.#isClosed) return
      try {
        this.#pump()
      } catch (error) {
        this.#fail(asPipelineError(error))
      }
    })
  }

  /** Does all there is to do now, and says when to come again. */
  #pump(): void {
    const nowMs = this.#clock.monotonicMs()
    let isMore = false
    for (const [partition, held] of this.#held) isMore = this.#fill(partition, held, nowMs) || isMore
    for (const action of this.#machine.next(nowMs, this.#clock.now())) this.#start(action)
    this.#commits.changed()
    this.#timer?.cancel()
    const wakeAtMs = isMore ? nowMs : this.#machine.wakeAtMs()
    if (wakeAtMs === undefined) return
    this.#timer = this.#clock.after(Math.max(0, Math.ceil(wakeAtMs - nowMs)), () => this.#pumpSoon())
  }

  /** Decodes as much of a partition as the machine has room for; true if there is more to look at at once. */
  #fill(partition: number, held: Held, nowMs: number): boolean {
    const { batchSize = 100, bufferBytes = 67_108_864, topic } = this.#options
    const share = bufferBytes / 2 / Math.max(1, this.#held.size)
    const laneBytes = Math.min(ESM_LIMITS.eventBytes, Math.max(LANE_BYTES_MIN, share))
    const queued = this.#machine.queued(partition)
    let isMore = false
    if (held.reader.hasMore && queued.records < batchSize && queued.bytes < laneBytes) {
      const limits = { records: batchSize - queued.records, bytes: laneBytes - queued.bytes, nowMs }
      const { records, position, filteredCount } = held.reader.read(limits)
      this.#machine.add(partition, records, position)
      this.#meters.totals.polledEventCount += records.length + filteredCount
      this.#meters.records('filtered', filteredCount)
      isMore = held.reader.hasMore && records.length < limits.records && filteredCount > 0
    }
    const { records, bytes } = this.#machine.queued(partition)
    this.#machine.setFull(partition, records >= batchSize || bytes >= laneBytes)
    const isTooMuch = held.reader.bufferedBytes > Math.max(LANE_BYTES_MIN, share)
    if (isTooMuch && !held.isPaused) this.#fetcher.pause(topic, partition)
    else if (!isTooMuch && held.isPaused) this.#fetcher.resume(topic, partition)
    held.isPaused = isTooMuch
    return isMore
  }

  #start(action: Action): void {
    const { condition, records } = action
    if (action.kind === 'drop') {
      this.#meters.records('dropped', records.length)
      const first = records[0]
      this.#logger.error(
        { condition, records: records.length, partition: first?.partition, offset: first?.offset },
        'records are dropped: there is no on-failure destination'
      )
      return
    }
    const run = action.kind === 'invoke' ? this.#invoke(action) : this.#send(action)
    run.catch((error: unknown) => this.#fail(asPipelineError(error))).finally(() => this.#pumpSoon())
  }

  async #invoke(action: Action): Promise<void> {
    const startMs = this.#clock.monotonicMs()
    const { records } = action
    const invoked = await this.#invoker.invoke(this.#writer.write(records), this.#aborting.signal)
    const nowMs = this.#clock.monotonicMs()
    const done = (outcome: InvokeOutcome, result: Parameters<MappingMeters['invoked']>[0]): void => {
      this.#meters.invoked(result, records.length, nowMs - startMs)
      this.#machine.settle(action.id, outcome, nowMs)
    }
    if (invoked.kind === 'tooLarge') {
      this.#logger.warn({ records: records.length, reason: invoked.reason }, 'the event is too large for the service')
      return done({ kind: 'tooLarge' }, 'unavailable')
    }
    if (invoked.kind === 'notInvoked') {
      const { reason, isThrottled, isSetup, retryAfterMs } = invoked
      const told = { function: this.#options.functionName, reason }
      if (isSetup) this.#logger.error(told, 'Lambda refuses to invoke the function')
      else if (!this.#aborting.signal.aborted) this.#logger.warn(told, 'the function was not invoked; trying again')
      const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
      return done({ kind: 'notInvoked', isThrottled, ...wait }, isThrottled ? 'throttled' : 'unavailable')
    }
    this.#settleAnswer(action, invoked, done)
  }

  #settleAnswer(
    { records, invocations }: Action,
    { text, requestId, response }: { text: string; requestId: string; response: InvokedResponse },
    done: (outcome: InvokeOutcome, result: 'ok' | 'partial' | 'failed') => void
  ): void {
    const told = { requestId, invocations: invocations + 1, records: records.length }
    if (response.functionError !== null) {
      this.#logger.warn({ ...told, error: text.slice(0, 300) }, 'the function failed')
      return done({ kind: 'failed', response }, 'failed')
    }
    const { partialResponses = false, topic } = this.#options
    const reply = partialResponses ? readReply(text, topic, records) : { kind: 'ok' as const }
    switch (reply.kind) {
      case 'malformed':
        this.#logger.warn({ ...told, reason: reply.reason }, 'the whole batch failed')
        return done({ kind: 'failed', response }, 'failed')
      case 'ok':
        this.#meters.records('delivered', records.length)
        return done({ kind: 'ok', response }, 'ok')
      case 'partial': {
        const { resumeAt } = reply
        const count = records.filter(each => each.offset < (resumeAt.get(each.partition) ?? Infinity)).length
        this.#meters.records('delivered', count)
        this.#logger.warn({ ...told, resumeAt: Object.fromEntries(resumeAt) }, 'records of the batch failed')
        return done({ kind: 'ok', response, resumeAt }, 'partial')
      }
    }
  }

  async #send(action: Action): Promise<void> {
    const { records, condition } = action
    try {
      await this.#sender?.send(action)
      this.#meters.records('destination', records.length)
      this.#logger.warn({ condition, records: records.length }, 'records went to the on-failure destination')
      this.#machine.sent(action.id, true, this.#clock.monotonicMs())
    } catch (error) {
      const told = { condition, records: records.length, reason: messageOf(error) }
      this.#logger.error(told, 'the on-failure destination refuses; trying again')
      this.#machine.sent(action.id, false, this.#clock.monotonicMs())
    }
  }

  #scale(): void {
    this.#machine.scale(this.#lag(), this.#options.pollers !== undefined)
    this.#pumpSoon()
  }

  #record(): void {
    this.#meters.lag(this.#lag())
    this.#meters.pollers(this.#machine.counts().pollers)
  }

  #lag(): number {
    return this.status().partitions.reduce((sum, each) => sum + (each.lag ?? 0), 0)
  }
}

type InvokedResponse = Extract<InvokeOutcome, { kind: 'failed' }>['response']

/** What a mapping is made from besides its options. */
interface MappingParts {
  readonly uuid: string
  readonly groupId: string
  readonly writer: EventWriter
  readonly invoker: Invoker
  readonly sender: FailureSender | undefined
}

function machineOf(options: MappingRunOptions, { writer, sender }: MappingParts): MappingMachine {
  const { pollers, retriesMax = -1, recordAgeMaxMs = -1 } = options
  const infinite = sender === undefined ? Number.POSITIVE_INFINITY : ESM_LIMITS.retriesWithDestination
  return new MappingMachine({
    writer,
    batchSize: options.batchSize ?? 100,
    windowMs: options.batchingWindowMs ?? WINDOW_DEFAULT_MS,
    eventBytesMax: ESM_LIMITS.eventBytes,
    pollersMin: pollers?.min ?? 1,
    pollersMax: pollers === undefined ? ESM_LIMITS.pollersMax : (pollers.max ?? 200),
    invocationsPerPoller: ESM_LIMITS.invocationsPerPoller,
    retriesMax: retriesMax === -1 ? infinite : retriesMax,
    recordAgeMaxMs: recordAgeMaxMs === -1 ? Number.POSITIVE_INFINITY : recordAgeMaxMs,
    isBisected: options.bisect ?? false,
    hasDestination: sender !== undefined,
    backoff: options.backoff ?? { initialMs: 500, maxMs: 60_000 },
    random: options.random ?? systemRandom
  })
}

/** The ARN that failure records name the function by, and its qualifier. */
function functionIdentity(functionName: string): { readonly functionArn: string; readonly qualifier: string } {
  const parts = functionName.split(':')
  const isArn = parts[0] === 'arn'
  const index = isArn ? 6 : parts.lastIndexOf('function') + 1
  const name = parts[index] ?? functionName
  const qualifier = parts[index + 1] ?? '$LATEST'
  const prefix = isArn ? parts.slice(0, 6).join(':') : 'arn:aws:lambda:us-east-1:000000000000:function'
  return { functionArn: `${prefix}:${name}`, qualifier }
}

function asPipelineError(error: unknown): PipelineError {
  if (PipelineError.is(error)) return error
  return new PipelineError('ERR_LAMBDA_MAPPING_FAILED', messageOf(error), { cause: error })
}

/**
 * Starts a mapping: joins the group and begins to invoke.
 *
 * @throws PipelineError `ERR_LAMBDA_MAPPING_INVALID` with every problem of the options.
 */
export async function startEventSourceMapping(options: MappingRunOptions): Promise<EventSourceMapping> {
  const problems = mappingProblems(options)
  if (problems.length > 0) {
    const text = problems.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')
    throw new PipelineError('ERR_LAMBDA_MAPPING_INVALID', `the event source mapping cannot work: ${text}`)
  }
  const { functionName, topic, eventSourceArn, cluster, clock = systemClock, endpoint, region } = options
  const uuid = options.uuid ?? stableUuid(options.groupId ?? '', functionName, topic)
  const brokers = cluster.brokers().map(({ host, port }) => `${host}:${port}`)
  const origin: EventOrigin = {
    topic,
    eventSourceArn,
    bootstrapServers: options.bootstrapServers ?? brokers.join(',')
  }
  const writer = new EventWriter(origin)
  const destination = readDestination(options.onFailure ?? '')
  const context = { origin, writer, ...functionIdentity(functionName) }
  const { destinationEndpoint, environment } = options
  const sender =
    destination === undefined
      ? undefined
      : await createFailureSender({
          destination,
          context,
          uuid,
          cluster,
          clock,
          endpoint: destinationEndpoint,
          region,
          environment
        })
  const invoker = createInvoker({ functionName, endpoint, region, timeoutMs: options.timeoutMs, clock })
  return new EventSourceMapping(options, { uuid, groupId: options.groupId ?? uuid, writer, invoker, sender })
}
