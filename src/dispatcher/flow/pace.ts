/**
 * The pace towards one target: records and bytes a second.
 *
 * What a batch has is known only when it is encoded, and it is encoded only with
 * leave to send. So leave takes as much as the latest batches had, and the
 * difference is settled when the batch is known, or all of it given back.
 * Pure: time is passed in.
 */

import { TokenBucket } from '../../core/index.ts'

/** Limits of the pace. Those that are not set do not hold. */
export interface PaceLimits {
  readonly recordsPerSecond?: number | undefined
  readonly bytesPerSecond?: number | undefined
  /** Time whose unused rate may be saved up, in milliseconds. */
  readonly burstMs: number
}

/** An amount taken before it was known. */
export interface PaceEstimate {
  readonly records: number
  readonly bytes: number
}

/** A pace as JSON can hold it. */
export interface PaceDescription {
  readonly recordsPerSecond: number | null
  readonly bytesPerSecond: number | null
  /** Time until more may be sent, in milliseconds. */
  readonly waitMs: number
}

/** Weight of the latest batch in the estimate of the next. */
const LATEST_WEIGHT = 0.25

/** Keeps the pace. */
export class Pace {
  #limits: PaceLimits
  #records: TokenBucket | undefined
  #bytes: TokenBucket | undefined
  #usual: PaceEstimate = { records: 0, bytes: 0 }

  constructor(limits: PaceLimits) {
    this.#limits = limits
    this.#records = bucketOf(limits.recordsPerSecond, limits.burstMs)
    this.#bytes = bucketOf(limits.bytesPerSecond, limits.burstMs)
  }

  /** Whether there is any limit. */
  get isLimited(): boolean {
    return this.#records !== undefined || this.#bytes !== undefined
  }

  /** Changes the limits; what is owed by then is paid at the new pace. */
  configure(limits: PaceLimits, nowMs: number): void {
    this.#records = retuned(this.#records, { perSecond: limits.recordsPerSecond, burstMs: limits.burstMs, nowMs })
    this.#bytes = retuned(this.#bytes, { perSecond: limits.bytesPerSecond, burstMs: limits.burstMs, nowMs })
    this.#limits = limits
  }

  /** Milliseconds until the next batch may be sent. */
  waitMs(nowMs: number): number {
    return Math.max(this.#records?.waitMs(nowMs) ?? 0, this.#bytes?.waitMs(nowMs) ?? 0)
  }

  /** Takes what a batch usually has. */
  take(nowMs: number): PaceEstimate {
    const estimate = this.#usual
    this.#records?.reserve(estimate.records, nowMs)
    this.#bytes?.reserve(estimate.bytes, nowMs)
    return estimate
  }

  /** Settles the difference to what the batch has. */
  settle(estimate: PaceEstimate, actual: PaceEstimate, nowMs: number): void {
    this.giveBack(estimate)
    this.#records?.reserve(actual.records, nowMs)
    this.#bytes?.reserve(actual.bytes, nowMs)
    this.#usual = {
      records: this.#usual.records + (actual.records - this.#usual.records) * LATEST_WEIGHT,
      bytes: this.#usual.bytes + (actual.bytes - this.#usual.bytes) * LATEST_WEIGHT
    }
  }

  /** Nothing was sent. */
  giveBack(estimate: PaceEstimate): void {
    this.#records?.giveBack(estimate.records)
    this.#bytes?.giveBack(estimate.bytes)
  }

  /** What the limits are and whether they hold anything back now. */
  describe(nowMs: number): PaceDescription {
    const { recordsPerSecond, bytesPerSecond } = this.#limits
    return {
      recordsPerSecond: recordsPerSecond ?? null,
      bytesPerSecond: bytesPerSecond ?? null,
      waitMs: Math.ceil(this.waitMs(nowMs))
    }
  }
}

function bucketOf(perSecond: number | undefined, burstMs: number): TokenBucket | undefined {
  return perSecond === undefined ? undefined : new TokenBucket({ perSecond, burstMs })
}

function retuned(
  bucket: TokenBucket | undefined,
  to: { readonly perSecond: number | undefined; readonly burstMs: number; readonly nowMs: number }
): TokenBucket | undefined {
  if (to.perSecond === undefined || bucket === undefined) return bucketOf(to.perSecond, to.burstMs)
  bucket.retune({ perSecond: to.perSecond, burstMs: to.burstMs }, to.nowMs)
  return bucket
}
