/**
 * How long a batch waits for more records before it is sent. Pure: no I/O, no clock.
 *
 * Fixed: so many milliseconds, as Kafka's `linger.ms`.
 *
 * Adaptive: as long as a request of the same connection is on its way, at most
 * 5 ms. With little to do nothing is on its way and a record leaves at once;
 * under load answers take longer, so batches grow by themselves until they are
 * full, and a full batch never waits. Nothing has to be measured or tuned: the
 * answers set the pace (as Nagle's algorithm does for TCP, RFC 896).
 *
 * Invariant: no batch waits longer than `maxMs`.
 */

/** A linger: milliseconds, or by the load. */
export type LingerSetting = number | 'adaptive'

/** Longest wait of an adaptive linger, in milliseconds. The default of Kafka's `linger.ms` since 4.0. */
export const ADAPTIVE_LINGER_MAX_MS = 5

/** Requests on their way from which on an adaptive linger waits. */
const ADAPTIVE_IN_FLIGHT_MIN = 1

/** Decides when a batch that is not full is due. */
export class Linger {
  /** Longest wait, in milliseconds. */
  readonly maxMs: number
  readonly #isAdaptive: boolean

  constructor(setting: LingerSetting) {
    this.#isAdaptive = setting === 'adaptive'
    this.maxMs = setting === 'adaptive' ? ADAPTIVE_LINGER_MAX_MS : setting
  }

  /** Whether it is worth looking for due batches as soon as there is a new one. */
  get isEager(): boolean {
    return this.#isAdaptive || this.maxMs === 0
  }

  /**
   * Whether a batch that is not full is to be sent.
   *
   * @param ageMs - How long ago its first record came.
   * @param inFlightCount - Requests on their way on its connection.
   */
  isDue(ageMs: number, inFlightCount: number): boolean {
    return ageMs >= this.maxMs || (this.#isAdaptive && inFlightCount < ADAPTIVE_IN_FLIGHT_MIN)
  }
}
