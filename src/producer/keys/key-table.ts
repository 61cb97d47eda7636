/**
 * Recent keys of one or two fields, by the numbers that the kernel has given to their texts: one look into an array
 * instead of two into maps of strings. A key that finds no place puts another one out.
 */

import type { MadeKey } from './key-tree.ts'

/** Places; a power of two. */
const PLACES = 65_536
const PROBES_MAX = 4
/** Numbers of texts are smaller. */
const NUMBERS = 16_384

/** Keeps keys by the numbers of their texts. */
export class KeyTable {
  /** Both numbers in one; 0 = free. */
  readonly #numbers = new Int32Array(PLACES)
  readonly #made: (MadeKey | undefined)[] = Array.from({ length: PLACES })
  /** What the numbers count in. */
  #generation = 0

  /** The key of texts with these numbers; a key of one field has 0 as the second. */
  find(generation: number, first: number, second: number): MadeKey | undefined {
    if (generation !== this.#generation) return undefined
    const number = first * NUMBERS + second
    const place = placeOf(number)
    for (let probe = 0; probe < PROBES_MAX; probe += 1) {
      const at = (place + probe) & (PLACES - 1)
      if (this.#numbers[at] === number) return this.#made[at]
    }
    return undefined
  }

  /** Keeps a key. Keys of an earlier generation are forgotten. */
  add(made: MadeKey, generation: number, numbers: readonly [number, number]): void {
    if (generation !== this.#generation) {
      this.#numbers.fill(0)
      this.#made.fill(undefined)
      this.#generation = generation
    }
    const number = numbers[0] * NUMBERS + numbers[1]
    const place = placeOf(number)
    let at = place
    for (let probe = 0; probe < PROBES_MAX && this.#numbers[at] !== 0; probe += 1) {
      at = (place + probe) & (PLACES - 1)
    }
    if (this.#numbers[at] !== 0) at = place
    this.#numbers[at] = number
    this.#made[at] = made
  }
}

function placeOf(number: number): number {
  return (Math.imul(number, 0x9e3779b1) >>> 16) & (PLACES - 1)
}
