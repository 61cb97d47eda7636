/**
 * Token bucket: how long to wait before more may pass.
 *
 * Callers reserve: tokens are taken at once, the level may go below zero, and
 * the answer is the time after which that debt is paid. Waiting is therefore
 * first come, first served without a queue, and a record larger than the whole
 * burst still passes. Pure: the caller gives the time.
 *
 * Invariants: within any span of T milliseconds at most `burst + rate * T`
 * tokens fall due; a bucket starts empty, because nothing has been saved up yet.
 */

/** One limit. */
export interface TokenBucketOptions {
  /** Tokens per second once ramped up. Above 0. */
  readonly perSecond: number
  /** How many milliseconds' worth of unused tokens may be saved up. At least 1. */
  readonly burstMs: number
  /** Time over which the rate grows evenly from a fifth to the whole, in milliseconds. Default 0: at once. */
  readonly rampUpMs?: number
}

/** Share of the rate at the start of a ramp-up. */
const RAMP_START = 0.2

/** A token bucket on one quantity. */
export class TokenBucket {
  #perMs: number
  #capacity: number
  #rampUpMs: number
  #startMs: number | undefined
  #elapsedMs = 0
  #level = 0

  constructor(options: TokenBucketOptions) {
    this.#perMs = options.perSecond / 1000
    this.#capacity = this.#perMs * options.burstMs
    this.#rampUpMs = options.rampUpMs ?? 0
  }

  /** Tokens saved up, or, below zero, owed by reservations. */
  get level(): number {
    return this.#level
  }

  /**
   * Takes tokens.
   *
   * @param count - How many tokens. 0 or more, fractions allowed.
   * @param nowMs - Monotonic time in milliseconds; the first call starts the ramp-up.
   * @returns Milliseconds to wait before using them, 0 when they were there.
   */
  reserve(count: number, nowMs: number): number {
    this.#earn(nowMs)
    this.#level -= count
    return this.#debtMs()
  }

  /**
   * Milliseconds until all reservations are paid, 0 if they are. Takes nothing.
   *
   * @param nowMs - Monotonic time in milliseconds; the first call starts the ramp-up.
   */
  waitMs(nowMs: number): number {
    this.#earn(nowMs)
    return this.#debtMs()
  }

  /** Returns tokens that were reserved and not used; what is above the burst is lost with the next look. */
  giveBack(count: number): void {
    this.#level += count
  }

  /** Changes the rate from now on, without a ramp-up. What was earned or is owed stays. */
  retune({ perSecond, burstMs }: Pick<TokenBucketOptions, 'perSecond' | 'burstMs'>, nowMs: number): void {
    this.#earn(nowMs)
    this.#startMs = nowMs
    this.#elapsedMs = 0
    this.#rampUpMs = 0
    this.#perMs = perSecond / 1000
    this.#capacity = this.#perMs * burstMs
  }

  #earn(nowMs: number): void {
    this.#startMs ??= nowMs
    const elapsedMs = Math.max(this.#elapsedMs, nowMs - this.#startMs)
    const earned = this.#earnedBy(elapsedMs) - this.#earnedBy(this.#elapsedMs)
    this.#elapsedMs = elapsedMs
    this.#level = Math.min(this.#capacity, this.#level + earned)
  }

  #debtMs(): number {
    if (this.#level >= 0) return 0
    return this.#timeOf(this.#earnedBy(this.#elapsedMs) - this.#level) - this.#elapsedMs
  }

  /** All tokens earned from the start until `elapsedMs`: the integral of the rate. */
  #earnedBy(elapsedMs: number): number {
    const ramp = this.#rampUpMs
    const inRamp = Math.min(elapsedMs, ramp)
    const slope = ramp === 0 ? 0 : ((1 - RAMP_START) * inRamp * inRamp) / (2 * ramp)
    return this.#perMs * (RAMP_START * inRamp + slope + Math.max(0, elapsedMs - ramp))
  }

  /** The inverse of `#earnedBy`: when that many tokens will have been earned. */
  #timeOf(earned: number): number {
    const ramp = this.#rampUpMs
    const atFullRateMs = earned / this.#perMs
    const rampEarnsMs = ((1 + RAMP_START) / 2) * ramp
    if (atFullRateMs >= rampEarnsMs) return ramp + (atFullRateMs - rampEarnsMs)
    const growth = 1 - RAMP_START
    const root = Math.sqrt(RAMP_START * RAMP_START + (2 * growth * atFullRateMs) / ramp)
    return (ramp * (root - RAMP_START)) / growth
  }
}
