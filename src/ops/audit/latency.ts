/**
 * Latencies of a run: counts in buckets that grow by 2 %, so that a percentile is
 * off by at most that, in constant memory.
 */

const growth = Math.log(1.02)
const bucketCount = 1400

/** A histogram of milliseconds. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(bucketCount)
  #count = 0
  #max = 0

  /** Adds one latency; negative ones (clocks of two machines) count as 0. */
  add(ms: number): void {
    const bucket = ms <= 1 ? 0 : Math.min(bucketCount - 1, Math.ceil(Math.log(ms) / growth))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#count += 1
    if (ms > this.#max) this.#max = ms
  }

  get count(): number {
    return this.#count
  }

  /** Largest latency added, in milliseconds. */
  get maxMs(): number {
    return this.#max
  }

  /** The latency that a share (0 to 1) of all stay within, in milliseconds; 0 when empty. */
  percentileMs(share: number): number {
    const rank = Math.ceil(this.#count * share)
    let seen = 0
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= rank && seen > 0) return Math.min(this.#max, Math.exp(bucket * growth))
    }
    return this.#max
  }
}
