/**
 * The wait before Kafka: a token bucket on records and one on bytes.
 *
 * Both must have tokens. Waiters are served in the order they came, because a
 * reservation is made at once and only its wait is slept through.
 */

import { type Clock, sleep, TokenBucket } from '../core/index.ts'
import type { RateConfig } from './options.ts'

/** Span of time whose records are let through together: long enough to sleep through, short enough to be smooth. */
const SLICE_MS = 10

/** Waits until records may pass. */
export class RateLimiter {
  readonly #clock: Clock
  readonly #records: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  readonly #recordsPerSecond: number
  #waitedMs = 0

  /** @param config - The limits; `undefined` lets everything pass at once. */
  constructor(config: RateConfig | undefined, clock: Clock) {
    const burstMs = config?.burstMs ?? 1
    const records = config?.recordsPerSecond
    const bytes = config?.bytesPerSecond
    this.#clock = clock
    this.#records = records === undefined ? undefined : new TokenBucket({ perSecond: records, burstMs })
    this.#bytes = bytes === undefined ? undefined : new TokenBucket({ perSecond: bytes, burstMs })
    this.#recordsPerSecond = records ?? Number.POSITIVE_INFINITY
  }

  /** Sum of all waits, in milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  /** How many records to ask for at once: about 10 ms worth, at least 1 and at most `recordsMax`. */
  sliceCount(recordsMax: number): number {
    return Math.max(1, Math.min(recordsMax, Math.floor((this.#recordsPerSecond * SLICE_MS) / 1000)))
  }

  /**
   * Waits until that many records and bytes may pass.
   *
   * @returns `false` if the signal ended the wait: they may not pass.
   */
  async take(recordCount: number, bytes: number, signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs()
    const recordsMs = this.#records?.reserve(recordCount, nowMs) ?? 0
    const bytesMs = this.#bytes?.reserve(bytes, nowMs) ?? 0
    const waitMs = Math.max(recordsMs, bytesMs)
    if (signal.aborted) return false
    if (waitMs === 0) return true
    this.#waitedMs += waitMs
    return await sleep(this.#clock, waitMs, signal)
  }
}
