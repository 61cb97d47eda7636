/**
 * Aborted transactions whose markers are in one segment: what readers of
 * committed records must skip. The `.txnindex` file, in Kafka's format.
 *
 *   entry => version i16 (0) | producer_id i64 | first_offset i64 | last_offset i64 | last_stable_offset i64
 *
 * The last offset is that of the marker. The last stable offset is the one right
 * after the marker: a transaction that ends later begins at or above it, so a
 * search for a range of offsets may end at the first entry whose last stable
 * offset is not below the end of the range.
 *
 * Entries are in order of the last offset, and the last stable offset never
 * goes back. Source: Kafka `AbortedTxn`, `TransactionIndex`.
 */

import { FixedEntries, type UnsavedEntries } from './fixed-entries.ts'

const ENTRY_BYTES = 34
const VERSION = 0
const PRODUCER_ID_AT = 2
const FIRST_OFFSET_AT = 10
const LAST_OFFSET_AT = 18
const LAST_STABLE_OFFSET_AT = 26

/** An aborted transaction of one partition. */
export interface AbortedTransaction {
  readonly producerId: bigint
  /** Offset of its first record. */
  readonly firstOffset: bigint
  /** Offset of the marker. */
  readonly lastOffset: bigint
  /** The last stable offset when the marker was written. */
  readonly lastStableOffset: bigint
}

/** The aborted transactions of one segment, in memory. */
export class TransactionIndex {
  readonly #entries: FixedEntries

  /** @param saved - Content of the index file, if there is one. */
  constructor(saved?: Buffer) {
    this.#entries = new FixedEntries(ENTRY_BYTES, saved)
  }

  /** How many entries there are. */
  get count(): number {
    return this.#entries.count
  }

  /** Memory in use, in bytes. */
  get sizeBytes(): number {
    return this.#entries.count * ENTRY_BYTES
  }

  /** Adds a transaction whose marker is behind all others. */
  append(aborted: AbortedTransaction): void {
    const at = this.#entries.claim()
    const { buffer } = this.#entries
    buffer.writeInt16BE(VERSION, at)
    buffer.writeBigInt64BE(aborted.producerId, at + PRODUCER_ID_AT)
    buffer.writeBigInt64BE(aborted.firstOffset, at + FIRST_OFFSET_AT)
    buffer.writeBigInt64BE(aborted.lastOffset, at + LAST_OFFSET_AT)
    buffer.writeBigInt64BE(aborted.lastStableOffset, at + LAST_STABLE_OFFSET_AT)
  }

  /** All entries. */
  entries(): AbortedTransaction[] {
    return Array.from({ length: this.count }, (_, index) => this.#at(index))
  }

  /**
   * Adds the transactions that overlap `fromOffset` (inclusive) to `upToOffset` (exclusive) to a list.
   *
   * @returns Whether that is all of them: if not, the next segment may have more.
   */
  collect(range: { fromOffset: bigint; upToOffset: bigint }, found: AbortedTransaction[]): boolean {
    const { count } = this
    for (let index = this.#firstEndingFrom(range.fromOffset); index < count; index++) {
      const aborted = this.#at(index)
      if (aborted.firstOffset < range.upToOffset) found.push(aborted)
      if (aborted.lastStableOffset >= range.upToOffset) return true
    }
    return false
  }

  /** Removes all entries whose marker is at or above an offset. */
  truncateFrom(offset: bigint): void {
    this.#entries.truncate(this.#firstEndingFrom(offset))
  }

  /** Whether a file of `fileBytes` holds whole entries that grow, for a segment that begins at `baseOffset`. */
  isSound(baseOffset: bigint, fileBytes: number): boolean {
    if (fileBytes % ENTRY_BYTES !== 0) return false
    let lastOffset = baseOffset - 1n
    let lastStableOffset = -1n
    for (let index = 0; index < this.count; index++) {
      const next = this.#at(index)
      if (this.#entries.buffer.readInt16BE(index * ENTRY_BYTES) !== VERSION) return false
      if (next.lastOffset <= lastOffset || next.lastStableOffset < lastStableOffset) return false
      if (next.firstOffset < 0n || next.firstOffset > next.lastOffset || next.producerId < 0n) return false
      lastOffset = next.lastOffset
      lastStableOffset = next.lastStableOffset
    }
    return true
  }

  /** Entries that the file does not have yet. */
  unsaved(): UnsavedEntries | undefined {
    return this.#entries.unsaved()
  }

  /** How many bytes the file lacks. */
  get unsavedBytes(): number {
    return this.#entries.unsavedBytes
  }

  /** How many bytes the file has. */
  get savedBytes(): number {
    return this.sizeBytes - this.unsavedBytes
  }

  /** Says that the file now has these entries. */
  markSaved(written: UnsavedEntries): void {
    this.#entries.markSaved(written)
  }

  /** Index of the first entry whose marker is at or above an offset. */
  #firstEndingFrom(offset: bigint): number {
    const { buffer } = this.#entries
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (buffer.readBigInt64BE(middle * ENTRY_BYTES + LAST_OFFSET_AT) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #at(index: number): AbortedTransaction {
    const { buffer } = this.#entries
    const at = index * ENTRY_BYTES
    return {
      producerId: buffer.readBigInt64BE(at + PRODUCER_ID_AT),
      firstOffset: buffer.readBigInt64BE(at + FIRST_OFFSET_AT),
      lastOffset: buffer.readBigInt64BE(at + LAST_OFFSET_AT),
      lastStableOffset: buffer.readBigInt64BE(at + LAST_STABLE_OFFSET_AT)
    }
  }
}
