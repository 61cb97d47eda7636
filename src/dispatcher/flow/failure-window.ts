/**
 * Share of failures among the latest invocations, by time.
 *
 * The window is cut into ten slices; a slice is dropped as a whole when it is
 * too old, so what counts is between nine tenths of the window and all of it.
 * Pure: time is passed in.
 */

const SLICES = 10

/** Counts failures and successes of a window of time. */
export class FailureWindow {
  readonly #failures = new Float64Array(SLICES)
  readonly #totals = new Float64Array(SLICES)
  readonly #sliceMs: number
  #slice = 0
  #failureCount = 0
  #totalCount = 0

  /** @param windowMs - Length of the window, in milliseconds. Above 0. */
  constructor(windowMs: number) {
    this.#sliceMs = windowMs / SLICES
  }

  /** Invocations in the window. */
  get totalCount(): number {
    return this.#totalCount
  }

  /** Share of failures in the window, 0 to 1; 0 if it is empty. */
  get failureRatio(): number {
    return this.#totalCount === 0 ? 0 : this.#failureCount / this.#totalCount
  }

  /** Counts one invocation. */
  add(isFailure: boolean, nowMs: number): void {
    this.#moveTo(Math.floor(nowMs / this.#sliceMs))
    const index = this.#slice % SLICES
    this.#totals[index] = (this.#totals[index] ?? 0) + 1
    this.#totalCount += 1
    if (!isFailure) return
    this.#failures[index] = (this.#failures[index] ?? 0) + 1
    this.#failureCount += 1
  }

  /** Forgets everything. */
  clear(): void {
    this.#failures.fill(0)
    this.#totals.fill(0)
    this.#failureCount = 0
    this.#totalCount = 0
  }

  #moveTo(slice: number): void {
    if (slice <= this.#slice) return
    const steps = Math.min(SLICES, slice - this.#slice)
    for (let step = 1; step <= steps; step += 1) {
      const index = (this.#slice + step) % SLICES
      this.#failureCount -= this.#failures[index] ?? 0
      this.#totalCount -= this.#totals[index] ?? 0
      this.#failures[index] = 0
      this.#totals[index] = 0
    }
    this.#slice = slice
  }
}
