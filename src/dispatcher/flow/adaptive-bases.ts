/**
 * How long batches of each size take when nothing queues, for the adaptive limit.
 *
 * Sizes are powers of two of the record count. Within a window the times of each
 * size are collected; their median may lower its base, or become it (`adopt`)
 * where the caller knows that nothing queued. Pure.
 */

const CLASSES = 32
/** Most times kept of one size in one window. */
const TIMES_MAX = 64
/** Times of a size that a window needs before their median counts. */
const TIMES_MIN = 3

/** Size class of a batch: the power of two that its record count reaches. */
export function sizeClassOf(records: number): number {
  return Math.min(CLASSES - 1, 31 - Math.clz32(Math.max(1, records)))
}

/** Base times by size. */
export class AdaptiveBases {
  readonly #bases = new Map<number, number>()
  readonly #times = new Map<number, number[]>()
  readonly #unloaded = new Map<number, number[]>()

  /** The base time of a size, in milliseconds; `ms` is what was seen now, for a size that nothing is known of. */
  of(sizeClass: number, ms: number): number {
    const known = this.#bases.get(sizeClass)
    if (known !== undefined) return known
    const guess = Math.min(this.#guess(sizeClass), ms)
    this.#bases.set(sizeClass, guess)
    return guess
  }

  /** Notes a time of this window. */
  note(sizeClass: number, ms: number): void {
    push(this.#times, sizeClass, ms)
  }

  /** Notes a time of a moment at which little was under way: enough of them lower the base at once. */
  sawUnloaded(sizeClass: number, ms: number): void {
    const times = push(this.#unloaded, sizeClass, ms)
    if (times.length < TIMES_MIN) return
    this.#unloaded.delete(sizeClass)
    const seen = medianOf(times)
    this.#bases.set(sizeClass, Math.min(seen, this.#bases.get(sizeClass) ?? seen))
  }

  /** Lowers bases to the window's medians where those are lower. */
  lower(): void {
    for (const [sizeClass, times] of this.#times) {
      if (times.length < TIMES_MIN) continue
      const seen = medianOf(times)
      if (seen < (this.#bases.get(sizeClass) ?? Number.POSITIVE_INFINITY)) this.#bases.set(sizeClass, seen)
    }
  }

  /** Makes the window's medians the bases, and moves the sizes it did not see in proportion. */
  adopt(): void {
    let growthMax = 0
    const seen = new Set<number>()
    for (const [sizeClass, times] of this.#times) {
      if (times.length < TIMES_MIN) continue
      const ms = medianOf(times)
      growthMax = Math.max(growthMax, ms / (this.#bases.get(sizeClass) ?? ms))
      this.#bases.set(sizeClass, ms)
      seen.add(sizeClass)
    }
    // Too long a base comes down with the first windows; too short a one would hold the limit down.
    if (growthMax <= 1) return
    for (const [sizeClass, ms] of this.#bases) if (!seen.has(sizeClass)) this.#bases.set(sizeClass, ms * growthMax)
  }

  /** Forgets the times of the window, not the bases. */
  startWindow(): void {
    this.#times.clear()
  }

  /** From the nearest known size: a larger batch takes longer in proportion at most, a smaller one no longer. */
  #guess(sizeClass: number): number {
    for (let distance = 1; distance < CLASSES; distance += 1) {
      const larger = this.#bases.get(sizeClass + distance)
      if (larger !== undefined) return larger
      const smaller = this.#bases.get(sizeClass - distance)
      if (smaller !== undefined) return smaller * 2 ** distance
    }
    return Number.POSITIVE_INFINITY
  }
}

function push(lists: Map<number, number[]>, key: number, value: number): number[] {
  const list = lists.get(key)
  if (list === undefined) {
    const created = [value]
    lists.set(key, created)
    return created
  }
  if (list.length < TIMES_MAX) list.push(value)
  return list
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 1
}
