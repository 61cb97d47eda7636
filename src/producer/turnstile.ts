/**
 * One at a time, in the order they came. Those who hand over while the outlet is
 * full stand in such a line: only the first tries again, so that a thousand who
 * wait do not all try at each place that becomes free.
 */

/** A line. Pure. */
export class Turnstile {
  readonly #line: (() => void)[] = []
  #isTaken = false

  /** Whether nobody is inside or waits. */
  get isFree(): boolean {
    return !this.#isTaken
  }

  /** Resolves when it is the caller's turn, who must `leave`. */
  enter(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true
      return Promise.resolve()
    }
    return new Promise(resolve => this.#line.push(resolve))
  }

  /** Lets the next one in. */
  leave(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#isTaken = false
    else next()
  }
}
