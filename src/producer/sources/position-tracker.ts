/**
 * How far a source is safe: chunks settle out of order, but only the bytes
 * before the first chunk that is not settled need not be read again.
 */

interface Entry {
  readonly position: number
  readonly onSafe: (() => void) | undefined
  isSafe: boolean
}

/** Follows the chunks of one source. Pure. */
export class PositionTracker {
  readonly #open: Entry[] = []
  #safeBytes: number

  /** @param safeBytes - Bytes that are safe from the start. Default 0. */
  constructor(safeBytes = 0) {
    this.#safeBytes = safeBytes
  }

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
   * @param onSafe - Called once this chunk and all before it are safe, in the order of the chunks.
   * @returns Call it once all events of the chunk are safe; never, if one failed.
   */
  start(position: number, onSafe?: () => void): () => void {
    const entry: Entry = { position, onSafe, isSafe: false }
    this.#open.push(entry)
    return () => {
      entry.isSafe = true
      for (let first = this.#open[0]; first?.isSafe === true; first = this.#open[0]) {
        this.#open.shift()
        this.#safeBytes = first.position
        first.onSafe?.()
      }
    }
  }
}
