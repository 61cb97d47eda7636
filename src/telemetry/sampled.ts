/**
 * Averages, maxima and rates of the last while, as Kafka's clients compute theirs: two samples of 30 seconds, of which
 * the older is dropped when both are full. So a value covers 30 to 60 seconds, and a quiet time is forgotten.
 *
 * Source: Kafka `metrics.sample.window.ms` (30 s), `metrics.num.samples` (2), `SampledStat`, `Rate`.
 */

const SAMPLE_MS = 30_000

interface Sample {
  startMs: number
  count: number
  sum: number
  max: number
}

/** What was recorded in the last while. */
export class Sampled {
  #now: Sample | undefined
  #before: Sample | undefined

  /** Something happened: how long it took, how large it was, or how many there were. */
  record(value: number, nowMs: number): void {
    const sample = this.#sampleAt(nowMs)
    sample.count += 1
    sample.sum += value
    if (value > sample.max) sample.max = value
  }

  /** Mean of what was recorded; `undefined` if nothing was. */
  average(nowMs: number): number | undefined {
    const samples = this.#fresh(nowMs)
    const count = samples.reduce((sum, sample) => sum + sample.count, 0)
    return count === 0 ? undefined : samples.reduce((sum, sample) => sum + sample.sum, 0) / count
  }

  /** Largest of what was recorded; `undefined` if nothing was. */
  max(nowMs: number): number | undefined {
    const samples = this.#fresh(nowMs)
    return samples.length === 0 ? undefined : Math.max(...samples.map(({ max }) => max))
  }

  /** Sum of what was recorded, per second. */
  sumPerSecond(nowMs: number): number {
    return this.#perSecond(nowMs, ({ sum }) => sum)
  }

  /** How often something was recorded, per second. */
  countPerSecond(nowMs: number): number {
    return this.#perSecond(nowMs, ({ count }) => count)
  }

  #perSecond(nowMs: number, amountOf: (sample: Sample) => number): number {
    const samples = this.#fresh(nowMs)
    const startMs = Math.min(...samples.map(sample => sample.startMs))
    const amount = samples.reduce((sum, sample) => sum + amountOf(sample), 0)
    // A first record must not be a rate of thousands: at least one whole sample counts as gone by.
    return amount === 0 ? 0 : (amount * 1000) / Math.max(SAMPLE_MS, nowMs - startMs)
  }

  #sampleAt(nowMs: number): Sample {
    const { startMs } = this.#now ?? { startMs: Number.NEGATIVE_INFINITY }
    if (this.#now !== undefined && nowMs - startMs < SAMPLE_MS) return this.#now
    this.#before = nowMs - startMs < 2 * SAMPLE_MS ? this.#now : undefined
    this.#now = { startMs: nowMs, count: 0, sum: 0, max: Number.NEGATIVE_INFINITY }
    return this.#now
  }

  #fresh(nowMs: number): Sample[] {
    const samples = [this.#before, this.#now].filter(sample => sample !== undefined)
    return samples.filter(({ startMs }) => nowMs - startMs < 2 * SAMPLE_MS)
  }
}
