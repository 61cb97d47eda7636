/**
 * How long a batch waits for more records before it is sent. Pure: no I/O, no clock.
 *
 * Fixed: so many milliseconds, as Kafka's `linger.ms`.
 *
 * Adaptive: by the bytes that were sent lately. A wait is worth it if it makes
 * requests much larger, which saves CPU here and at the broker. Below 5 MB/s it
 * does not, so a batch leaves at once; from 20 MB/s on it is 5 ms, and between
 * the two in proportion. A full batch never waits.
 *
 * Invariant: no batch waits longer than 5 ms by an adaptive linger. Limit: the
 * rate is measured over 50 ms, so what comes first after a rest may wait once.
 */

/** A linger: milliseconds, or by the load. */
export type LingerSetting = number | 'adaptive'

/** Longest wait of an adaptive linger, in milliseconds. The default of Kafka's `linger.ms` since 4.0. */
export const ADAPTIVE_LINGER_MAX_MS = 5

/** Span over which the rate is measured, in milliseconds. */
const WINDOW_MS = 50
/** Bytes per millisecond up to which a batch does not wait. */
const CALM_BYTES_PER_MS = 5_000
/** Bytes per millisecond from which on a batch waits longest. */
const BUSY_BYTES_PER_MS = 20_000

/** Says how long batches wait that are not full. */
export class Linger {
  readonly #isAdaptive: boolean
  #currentMs: number
  #windowStartMs = Number.NEGATIVE_INFINITY
  #windowBytes = 0

  constructor(setting: LingerSetting) {
    this.#isAdaptive = setting === 'adaptive'
    this.#currentMs = setting === 'adaptive' ? 0 : setting
  }

  /** The wait as things are, in milliseconds. */
  get currentMs(): number {
    return this.#currentMs
  }

  /** A batch is being sent. */
  sent(bytes: number, nowMs: number): void {
    if (!this.#isAdaptive) return
    this.#windowBytes += bytes
    const spanMs = nowMs - this.#windowStartMs
    if (spanMs < WINDOW_MS) return
    const share = (this.#windowBytes / spanMs - CALM_BYTES_PER_MS) / (BUSY_BYTES_PER_MS - CALM_BYTES_PER_MS)
    // Whole milliseconds: timers are not finer.
    this.#currentMs = Math.round(Math.min(1, Math.max(0, share)) * ADAPTIVE_LINGER_MAX_MS)
    this.#windowStartMs = nowMs
    this.#windowBytes = 0
  }
}
