/**
 * How far a source is safe: chunks settle out of order, but only the bytes
 * before the first chunk that is not settled need not be read again.
 */

interface Entry {
  readonly position: number
  isSafe: boolean
}

/** Follows the chunks of one source. Pure. */
export class PositionTracker {
  readonly #open: Entry[] = []
  #safeBytes = 0

  /** Bytes whose events are all safe. Never goes back. */
  get safeBytes(): number {
    return this.#safeBytes
  }

  /** How many chunks are not yet counted as safe. */
  get openCount(): number {
    return this.#open.length
  }

  /**
   * A chunk is handed over, ending at `position`.
   *
   * @returns Call it once all events of the chunk are safe; never, if one failed.
   */
  start(position: number): () => void {
    const entry: Entry = { position, isSafe: false }
    this.#open.push(entry)
    return () => {
      entry.isSafe = true
      while (this.#open[0]?.isSafe === true) this.#safeBytes = this.#open.shift()?.position ?? this.#safeBytes
    }
  }
}
