/**
 * What an event source mapping does with the records it has read: which go into one invocation, and what follows from
 * its outcome. Pure: time comes in, actions go out.
 *
 * Pollers share the partitions. A poller closes a batch when it has `batchSize` records, when the event would pass
 * 6 MB, when the oldest record has waited for `windowMs`, or when a partition can hold no more. A batch takes records
 * of several partitions, whole runs of each in order. Until it is through, its partitions take part in no other: one
 * invocation per partition at a time. A poller has at most five invocations at once.
 *
 * A batch that fails comes again as it is, after a wait; with `bisect` it is halved, down to single records. Halves
 * go one after the other, so that order holds. `batchItemFailures` cut off what is done. Throttles and outages are
 * repeated without end and cost no retry. What has no retries left, is too old, or is too large alone goes to the
 * on-failure destination, and is dropped where there is none. While the destination refuses, the batch waits.
 *
 * Invariants: the offset to commit is that of the first record of a partition that was neither processed, nor
 * filtered, nor taken by the destination, nor dropped; it never moves back; records of a partition are never in two
 * invocations at the same time.
 *
 * Where AWS says nothing (how long it waits before a retry, how pollers scale, whether a partial answer renews the
 * number of retries), docs/guides/event-source-mapping.md says what is assumed.
 */

import { type BackoffOptions, backoffMs, invariant, type Random } from '../../core/index.ts'
import type { EsmRecord, EventWriter } from './event-text.ts'

/** Why records were given up. */
export type Condition = 'RetryAttemptsExhausted' | 'RecordAgeExceeded' | 'MaximumPayloadSizeExceeded'

/** The answer of the function that failed last; `null` if it was never invoked. */
export interface ResponseContext {
  readonly statusCode: number
  readonly executedVersion: string
  readonly functionError: string | null
}

/** What became of an invocation. */
export type InvokeOutcome =
  | { readonly kind: 'ok'; readonly resumeAt?: ReadonlyMap<number, number>; readonly response: ResponseContext }
  /** The function failed, or answered what nobody understands. */
  | { readonly kind: 'failed'; readonly response: ResponseContext }
  /** The event is too large for the service. */
  | { readonly kind: 'tooLarge' }
  /** Throttled, down or unreachable: the function did not run. */
  | { readonly kind: 'notInvoked'; readonly isThrottled: boolean; readonly retryAfterMs?: number }

/** What is to be done with the records of a batch. */
export interface Action {
  readonly kind: 'invoke' | 'send' | 'drop'
  /** Names the batch in `settle` and `sent`. */
  readonly id: number
  readonly records: readonly EsmRecord[]
  /** How often these records were invoked with. */
  readonly invocations: number
  readonly condition: Condition | undefined
  readonly response: ResponseContext | null
}

/** Settings of the machine; see `EventSourceMappingOptions`. */
export interface MachineOptions {
  readonly writer: EventWriter
  readonly batchSize: number
  readonly windowMs: number
  readonly eventBytesMax: number
  readonly pollersMin: number
  readonly pollersMax: number
  readonly invocationsPerPoller: number
  /** Infinity = without end. */
  readonly retriesMax: number
  /** Infinity = any age. */
  readonly recordAgeMaxMs: number
  readonly isBisected: boolean
  readonly hasDestination: boolean
  readonly backoff: BackoffOptions
  readonly random: Random
}

/** A partition. */
interface Lane {
  readonly partition: number
  /** Records that are in no batch yet. */
  queue: EsmRecord[]
  queueBytes: number
  /** Offset that reading goes on from, once the queue is empty. */
  position: number
  flow: Flow | undefined
  /** It can hold no more. */
  isFull: boolean
  /** It is given back: nothing new begins. */
  isClosing: boolean
}

interface Batch {
  readonly records: readonly EsmRecord[]
  readonly retries: number
  readonly invocations: number
  readonly response: ResponseContext | null
}

/** A batch and what it has been cut into, the next on top. */
interface Flow {
  readonly id: number
  readonly poller: number
  lanes: Lane[]
  stack: Batch[]
  state: 'ready' | 'invoking' | 'sending'
  condition: Condition | undefined
  /** Not before this time. */
  waitUntilMs: number
  /** Failures in a row, for the wait. */
  failures: number
}

