/**
 * Draws items by their share, in constant time and with one random number a draw.
 *
 * Walker's alias method in Vose's form: every item owns one cell of equal width;
 * a cell keeps as much as its item is due and gives the rest to one other item.
 * 12 bytes an item. Source: Vose, "A linear algorithm for generating random
 * numbers with a given distribution", 1991.
 */

import type { Random } from '../../core/index.ts'

/** How events spread over a list of values, the most frequent first. */
export type Distribution =
  | { readonly type: 'uniform' }
  /** The first `topRatio` of the values make `topShare` of the events, evenly within both parts. */
  | { readonly type: 'pareto'; readonly topRatio: number; readonly topShare: number }
  /** The value of rank r, from 1, has the weight r^-exponent. */
  | { readonly type: 'zipf'; readonly exponent: number }

/** The weights of `count` values. They need not add up to 1. */
export function weightsOf(distribution: Distribution, count: number): Float64Array {
  const weights = new Float64Array(count)
  switch (distribution.type) {
    case 'uniform':
      return weights.fill(1)
    case 'zipf':
      return weights.map((_, index) => (index + 1) ** -distribution.exponent)
    case 'pareto': {
      const topCount = Math.min(count, Math.max(1, Math.round(count * distribution.topRatio)))
      if (topCount === count) return weights.fill(1)
      weights.fill(distribution.topShare / topCount, 0, topCount)
      return weights.fill((1 - distribution.topShare) / (count - topCount), topCount)
    }
  }
}

/** Draws indexes by weight. Pure but for the random numbers it is given. */
export class ShareSampler {
  readonly #kept: Float64Array
  readonly #alias: Uint32Array

  /** @param weights - At least one, none negative, not all 0. */
  constructor(weights: Float64Array) {
    const count = weights.length
    const sum = weights.reduce((total, weight) => total + weight, 0)
    const due = weights.map(weight => (weight * count) / sum)
    this.#kept = new Float64Array(count).fill(1)
    this.#alias = Uint32Array.from(weights, (_, index) => index)
    const poor: number[] = []
    const rich: number[] = []
    for (let index = 0; index < count; index += 1) ((due[index] ?? 0) < 1 ? poor : rich).push(index)
    while (poor.length > 0 && rich.length > 0) {
      const taker = poor.pop() ?? 0
      const giver = rich.at(-1) ?? 0
      const has = due[taker] ?? 0
      this.#kept[taker] = has
      this.#alias[taker] = giver
      due[giver] = (due[giver] ?? 0) + has - 1
      if ((due[giver] ?? 0) < 1) poor.push(rich.pop() ?? 0)
    }
  }

  /** How many items there are. */
  get count(): number {
    return this.#kept.length
  }

  /** The index of an item, each as often as its weight says. */
  draw(random: Random): number {
    const place = random.next() * this.#kept.length
    const cell = Math.floor(place)
    return place - cell < (this.#kept[cell] ?? 1) ? cell : (this.#alias[cell] ?? cell)
  }
}
