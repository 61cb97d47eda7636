/**
 * One invocation of a function made by `kafkaBatch`: every record of the event goes through the handler, in the order
 * that was asked for and as many at a time as allowed, until all are settled or time is up.
 *
 * Records are worked through by lanes: a lane is what must be handled one after the other. Lanes take turns, so that
 * early offsets are reached early and a key with many records does not hold up the others.
 *
 * When time is up the answer leaves without those under way: they count as open and come again. A handler sees it by
 * `run.signal`.
 */

import { briefMessageOf } from '../../core/index.ts'
import type { EventPartition } from '../event/event-partition.ts'
import type { DistributorEvent } from '../event/read-event.ts'
import type { GuardedBatch } from '../idempotency/batch-guard.ts'
import { EventRecord, type KafkaRecord } from './kafka-record.ts'
import type { FailureAction, KafkaBatchSettings } from './options.ts'
import { DONE, PartitionProgress, type Settled } from './partition-progress.ts'
import { RecordOutcome, RetryRecord } from './record-outcomes.ts'
import { validated } from './standard-schema.ts'

const FAILURES_LOGGED_MAX = 10
const TIME_IS_UP = 'no time was left in the invocation'

/** What a handler gets besides records and Lambda's context. */
export interface KafkaBatchRun {
  /** Aborted when the time for records is up: `reserveMs` before the invocation ends. */
  readonly signal: AbortSignal
  /** Milliseconds until then; infinite where the caller gave no deadline. */
  timeLeftMs(): number
}

/** A record of a list that failed. */
export interface FailedRecord<Data = unknown> {
  readonly record: KafkaRecord<Data>
  /** As if the handler had thrown it for this record alone. */
  readonly error: unknown
}

/** Calls the user's handler. Rejects with what it threw. */
export type HandlerCall<Data> = (records: readonly KafkaRecord<Data>[], run: KafkaBatchRun) => Promise<unknown>

/** What a run is made from. */
export interface BatchRunOptions<Data> {
  readonly settings: KafkaBatchSettings<Data>
  readonly call: HandlerCall<Data>
  readonly run: KafkaBatchRun
  /** Epoch milliseconds at which the invocation ends. */
  readonly deadlineMs: number
}

/** Records that are handled one after the other. */
interface Lane {
  readonly progress: PartitionProgress
  readonly indexes: readonly number[]
  next: number
  /** Lists that a handler refused, halved; the first of them is next. */
  readonly halves: number[][]
  bisectCallsLeft: number
}

/** One invocation. */
export class BatchRun<Data> {
  readonly #settings: KafkaBatchSettings<Data>
  readonly #call: HandlerCall<Data>
  readonly #run: KafkaBatchRun
  readonly #deadlineMs: number
  readonly #format: DistributorEvent['format']
  readonly #progress: readonly PartitionProgress[]
  #guarded: GuardedBatch | undefined
  #loggedCount = 0

  constructor(event: DistributorEvent, { settings, call, run, deadlineMs }: BatchRunOptions<Data>) {
    this.#settings = settings
    this.#call = call
    this.#run = run
    this.#deadlineMs = deadlineMs
    this.#format = event.format
    const rules = { order: settings.order, format: event.format, isGuarded: settings.guard !== undefined }
    this.#progress = event.partitions.map(partition => new PartitionProgress(partition, rules))
  }

  /** What became of the partitions; final once `handle` and `finish` are over, or nobody waits for them any longer. */
  get progress(): readonly PartitionProgress[] {
    return this.#progress
  }

  /** Claims and handles the records. Never rejects. */
  async handle(): Promise<void> {
    if (!(await this.#begin())) return
    const lanes = this.#lanes()
    let first = 0
    const work = async (): Promise<void> => {
      // Not counted on where there is none: lanes come back to the end of the line.
      while (first < lanes.length && !this.#isOver()) {
        const lane = lanes[first]
        first += 1
        if (lane === undefined) continue
        await this.#step(lane)
        if (lane.halves.length > 0 || lane.next < lane.indexes.length) lanes.push(lane)
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#settings.concurrency, lanes.length) }, work))
    if (this.#isOver()) this.giveUp()
  }

  /** Tells the guard what is done. Never rejects: the records are handled, and the claim ends by itself. */
  async finish(): Promise<void> {
    if (this.#loggedCount > FAILURES_LOGGED_MAX) {
      const more = this.#loggedCount - FAILURES_LOGGED_MAX
      this.#settings.logger.warn('more records of this event are not simply done', { records: more })
    }
    try {
      await this.#guarded?.finish((partition, index) => ({
        isDone: this.#progress[partition]?.isFinal(index) === true,
        targetsDone: []
      }))
    } catch (error) {
      this.#settings.logger.warn('the idempotency store could not be told what is done', {
        reason: briefMessageOf(error)
      })
    }
  }

