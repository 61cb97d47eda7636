/** Sorts thousands of rows by a number or a name without making the rows. Pure. */

import type { Page } from '../api/common.ts'
import type { AskedPage } from './query.ts'

/** What is unknown comes last, whichever way is sorted: nobody looks for it. */
export function orderBy(
  count: number,
  keyOf: (index: number) => number | null | undefined,
  isDescending: boolean
): Uint32Array {
  const keys = new Float64Array(count)
  const order = new Uint32Array(count)
  for (let index = 0; index < count; index += 1) {
    keys[index] = keyOf(index) ?? Number.NaN
    order[index] = index
  }
  const sign = isDescending ? -1 : 1
  return order.sort((left, right) => {
    const [a, b] = [keys[left] ?? Number.NaN, keys[right] ?? Number.NaN]
    if (a === b) return left - right
    if (Number.isNaN(a)) return Number.isNaN(b) ? left - right : 1
    if (Number.isNaN(b)) return -1
    return a < b ? -sign : sign
  })
}

/** Rows that are in their order already. */
export function inOrder(count: number, isDescending: boolean): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => (isDescending ? count - 1 - index : index))
}

/** One page of an order: only its rows are made. */
export function pageBy<T>(
  order: Uint32Array,
  { offset, limit }: Pick<AskedPage<string>, 'offset' | 'limit'>,
  rowOf: (index: number) => T
): Page<T> {
  return { rows: Array.from(order.subarray(offset, offset + limit), rowOf), total: order.length, offset }
}

/** Results by question, the ones that were asked for last: several browsers ask the same at each look. */
export class FewResults<T> {
  readonly #results = new Map<string, T>()
  readonly #max: number

  constructor(max = 32) {
    this.#max = max
  }

  /** The result that is known, or a new one. */
  of(question: string, make: () => T): T {
    const known = this.#results.get(question)
    if (known !== undefined) return known
    const made = make()
    for (const oldest of this.#results.keys()) {
      if (this.#results.size < this.#max) break
      this.#results.delete(oldest)
    }
    this.#results.set(question, made)
    return made
  }
}
