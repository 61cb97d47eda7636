/**
 * Keeps a lane from holding the event loop.
 *
 * What a lane does with a batch may be over without any I/O: all of it was
 * filtered out, or the target is a function in this process. Promises alone let
 * nobody else in, so a lane with a full buffer would go through all of it while
 * heartbeats, timers and sockets wait. A lane that has gone on for a while
 * without a turn of the event loop waits for one; one whose batches wait for I/O
 * never has to.
 */

import { type Clock, turn } from '../core/index.ts'

/** Batches, and time in milliseconds, that a lane may go on for without a turn of the event loop. */
const BATCHES_MAX = 2
const BUSY_MAX_MS = 20

/** The turns of the event loop as one lane sees them. */
export class Turns {
  readonly #clock: Clock
  #sinceMs = 0
  #batches = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be awaited after each batch. */
  async afterBatch(): Promise<void> {
    this.#batches += 1
    const nowMs = this.#clock.monotonicMs()
    if (this.#batches === 1) {
      this.#sinceMs = nowMs
      void turn().then(() => (this.#batches = 0))
    } else if (this.#batches > BATCHES_MAX && nowMs - this.#sinceMs >= BUSY_MAX_MS) await turn()
  }
}