  /** How long another invocation has what AWS would resume at, in milliseconds; 0 where none has. */
  heldForMs(): number {
    const waits = this.#progress.map((progress, at) => {
      const index = progress.resumeIndex()
      if (index === undefined || this.#guarded?.state(at, index) !== 'held') return 0
      return this.#guarded.heldForMs(at, index)
    })
    return Math.max(0, ...waits)
  }

  /** Leaves what is open for the next time, because time is up. */
  giveUp(): void {
    for (const each of this.#progress) each.giveUp(TIME_IS_UP)
  }

  #isOver(): boolean {
    return this.#run.signal.aborted || this.#run.timeLeftMs() <= 0
  }

  async #begin(): Promise<boolean> {
    const { guard, idempotencyKey } = this.#settings
    if (guard === undefined) return true
    try {
      const partitions = this.#progress.map(({ partition }) => ({
        topic: partition.topic,
        partition: partition.partition,
        offsets: partition.offsets,
        ids: idempotencyKey === undefined ? undefined : idsOf(partition, idempotencyKey)
      }))
      this.#guarded = await guard.begin(partitions, this.#deadlineMs)
      return true
    } catch (error) {
      const reason = `the idempotency store does not answer: ${briefMessageOf(error)}`
      this.#settings.logger.warn(reason, {})
      for (const each of this.#progress) each.giveUp(reason)
      return false
    }
  }

  /** What must be handled one after the other, earliest first. */
  #lanes(): Lane[] {
    const lanes: Lane[] = []
    for (const progress of this.#progress) {
      const scopes = new Map<string, number[]>()
      for (const index of progress.partition.offsets.keys()) {
        // Lists are of one partition, and made of what is not blocked when their turn comes.
        const scope = this.#settings.batch ? '' : progress.scopeOf(index)
        const known = scope === null ? undefined : scopes.get(scope)
        if (known !== undefined) {
          known.push(index)
          continue
        }
        const indexes = [index]
        if (scope !== null) scopes.set(scope, indexes)
        lanes.push({ progress, indexes, next: 0, halves: [], bisectCallsLeft: this.#settings.bisectCallsMax })
      }
    }
    return lanes
  }

  /** One call of the handler for a lane, or none if all that was next must wait. */
  async #step(lane: Lane): Promise<void> {
    const taken = lane.halves.shift() ?? this.#take(lane)
    const open = taken.filter(index => !lane.progress.isBlocked(index) && this.#isOurs(lane.progress, index))
    const isChecked = this.#settings.schema !== undefined
    const records: EventRecord<Data>[] = []
    const indexes: number[] = []
    for (const index of open) {
      // One before it may have turned out to be invalid, and to come again.
      if (lane.progress.isBlocked(index)) continue
      const record = new EventRecord<Data>(lane.progress.partition, index)
      // Waited for only where there is something to wait for: this is done for every record.
      if (isChecked && !(await this.#check(lane.progress, { index, record }))) continue
      records.push(record)
      indexes.push(index)
    }
    if (records.length === 0 || this.#isOver()) return
    try {
      const returned = await this.#call(records, this.#run)
      if (this.#run.signal.aborted) return
      const errors = errorsOf(returned, records)
      if (errors === undefined) for (const index of indexes) lane.progress.settle(index, DONE)
      else await this.#settleAll(lane, { indexes, records, errors })
    } catch (error) {
      if (this.#run.signal.aborted) return
      await this.#settleThrown(lane, { indexes, records, error })
    }
  }

  #take(lane: Lane): number[] {
    const taken = lane.indexes.slice(lane.next, lane.next + this.#settings.recordsMax)
    lane.next += taken.length
    return taken
  }

  /** Whether the record is ours to handle: not done before, and not with another invocation. */
  #isOurs(progress: PartitionProgress, index: number): boolean {
    const guarded = this.#guarded
    if (guarded === undefined) return true
    const at = this.#progress.indexOf(progress)
    const state = guarded.state(at, index)
    if (state === 'done') progress.settle(index, DONE)
    if (state === 'held') {
      const retryAfterMs = Math.max(1, Math.ceil(guarded.heldForMs(at, index)))
      progress.settle(index, { action: 'retry', reason: HELD, retryAfterMs, isUnavailable: true })
    }
    return state === 'claimed'
  }

  /** Checks a value by the schema. What is not valid is settled. */
  async #check(progress: PartitionProgress, { index, record }: Handled<Data>): Promise<boolean> {
    const { schema, onInvalid } = this.#settings
    if (schema === undefined) return true
    try {
      const given = record.value === null ? null : record.value.json()
      record.setData(await validated(schema, given))
      return true
    } catch (error) {
      const isInvalid = RecordOutcome.is(error) && error.action === 'deadLetter'
      const said = isInvalid ? { action: onInvalid, reason: briefMessageOf(error) } : this.#wordOf(error, record)
      await this.#settle(progress, { index, record }, said)
      return false
    }
  }

  async #settleAll(lane: Lane, { indexes, records, errors }: Answered<Data>): Promise<void> {
    for (const [at, record] of records.entries()) {
      const index = indexes[at] ?? 0
      const error = errors.get(record)
      const said = error === undefined ? DONE : this.#wordOf(error.error, record)
      await this.#settle(lane.progress, { index, record }, said)
    }
  }

  /** A list that was refused is halved until the bad record is alone. Only a wish to be tried again is for all. */
  async #settleThrown(lane: Lane, { indexes, records, error }: Thrown<Data>): Promise<void> {
    const isForAll = RecordOutcome.is(error) && error.action === 'retry'
    if (records.length > 1 && !isForAll && lane.bisectCallsLeft >= 2) {
      lane.bisectCallsLeft -= 2
      const middle = Math.ceil(indexes.length / 2)
      lane.halves.unshift(indexes.slice(0, middle), indexes.slice(middle))
      return
    }
    for (const [at, record] of records.entries()) {
      const said =
        records.length > 1 && !isForAll
          ? ({ action: 'retry', reason: briefMessageOf(error), isUnavailable: true, isSuspect: true } as const)
          : this.#wordOf(error, record)
      await this.#settle(lane.progress, { index: indexes[at] ?? 0, record }, said)
    }
  }

  /** What something thrown says of a record. Total. */
  #wordOf(error: unknown, record: EventRecord<Data>): Settled {
    if (RecordOutcome.is(error)) return settledBy(error)
    const { onError } = this.#settings
    const reason = briefMessageOf(error) || 'the handler failed'
    if (typeof onError !== 'function') return { action: onError, reason }
    try {
      const action: FailureAction = onError(error, record)
      return { action: ACTIONS.has(action) ? action : 'retry', reason }
    } catch (second) {
      return { action: 'retry', reason: `onError failed: ${briefMessageOf(second)}` }
    }
  }

  async #settle(progress: PartitionProgress, { index, record }: Handled<Data>, said: Settled): Promise<void> {
    let settled = said
    const { deadLetter } = this.#settings
    if (settled.action === 'deadLetter' && this.#format === 'esm' && deadLetter !== undefined) {
      if (progress.isBlocked(index)) return
      settled = await putAside(() => deadLetter(record, said.reason))
      if (this.#run.signal.aborted) return
    }
    progress.settle(index, settled)
    if (said.action !== 'done') this.#tell(record, settled.action === 'done' ? said : settled)
  }

  #tell(record: KafkaRecord<Data>, { action, reason }: Settled): void {
    this.#loggedCount += 1
    if (this.#loggedCount > FAILURES_LOGGED_MAX) return
    const { topic, partition, offset } = record
    this.#settings.logger.warn('a record is not simply done', { topic, partition, offset, action, reason })
  }
}

