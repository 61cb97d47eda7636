/**
 * How much of something came per second lately, as Kafka measures it for quotas.
 *
 * Time is cut into `count` windows of `windowMs`; the rate is what the windows
 * hold, over the time they span, which is never less than `count - 1` windows, so
 * that one burst at the beginning is not taken for a high rate. To go back to
 * the limit a client has to wait as long as it takes until the same amount is
 * spread wide enough: X = (rate - limit) / limit * span. Pure.
 *
 * Source: Kafka `SampledStat`, `Rate`, `QuotaUtils.throttleTime`; `quota.window.num`,
 * `quota.window.size.seconds`.
 */

/** How time is cut. */
export interface Windows {
  /** Kafka `quota.window.num`. */
  readonly count: number
  readonly windowMs: number
}

interface Sample {
  startMs: number
  lastMs: number
  sum: number
}

/** The rate of one client. */
export class SampledRate {
  readonly #windows: Windows
  readonly #samples: Sample[] = []
  #current = 0

  constructor(windows: Windows) {
    this.#windows = windows
  }

  /** When something was recorded last, in the caller's milliseconds. */
  get lastMs(): number {
    return this.#samples[this.#current]?.lastMs ?? Number.NEGATIVE_INFINITY
  }

  /** Adds an amount; a negative one takes it back. */
  record(amount: number, nowMs: number): void {
    const sample = this.#sampleAt(nowMs)
    sample.sum += amount
    sample.lastMs = nowMs
  }

  /** Amount per second. */
  perSecond(nowMs: number): number {
    const spanMs = this.#spanMs(nowMs)
    return (this.#samples.reduce((sum, sample) => sum + sample.sum, 0) * 1000) / spanMs
  }

  /** Milliseconds until the rate is down to the limit if nothing more comes; 0 if it is. */
  throttleMs(limitPerSecond: number, nowMs: number): number {
    const rate = this.perSecond(nowMs)
    if (rate <= limitPerSecond) return 0
    const waitMs = Math.round(((rate - limitPerSecond) / limitPerSecond) * this.#spanMs(nowMs))
    return Math.min(waitMs, THROTTLE_MS_MAX)
  }

  #sampleAt(nowMs: number): Sample {
    const current = this.#samples[this.#current]
    if (current !== undefined && nowMs - current.startMs < this.#windows.windowMs) return current
    if (current !== undefined) this.#current = (this.#current + 1) % this.#windows.count
    const fresh = { startMs: nowMs, lastMs: nowMs, sum: 0 }
    this.#samples[this.#current] = fresh
    return fresh
  }

  /** Forgets what is too old, and answers how much time the rest stands for. */
  #spanMs(nowMs: number): number {
    const { count, windowMs } = this.#windows
    let oldestMs = nowMs
    for (const sample of this.#samples) {
      if (nowMs - sample.lastMs >= count * windowMs) {
        sample.startMs = nowMs
        sample.lastMs = nowMs
        sample.sum = 0
      }
      oldestMs = Math.min(oldestMs, sample.startMs)
    }
    const elapsedMs = nowMs - oldestMs
    const missing = Math.max(0, count - 1 - Math.floor(elapsedMs / windowMs))
    const spanMs = elapsedMs + missing * windowMs
    return spanMs === 0 ? windowMs : spanMs
  }
}

/** Longest throttle time that an answer can hold: an int32 of milliseconds. */
const THROTTLE_MS_MAX = 2_147_483_647

/**
 * A bucket of tokens that fills at a rate and may be overdrawn once: how Kafka
 * limits changes of topics, whose cost is known before they are made (KIP-599).
 */
export class TokenBucket {
  readonly #windows: Windows
  #tokens = 0
  #filledMs = Number.NEGATIVE_INFINITY

  /** @param windows - The bucket holds what comes in all windows. */
  constructor(windows: Windows) {
    this.#windows = windows
  }

  /** When it was used last, in the caller's milliseconds. */
  get lastMs(): number {
    return this.#filledMs
  }

  /** Milliseconds until nothing is owed, at a rate per second; 0 if nothing is. */
  throttleMs(limitPerSecond: number, nowMs: number): number {
    this.#fill(limitPerSecond, nowMs)
    if (this.#tokens >= 0) return 0
    return Math.min(Math.round((-this.#tokens / limitPerSecond) * 1000), THROTTLE_MS_MAX)
  }

  /** Takes tokens, more than there are if need be. */
  take(count: number, limitPerSecond: number, nowMs: number): void {
    this.#fill(limitPerSecond, nowMs)
    this.#tokens -= count
  }

  #fill(limitPerSecond: number, nowMs: number): void {
    const size = (limitPerSecond * this.#windows.count * this.#windows.windowMs) / 1000
    const came = (limitPerSecond * (nowMs - this.#filledMs)) / 1000
    this.#tokens = Math.min(size, this.#filledMs === Number.NEGATIVE_INFINITY ? size : this.#tokens + came)
    this.#filledMs = nowMs
  }
}
