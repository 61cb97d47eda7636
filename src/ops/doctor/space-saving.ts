/**
 * The most frequent of a stream, in fixed memory: Space-Saving (Metwally, Agrawal, El Abbadi, 2005).
 *
 * Whatever has more than a share of 1/capacity is among the kept. Counts are too
 * high by at most what the place had before: `least` is certain.
 */

/** One of the most frequent. */
export interface Frequent {
  readonly item: string
  readonly count: number
  /** What it had for certain. */
  readonly least: number
}

/** Counts the most frequent. */
export class SpaceSaving {
  readonly #capacity: number
  readonly #counts = new Map<string, { count: number; error: number }>()
  #total = 0

  /** @param capacity - Items kept. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** How many were counted. */
  get total(): number {
    return this.#total
  }

  /** Counts one. */
  add(item: string): void {
    this.#total += 1
    const kept = this.#counts.get(item)
    if (kept !== undefined) kept.count += 1
    else if (this.#counts.size < this.#capacity) this.#counts.set(item, { count: 1, error: 0 })
    else this.#replace(item)
  }

  /** The most frequent, first. */
  top(count: number): Frequent[] {
    return [...this.#counts]
      .map(([item, kept]) => ({ item, count: kept.count, least: kept.count - kept.error }))
      .toSorted((left, right) => right.least - left.least)
      .slice(0, count)
  }

  #replace(item: string): void {
    let rarest = ''
    let least = Number.POSITIVE_INFINITY
    for (const [each, { count }] of this.#counts) {
      if (count < least) {
        least = count
        rarest = each
      }
    }
    this.#counts.delete(rarest)
    this.#counts.set(item, { count: least + 1, error: least })
  }
}