/** Numbers of a machine. */
export interface MachineCounts {
  readonly pollers: number
  readonly invoking: number
  readonly waiting: number
  readonly queuedRecords: number
  readonly queuedBytes: number
}

/** The state of one mapping. */
export class MappingMachine {
  readonly #options: MachineOptions
  readonly #lanes = new Map<number, Lane>()
  readonly #flows = new Map<number, Flow>()
  #order: Lane[] = []
  #pollers: number
  #nextId = 1
  #lastLag = 0
  #wasThrottled = false

  constructor(options: MachineOptions) {
    this.#options = options
    this.#pollers = options.pollersMin
  }

  /** A partition comes. */
  assign(partition: number, position: number): void {
    invariant(!this.#lanes.has(partition), `partition ${partition} is held already`)
    this.#lanes.set(partition, {
      partition,
      queue: [],
      queueBytes: 0,
      position,
      flow: undefined,
      isFull: false,
      isClosing: false
    })
    this.#reorder()
  }

  /** Records of a partition, in order; `position` is behind them and behind what was left out after them. */
  add(partition: number, records: readonly EsmRecord[], position: number): void {
    const lane = this.#lane(partition)
    if (lane.isClosing) return
    for (const record of records) {
      lane.queue.push(record)
      lane.queueBytes += record.bytes + 1
    }
    lane.position = position
  }

  /** Whether a partition can hold no more: its records do not wait for others. */
  setFull(partition: number, isFull: boolean): void {
    this.#lane(partition).isFull = isFull
  }

  /** Records and bytes of a partition that are in no batch yet. */
  queued(partition: number): { readonly records: number; readonly bytes: number } {
    const lane = this.#lane(partition)
    return { records: lane.queue.length, bytes: lane.queueBytes }
  }

  /** Offset that may be committed for a partition. */
  committable(partition: number): number {
    const lane = this.#lane(partition)
    return firstInFlow(lane) ?? lane.queue[0]?.offset ?? lane.position
  }

  /** What is to be done now: calls and drops, each once. */
  next(now: number, wallMs: number): Action[] {
    const actions: Action[] = []
    for (const flow of this.#flows.values()) {
      if (flow.state === 'ready' && flow.waitUntilMs <= now) this.#proceed(flow, { now, wallMs, actions })
    }
    for (let poller = 0; poller < this.#pollers; poller += 1) {
      while (this.#invocationsOf(poller) < this.#options.invocationsPerPoller) {
        const flow = this.#form(poller, now)
        if (flow === undefined) break
        this.#proceed(flow, { now, wallMs, actions })
      }
    }
    return actions
  }

  /** When `next` has something to do although nothing happens; `undefined` = never. In monotonic milliseconds. */
  wakeAtMs(): number | undefined {
    let wake = Number.POSITIVE_INFINITY
    for (const flow of this.#flows.values()) if (flow.state === 'ready') wake = Math.min(wake, flow.waitUntilMs)
    for (let poller = 0; poller < this.#pollers; poller += 1) {
      if (this.#invocationsOf(poller) >= this.#options.invocationsPerPoller) continue
      for (const lane of this.#ready(poller)) {
        wake = Math.min(wake, (lane.queue[0]?.arrivedMs ?? wake) + this.#options.windowMs)
      }
    }
    return wake === Number.POSITIVE_INFINITY ? undefined : wake
  }

  /** An invocation has ended. */
  settle(id: number, outcome: InvokeOutcome, now: number): void {
    const flow = this.#flow(id, 'invoking')
    const batch = pop(flow)
    flow.state = 'ready'
    switch (outcome.kind) {
      case 'ok':
        this.#settleOk(flow, { ...batch, response: outcome.response }, { resumeAt: outcome.resumeAt, now })
        break
      case 'failed':
        this.#settleFailed(flow, counted({ ...batch, response: outcome.response }), now)
        break
      case 'tooLarge':
        this.#settleTooLarge(flow, batch)
        break
      case 'notInvoked':
        this.#wasThrottled ||= outcome.isThrottled
        flow.stack.push(batch)
        this.#wait(flow, now, outcome.retryAfterMs)
        break
    }
    this.#release(flow)
  }

  /** The destination has taken a batch, or refused it. */
  sent(id: number, isTaken: boolean, now: number): void {
    const flow = this.#flow(id, 'sending')
    flow.state = 'ready'
    if (isTaken) {
      pop(flow)
      flow.condition = undefined
      flow.failures = 0
    } else this.#wait(flow, now)
    this.#release(flow)
  }

  /** Partitions are given back: nothing new begins with them. What is under way goes on, see `isBusy`. */
  close(partitions: Iterable<number>): void {
    for (const partition of partitions) {
      const lane = this.#lane(partition)
      lane.position = lane.queue[0]?.offset ?? lane.position
      lane.queue = []
      lane.queueBytes = 0
      lane.isClosing = true
      if (lane.flow !== undefined && lane.flow.state === 'ready') this.#strip(lane.flow)
    }
  }

  /** Whether an invocation or a destination has records of the partition. */
  isBusy(partition: number): boolean {
    return this.#lane(partition).flow !== undefined
  }

  /** The partition is gone, whatever was under way. Its outcome changes nothing any more. */
  remove(partition: number): void {
    const lane = this.#lane(partition)
    lane.isClosing = true
    // What an invocation has stays as it was sent: its outcome finds the partition closing and leaves it out.
    if (lane.flow?.state === 'ready') this.#strip(lane.flow)
    this.#lanes.delete(partition)
    this.#reorder()
  }

  /**
   * Looks at the lag, as AWS does every minute: pollers double while it grows, and go back one by one once there is
   * none. Throttles halve them in on-demand mode.
   */
  scale(lag: number, isProvisioned: boolean): void {
    const { pollersMin, pollersMax, batchSize } = this.#options
    const most = Math.max(1, Math.min(pollersMax, this.#order.length))
    if (this.#wasThrottled && !isProvisioned) this.#pollers = Math.ceil(this.#pollers / 2)
    else if (lag > this.#lastLag && lag > batchSize) this.#pollers *= 2
    else if (lag === 0) this.#pollers -= 1
    this.#pollers = Math.max(Math.min(pollersMin, most), Math.min(most, this.#pollers))
    this.#lastLag = lag
    this.#wasThrottled = false
  }

  /** What is there now. */
  counts(): MachineCounts {
    const flows = [...this.#flows.values()]
    const invoking = flows.filter(flow => flow.state === 'invoking').length
    let queuedRecords = 0
    let queuedBytes = 0
    for (const lane of this.#order) {
      queuedRecords += lane.queue.length
      queuedBytes += lane.queueBytes
    }
    return { pollers: this.#pollers, invoking, waiting: flows.length - invoking, queuedRecords, queuedBytes }
  }

  // Batches

  #form(poller: number, now: number): Flow | undefined {
    const { batchSize, windowMs, eventBytesMax } = this.#options
    const lanes = this.#ready(poller)
    const first = lanes[0]
    if (first === undefined) return undefined
    let count = 0
    let bytes = this.#options.writer.emptyBytes
    for (const lane of lanes) {
      count += lane.queue.length
      bytes += lane.queueBytes + this.#options.writer.partitionBytes(lane.partition)
    }
    const waitedMs = now - (first.queue[0]?.arrivedMs ?? now)
    const isClosed = count >= batchSize || bytes >= eventBytesMax || waitedMs >= windowMs
    if (!isClosed && !lanes.some(lane => lane.isFull)) return undefined
    return this.#take(poller, lanes)
  }

  /** Partitions of a poller that may go into a batch, the one that has waited longest first. */
  #ready(poller: number): Lane[] {
    const ready: Lane[] = []
    for (let index = poller; index < this.#order.length; index += this.#pollers) {
      const lane = this.#order[index]
      if (lane?.flow === undefined && lane?.isClosing === false && lane.queue.length > 0) ready.push(lane)
    }
    return ready.sort((a, b) => (a.queue[0]?.arrivedMs ?? 0) - (b.queue[0]?.arrivedMs ?? 0))
  }

  #take(poller: number, lanes: readonly Lane[]): Flow {
    const { batchSize, eventBytesMax, writer } = this.#options
    const records: EsmRecord[] = []
    const taken: Lane[] = []
    let bytes = writer.emptyBytes
    for (const lane of lanes) {
      let count = 0
      let laneBytes = 0
      const listBytes = writer.partitionBytes(lane.partition)
      for (const record of lane.queue) {
        const more = laneBytes + record.bytes + 1
        // The last record of a list, and the last list, have no comma behind them.
        const isTooMuch = records.length === batchSize || bytes + listBytes + more - 2 > eventBytesMax
        // One that is too large alone goes alone.
        if (isTooMuch && records.length > 0) break
        records.push(record)
        count += 1
        laneBytes = more
      }
      if (count === 0) continue
      bytes += listBytes + laneBytes - 1
      lane.queue = lane.queue.slice(count)
      lane.queueBytes -= laneBytes
      taken.push(lane)
      if (records.length === batchSize || bytes >= eventBytesMax) break
    }
    const batch: Batch = { records, retries: 0, invocations: 0, response: null }
    const flow: Flow = {
      id: this.#nextId++,
      poller,
      lanes: taken,
      stack: [batch],
      state: 'ready',
      condition: undefined,
      waitUntilMs: 0,
      failures: 0
    }
    for (const lane of taken) lane.flow = flow
    this.#flows.set(flow.id, flow)
    return flow
  }

  /** Does the next step of a flow that is ready: sets records aside, drops, or invokes. */
  #proceed(flow: Flow, at: { now: number; wallMs: number; actions: Action[] }): void {
    for (;;) {
      const batch = flow.stack.at(-1)
      if (batch === undefined) return this.#release(flow)
      if (flow.condition === undefined) this.#judge(flow, batch, at.wallMs)
      const top = flow.stack.at(-1) ?? batch
      const { condition } = flow
      const { records, invocations, response } = top
      const action = { id: flow.id, records, invocations, condition, response }
      if (condition === undefined) {
        flow.state = 'invoking'
        at.actions.push({ ...action, kind: 'invoke' })
        return
      }
      if (this.#options.hasDestination) {
        flow.state = 'sending'
        at.actions.push({ ...action, kind: 'send' })
        return
      }
      at.actions.push({ ...action, kind: 'drop' })
      pop(flow)
      flow.condition = undefined
    }
  }

  /** Gives up what is too old or too large before it is invoked with. */
  #judge(flow: Flow, batch: Batch, wallMs: number): void {
    const { recordAgeMaxMs, eventBytesMax, writer } = this.#options
    const isOld = (record: EsmRecord): boolean => wallMs - record.timestampMs > recordAgeMaxMs
    if (recordAgeMaxMs !== Number.POSITIVE_INFINITY && batch.records.some(isOld)) {
      pop(flow)
      const young = batch.records.filter(record => !isOld(record))
      if (young.length > 0) flow.stack.push({ ...batch, records: young })
      flow.stack.push({ ...batch, records: batch.records.filter(isOld) })
      flow.condition = 'RecordAgeExceeded'
    } else if (batch.records.length === 1 && writer.bytesOf(batch.records) > eventBytesMax) {
      flow.condition = 'MaximumPayloadSizeExceeded'
    }
  }

  // Outcomes

  #settleOk(flow: Flow, batch: Batch, more: { resumeAt: ReadonlyMap<number, number> | undefined; now: number }): void {
    const { resumeAt } = more
    const rest = batch.records.filter(({ partition, offset }) => offset >= (resumeAt?.get(partition) ?? Infinity))
    if (rest.length === 0) {
      flow.failures = 0
      return
    }
    // The answer says where to cut: there is nothing to halve.
    this.#retry(flow, counted({ ...batch, records: rest }), more.now)
  }

  #settleFailed(flow: Flow, batch: Batch, now: number): void {
    if (!this.#options.isBisected || batch.records.length === 1) return this.#retry(flow, batch, now)
    // Splitting costs no retry, and is no reason to wait.
    this.#halve(flow, batch)
  }

  #settleTooLarge(flow: Flow, batch: Batch): void {
    if (batch.records.length > 1) return this.#halve(flow, batch)
    flow.stack.push(batch)
    flow.condition = 'MaximumPayloadSizeExceeded'
  }

  #halve(flow: Flow, batch: Batch): void {
    const middle = Math.ceil(batch.records.length / 2)
    flow.stack.push({ ...batch, records: batch.records.slice(middle) })
    flow.stack.push({ ...batch, records: batch.records.slice(0, middle) })
  }

  #retry(flow: Flow, batch: Batch, now: number): void {
    if (batch.retries >= this.#options.retriesMax) {
      flow.stack.push(batch)
      flow.condition = 'RetryAttemptsExhausted'
      flow.failures = 0
      return
    }
    flow.stack.push({ ...batch, retries: batch.retries + 1 })
    this.#wait(flow, now)
  }

  #wait(flow: Flow, now: number, leastMs = 0): void {
    flow.failures += 1
    const waitMs = backoffMs(this.#options.backoff, flow.failures, this.#options.random)
    flow.waitUntilMs = now + Math.max(leastMs, waitMs)
  }

  /** Lets go of partitions that have nothing left in the flow, and of the flow if none is left. */
  #release(flow: Flow): void {
    if (flow.lanes.some(lane => lane.isClosing)) this.#strip(flow)
    const left = new Set(flow.stack.flatMap(batch => batch.records.map(record => record.partition)))
    for (const lane of flow.lanes) if (!left.has(lane.partition)) lane.flow = undefined
    flow.lanes = flow.lanes.filter(lane => left.has(lane.partition))
    if (flow.lanes.length === 0) this.#flows.delete(flow.id)
  }

  /** Takes partitions that are given back out of a flow that is between two steps. */
  #strip(flow: Flow): void {
    const closing = flow.lanes.filter(lane => lane.isClosing)
    if (closing.length === 0) return
    for (const lane of closing) lane.position = firstInFlow(lane) ?? lane.position
    const gone = new Set(closing.map(lane => lane.partition))
    const head = flow.stack.at(-1)
    flow.stack = flow.stack.map(batch => without(batch, gone)).filter(batch => batch.records.length > 0)
    if (head !== undefined && head.records.every(record => gone.has(record.partition))) flow.condition = undefined
    for (const lane of closing) lane.flow = undefined
    flow.lanes = flow.lanes.filter(lane => !lane.isClosing)
    if (flow.lanes.length === 0) this.#flows.delete(flow.id)
  }

  #invocationsOf(poller: number): number {
    let count = 0
    for (const flow of this.#flows.values()) if (flow.poller === poller && flow.state === 'invoking') count += 1
    return count
  }

  #reorder(): void {
    this.#order = [...this.#lanes.values()].sort((a, b) => a.partition - b.partition)
    const most = Math.max(1, Math.min(this.#options.pollersMax, this.#order.length))
    this.#pollers = Math.max(Math.min(this.#options.pollersMin, most), Math.min(this.#pollers, most))
  }

  #lane(partition: number): Lane {
    const lane = this.#lanes.get(partition)
    invariant(lane !== undefined, `partition ${partition} is not held`)
    return lane
  }

  #flow(id: number, state: Flow['state']): Flow {
    const flow = this.#flows.get(id)
    invariant(flow !== undefined && flow.state === state, `batch ${id} is not ${state}`)
    return flow
  }
}

function pop(flow: Flow): Batch {
  const batch = flow.stack.pop()
  invariant(batch !== undefined, `batch ${flow.id} has nothing left`)
  return batch
}

function counted(batch: Batch): Batch {
  return { ...batch, invocations: batch.invocations + 1 }
}

function without(batch: Batch, gone: ReadonlySet<number>): Batch {
  return { ...batch, records: batch.records.filter(record => !gone.has(record.partition)) }
}

/** Offset of the first record of a partition that its flow has not done: the top of the stack has the lowest. */
function firstInFlow(lane: Lane): number | undefined {
  if (lane.flow === undefined) return undefined
  let first: number | undefined
  for (const batch of lane.flow.stack) {
    for (const { partition, offset } of batch.records) {
      if (partition === lane.partition && (first === undefined || offset < first)) first = offset
    }
  }
  return first
}
