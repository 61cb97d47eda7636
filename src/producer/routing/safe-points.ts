/**
 * Moves heavy values at moments at which no record is unacknowledged.
 *
 * Whoever hands over records asks before each stretch that it hands over without
 * pause. While a move is due everybody waits: for the acknowledgement of all that was
 * handed over. That is one round trip to Kafka, at most once per window. A move for
 * which Kafka takes too long is put off.
 */

import { type Clock, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Outlet } from '../outlet.ts'
import type { HeavyDetector } from './heavy-detector.ts'

/** Longest wait for acknowledgements, in milliseconds: then the move is put off to the end of the next window. */
const WAIT_MS = 5000

/** Holds back hand-overs while values move. */
export class SafePoints {
  readonly #detector: HeavyDetector
  readonly #outlet: Pick<Outlet, 'flush' | 'state'>
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  #reaching: Promise<void> | undefined

  constructor(parts: {
    detector: HeavyDetector
    outlet: Pick<Outlet, 'flush' | 'state'>
    clock: Clock
    logger?: Logger | undefined
  }) {
    this.#detector = parts.detector
    this.#outlet = parts.outlet
    this.#clock = parts.clock
    this.#logger = parts.logger
  }

  /** `undefined` if records may be handed over now; otherwise ask again when it resolves. Never rejects. */
  wait(): Promise<void> | undefined {
    if (this.#reaching !== undefined) return this.#reaching
    // Without the values: keys stay out of logs. `status()` has them.
    for (const change of this.#detector.tick(this.#clock.monotonicMs())) {
      this.#logger?.info({ ...change }, 'the heavy hitters of a topic have changed')
    }
    if (!this.#detector.wantsSafePoint || this.#outlet.state !== 'up') return undefined
    this.#reaching = this.#reach()
    return this.#reaching
  }

  async #reach(): Promise<void> {
    try {
      const isFlushed = await within(
        this.#clock,
        WAIT_MS,
        this.#outlet.flush().then(() => true)
      )
      if (isFlushed === true && this.#outlet.state === 'up') this.#detector.safePoint()
      else this.#detector.postpone()
    } catch {
      this.#detector.postpone() // whose records failed is told by their verdicts
    } finally {
      this.#reaching = undefined
    }
  }
}
