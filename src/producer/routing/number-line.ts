/**
 * Ranges of numbers that may overlap, compiled into intervals that do not: each
 * knows which ranges hold it, and a binary search finds it.
 *
 * The ends of n ranges cut the line into at most 2n points and 2n + 1 gaps.
 */

import type { NumberRange } from '../../core/index.ts'

/** Finds what belongs to a number. */
export class NumberLine<T> {
  /** The ends, ascending. */
  readonly #ends: Float64Array
  /** Gap before the first end, first end, gap behind it, second end, … */
  readonly #values: T[]

  /** @param valueOf - What belongs to numbers that are in these ranges only, by their index. */
  constructor(ranges: readonly NumberRange[], valueOf: (holders: readonly number[]) => T) {
    const ends = [...new Set(ranges.flatMap(({ from, to }) => [from, to]))].filter(Number.isFinite)
    this.#ends = Float64Array.from(ends.toSorted((a, b) => a - b))
    const holdersOf = (isIn: (range: NumberRange) => boolean): number[] =>
      ranges.flatMap((range, index) => (isIn(range) ? [index] : []))
    this.#values = []
    for (let index = 0; index <= this.#ends.length; index += 1) {
      const low = this.#ends[index - 1] ?? Number.NEGATIVE_INFINITY
      const high = this.#ends[index] ?? Number.POSITIVE_INFINITY
      this.#values.push(valueOf(holdersOf(({ from, to }) => from <= low && to >= high)))
      if (index < this.#ends.length) this.#values.push(valueOf(holdersOf(({ from, to }) => from <= high && to >= high)))
    }
  }

  /** What belongs to a number. */
  at(number: number): T | undefined {
    let low = 0
    let high = this.#ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ends[middle] ?? 0) < number) low = middle + 1
      else high = middle
    }
    return this.#values[this.#ends[low] === number ? low * 2 + 1 : low * 2]
  }
}
