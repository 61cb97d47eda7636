/**
 * What became of the records of one partition, which of them must wait, and how the answer tells it. Pure.
 *
 * A record is open until it is settled. What is still open at the end comes again, whatever the reason: nothing has to
 * be remembered for a record not to count as done.
 *
 * Who waits. When a record must come again, the later ones of its scope (partition or key) must come behind it, so
 * they are not handled, or their outcome is taken back if they were. In AWS's event *everything* behind a record that
 * comes again comes again, so without a guard, which remembers what is done, nothing behind it is begun at all.
 */

import type { EventPartition } from '../event/event-partition.ts'
import type { ComportaFailure, KafkaBatchItemFailure } from '../event/event-types.ts'

/** What became of a record that a handler was given, or that could not be given to one. */
export interface Settled {
  readonly action: 'done' | 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  readonly retryAfterMs?: number | undefined
  readonly isUnavailable?: boolean
  readonly isSuspect?: boolean
}

/** A record that is done. */
export const DONE: Settled = { action: 'done', reason: '' }

/** Which later records wait behind one that must come again. */
export type RecordOrder = 'partition' | 'key' | 'none'

/** The scope of all records of a partition that is kept in order as a whole. */
const WHOLE_PARTITION = 'partition'

/** How a partition is worked through. */
export interface ProgressRules {
  readonly order: RecordOrder
  readonly format: 'json' | 'esm'
  /** Whether records that are done although they come again are remembered. */
  readonly isGuarded: boolean
}

/** The records of one partition on their way. */
export class PartitionProgress {
  readonly partition: EventPartition
  readonly #rules: ProgressRules
  readonly #settled: (Settled | undefined)[]
  readonly #keys: readonly (string | null)[] | undefined
  readonly #blockedScopes = new Map<string, string>()
  #blocked: { readonly from: number; readonly reason: string } | undefined
  /** Why records are open that nobody got to. */
  #openReason = 'was not reached in this invocation'

  constructor(partition: EventPartition, rules: ProgressRules) {
    this.partition = partition
    this.#rules = rules
    this.#settled = Array.from({ length: partition.offsets.length })
    this.#keys = rules.order === 'key' ? partition.keys : undefined
  }

  /** Records that may be handled at the same time are of different scopes; `null` for one that shares its with none. */
  scopeOf(index: number): string | null {
    if (this.#rules.order === 'none') return null
    // Without keys nothing finer than the partition can be kept.
    if (this.#keys === undefined) return WHOLE_PARTITION
    const key = this.#keys[index] ?? null
    return key === null ? null : `key:${key}`
  }

  /** Whether a record must wait, so that it must not be handled now. */
  isBlocked(index: number): boolean {
    return this.#blockedBy(index) !== undefined
  }

  /** Whether a record does not come again, as far as this record itself is concerned. */
  isFinal(index: number): boolean {
    const action = this.#settled[index]?.action
    // AWS has no words for a dead letter: it sends the record again.
    return action === 'done' || action === 'skip' || (action === 'deadLetter' && this.#rules.format === 'json')
  }

  /** Whether nothing of the partition comes again. */
  get isWhole(): boolean {
    return this.partition.offsets.every((_, index) => this.isFinal(index))
  }

  /** Settles records in the order of the log. One that must wait by now stays open, whatever became of it. */
  settle(index: number, settled: Settled): void {
    if (this.isBlocked(index)) return
    this.#settled[index] = settled
    if (!this.isFinal(index)) this.#block(index)
  }

  /** Leaves what is open for the next time, with this reason. */
  giveUp(reason: string): void {
    this.#openReason = reason
  }

  /** The answer to Comporta's payload: every record that is not simply done. */
  failures(): ComportaFailure[] {
    const failures: ComportaFailure[] = []
    for (const [index, offset] of this.partition.offsets.entries()) {
      const settled = this.#settled[index]
      if (settled?.action === 'done') continue
      if (settled === undefined) {
        const reason = this.#blockedBy(index) ?? this.#openReason
        failures.push({ offset, action: 'retry', reason, unavailable: true })
      } else failures.push(failureOf(offset, settled.action, settled))
    }
    return failures
  }

  /** The answer to AWS's event: the lowest offset that must come again, and everything after it with it. */
  resumePoints(): KafkaBatchItemFailure[] {
    const index = this.resumeIndex()
    const offset = index === undefined ? undefined : this.partition.offsets[index]
    return offset === undefined ? [] : [{ itemIdentifier: { partition: this.partition.name, offset } }]
  }

  /** The record with the lowest offset that is not done. */
  resumeIndex(): number | undefined {
    const { offsets } = this.partition
    let lowest: number | undefined
    for (const [index, offset] of offsets.entries()) {
      if (!this.isFinal(index) && (lowest === undefined || offset < (offsets[lowest] ?? 0))) lowest = index
    }
    return lowest
  }

  #block(index: number): void {
    const reason = `waits behind offset ${this.partition.offsets[index]}, which must come again`
    const scope = this.scopeOf(index)
    if (scope !== null) this.#blockedScopes.set(scope, reason)
    if (this.#rules.format === 'json' || this.#rules.isGuarded) return
    if (this.#blocked === undefined || index < this.#blocked.from) this.#blocked = { from: index, reason }
  }

  #blockedBy(index: number): string | undefined {
    if (this.#blocked !== undefined && index > this.#blocked.from) return this.#blocked.reason
    const scope = this.#blockedScopes.size === 0 ? null : this.scopeOf(index)
    return scope === null ? undefined : this.#blockedScopes.get(scope)
  }
}

function failureOf(offset: number, action: ComportaFailure['action'], settled: Settled): ComportaFailure {
  const { reason, retryAfterMs, isUnavailable, isSuspect } = settled
  return {
    offset,
    action,
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(isUnavailable === true ? { unavailable: true } : {}),
    ...(isSuspect === true ? { suspect: true } : {})
  }
}
