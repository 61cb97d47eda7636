/**
 * Settlement of one batch: what to send next, and what has become of each record.
 *
 * A batch is a stack of groups of rows, in offset order. The first group is
 * sent; its outcome finishes it, sends part of it again, or splits it in two.
 * The batch is done when no group is left. Pure: time and evidence are passed in.
 *
 * - `rejected` costs an attempt. After `attemptsMax` the group is split in half, and its halves again on every
 *   refusal, until the record that is refused alone goes to the dead letter topic.
 * - `unavailable` costs nothing and waits as long as it takes. If it is suspect (a time-out, a crash), `attemptsMax` of
 *   them in a row split the group as well, which harms nobody. But a record alone is charged only while there is
 *   evidence that the target is well: an answer to something sent after this batch began to fail. One piece of
 *   evidence pays for one record, so an outage that begins half way cannot drain a batch into the dead letter topic.
 * - `partial` finishes what it does not name. Records to be retried are sent again before anything behind the batch.
 *   Followers of a failed record (same key, or all from a resume point on) wait with it and are not charged.
 * - Where only the order of keys counts, records whose waits differ are parted by key into *strands*: a strand that
 *   waits does not hold the others up. Within a strand groups keep their order.
 *
 * Invariants: every row leaves exactly once, as delivered, skipped or dead-lettered; a row is sent only in ascending
 * order; the rows in front of `settledCount` have all left.
 */

import { type BackoffOptions, backoffMs, invariant, type Random } from '../core/index.ts'
import { INVALID_REPLY, type RecordFailure, type TargetOutcome, TOO_LARGE } from '../targets/index.ts'

/** Limits of retrying. */
export interface RetryPolicy {
  /** Times that a record may be refused before it is put aside. At least 1. */
  readonly attemptsMax: number
  /** Waits between attempts. */
  readonly backoff: BackoffOptions
  /** Longest wait that a target may ask for, in milliseconds. Default 300_000. */
  readonly retryAfterMaxMs?: number
  /** Age since its first failure at which what is left of a batch expires, outages included. Default: never. */
  readonly ageMaxMs?: number
  /** Whether a batch that is refused for good is halved until the bad record is alone. Default `true`. */
  readonly bisect?: boolean
  /** Order that retries keep: of all records of the batch, or of those of one key. Default `partition`. */
  readonly order?: 'partition' | 'key'
}

/** A record to be put aside. */
export interface DeadRow {
  readonly row: number
  readonly errorClass: string
  readonly reason: string
  /** Times it was sent. */
  readonly attempts: number
}

/** A row that was taken back before it was sent again. */
export interface WithdrawnRow {
  readonly row: number
  /** Times it was sent. */
  readonly attempts: number
}

/** What follows from an outcome. */
export interface Decision {
  /** Least time before the next group is sent, in milliseconds. */
  readonly waitMs: number
  /** Records to be put aside before anything else is sent. They have left the batch. */
  readonly deadRows: readonly DeadRow[]
  /** Records to be sent again. */
  readonly retriedCount: number
  /** Records delivered by this outcome. */
  readonly deliveredCount: number
  /** Records skipped on the target's word. */
  readonly skippedCount: number
}

/** Rows that are sent together. */
export interface Group {
  /** In ascending order. */
  readonly rows: readonly number[]
  /** Times that these rows were sent, as this group or as part of a larger one. */
  readonly sends: number
}

interface MutableGroup {
  readonly rows: readonly number[]
  sends: number
  /** Refusals of the whole group. */
  refusals: number
  /** Suspect outages of the whole group in a row. */
  suspects: number
  /** Outages in a row, for the backoff. */
  outages: number
  /** Part of a group that was split: splits again on the next failure. */
  readonly isSplit: boolean
  /** Groups of different strands have no key in common. */
  readonly strand: number
  /** When it may be sent, in milliseconds of the clock of `OutcomeContext`. */
  readyMs: number
}

/** How a group begins. */
type NewGroup = Pick<MutableGroup, 'rows' | 'sends' | 'isSplit' | 'strand' | 'readyMs'>

/** What the settlement asks about the records. */
export interface RowLookup {
  /** Row with this offset, or -1. */
  rowOf(offset: bigint): number
  /** Key of a row. */
  key(row: number): Buffer | null
}

/** What was known when an outcome came. */
export interface OutcomeContext {
  /** Now, in milliseconds of a clock that does not go back. */
  readonly nowMs: number
  /** When the latest invocation was sent that the target has answered, for whatever batch; same clock. */
  readonly answeredSentMs: number
}

