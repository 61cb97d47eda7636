/**
 * How far a source is safe: hand-overs settle out of order, but only what lies
 * before the first one that is not safe need not be read again. Positions are
 * whatever the source goes on from: an offset, a sequence number.
 */

/** One hand-over. */
export interface OpenSpan<P> {
  /** Where the source goes on behind it. */
  position: P
  isSafe: boolean
}

/** Follows the hand-overs of one partition, shard or file. Pure. */
export class SafePrefix<P> {
  readonly #open: OpenSpan<P>[] = []
  #safe: P
  #hasFailed = false

  /** @param start - Where reading begins. */
  constructor(start: P) {
    this.#safe = start
  }

  /** Where to go on: everything before is safe. Never goes back. */
  get safe(): P {
    return this.#safe
  }

  /** How many hand-overs are not yet counted as safe. */
  get openCount(): number {
    return this.#open.length
  }

  /** Whether a hand-over has failed: what lies behind it never counts. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Events are handed over; behind them the source goes on at `position`. */
  start(position: P): OpenSpan<P> {
    const span = { position, isSafe: false }
    this.#open.push(span)
    return span
  }

  /** All of a hand-over is safe. */
  finish(span: OpenSpan<P>): void {
    span.isSafe = true
    this.#advance()
  }

  /** A hand-over is safe up to `position` only; nothing from there on will count. */
  fail(span: OpenSpan<P>, position: P): void {
    const index = this.#open.indexOf(span)
    if (index < 0) return
    span.position = position
    span.isSafe = true
    this.#open.length = index + 1
    this.#hasFailed = true
    this.#advance()
  }

  #advance(): void {
    for (let first = this.#open[0]; first?.isSafe === true; first = this.#open[0]) {
      this.#safe = first.position
      this.#open.shift()
    }
  }
}
