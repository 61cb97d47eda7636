/**
 * One of several targets, by weight: weighted rendezvous hashing.
 *
 * Each target gives a key a score, -ln(u) / weight, where u in (0, 1) is a hash of
 * key and target; the least score wins. Exponential variables with these rates win
 * in proportion to their weights. A target's score depends on nothing but the key
 * and its own weight, so a weight that grows against the others takes keys from
 * them and gives none away: from 5 to 10 % keys move into the canary, none out.
 *
 * The hash is not the one that chooses partitions (murmur2), so that the keys of a
 * canary are spread over the partitions like all others.
 * Source: Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker 2005.
 */

/** A target and its weight. */
export interface WeightedTarget<T> {
  /** Takes part in the hash: what else is chosen between the same names is chosen alike. */
  readonly name: string
  /** Not negative. */
  readonly weight: number
  readonly value: T
}

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
/** The fractional part of the golden ratio: its multiples are spread evenly over [0, 1) however many there are. */
const GOLDEN = 0.618_033_988_749_894_9

/** FNV-1a with 32 bits: cheap for short keys. Source: draft-eastlake-fnv. */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = FNV_BASIS
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME)
  return hash >>> 0
}

/** Mixes all bits into all bits. Source: the finaliser of MurmurHash3. */
export function mixed(word: number): number {
  let bits = word
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** Chooses targets. */
export class WeightedChoice<T> {
  readonly #targets: readonly WeightedTarget<T>[]
  readonly #salts: Uint32Array
  readonly #weights: Float64Array
  readonly #total: number
  #keyless = 0

  /** @param targets - At least one with a weight above 0; others are never chosen. */
  constructor(targets: readonly WeightedTarget<T>[]) {
    this.#targets = targets.filter(({ weight }) => weight > 0)
    this.#salts = Uint32Array.from(this.#targets, ({ name }) => mixed(fnv1a32(Buffer.from(name))))
    this.#weights = Float64Array.from(this.#targets, ({ weight }) => weight)
    this.#total = this.#weights.reduce((sum, weight) => sum + weight, 0)
  }

  /** The target of a key. Without a key: in turn, so that the shares are those of the weights. */
  choose(key: Uint8Array | null): T | undefined {
    return this.#targets[key === null ? this.#next() : this.#indexOf(key)]?.value
  }

  #indexOf(key: Uint8Array): number {
    const hash = fnv1a32(key)
    let best = 0
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < this.#weights.length; index += 1) {
      const unit = (mixed(hash ^ (this.#salts[index] ?? 0)) + 0.5) / 4_294_967_296
      const score = -Math.log(unit) / (this.#weights[index] ?? 1)
      if (score >= least) continue
      least = score
      best = index
    }
    return best
  }

  #next(): number {
    this.#keyless = (this.#keyless + GOLDEN) % 1
    let rest = this.#keyless * this.#total
    for (let index = 0; index < this.#weights.length; index += 1) {
      rest -= this.#weights[index] ?? 0
      if (rest < 0) return index
    }
    return this.#weights.length - 1
  }
}