type PartialOutcome = Extract<TargetOutcome, { kind: 'partial' }>

/** The rows that a partial reply names. */
interface NamedRows {
  readonly failures: ReadonlyMap<number, RecordFailure>
  /** From this row on nothing was processed. */
  readonly resumeRow: number
}

/** What a partial reply means for the rows of a group. */
interface SortedRows {
  readonly retried: readonly number[]
  readonly deadRows: readonly DeadRow[]
  readonly deliveredCount: number
  readonly skippedCount: number
  readonly waitMs: number
  /** Waits that the target asked for, by row. */
  readonly waits: ReadonlyMap<number, number>
  /** Most refusals of one row. */
  readonly refusalsMax: number
  /** What was said of the last retried row. */
  readonly reason: string
  /** Set if none of the retried rows is to blame. */
  readonly unavailable: { reason: string; retryAfterMs: number; isSuspect: boolean } | undefined
}

/** Most strands that one reply makes: what is left waits for the longest wait asked for. */
const STRANDS_MAX = 16

/** A decision before the wait is known. */
type Settled = Omit<Decision, 'waitMs'>

const DONE: Settled = { deadRows: [], retriedCount: 0, deliveredCount: 0, skippedCount: 0 }
const BEGINNING = { sends: 0, isSplit: false, strand: 0, readyMs: Number.NEGATIVE_INFINITY }

/** Settlement of one batch. */
export class Settlement {
  readonly #policy: RetryPolicy
  readonly #random: Random
  readonly #lookup: RowLookup
  readonly #open: Uint8Array
  #openCount: number
  #settledCount = 0
  /** Groups still to be sent, the next one last; of several strands, the one that is ready first. */
  readonly #stack: MutableGroup[] = []
  #strandCount = 1
  /** Refusals of single records: only for those that failed on their own. */
  readonly #refusals = new Map<number, number>()
  #firstFailureMs: number | undefined
  #evidenceSinceMs = 0

  /** @param rowCount - Rows of the batch, those that cannot be sent included: `leave` reports them once put aside. */
  constructor(rowCount: number, options: { policy: RetryPolicy; random: Random; lookup: RowLookup }) {
    this.#policy = options.policy
    this.#random = options.random
    this.#lookup = options.lookup
    this.#open = new Uint8Array(rowCount).fill(1)
    this.#openCount = rowCount
  }

