/**
 * Limits of requests: one token bucket for each address or session. Full at first, because a page asks for many things
 * at once. Bounded: above `keysMax` the one that was quiet for longest is forgotten, which only gives it a full bucket.
 */

/** One limit. */
export interface LimiterOptions {
  readonly perSecond: number
  readonly burst: number
  /** Default 10,000. */
  readonly keysMax?: number
}

interface Bucket {
  level: number
  atMs: number
}

/** Limits by key. */
export class Limiter {
  readonly #options: Required<LimiterOptions>
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: LimiterOptions) {
    this.#options = { keysMax: 10_000, ...options }
  }

  /** How many keys it knows. */
  get size(): number {
    return this.#buckets.size
  }

  /**
   * Takes one.
   *
   * @param nowMs - Monotonic time.
   * @returns Seconds to wait before it may be tried again; 0 = it may pass.
   */
  take(key: string, nowMs: number): number {
    const { perSecond, burst, keysMax } = this.#options
    const bucket = this.#buckets.get(key) ?? { level: burst, atMs: nowMs }
    const level = Math.min(burst, bucket.level + ((nowMs - bucket.atMs) / 1000) * perSecond)
    const isFree = level >= 1
    // Last in the order of the map: the first is the one that was quiet for longest.
    this.#buckets.delete(key)
    this.#buckets.set(key, { level: isFree ? level - 1 : level, atMs: nowMs })
    if (this.#buckets.size > keysMax) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest)
        break
      }
    }
    return isFree ? 0 : Math.max(1, Math.ceil((1 - level) / perSecond))
  }
}