interface Handled<Data> {
  readonly index: number
  readonly record: EventRecord<Data>
}

interface Answered<Data> {
  readonly indexes: readonly number[]
  readonly records: readonly EventRecord<Data>[]
  readonly errors: ReadonlyMap<unknown, FailedRecord>
}

interface Thrown<Data> {
  readonly indexes: number[]
  readonly records: readonly EventRecord<Data>[]
  readonly error: unknown
}

const HELD = 'another invocation is at this record'
const ACTIONS: ReadonlySet<unknown> = new Set(['retry', 'deadLetter', 'skip'])

/** Members are looked for and not taken for granted: the error may be of another copy of the package. */
function settledBy(error: RecordOutcome): Settled {
  const action = ACTIONS.has(error.action) ? error.action : 'retry'
  const settled = { action, reason: briefMessageOf(error) }
  if (action !== 'retry') return settled
  const retryAfterMs = 'retryAfterMs' in error ? Number(error.retryAfterMs) : Number.NaN
  const isUnavailable = 'isUnavailable' in error && error.isUnavailable === true
  return { ...settled, ...(retryAfterMs > 0 ? { retryAfterMs } : {}), isUnavailable }
}

function idsOf(partition: EventPartition, idempotencyKey: (record: KafkaRecord) => string | null): (string | null)[] {
  return partition.offsets.map((_, index) => {
    try {
      // Whoever has no types may return anything; an empty text is what many records without an id have in common.
      const id: unknown = idempotencyKey(new EventRecord(partition, index))
      return typeof id === 'string' && id !== '' ? id : null
    } catch {
      // A record that cannot be read is told apart by its offset.
      return null
    }
  })
}

async function putAside(deadLetter: () => unknown): Promise<Settled> {
  try {
    await deadLetter()
    return DONE
  } catch (error) {
    return { action: 'retry', reason: `the dead letter could not be put aside: ${briefMessageOf(error)}` }
  }
}

/** Which records a handler of lists says have failed. One that it was not given makes the whole answer worthless. */
function errorsOf(returned: unknown, records: readonly unknown[]): ReadonlyMap<unknown, FailedRecord> | undefined {
  if (returned === undefined || returned === null) return undefined
  if (!Array.isArray(returned)) throw new RetryRecord('the handler of lists returned something else than a list')
  const errors = new Map<unknown, FailedRecord>()
  for (const failed of returned as readonly unknown[]) {
    if (!isFailedRecord(failed) || !records.includes(failed.record)) {
      throw new RetryRecord('the handler returned a failure that is not { record, error } of a record it was given')
    }
    errors.set(failed.record, failed)
  }
  return errors
}

function isFailedRecord(value: unknown): value is FailedRecord {
  return typeof value === 'object' && value !== null && 'record' in value && 'error' in value
}
