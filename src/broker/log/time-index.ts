/**
 * Time index of a segment (`.timeindex`): up to which offset no record is
 * younger than a timestamp.
 *
 *   entry => timestamp i64 | relative_offset i32      (12 bytes, big endian)
 *
 * An entry `(t, o)` says: the largest timestamp up to offset `o` is `t`, and it
 * is in the batch whose last offset is `o`. A record with a timestamp above `t`
 * can only come after `o`.
 *
 * Invariant: timestamps grow strictly, offsets never fall.
 */

import { FixedEntries, type UnsavedEntries } from './fixed-entries.ts'

const ENTRY_BYTES = 12

/** A timestamp in epoch milliseconds and the last offset of the batch that holds it. */
export interface TimestampOffset {
  readonly timestampMs: bigint
  readonly offset: bigint
}

/** The time index of one segment, in memory. */
export class TimeIndex {
  readonly #baseOffset: bigint
  readonly #entries: FixedEntries

  /** @param saved - Content of the index file, if there is one. */
  constructor(baseOffset: bigint, saved?: Buffer) {
    this.#baseOffset = baseOffset
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

  /** Adds an entry unless its timestamp is no larger than the last one. */
  append(entry: TimestampOffset): void {
    const last = this.last()
    if (entry.timestampMs < 0n) return
    if (last !== undefined && (entry.timestampMs <= last.timestampMs || entry.offset < last.offset)) return
    const at = this.#entries.claim()
    this.#entries.buffer.writeBigInt64BE(entry.timestampMs, at)
    this.#entries.buffer.writeInt32BE(Number(entry.offset - this.#baseOffset), at + 8)
  }

  /** The last entry. */
  last(): TimestampOffset | undefined {
    return this.count === 0 ? undefined : this.#at(this.count - 1)
  }

  /** The last entry whose timestamp is not above `timestampMs`. */
  lookup(timestampMs: bigint): TimestampOffset | undefined {
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (this.#entries.buffer.readBigInt64BE(middle * ENTRY_BYTES) <= timestampMs) low = middle + 1
      else high = middle - 1
    }
    return high < 0 ? undefined : this.#at(high)
  }

  /** Removes all entries whose offset is above `offset`. */
  truncateAfter(offset: bigint): void {
    let count = this.count
    while (count > 0 && this.#at(count - 1).offset > offset) count -= 1
    this.#entries.truncate(count)
  }

  /** Whether timestamps grow and offsets do not fall. */
  isSound(): boolean {
    const buffer = this.#entries.buffer
    let timestampMs = -1n
    let offset = 0
    for (let at = 0; at < this.count * ENTRY_BYTES; at += ENTRY_BYTES) {
      const nextTimestampMs = buffer.readBigInt64BE(at)
      const nextOffset = buffer.readInt32BE(at + 8)
      if (nextTimestampMs <= timestampMs || nextOffset < offset) return false
      timestampMs = nextTimestampMs
      offset = nextOffset
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

  /** Says that the file now has these entries. */
  markSaved(written: UnsavedEntries): void {
    this.#entries.markSaved(written)
  }

  #at(index: number): TimestampOffset {
    const at = index * ENTRY_BYTES
    return {
      timestampMs: this.#entries.buffer.readBigInt64BE(at),
      offset: this.#baseOffset + BigInt(this.#entries.buffer.readInt32BE(at + 8))
    }
  }
}
