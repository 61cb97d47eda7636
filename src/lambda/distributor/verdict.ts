/**
 * Verdicts on records: what each target said, what that means for the record,
 * and how the answer of the function tells it.
 *
 * A record that went to several targets gets the gravest verdict: it is tried
 * again if one of them needs that, dead-lettered if one refuses it for good.
 */

import type { SinkFailure } from '../../targets/sinks/index.ts'
import type { ComportaFailure, KafkaBatchItemFailure } from '../event/event-types.ts'
import type { EventPartition } from '../event/read-event.ts'

/** What is wrong with a record; a record that is well has no verdict. */
export type Verdict = SinkFailure

/** What a distributor answers: empty when all is well. */
export type DistributorResponse =
  { readonly failures?: readonly ComportaFailure[] } | { readonly batchItemFailures: readonly KafkaBatchItemFailure[] }

/** Most bytes of all reasons of an answer, and characters of one. Lambda drops an answer above 6,291,456 bytes. */
const REASONS_BYTES_MAX = 2_500_000
const REASON_MAX = 1_000

function failureOf(offset: number, verdict: Verdict, reasonMax: number): ComportaFailure {
  const { action, reason, retryAfterMs, isUnavailable, isSuspect } = verdict
  return {
    offset,
    action,
    reason: reason.length > reasonMax ? reason.slice(0, reasonMax) : reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(isUnavailable === true ? { unavailable: true } : {}),
    ...(isSuspect === true ? { suspect: true } : {})
  }
}

const GRAVITY = { skip: 1, deadLetter: 2, retry: 3 } as const

/** The gravest verdict on each record of one partition, by its index. */
export class PartitionVerdicts {
  readonly partition: EventPartition
  readonly #byIndex = new Map<number, Verdict>()

  constructor(partition: EventPartition) {
    this.partition = partition
  }

  /** How many records are not simply well. */
  get count(): number {
    return this.#byIndex.size
  }

  add(index: number, verdict: Verdict): void {
    const known = this.#byIndex.get(index)
    if (known === undefined || GRAVITY[verdict.action] > GRAVITY[known.action]) this.#byIndex.set(index, verdict)
  }

  get(index: number): Verdict | undefined {
    return this.#byIndex.get(index)
  }

  /** Whether the caller will send the record again, given the form of the answer. */
  isComingAgain(index: number, resumeIndex: number | undefined): boolean {
    const { offsets } = this.partition
    if (resumeIndex !== undefined) return (offsets[index] ?? 0) >= (offsets[resumeIndex] ?? 0)
    return this.#byIndex.get(index)?.action === 'retry'
  }

  /** Index and verdict of each record that is not simply well, by index. */
  inOrder(): readonly (readonly [number, Verdict])[] {
    return [...this.#byIndex].toSorted(([left], [right]) => left - right)
  }

  /** One entry for each offset: should an event have one twice, the gravest verdict on it. */
  failures(): ComportaFailure[] {
    const byOffset = new Map<number, Verdict>()
    for (const [index, verdict] of this.inOrder()) {
      const offset = this.partition.offsets[index] ?? 0
      const known = byOffset.get(offset)
      if (known === undefined || GRAVITY[verdict.action] > GRAVITY[known.action]) byOffset.set(offset, verdict)
    }
    // A character has three bytes at most, but for escapes.
    const reasonMax = Math.min(REASON_MAX, Math.floor(REASONS_BYTES_MAX / 3 / byOffset.size))
    return [...byOffset].map(([offset, verdict]) => failureOf(offset, verdict, reasonMax))
  }

  /**
   * The record that AWS must resume at: the one with the lowest offset of those that are undone, wherever it stands in
   * the event, because AWS commits what is below. AWS has no words for a dead letter, so such a record is left to the
   * mapping's own attempts and on-failure destination; a skipped one counts as done.
   */
  resumeIndex(): number | undefined {
    const { offsets } = this.partition
    let first: number | undefined
    for (const [index, verdict] of this.#byIndex) {
      if (verdict.action === 'skip') continue
      if (first === undefined || (offsets[index] ?? 0) < (offsets[first] ?? 0)) first = index
    }
    return first
  }

  resumePoint(): KafkaBatchItemFailure[] {
    const index = this.resumeIndex()
    const offset = index === undefined ? undefined : this.partition.offsets[index]
    if (offset === undefined) return []
    return [{ itemIdentifier: { partition: this.partition.name, offset } }]
  }
}
