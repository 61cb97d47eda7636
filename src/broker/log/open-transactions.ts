/**
 * The transactions of one partition whose end is not written, by their first
 * offset. Pure.
 *
 * A transaction stays here until its marker is in the log, so the first of them
 * bounds what readers of committed records may see.
 */

import { invariant } from '../../core/index.ts'

/** A transaction whose marker has an offset. */
export interface EndingTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** Offset of the marker. */
  readonly lastOffset: bigint
  readonly isCommit: boolean
}

/** First offsets of open transactions. */
export class OpenTransactions {
  // Offsets are given in rising order and a Set iterates in order of insertion: the first one is the lowest.
  readonly #firstOffsets = new Set<bigint>()
  #last = -1n
  #first: bigint | undefined

  /** The lowest first offset. */
  get firstOffset(): bigint | undefined {
    return this.#first
  }

  /** Replaces all. */
  load(firstOffsets: readonly bigint[]): void {
    this.#firstOffsets.clear()
    this.#first = undefined
    this.#last = -1n
    for (const offset of firstOffsets.toSorted((a, b) => (a < b ? -1 : 1))) this.begin(offset)
  }

  /** A transaction begins; its first offset is above those of all others. */
  begin(firstOffset: bigint): void {
    invariant(firstOffset > this.#last, `a transaction begins at ${firstOffset}, not after ${this.#last}`)
    this.#firstOffsets.add(firstOffset)
    this.#last = firstOffset
    this.#first ??= firstOffset
  }

  /** A transaction is over, or never was. */
  end(firstOffset: bigint): void {
    this.#firstOffsets.delete(firstOffset)
    // What was not written gives its offsets back.
    if (firstOffset === this.#last) this.#last = -1n
    if (firstOffset === this.#first) this.#first = this.#firstOffsets.values().next().value
  }
}
