/**
 * Offset index of a segment (`.index`): where in the `.log` file a batch starts.
 *
 *   entry => relative_offset i32 | position i32      (8 bytes, big endian)
 *
 * It is sparse: one entry at most every `index.interval.bytes`. The offset of
 * an entry is the *last* offset of the batch that starts at its position, as in
 * Kafka, so a lookup for any offset in that batch may land one entry earlier
 * and the reader walks on from there.
 *
 * Invariant: offsets and positions both grow strictly.
 */

import { FixedEntries, type UnsavedEntries } from './fixed-entries.ts'

const ENTRY_BYTES = 8
const RELATIVE_OFFSET_MAX = 0x7fff_ffffn

/** A place in a segment: the batch with last offset `offset` starts at `position`. */
export interface OffsetPosition {
  readonly offset: bigint
  readonly position: number
}

/** The offset index of one segment, in memory. */
export class OffsetIndex {
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

  /** Adds an entry; offsets that do not grow are ignored, as they would break the search. */
  append(lastOffset: bigint, position: number): void {
    const last = this.last()
    if (last !== undefined && lastOffset <= last.offset) return
    const at = this.#entries.claim()
    this.#entries.buffer.writeInt32BE(Number(lastOffset - this.#baseOffset), at)
    this.#entries.buffer.writeInt32BE(position, at + 4)
  }

  /** The last entry. */
  last(): OffsetPosition | undefined {
    return this.count === 0 ? undefined : this.#at(this.count - 1)
  }

  /** The last entry whose offset is not above `offset`; the start of the segment if there is none. */
  lookup(offset: bigint): OffsetPosition {
    const index = this.#indexOf(offset)
    return index < 0 ? { offset: this.#baseOffset, position: 0 } : this.#at(index)
  }

  /** Removes all entries above `offset`. */
  truncateAfter(offset: bigint): void {
    this.#entries.truncate(this.#indexOf(offset) + 1)
  }

  /** Whether all entries grow and lie inside a log file of `logBytes`. */
  isSound(logBytes: number): boolean {
    const buffer = this.#entries.buffer
    let offset = -1
    let position = -1
    for (let at = 0; at < this.count * ENTRY_BYTES; at += ENTRY_BYTES) {
      const nextOffset = buffer.readInt32BE(at)
      const nextPosition = buffer.readInt32BE(at + 4)
      if (nextOffset <= offset || nextPosition <= position || nextPosition >= logBytes) return false
      offset = nextOffset
      position = nextPosition
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

  #at(index: number): OffsetPosition {
    const at = index * ENTRY_BYTES
    return {
      offset: this.#baseOffset + BigInt(this.#entries.buffer.readInt32BE(at)),
      position: this.#entries.buffer.readInt32BE(at + 4)
    }
  }

  #indexOf(offset: bigint): number {
    const distance = offset - this.#baseOffset
    if (distance < 0n) return -1
    const relative = Number(distance > RELATIVE_OFFSET_MAX ? RELATIVE_OFFSET_MAX : distance)
    const buffer = this.#entries.buffer
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (buffer.readInt32BE(middle * ENTRY_BYTES) <= relative) low = middle + 1
      else high = middle - 1
    }
    return high
  }
}
