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
  /** Age, counted from its first failure, at which a batch is given up to the dead letter topic. Default: never. */
  readonly ageMaxMs?: number
}

/** A record to be put aside. */
export interface DeadRow {
  readonly row: number
  readonly errorClass: string
  readonly reason: string
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
}

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
  /** Most refusals of one row. */
  readonly refusalsMax: number
  /** Set if none of the retried rows is to blame. */
  readonly unavailable: { reason: string; retryAfterMs: number; isSuspect: boolean } | undefined
}

const DONE: Decision = { waitMs: 0, deadRows: [], retriedCount: 0, deliveredCount: 0, skippedCount: 0 }

/** Settlement of one batch. */
export class Settlement {
  readonly #policy: RetryPolicy
  readonly #random: Random
  readonly #lookup: RowLookup
  readonly #open: Uint8Array
  #openCount: number
  #settledCount = 0
  /** Groups still to be sent, the next one last. */
  readonly #stack: MutableGroup[] = []
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
    if (rows.length > 0) this.#push({ rows, sends: 0, isSplit: false })
  }

  /** Sets the rows to be delivered, in groups that are sent one after another. */
  beginGroups(groups: readonly (readonly number[])[]): void {
    for (const rows of groups.toReversed()) if (rows.length > 0) this.#push({ rows, sends: 0, isSplit: false })
  }

  /** The rows to send next; `undefined` when all have left. */
  get current(): Group | undefined {
    return this.#stack.at(-1)
  }

  /** Whether all rows have left. */
  get isDone(): boolean {
    return this.#openCount === 0
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
    const group = this.#stack.pop()
    invariant(group !== undefined, 'an outcome came for a batch that has no group in flight')
    group.sends += 1
    if (outcome.kind === 'ok') return this.#delivered(group)
    if (this.#firstFailureMs === undefined) {
      this.#firstFailureMs = context.nowMs
      this.#evidenceSinceMs = context.nowMs
    }
    const ageMs = context.nowMs - this.#firstFailureMs
    const isExpired = this.#policy.ageMaxMs !== undefined && ageMs >= this.#policy.ageMaxMs
    switch (outcome.kind) {
      case 'partial':
        return this.#partial(group, outcome, context)
      case 'rejected':
        return isExpired ? this.#expired(group, outcome.reason) : this.#rejected(group, outcome)
      case 'unavailable':
        return isExpired ? this.#expired(group, outcome.reason) : this.#unavailable(group, outcome, context)
    }
  }

  #push(group: { rows: readonly number[]; sends: number; isSplit: boolean }): MutableGroup {
    const pushed = { ...group, refusals: 0, suspects: 0, outages: 0 }
    this.#stack.push(pushed)
    return pushed
  }

  #delivered(group: MutableGroup): Decision {
    for (const row of group.rows) this.leave(row)
    return { ...DONE, deliveredCount: group.rows.length }
  }

  #expired(group: MutableGroup, reason: string): Decision {
    const deadRows = group.rows.map(row => ({ row, errorClass: 'Expired', reason, attempts: group.sends }))
    return { ...DONE, deadRows }
  }

  #rejected(group: MutableGroup, outcome: { reason: string; errorClass: string }): Decision {
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
      return this.#split(group)
    }
    this.#stack.push(group)
    return { ...DONE, waitMs: this.#backoff(group.refusals), retriedCount: group.rows.length }
  }

  #unavailable(
    group: MutableGroup,
    outcome: { reason: string; retryAfterMs?: number; isSuspect?: boolean },
    context: OutcomeContext
  ): Decision {
    group.outages += 1
    const [row] = group.rows
    const isAlone = group.rows.length === 1
    const hasEvidence = context.answeredSentMs > this.#evidenceSinceMs
    if (outcome.isSuspect !== true) group.suspects = 0
    else if (!isAlone || hasEvidence) group.suspects += 1
    const suspectsMax = group.isSplit && !isAlone ? 1 : this.#policy.attemptsMax
    if (group.suspects >= suspectsMax) {
      if (!isAlone || row === undefined) return this.#split(group)
      this.#evidenceSinceMs = context.nowMs
      const dead = { row, errorClass: 'TargetFailure', reason: outcome.reason, attempts: group.sends }
      return { ...DONE, deadRows: [dead] }
    }
    this.#stack.push(group)
    const waitMs = Math.max(this.#backoff(group.outages), this.#retryAfter(outcome.retryAfterMs))
    return { ...DONE, waitMs, retriedCount: group.rows.length }
  }

  /** Sends the halves apart. The wait between them is none: the target has just answered. */
  #split(group: MutableGroup): Decision {
    const middle = group.rows.length >> 1
    this.#push({ rows: group.rows.slice(middle), sends: group.sends, isSplit: true })
    this.#push({ rows: group.rows.slice(0, middle), sends: group.sends, isSplit: true })
    return { ...DONE, retriedCount: group.rows.length }
  }

  #partial(group: MutableGroup, outcome: PartialOutcome, context: OutcomeContext): Decision {
    const named = this.#named(group, outcome)
    if (named === undefined) {
      const reason = 'the reply names an offset that is not in the batch'
      return this.#rejected(group, { reason, errorClass: INVALID_REPLY })
    }
    const sorted = this.#sort(group, named)
    const { retried, deadRows, deliveredCount, skippedCount } = sorted
    const counts = { deliveredCount, skippedCount }
    if (retried.length === 0) return { ...DONE, ...counts, deadRows }
    if (sorted.unavailable !== undefined) {
      // Not one of them is to blame by itself: as if the target had said so of these records alone.
      const rest = { ...group, rows: retried, suspects: retried.length < group.rows.length ? 0 : group.suspects }
      const decision = this.#unavailable(rest, sorted.unavailable, context)
      return { ...decision, ...counts, deadRows: [...deadRows, ...decision.deadRows] }
    }
    this.#push({ rows: retried, sends: group.sends, isSplit: false })
    const waitMs = Math.max(sorted.waitMs, this.#backoff(Math.max(1, sorted.refusalsMax)))
    return { ...counts, waitMs, deadRows, retriedCount: retried.length }
  }

  /** What becomes of each row of a group; rows that are delivered or skipped leave. */
  #sort(group: MutableGroup, named: NamedRows): SortedRows {
    const retried: number[] = []
    const deadRows: DeadRow[] = []
    const failedKeys = new Set<string>()
    const sorted = { deliveredCount: 0, skippedCount: 0, waitMs: 0, refusalsMax: 0 }
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
      sorted.waitMs = Math.max(sorted.waitMs, this.#retryAfter(failure?.retryAfterMs))
      retried.push(row)
    }
    const isSuspect = suspectCount === retried.length
    const unavailable = chargedCount > 0 ? undefined : { reason, retryAfterMs: sorted.waitMs, isSuspect }
    return { ...sorted, retried, deadRows, unavailable }
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
