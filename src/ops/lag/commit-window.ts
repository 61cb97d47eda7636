/**
 * The last commits of one group in one partition.
 *
 * Kafka does not say when an offset was committed. A look counts as a commit if
 * the offset has changed since the look before, or if a member owns the partition:
 * a live consumer commits again what it stands at. So a group that nobody is in
 * stops (Burrow's STOP), and one that is alive and does not move stalls (STALL).
 *
 * A commit that comes sooner than `minDistanceMs` after the one before takes its
 * place and keeps its time: else somebody who commits without pause would never
 * fill the window. Source: Burrow `core/internal/storage/inmemory.go`.
 *
 * Invariants: at most `size` samples, oldest first; one array of numbers, so that
 * a million windows are not tens of millions of objects.
 */

import type { CommitSample } from './burrow.ts'

const fields = 3
const sizeAtFirst = 2

/** What `glance` writes to. */
const glanced: { timeMs: number; offset: number; lag: number | undefined }[] = []

/** A ring of commits. */
export class CommitWindow {
  readonly #size: number
  /** Time, offset, lag; NaN = unknown lag. Grows to `size` as samples come. */
  #ring: Float64Array
  #start = 0
  #count = 0

  /** @param size - Most commits it keeps. At least 2. */
  constructor(size: number) {
    this.#size = size
    this.#ring = new Float64Array(Math.min(size, sizeAtFirst) * fields)
  }

  get count(): number {
    return this.#count
  }

  /** Offset of the last commit; `undefined` before the first. */
  get lastOffset(): number | undefined {
    return this.#count === 0 ? undefined : this.#ring[this.#slot(this.#count - 1) + 1]
  }

  /** Time of the first commit that is kept, in milliseconds since 1970; `undefined` before the first. */
  get firstTimeMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#ring[this.#slot(0)]
  }

  /** Adds a commit. */
  add({ timeMs, offset, lag }: CommitSample, minDistanceMs = 0): void {
    const last = this.#count === 0 ? -1 : this.#slot(this.#count - 1)
    const isTooSoon = last >= 0 && timeMs - (this.#ring[last] ?? 0) < minDistanceMs
    const slot = isTooSoon ? last : this.#nextSlot()
    if (!isTooSoon) this.#ring[slot] = timeMs
    this.#ring[slot + 1] = offset
    this.#ring[slot + 2] = lag ?? Number.NaN
  }

  /** What was committed at a time; `undefined` before the first commit that is kept. */
  offsetAt(timeMs: number): number | undefined {
    for (let index = this.#count - 1; index >= 0; index--) {
      const slot = this.#slot(index)
      if ((this.#ring[slot] ?? 0) <= timeMs) return this.#ring[slot + 1]
    }
    return undefined
  }

  /** Time of the last commit whose offset is below the one before, in milliseconds since 1970; `undefined` if none. */
  rewoundAtMs(): number | undefined {
    for (let index = this.#count - 1; index > 0; index--) {
      const slot = this.#slot(index)
      if ((this.#ring[slot + 1] ?? 0) < (this.#ring[this.#slot(index - 1) + 1] ?? 0)) return this.#ring[slot]
    }
    return undefined
  }

  /** All commits, oldest first. */
  samples(): CommitSample[] {
    return Array.from({ length: this.#count }, (_, index) => {
      const slot = this.#slot(index)
      const lag = this.#ring[slot + 2] ?? Number.NaN
      return {
        timeMs: this.#ring[slot] ?? 0,
        offset: this.#ring[slot + 1] ?? 0,
        lag: Number.isNaN(lag) ? undefined : lag
      }
    })
  }

  /**
   * All commits, oldest first, in a list that the next call of any window overwrites: a look reads a hundred thousand
   * windows, one after the other, and keeps none of the lists.
   */
  glance(): readonly CommitSample[] {
    while (glanced.length < this.#count) glanced.push({ timeMs: 0, offset: 0, lag: undefined })
    glanced.length = this.#count
    for (const [index, sample] of glanced.entries()) {
      const slot = this.#slot(index)
      const lag = this.#ring[slot + 2] ?? Number.NaN
      sample.timeMs = this.#ring[slot] ?? 0
      sample.offset = this.#ring[slot + 1] ?? 0
      sample.lag = Number.isNaN(lag) ? undefined : lag
    }
    return glanced
  }

  /** Forgets everything: the topic was made anew. */
  clear(): void {
    this.#start = 0
    this.#count = 0
  }

  #slot(index: number): number {
    const capacity = this.#ring.length / fields
    return ((this.#start + index) % capacity) * fields
  }

  #nextSlot(): number {
    const capacity = this.#ring.length / fields
    if (this.#count === capacity && capacity < this.#size) this.#grow(Math.min(this.#size, capacity * 2))
    if (this.#count === this.#size) this.#start = (this.#start + 1) % this.#size
    else this.#count += 1
    return this.#slot(this.#count - 1)
  }

  #grow(capacity: number): void {
    const ring = new Float64Array(capacity * fields)
    for (let index = 0; index < this.#count; index++) {
      const slot = this.#slot(index)
      ring.set(this.#ring.subarray(slot, slot + fields), index * fields)
    }
    this.#ring = ring
    this.#start = 0
  }
}
