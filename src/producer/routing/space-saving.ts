/**
 * The heaviest values of a stream in bounded memory: the space-saving sketch.
 *
 * A fixed number of counters. A value that has one is counted; a new value takes
 * over the least counter, with its count, which is thereby the most that the new
 * count can be too high. So for each counted value
 *
 *     count - error <= true count <= count,    error <= total / counters
 *
 * and every value whose true count is above total / counters has a counter. All of
 * it stays true when counts, errors and the total are multiplied by one factor,
 * which is how old events are forgotten.
 *
 * A heap over the counters, least first: counting costs O(log counters) at worst.
 * Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and
 * top-k elements in data streams", 2005.
 */

/** A value and its count. */
export interface CountedValue {
  readonly value: string
  /** Never too low. */
  readonly count: number
  /** Too high by at most this. */
  readonly error: number
}

/** Longer values count by their beginning: memory must not depend on them. */
const VALUE_CHARS_MAX = 256

/** Counts the heaviest values of a stream. */
export class SpaceSaving {
  readonly #capacity: number
  /** Counter of each value. */
  readonly #counters = new Map<string, number>()
  readonly #values: string[] = []
  readonly #counts: Float64Array
  readonly #errors: Float64Array
  /** Counters in heap order, and the place of each. */
  readonly #heap: Uint32Array
  readonly #places: Uint32Array
  #total = 0

  /** @param capacity - Counters, at least 1. */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#counts = new Float64Array(capacity)
    this.#errors = new Float64Array(capacity)
    this.#heap = new Uint32Array(capacity)
    this.#places = new Uint32Array(capacity)
  }

  /** Events counted, as far as they are not forgotten. */
  get total(): number {
    return this.#total
  }

  /** Counts a value. */
  add(text: string): void {
    const value = text.length > VALUE_CHARS_MAX ? text.slice(0, VALUE_CHARS_MAX) : text
    this.#total += 1
    let counter = this.#counters.get(value)
    if (counter === undefined) {
      counter = this.#take(value)
      this.#counters.set(value, counter)
    }
    this.#counts[counter] = (this.#counts[counter] ?? 0) + 1
    this.#sink(counter)
  }

  /** Multiplies everything that was counted: 0.5 forgets half. */
  scale(factor: number): void {
    this.#total *= factor
    for (let counter = 0; counter < this.#values.length; counter += 1) {
      this.#counts[counter] = (this.#counts[counter] ?? 0) * factor
      this.#errors[counter] = (this.#errors[counter] ?? 0) * factor
    }
  }

  /** The values that have a counter, heaviest first. */
  top(countMax = this.#values.length): CountedValue[] {
    const all = this.#values.map((value, counter) => ({
      value,
      count: this.#counts[counter] ?? 0,
      error: this.#errors[counter] ?? 0
    }))
    return all.toSorted((a, b) => b.count - a.count).slice(0, countMax)
  }

  /** A counter for a new value: a free one, or the least. */
  #take(value: string): number {
    const free = this.#values.length
    if (free < this.#capacity) {
      this.#values.push(value)
      this.#heap[free] = free
      this.#places[free] = free
      // Its count of 0 is the least there can be: up to the root.
      for (let place = free; place > 0;) {
        const parent = (place - 1) >>> 1
        if (this.#countAt(parent) <= 0) break
        this.#swap(place, parent)
        place = parent
      }
      return free
    }
    const least = this.#heap[0] ?? 0
    this.#counters.delete(this.#values[least] ?? '')
    this.#values[least] = value
    this.#errors[least] = this.#counts[least] ?? 0
    return least
  }

  /** Moves a counter that has grown away from the root. */
  #sink(counter: number): void {
    const size = this.#values.length
    let place = this.#places[counter] ?? 0
    for (;;) {
      const left = place * 2 + 1
      if (left >= size) return
      const right = left + 1
      const child = right < size && this.#countAt(right) < this.#countAt(left) ? right : left
      if (this.#countAt(child) >= this.#countAt(place)) return
      this.#swap(place, child)
      place = child
    }
  }

  #countAt(place: number): number {
    return this.#counts[this.#heap[place] ?? 0] ?? 0
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a] ?? 0
    const second = this.#heap[b] ?? 0
    this.#heap[a] = second
    this.#heap[b] = first
    this.#places[second] = a
    this.#places[first] = b
  }
}
