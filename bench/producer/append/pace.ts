/** Hands records over flat out or at a rate, and measures how long each took to be acknowledged. */

import { setTimeout as wait } from 'node:timers/promises'

/** Records that are handed over at once when there is no rate. */
const SLICE_RECORDS = 1_024

/** Latencies of records, by milliseconds in steps of a tenth. */
export class Latencies {
  readonly #counts = new Uint32Array(600_001)
  #recordCount = 0
  #maxMs = 0

  /** So many records were acknowledged after so long. */
  add(latencyMs: number, recordCount: number): void {
    const step = Math.min(this.#counts.length - 1, Math.ceil(latencyMs * 10))
    this.#counts[step] = (this.#counts[step] ?? 0) + recordCount
    this.#recordCount += recordCount
    this.#maxMs = Math.max(this.#maxMs, latencyMs)
  }

  /** Median, 99th percentile and the longest, in milliseconds. */
  summary(): { readonly p50: number; readonly p99: number; readonly max: number } {
    return { p50: this.#at(0.5), p99: this.#at(0.99), max: this.#maxMs }
  }

  #at(ratio: number): number {
    let left = this.#recordCount * ratio
    let step = 0
    while (step < this.#counts.length - 1 && (left -= this.#counts[step] ?? 0) > 0) step += 1
    return step / 10
  }
}

/**
 * Slices of the records, as many as are due: `hand(from, count)` takes them.
 *
 * @param rate - Records a second; 0 = flat out.
 */
export async function paced(
  records: number,
  rate: number,
  hand: (from: number, count: number) => Promise<void> | undefined
): Promise<void> {
  const startMs = performance.now()
  for (let done = 0; done < records;) {
    let count = Math.min(SLICE_RECORDS, records - done)
    if (rate > 0) {
      const due = Math.floor(((performance.now() - startMs) / 1000) * rate) - done
      if (due <= 0) {
        await wait(1)
        continue
      }
      count = Math.min(count, due)
    }
    await hand(done, count)
    done += count
  }
}
