/**
 * Randomness, as a value that is passed.
 *
 * `SeededRandom` gives the same numbers for the same seed on every machine, so
 * a failed random test or a generated scenario can be run again.
 */

/** A source of random numbers. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
}

/** The machine's generator: not for secrets. */
export const systemRandom: Random = { next: () => Math.random() }

/** Mulberry32: 32 bits of state, passes gjrand's tests, enough for jitter, scenarios and simulation. */
export class SeededRandom implements Random {
  #state: number

  /** @param seed - Any integer; only its low 32 bits count. */
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** An integer in [0, limit). */
export function randomInt(random: Random, limit: number): number {
  return Math.floor(random.next() * limit)
}
