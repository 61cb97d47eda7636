/**
 * The last offset of every key in the dirty part of a log, in bounded memory.
 *
 *   slot => key hash 16 bytes | offset + 1 as float64      (24 bytes; 0 in the second part = empty)
 *
 * Not the keys but their hashes are kept, so that memory depends on how many
 * keys there are, not on how long they are. The hash is half of a SHA-256: two
 * keys that share it would make compaction remove a record, so it must be one
 * for which nobody can make such a pair. Open addressing, linear probing.
 *
 * Limit: `keyCountMax` keys; whoever fills it makes several passes.
 * Source: Kafka `SkimpyOffsetMap`, `log.cleaner.dedupe.buffer.size`, `log.cleaner.io.buffer.load.factor`.
 */

import { hash } from 'node:crypto'

/** Bytes of memory for one slot. */
export const SLOT_BYTES = 24

const WORDS = 4
const SLOT_COUNT_MIN = 64

/** How large a map may get. */
export interface KeyOffsetsOptions {
  /** Most bytes. Source: `log.cleaner.dedupe.buffer.size`. */
  readonly bytesMax: number
  /** How full it may get, above 0 and below 1. Source: `log.cleaner.io.buffer.load.factor`. */
  readonly loadFactor: number
  /** How many keys to expect at most: no more memory is taken than they need. */
  readonly keyCountExpected: number
}

/** Offsets by key hash. */
export class KeyOffsets {
  readonly #loadFactor: number
  #hashes: Uint32Array
  #offsets: Float64Array
  #slotCount: number
  #count = 0

  constructor({ bytesMax, loadFactor, keyCountExpected }: KeyOffsetsOptions) {
    this.#loadFactor = loadFactor
    const slotCountMax = Math.floor(bytesMax / SLOT_BYTES)
    const wanted = Math.ceil(keyCountExpected / loadFactor) + 1
    this.#slotCount = Math.max(SLOT_COUNT_MIN, Math.min(slotCountMax, wanted))
    this.#hashes = new Uint32Array(this.#slotCount * WORDS)
    this.#offsets = new Float64Array(this.#slotCount)
  }

  /** How many keys are in it. */
  get count(): number {
    return this.#count
  }

  /** How many keys it takes. */
  get keyCountMax(): number {
    return Math.max(1, Math.floor(this.#slotCount * this.#loadFactor))
  }

  /** Whether it takes no further key. */
  get isFull(): boolean {
    return this.#count >= this.keyCountMax
  }

  /** Memory in bytes. */
  get sizeBytes(): number {
    return this.#slotCount * SLOT_BYTES
  }

  /**
   * Notes the offset of a key's record; a later call for the same key must not have a lower one.
   *
   * @returns False if the map is full and this key is not in it.
   */
  put(key: Uint8Array, offset: bigint): boolean {
    const words = hashOf(key)
    const slot = this.#slotOf(words)
    if (this.#offsets[slot] === 0) {
      if (this.isFull) return false
      this.#hashes.set(words, slot * WORDS)
      this.#count += 1
    }
    this.#offsets[slot] = Number(offset) + 1
    return true
  }

  /** The last offset of a key, or -1. */
  get(key: Uint8Array): number {
    return (this.#offsets[this.#slotOf(hashOf(key))] ?? 0) - 1
  }

  /** Doubles the memory: for the one batch that alone has more keys than fit. */
  grow(): void {
    const [hashes, offsets, slotCount] = [this.#hashes, this.#offsets, this.#slotCount]
    this.#slotCount *= 2
    this.#hashes = new Uint32Array(this.#slotCount * WORDS)
    this.#offsets = new Float64Array(this.#slotCount)
    for (let old = 0; old < slotCount; old++) {
      const offset = offsets[old] ?? 0
      if (offset === 0) continue
      const words = hashes.subarray(old * WORDS, (old + 1) * WORDS)
      const slot = this.#slotOf(words)
      this.#hashes.set(words, slot * WORDS)
      this.#offsets[slot] = offset
    }
  }

  /** The slot of a hash, or the empty one where it belongs. The load factor leaves one empty. */
  #slotOf(words: Uint32Array): number {
    const [a = 0, b = 0, c = 0, d = 0] = words
    const [hashes, offsets, slotCount] = [this.#hashes, this.#offsets, this.#slotCount]
    let slot = a % slotCount
    while (offsets[slot] !== 0) {
      const at = slot * WORDS
      if (hashes[at] === a && hashes[at + 1] === b && hashes[at + 2] === c && hashes[at + 3] === d) break
      slot = slot + 1 === slotCount ? 0 : slot + 1
    }
    return slot
  }
}

const words = new Uint32Array(WORDS)

/** Valid until the next call. */
function hashOf(key: Uint8Array): Uint32Array {
  const digest = hash('sha256', key, 'buffer')
  for (let index = 0; index < WORDS; index++) words[index] = digest.readUInt32LE(index * 4)
  return words
}
