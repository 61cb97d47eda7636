/**
 * What compaction knows of the transactions it passes through, in order of
 * offset: which batches are of aborted ones (their records go), and which
 * markers have no data left before them (they may go, after a time).
 *
 * Pure. Source: Kafka `CleanedTransactionMetadata`.
 */

import type { RecordBatchHeader } from '../../../protocol/index.ts'
import { isTransactional } from '../../../protocol/index.ts'

/** One aborted transaction, as the `.txnindex` file of a segment has it. */
export interface AbortedRange {
  readonly producerId: bigint
  /** Offset of its first record. */
  readonly firstOffset: bigint
  /** Offset of its abort marker. */
  readonly lastOffset: bigint
  /** Last stable offset when the marker was written. */
  readonly lastStableOffset: bigint
}

interface OngoingAborted {
  readonly transaction: AbortedRange
  hasData: boolean
}

/** Type of a control record: 0 abort, 1 commit; others are kept. */
export type MarkerType = 'abort' | 'commit' | 'other' | 'none'

/** Transactions seen so far by one pass over a log. */
export class CleanedTransactions {
  /** Those whose first record has not been reached, by first offset. */
  #ahead: AbortedRange[] = []
  readonly #known = new Set<string>()
  readonly #aborted = new Map<bigint, OngoingAborted>()
  readonly #committed = new Set<bigint>()
  /** Aborted transactions that still have data: what the cleaned segment's index must name. */
  #kept: AbortedRange[] = []

  /** Tells of aborted transactions that overlap what comes next. One told twice counts once. */
  addAborted(transactions: readonly AbortedRange[]): void {
    for (const transaction of transactions) {
      const name = `${transaction.producerId}:${transaction.firstOffset}`
      if (this.#known.has(name)) continue
      this.#known.add(name)
      this.#ahead.push(transaction)
    }
    this.#ahead.sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  }

  /** Notes a batch of data. Returns whether it belongs to an aborted transaction. */
  dataBatch(header: RecordBatchHeader): boolean {
    this.#reach(header.baseOffset + BigInt(header.lastOffsetDelta))
    if (!isTransactional(header.attributes)) return false
    const aborted = this.#aborted.get(header.producerId)
    if (aborted === undefined) {
      this.#committed.add(header.producerId)
      return false
    }
    aborted.hasData = true
    return true
  }

  /**
   * Notes a control batch.
   *
   * @param type - What its record says; `none` if the batch is empty.
   * @returns Whether its transaction has no data left, so that the marker says nothing any more.
   */
  controlBatch(header: RecordBatchHeader, type: MarkerType): boolean {
    this.#reach(header.baseOffset + BigInt(header.lastOffsetDelta))
    switch (type) {
      case 'none':
        return true
      case 'other':
        return false
      case 'commit':
        return !this.#committed.delete(header.producerId)
      case 'abort': {
        const aborted = this.#aborted.get(header.producerId)
        this.#aborted.delete(header.producerId)
        if (aborted?.hasData !== true) return true
        this.#kept.push(aborted.transaction)
        return false
      }
    }
  }

  /** Aborted transactions for the index of the segment that is being written; they are handed over once. */
  takeKept(): AbortedRange[] {
    const kept = this.#kept
    this.#kept = []
    return kept
  }

  #reach(offset: bigint): void {
    let count = 0
    for (const transaction of this.#ahead) {
      if (transaction.firstOffset > offset) break
      count += 1
      const { producerId } = transaction
      if (!this.#aborted.has(producerId)) this.#aborted.set(producerId, { transaction, hasData: false })
    }
    if (count > 0) this.#ahead.splice(0, count)
  }
}
