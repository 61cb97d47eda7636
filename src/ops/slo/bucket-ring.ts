/**
 * Good, bad and unknown time, by buckets of equal length in a ring.
 *
 * Pure and flat: what it keeps does not grow with the number of samples. Time
 * is in milliseconds since 1970; a bucket is named by its index since then, so
 * that a ring that was written down goes on where it was. Invariant: a bucket
 * never holds more time than its length.
 */

/** Milliseconds of each kind. */
export interface TimeShare {
  readonly goodMs: number
  readonly badMs: number
  readonly unknownMs: number
}

/** What a stretch of time was. */
export type TimeKind = 'good' | 'bad' | 'unknown'

/** A ring as it is written down: `[index, good, bad, unknown]` of every bucket that holds anything. */
export type WrittenBuckets = readonly (readonly [number, number, number, number])[]

const FIELDS = 3
const PLACE = { good: 0, bad: 1, unknown: 2 } as const

/** The ring. */
export class BucketRing {
  readonly bucketMs: number
  readonly count: number
  readonly #indexes: Float64Array
  readonly #times: Float64Array

  /**
   * @param bucketMs - Length of a bucket, in milliseconds.
   * @param count - Number of buckets; the oldest makes room for the newest.
   */
  constructor(bucketMs: number, count: number) {
    this.bucketMs = bucketMs
    this.count = count
    this.#indexes = new Float64Array(count).fill(-1)
    this.#times = new Float64Array(count * FIELDS)
  }

  /** Adds a stretch of time; what lies before the ring is left out. */
  add(fromMs: number, toMs: number, kind: TimeKind): void {
    const oldestMs = (Math.floor(toMs / this.bucketMs) - this.count + 1) * this.bucketMs
    let startMs = Math.max(fromMs, oldestMs)
    while (startMs < toMs) {
      const index = Math.floor(startMs / this.bucketMs)
      const endMs = Math.min(toMs, (index + 1) * this.bucketMs)
      const slot = this.#slotOf(index)
      if (slot !== undefined) {
        const place = slot * FIELDS + PLACE[kind]
        this.#times[place] = (this.#times[place] ?? 0) + endMs - startMs
      }
      startMs = endMs
    }
  }

  /** Sum of all that is later; of a bucket that the bound cuts, the part behind it. */
  since(fromMs: number): TimeShare {
    let goodMs = 0
    let badMs = 0
    let unknownMs = 0
    for (let slot = 0; slot < this.count; slot += 1) {
      const index = this.#indexes[slot] ?? -1
      if (index < 0) continue
      // The newest bucket is not full yet, but all that it holds is later than the bound.
      const share = Math.min(1, ((index + 1) * this.bucketMs - fromMs) / this.bucketMs)
      if (share <= 0) continue
      const place = slot * FIELDS
      goodMs += share * (this.#times[place] ?? 0)
      badMs += share * (this.#times[place + 1] ?? 0)
      unknownMs += share * (this.#times[place + 2] ?? 0)
    }
    return { goodMs, badMs, unknownMs }
  }

  /** Forgets what begins later: a clock that was ahead wrote it. */
  forgetAfter(timeMs: number): void {
    const last = Math.floor(timeMs / this.bucketMs)
    for (const [slot, index] of this.#indexes.entries()) {
      if (index <= last) continue
      this.#indexes[slot] = -1
      this.#times.fill(0, slot * FIELDS, slot * FIELDS + FIELDS)
    }
  }

  /** What it holds, oldest first. */
  write(): WrittenBuckets {
    const found: [number, number, number, number][] = []
    for (let slot = 0; slot < this.count; slot += 1) {
      const index = this.#indexes[slot] ?? -1
      const [good = 0, bad = 0, unknown = 0] = this.#times.subarray(slot * FIELDS, slot * FIELDS + FIELDS)
      if (index >= 0 && good + bad + unknown > 0) found.push([index, good, bad, unknown])
    }
    return found.toSorted(([left], [right]) => left - right)
  }

  /** Takes over what was written down; it must have been written by a ring of the same bucket length. */
  read(buckets: WrittenBuckets): void {
    for (const [index, good, bad, unknown] of buckets) {
      const slot = this.#slotOf(index)
      if (slot !== undefined) this.#times.set([good, bad, unknown], slot * FIELDS)
    }
  }

  /** The place of a bucket; what was there of a lap before is gone. `undefined` for one that is too old. */
  #slotOf(index: number): number | undefined {
    const slot = index % this.count
    const there = this.#indexes[slot] ?? -1
    if (there > index) return undefined
    if (there < index) {
      this.#indexes[slot] = index
      this.#times.fill(0, slot * FIELDS, slot * FIELDS + FIELDS)
    }
    return slot
  }
}
