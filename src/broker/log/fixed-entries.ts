/**
 * A growing run of fixed-size entries with a file behind it: the memory of one
 * index file. Entries are appended in memory; `unsaved` gives the bytes that
 * the file does not have yet.
 */

const ENTRY_COUNT_START = 16

/** Bytes that are to be written at a position of the index file. */
export interface UnsavedEntries {
  readonly position: number
  readonly bytes: Buffer
}

/** Fixed-size entries in one Buffer. */
export class FixedEntries {
  readonly #entryBytes: number
  #buffer: Buffer
  #count: number
  #savedCount: number

  /** @param saved - Content of the index file; a torn last entry is ignored. */
  constructor(entryBytes: number, saved?: Buffer) {
    this.#entryBytes = entryBytes
    this.#count = saved === undefined ? 0 : Math.floor(saved.length / entryBytes)
    this.#savedCount = this.#count
    this.#buffer = saved ?? Buffer.alloc(0)
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count
  }

  /** The bytes of all entries; valid until the next `claim`. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** Makes room for one more entry and returns the position at which it is to be written. */
  claim(): number {
    const position = this.#count * this.#entryBytes
    if (position + this.#entryBytes > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(ENTRY_COUNT_START * this.#entryBytes, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, position)
      this.#buffer = grown
    }
    this.#count += 1
    return position
  }

  /** Keeps the first `count` entries. The file keeps its length: the owner truncates it. */
  truncate(count: number): void {
    this.#count = Math.min(this.#count, count)
    this.#savedCount = Math.min(this.#savedCount, this.#count)
  }

  /** What the file lacks, as a copy that stays valid; `undefined` if it lacks nothing. */
  unsaved(): UnsavedEntries | undefined {
    if (this.#savedCount === this.#count) return undefined
    const position = this.#savedCount * this.#entryBytes
    return { position, bytes: Buffer.from(this.#buffer.subarray(position, this.#count * this.#entryBytes)) }
  }

  /** How many bytes the file lacks. */
  get unsavedBytes(): number {
    return (this.#count - this.#savedCount) * this.#entryBytes
  }

  /** Says that the file now has everything up to the end of `written`. */
  markSaved(written: UnsavedEntries): void {
    const end = (written.position + written.bytes.length) / this.#entryBytes
    this.#savedCount = Math.max(this.#savedCount, Math.min(end, this.#count))
  }
}
