/**
 * The keys in a window of records, as small numbers.
 *
 * Each key is known by the 32 bits of its hash: two keys with one hash count as
 * the same key, which makes one wait for the other and harms no order. A number
 * lives as long as records of its key are in the window, then it is given to
 * another. Columns of numbers and open addressing: no object per key.
 */

const SLOTS_MIN = 64
/** Multiplier of Fibonacci hashing, 2^32 / phi: the low bits of a hash decide too little by themselves. */
const SPREAD = 0x9e3779b1

/** Numbers for hashes. */
export class KeyTable {
  /** By slot: number + 1, 0 = free. */
  #slots = new Int32Array(SLOTS_MIN)
  #shift = 32 - Math.log2(SLOTS_MIN)
  #hashes = new Int32Array(SLOTS_MIN)
  #references = new Int32Array(SLOTS_MIN)
  /** Numbers given back. */
  #free: number[] = []
  #count = 0

  /** Numbers in use, and those that were: columns by number need room for as many. */
  get capacity(): number {
    return this.#hashes.length
  }

  /** How many keys there are. */
  get size(): number {
    return this.#count - this.#free.length
  }

  /** The number of a hash; each call counts as one more record of the key. */
  acquire(hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = Math.imul(hash, SPREAD) >>> this.#shift
    for (;;) {
      const id = (slots[slot] ?? 0) - 1
      if (id < 0) break
      if (this.#hashes[id] === hash) {
        this.#references[id] = (this.#references[id] ?? 0) + 1
        return id
      }
      slot = (slot + 1) & mask
    }
    if ((this.size + 1) * 2 > slots.length) {
      this.#grow()
      return this.acquire(hash)
    }
    const id = this.#free.pop() ?? this.#count++
    this.#hashes[id] = hash
    this.#references[id] = 1
    slots[slot] = id + 1
    return id
  }

  /** One record of the key is gone. */
  release(id: number): void {
    const left = (this.#references[id] ?? 0) - 1
    this.#references[id] = left
    if (left > 0) return
    this.#remove(id)
    this.#free.push(id)
  }

  /** Takes a number out of its slot and moves those behind it up, so that no search ends too early. */
  #remove(id: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = Math.imul(this.#hashes[id] ?? 0, SPREAD) >>> this.#shift
    while (slots[hole] !== id + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = Math.imul(this.#hashes[(slots[slot] ?? 0) - 1] ?? 0, SPREAD) >>> this.#shift
      // It may move only if its home does not lie between the hole and where it is.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = slots[slot] ?? 0
      hole = slot
    }
    slots[hole] = 0
  }

  #grow(): void {
    const length = this.#slots.length * 2
    const old = this.#slots
    this.#slots = new Int32Array(length)
    this.#shift -= 1
    const hashes = new Int32Array(length)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const references = new Int32Array(length)
    references.set(this.#references)
    this.#references = references
    const mask = length - 1
    for (const taken of old) {
      if (taken === 0) continue
      let slot = Math.imul(hashes[taken - 1] ?? 0, SPREAD) >>> this.#shift
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = taken
    }
  }
}

/** 32 bits of a hash of some bytes; murmur2 without a view of the bytes, which would be an object per record. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x5bd1e995 ^ (end - start)
  let at = start
  for (; at + 4 <= end; at += 4) {
    let word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
    word = Math.imul(word, 0x5bd1e995)
    word ^= word >>> 24
    hash = Math.imul(hash, 0x5bd1e995) ^ Math.imul(word, 0x5bd1e995)
  }
  for (; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0x5bd1e995)
  return hash ^ (hash >>> 15)
}