  /** Sets the rows to be delivered: all but those that cannot be sent. */
  begin(undeliverable: ReadonlySet<number>): void {
    const rows: number[] = []
    for (let row = 0; row < this.#open.length; row += 1) if (!undeliverable.has(row)) rows.push(row)
    if (rows.length > 0) this.#push({ ...BEGINNING, rows })
  }

  /** Sets the rows to be delivered, in groups that are sent one after another. */
  beginGroups(groups: readonly (readonly number[])[]): void {
    for (const rows of groups.toReversed()) if (rows.length > 0) this.#push({ ...BEGINNING, rows })
  }

  /** The rows to send next; `undefined` when all have left. */
  get current(): Group | undefined {
    return this.#current()
  }

  #current(): MutableGroup | undefined {
    let found = this.#stack.at(-1)
    if (this.#strandCount === 1 || found === undefined) return found
    const seen = new Set<number>([found.strand])
    for (let index = this.#stack.length - 2; index >= 0; index -= 1) {
      const group = this.#stack[index]
      if (group === undefined || seen.has(group.strand)) continue
      seen.add(group.strand)
      if (group.readyMs < found.readyMs) found = group
    }
    return found
  }

  /**
   * Takes rows back that wait to be sent again. They have left only when the caller says `leave` for each. Not to be
   * called while a group is in flight.
   */
  withdraw(isWanted: (row: number) => boolean): WithdrawnRow[] {
    const withdrawn: WithdrawnRow[] = []
    for (let index = this.#stack.length - 1; index >= 0; index -= 1) {
      const group = this.#stack[index]
      const rows = group?.rows.filter(row => !isWanted(row))
      if (group === undefined || rows === undefined || rows.length === group.rows.length) continue
      for (const row of group.rows) if (isWanted(row)) withdrawn.push({ row, attempts: group.sends })
      if (rows.length === 0) this.#stack.splice(index, 1)
      else this.#stack[index] = { ...group, rows }
    }
    return withdrawn.toSorted((a, b) => a.row - b.row)
  }

  /** Whether all rows have left. */
  get isDone(): boolean {
    return this.#openCount === 0
  }

  /** Whether a row has not left. */
  isOpen(row: number): boolean {
    return this.#open[row] === 1
  }

  /** Rows at the beginning of the batch that have all left. */
  get settledCount(): number {
    return this.#settledCount
  }

  /** Marks a row as gone: delivered, skipped or safely put aside. */
  leave(row: number): void {
    invariant(this.#open[row] === 1, `row ${row} leaves its batch twice`)
    this.#open[row] = 0
    this.#openCount -= 1
    while (this.#settledCount < this.#open.length && this.#open[this.#settledCount] === 0) this.#settledCount += 1
  }

  /** Takes the outcome of the current group. Dead rows count as gone only when the caller says `leave` for each. */
  apply(outcome: TargetOutcome, context: OutcomeContext): Decision {
    const group = this.#current()
    invariant(group !== undefined, 'an outcome came for a batch that has no group in flight')
    this.#stack.splice(this.#stack.indexOf(group), 1)
    group.sends += 1
    const decision = this.#decide(group, outcome, context)
    return { ...decision, waitMs: Math.max(0, (this.#current()?.readyMs ?? 0) - context.nowMs) }
  }

  #decide(group: MutableGroup, outcome: TargetOutcome, context: OutcomeContext): Omit<Decision, 'waitMs'> {
    if (outcome.kind === 'ok') return this.#delivered(group)
    if (this.#firstFailureMs === undefined) {
      this.#firstFailureMs = context.nowMs
      this.#evidenceSinceMs = context.nowMs
    }
    const ageMs = context.nowMs - this.#firstFailureMs
    const isExpired = this.#policy.ageMaxMs !== undefined && ageMs >= this.#policy.ageMaxMs
    switch (outcome.kind) {
      case 'partial':
        return this.#partial(group, outcome, { ...context, isExpired })
      case 'rejected':
        return isExpired ? this.#expired(group, outcome.reason) : this.#rejected(group, outcome, context)
      case 'unavailable':
        return isExpired ? this.#expired(group, outcome.reason) : this.#unavailable(group, outcome, context)
    }
  }

  #push(group: NewGroup): MutableGroup {
    const pushed = { ...group, refusals: 0, suspects: 0, outages: 0 }
    this.#stack.push(pushed)
    return pushed
  }

  #delivered(group: MutableGroup): Settled {
    for (const row of group.rows) this.leave(row)
    return { ...DONE, deliveredCount: group.rows.length }
  }

  #expired(group: MutableGroup, reason: string): Settled {
    const deadRows = group.rows.map(row => ({ row, errorClass: 'Expired', reason, attempts: group.sends }))
    return { ...DONE, deadRows }
  }

  #rejected(group: MutableGroup, outcome: { reason: string; errorClass: string }, { nowMs }: OutcomeContext): Settled {
    const [row] = group.rows
    const isTooLarge = outcome.errorClass === TOO_LARGE
    group.refusals += 1
    group.outages = 0
    const isExhausted = isTooLarge || group.isSplit || group.refusals >= this.#policy.attemptsMax
    if (group.rows.length === 1 && row !== undefined) {
      const refusals = this.#charge(row)
      if (isExhausted || refusals >= this.#policy.attemptsMax) {
        return { ...DONE, deadRows: [{ row, ...outcomeText(outcome), attempts: group.sends }] }
      }
    } else if (isExhausted) {
      if (isTooLarge || this.#policy.bisect !== false) return this.#split(group, nowMs)
      const deadRows = group.rows.map(each => ({ row: each, ...outcomeText(outcome), attempts: group.sends }))
      return { ...DONE, deadRows }
    }
    group.readyMs = nowMs + this.#backoff(group.refusals)
    this.#stack.push(group)
    return { ...DONE, retriedCount: group.rows.length }
  }

  #unavailable(
    group: MutableGroup,
    outcome: { reason: string; retryAfterMs?: number; isSuspect?: boolean },
    context: OutcomeContext
  ): Settled {
    group.outages += 1
    const [row] = group.rows
    const isAlone = group.rows.length === 1
    const hasEvidence = context.answeredSentMs > this.#evidenceSinceMs
    if (outcome.isSuspect !== true) group.suspects = 0
    else if (!isAlone || hasEvidence) group.suspects += 1
    const suspectsMax = group.isSplit && !isAlone ? 1 : this.#policy.attemptsMax
    if (group.suspects >= suspectsMax && (isAlone || this.#policy.bisect !== false)) {
      if (!isAlone || row === undefined) return this.#split(group, context.nowMs)
      this.#evidenceSinceMs = context.nowMs
      const dead = { row, errorClass: 'TargetFailure', reason: outcome.reason, attempts: group.sends }
      return { ...DONE, deadRows: [dead] }
    }
    group.readyMs = context.nowMs + Math.max(this.#backoff(group.outages), this.#retryAfter(outcome.retryAfterMs))
    this.#stack.push(group)
    return { ...DONE, retriedCount: group.rows.length }
  }

  /** Sends the halves apart. The wait between them is none: the target has just answered. */
  #split({ rows, sends, strand }: MutableGroup, readyMs: number): Settled {
    const middle = rows.length >> 1
    const isSplit = this.#policy.bisect !== false
    this.#push({ rows: rows.slice(middle), sends, isSplit, strand, readyMs })
    this.#push({ rows: rows.slice(0, middle), sends, isSplit, strand, readyMs })
    return { ...DONE, retriedCount: rows.length }
  }

  #partial(group: MutableGroup, outcome: PartialOutcome, context: OutcomeContext & { isExpired: boolean }): Settled {
    const named = this.#named(group, outcome)
    if (named === undefined) {
      const reason = 'the reply names an offset that is not in the batch'
      if (context.isExpired) return this.#expired(group, reason)
      return this.#rejected(group, { reason, errorClass: INVALID_REPLY }, context)
    }
    const sorted = this.#sort(group, named)
    const { retried, deadRows, deliveredCount, skippedCount } = sorted
    const counts = { deliveredCount, skippedCount }
    if (retried.length === 0) return { ...DONE, ...counts, deadRows }
    if (context.isExpired) {
      const expired = this.#expired({ ...group, rows: retried }, sorted.reason)
      return { ...expired, ...counts, deadRows: [...deadRows, ...expired.deadRows].toSorted((a, b) => a.row - b.row) }
    }
    if (sorted.unavailable !== undefined) {
      // Not one of them is to blame by itself: as if the target had said so of these records alone.
      const rest = { ...group, rows: retried, suspects: retried.length < group.rows.length ? 0 : group.suspects }
      const decision = this.#unavailable(rest, sorted.unavailable, context)
      return { ...decision, ...counts, deadRows: [...deadRows, ...decision.deadRows] }
    }
    this.#pushRetried(group, sorted, context.nowMs)
    return { ...counts, deadRows, retriedCount: retried.length }
  }

  /** Rows to be sent again: together, or parted by key where a wait of one key must not hold the others up. */
  #pushRetried({ sends, strand }: MutableGroup, sorted: SortedRows, nowMs: number): void {
    const backoffMs = this.#backoff(Math.max(1, sorted.refusalsMax))
    const rest = { sends, isSplit: false, strand }
    if (this.#policy.order !== 'key') {
      this.#push({ ...rest, rows: sorted.retried, readyMs: nowMs + Math.max(sorted.waitMs, backoffMs) })
      return
    }
    const parts = partedByWait(sorted.retried, row => Math.max(sorted.waits.get(row) ?? 0, backoffMs), this.#lookup)
    // Groups of the strand that wait behind may have any of the keys: then it must stay one.
    const isAlone = !this.#stack.some(group => group.strand === strand)
    for (const [index, { rows, waitMs }] of parts.entries()) {
      const own = isAlone && index > 0 ? this.#strandCount++ : strand
      this.#push({ ...rest, rows, strand: own, readyMs: nowMs + waitMs })
    }
  }

  /** What becomes of each row of a group; rows that are delivered or skipped leave. */
  #sort(group: MutableGroup, named: NamedRows): SortedRows {
    const retried: number[] = []
    const deadRows: DeadRow[] = []
    const failedKeys = new Set<string>()
    const waits = new Map<number, number>()
    const sorted = { deliveredCount: 0, skippedCount: 0, waitMs: 0, waits, refusalsMax: 0 }
    let chargedCount = 0
    let suspectCount = 0
    let reason = ''
    for (const row of group.rows) {
      const failure = named.failures.get(row)
      const action = failure?.action ?? (row >= named.resumeRow ? 'retry' : 'deliver')
      if (action === 'deliver' || action === 'skip') {
        this.leave(row)
        if (action === 'skip') sorted.skippedCount += 1
        else sorted.deliveredCount += 1
        continue
      }
      if (action === 'deadLetter') {
        const text = failure?.reason ?? ''
        deadRows.push({ row, errorClass: 'TargetVerdict', reason: text, attempts: group.sends })
        continue
      }
      reason = failure?.reason ?? 'the target stopped at this record'
      if (failure?.isUnavailable === true) {
        suspectCount += failure.isSuspect === true ? 1 : 0
      } else {
        chargedCount += 1
        const isToBlame =
          failure === undefined ? row === named.resumeRow : !isFollower(this.#lookup.key(row), failedKeys)
        const refusals = isToBlame ? this.#charge(row) : 0
        sorted.refusalsMax = Math.max(sorted.refusalsMax, refusals)
        if (refusals >= this.#policy.attemptsMax) {
          deadRows.push({ row, errorClass: 'RetriesExhausted', reason, attempts: group.sends })
          continue
        }
      }
      const waitMs = this.#retryAfter(failure?.retryAfterMs)
      if (waitMs > 0) waits.set(row, waitMs)
      sorted.waitMs = Math.max(sorted.waitMs, waitMs)
      retried.push(row)
    }
    const isSuspect = suspectCount === retried.length
    const unavailable = chargedCount > 0 ? undefined : { reason, retryAfterMs: sorted.waitMs, isSuspect }
    return { ...sorted, retried, deadRows, unavailable, reason }
  }

  /** The rows that a reply names, or `undefined` if it names one that was not sent. */
  #named(group: MutableGroup, outcome: PartialOutcome): NamedRows | undefined {
    const sent = new Set(group.rows)
    const failures = new Map<number, RecordFailure>()
    for (const failure of outcome.failures) {
      const row = this.#lookup.rowOf(failure.offset)
      if (!sent.has(row)) return undefined
      failures.set(row, failure)
    }
    if (outcome.resumeFrom === undefined) return { failures, resumeRow: Number.POSITIVE_INFINITY }
    const resumeRow = this.#lookup.rowOf(outcome.resumeFrom)
    return sent.has(resumeRow) ? { failures, resumeRow } : undefined
  }

