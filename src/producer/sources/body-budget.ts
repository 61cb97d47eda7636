/**
 * Bytes of all request bodies that are in memory: counted as they arrive, and given back when their events are settled.
 *
 * A body that does not fit while it is being read is not read on until there is room. Those who wait are served in the
 * order they came. Waiting must end some time: bodies that are all half read could fill the budget and wait for each
 * other, so whoever waits says for how long.
 */

import { type Clock, systemClock } from '../../core/index.ts'

interface Waiter {
  readonly bytes: number
  readonly enter: (hasRoom: boolean) => void
}

/** Bytes of all bodies that are in memory. */
export class BodyBudget {
  readonly #bytesMax: number
  readonly #clock: Clock
  readonly #line: Waiter[] = []
  #bytes = 0

  /** @param bytesMax - Most bytes of all bodies together. */
  constructor(bytesMax: number, clock: Clock = systemClock) {
    this.#bytesMax = bytesMax
    this.#clock = clock
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many bodies wait for room. */
  get waitingCount(): number {
    return this.#line.length
  }

  /** Whether that many bytes would still fit, with nobody waiting for room. */
  hasRoom(bytes: number): boolean {
    return this.#line.length === 0 && this.#bytes + bytes <= this.#bytesMax
  }

  /** Takes bytes; `false` if they do not fit. */
  take(bytes: number): boolean {
    if (!this.hasRoom(bytes)) return false
    this.#bytes += bytes
    return true
  }

  /**
   * Takes bytes as soon as they fit.
   *
   * @returns `false` if they did not within `waitMs` milliseconds; then nothing was taken.
   */
  takeWithin(bytes: number, waitMs: number): Promise<boolean> {
    if (this.take(bytes)) return Promise.resolve(true)
    return new Promise(resolve => {
      const timer = this.#clock.after(waitMs, () => {
        this.#line.splice(this.#line.indexOf(waiter), 1)
        resolve(false)
        this.#admit() // whoever came behind may need less
      })
      const enter = (): void => {
        timer.cancel()
        resolve(true)
      }
      const waiter: Waiter = { bytes, enter }
      this.#line.push(waiter)
    })
  }

  /** Gives bytes back. */
  release(bytes: number): void {
    this.#bytes -= bytes
    this.#admit()
  }

  #admit(): void {
    for (let next = this.#line[0]; next !== undefined; next = this.#line[0]) {
      if (this.#bytes + next.bytes > this.#bytesMax) return
      this.#line.shift()
      this.#bytes += next.bytes
      next.enter(true)
    }
  }
}
