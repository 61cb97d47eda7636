/**
 * Makes valid requests of any API without knowing any: a reader that invents
 * what it is asked for. A generated decoder that reads from it gets a message in
 * which every field of its version is set, to something that a broker would find
 * meaningful about half of the time; the encoder then writes it.
 */

import { type Random, randomInt } from '../../../src/core/index.ts'
import { ByteReader, ZERO_UUID } from '../../../src/protocol/index.ts'

/** What the broker under test knows: names and bytes that reach beyond the first check. */
export interface Vocabulary {
  readonly strings: readonly string[]
  readonly uuids: readonly string[]
  readonly bytes: readonly Buffer[]
}

const ODD_STRINGS = ['', '.', '..', '../../x', 'a b', '\0', 'ü'.repeat(200), 'x'.repeat(249), 'x'.repeat(250), '__x']
const ODD_INTEGERS = [0, 0, 1, 1, 1, 2, 3, 5, 100, 500, -1, -1, -2, -3, 127, 255, 0x7fff, 0xffff, 0x7fff_ffff]
const ELEMENTS_MAX = 3

/** A reader of bytes that do not exist. */
export class InventingReader extends ByteReader {
  readonly #random: Random
  readonly #vocabulary: Vocabulary
  /** Nested arrays get shorter, so that every message ends. */
  #elementsLeft = 40

  constructor(random: Random, vocabulary: Vocabulary) {
    super(Buffer.alloc(0))
    this.#random = random
    this.#vocabulary = vocabulary
  }

  override int8(): number {
    return this.#integer(8)
  }

  override bool(): boolean {
    return this.#chance(0.5)
  }

  override int16(): number {
    return this.#integer(16)
  }

  override uint16(): number {
    return this.#integer(16) & 0xffff
  }

  override int32(): number {
    return this.#integer(32)
  }

  override uint32(): number {
    return this.#integer(32) >>> 0
  }

  override int64(): bigint {
    if (this.#chance(0.1)) return BigInt.asIntN(64, BigInt(this.#integer(32)) << BigInt(randomInt(this.#random, 40)))
    return this.#chance(0.05) ? 0x7fff_ffff_ffff_ffffn : BigInt(this.#integer(32))
  }

  override float64(): number {
    return this.#pick([0, 1, -1, 0.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, this.#random.next() * 1e6])
  }

  override uuid(): string {
    return this.#chance(0.2) ? ZERO_UUID : this.#pick(this.#vocabulary.uuids)
  }

  /** Only tagged fields ask for one: how many there are, and which. */
  override uvarint(): number {
    return randomInt(this.#random, 3)
  }

  override string(): string {
    return this.#chance(0.1) ? this.#pick(ODD_STRINGS) : this.#pick(this.#vocabulary.strings)
  }

  override nullableString(): string | null {
    return this.#chance(0.3) ? null : this.string()
  }

  override bytes(): Buffer {
    if (this.#chance(0.7)) return this.#pick(this.#vocabulary.bytes)
    const bytes = Buffer.alloc(randomInt(this.#random, 200))
    for (let index = 0; index < bytes.length; index++) bytes[index] = randomInt(this.#random, 256)
    return bytes
  }

  override nullableBytes(): Buffer | null {
    return this.#chance(0.1) ? null : this.bytes()
  }

  override raw(count: number): Buffer {
    return Buffer.alloc(count)
  }

  override nullableArrayLength(): number {
    if (this.#chance(0.1)) return -1
    return this.arrayLength()
  }

  override arrayLength(): number {
    const count = Math.min(this.#elementsLeft, randomInt(this.#random, ELEMENTS_MAX + 1))
    this.#elementsLeft -= count
    return count
  }

  override taggedFieldEnd(): number {
    return 0
  }

  override endTaggedField(): void {
    // Nothing was read, so nothing can be left.
  }

  override skipTaggedFields(): void {
    // The encoder writes none.
  }

  #integer(bits: 8 | 16 | 32): number {
    const value = this.#chance(0.85) ? this.#pick(ODD_INTEGERS) : Math.floor((this.#random.next() - 0.5) * 2 ** 32)
    return (value << (32 - bits)) >> (32 - bits)
  }

  #chance(ratio: number): boolean {
    return this.#random.next() < ratio
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[randomInt(this.#random, from.length)]
    if (picked === undefined) throw new Error('there is nothing to pick from')
    return picked
  }
}