  #charge(row: number): number {
    const refusals = (this.#refusals.get(row) ?? 0) + 1
    this.#refusals.set(row, refusals)
    return refusals
  }

  #backoff(failureCount: number): number {
    return backoffMs(this.#policy.backoff, failureCount, this.#random)
  }

  #retryAfter(retryAfterMs: number | undefined): number {
    return Math.min(retryAfterMs ?? 0, this.#policy.retryAfterMaxMs ?? 300_000)
  }
}

function outcomeText(outcome: { reason: string; errorClass: string }): { reason: string; errorClass: string } {
  return { reason: outcome.reason, errorClass: outcome.errorClass }
}

/** Whether an earlier failed record has the same key; if not, the key is remembered. */
function isFollower(key: Buffer | null, failedKeys: Set<string>): boolean {
  if (key === null) return false
  const name = key.toString('latin1')
  if (failedKeys.has(name)) return true
  failedKeys.add(name)
  return false
}

/** Rows parted by how long they wait, the longest wait first; rows of one key stay together. */
function partedByWait(
  rows: readonly number[],
  waitOf: (row: number) => number,
  lookup: RowLookup
): { rows: number[]; waitMs: number }[] {
  const nameOf = (row: number): string | number => lookup.key(row)?.toString('latin1') ?? row
  const waits = new Map<string | number, number>()
  for (const row of rows) waits.set(nameOf(row), Math.max(waits.get(nameOf(row)) ?? 0, waitOf(row)))
  const distinct = [...new Set(waits.values())].toSorted((a, b) => a - b)
  const longestMs = distinct.at(-1) ?? 0
  const own = new Set(distinct.slice(0, STRANDS_MAX - 1))
  const parts = new Map<number, number[]>()
  for (const row of rows) {
    const waitMs = waits.get(nameOf(row)) ?? 0
    const partMs = own.has(waitMs) ? waitMs : longestMs
    const part = parts.get(partMs)
    if (part === undefined) parts.set(partMs, [row])
    else part.push(row)
  }
  return [...parts].map(([waitMs, part]) => ({ rows: part, waitMs })).toSorted((a, b) => b.waitMs - a.waitMs)
}
