/**
 * A wait that ends by a ring or by the time, whichever is first: what a loop does between two rounds of work.
 *
 * One waiter at a time. A ring while nobody waits is not kept: who waits looks at the state first, in the same turn.
 */

import type { Clock } from './clock.ts'

/** Wakes one waiter. */
export class Doorbell {
  readonly #clock: Clock
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Waits for a ring.
   *
   * @param waitMs - Longest wait, in milliseconds, rounded up; `undefined` = only a ring ends it.
   */
  async wait(waitMs?: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = waitMs === undefined ? undefined : this.#clock.after(Math.ceil(waitMs), resolve)
      this.#wake = () => {
        timer?.cancel()
        resolve()
      }
    })
    this.#wake = undefined
  }

  /** Ends the wait, if there is one. */
  ring(): void {
    this.#wake?.()
  }
}
