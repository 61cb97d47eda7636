/**
 * Reads Kafka's wire types from a Buffer.
 *
 * What it reads may come from anyone: every length is checked against what is
 * left before anything is allocated, so the memory a message takes is bounded
 * by its own size and by `ARRAY_ELEMENTS_MAX`. Byte fields are views into the
 * input, not copies.
 *
 * The flag `isCompact` of the length-prefixed types is the difference between
 * ordinary and flexible versions (KIP-482): a fixed-width length, or the length
 * plus one as an unsigned varint with 0 for null.
 */

import { PipelineError } from '../core/index.ts'

/** Kafka's uuid of nothing: sixteen zero bytes in base64url. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** Most array elements that one reader accepts in sum: a two-byte element can become a hundred-byte object. */
export const ARRAY_ELEMENTS_MAX = 2_000_000

/** Longest string of the protocol, in bytes. Source: Kafka's generated messages (`0x7fff`). */
export const STRING_BYTES_MAX = 32_767

/** A position that moves through a Buffer. Beyond the end its methods throw `ERR_PROTOCOL_TRUNCATED`. */
export class ByteReader {
  readonly buffer: Buffer
  /** Index of the next byte. */
  position: number
  /** Index after the last byte that may be read. */
  readonly end: number
  #elementsLeft = ARRAY_ELEMENTS_MAX

  constructor(buffer: Buffer, position = 0, end: number = buffer.length) {
    this.buffer = buffer
    this.position = position
    this.end = Math.min(end, buffer.length)
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.end - this.position
  }

  /** Moves past `count` bytes and returns where they began. */
  #take(count: number): number {
    const at = this.position
    if (count > this.end - at) throw truncated(this, count)
    this.position = at + count
    return at
  }

  int8(): number {
    return this.buffer.readInt8(this.#take(1))
  }

  bool(): boolean {
    return this.buffer[this.#take(1)] !== 0
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2))
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2))
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4))
  }

  int64(): bigint {
    return this.buffer.readBigInt64BE(this.#take(8))
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.#take(8))
  }

  /** A uuid as Kafka prints it: base64url, 22 characters. */
  uuid(): string {
    const at = this.#take(16)
    return this.buffer.toString('base64url', at, at + 16)
  }

  /**
   * An unsigned varint of at most 32 bits.
   *
   * @throws PipelineError `ERR_PROTOCOL_INVALID_VARINT` if it is longer than five bytes.
   */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.#take(1)] ?? 0
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new PipelineError(
      'ERR_PROTOCOL_INVALID_VARINT',
      `the varint before byte ${this.position} has more than 5 bytes`
    )
  }

  /** A zigzag varint of at most 32 bits, as in records. */
  varint(): number {
    const value = this.uvarint()
    return (value >>> 1) ^ -(value & 1)
  }

  /** A zigzag varint of at most 64 bits, as in records. */
  varlong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.buffer[this.#take(1)] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new PipelineError(
      'ERR_PROTOCOL_INVALID_VARINT',
      `the varint before byte ${this.position} has more than 10 bytes`
    )
  }

  string(isCompact: boolean): string {
    const length = isCompact ? this.uvarint() - 1 : this.int16()
    if (length < 0) throw nullField(this, 'string')
    return this.#utf8(length)
  }

  nullableString(isCompact: boolean): string | null {
    const length = isCompact ? this.uvarint() - 1 : this.int16()
    return length < 0 ? null : this.#utf8(length)
  }

  #utf8(length: number): string {
    if (length > STRING_BYTES_MAX) throw invalidLength(this, 'string', length)
    const at = this.#take(length)
    return length === 0 ? '' : this.buffer.toString('utf8', at, at + length)
  }

  /** Bytes or records, as a view into the input. */
  bytes(isCompact: boolean): Buffer {
    const length = isCompact ? this.uvarint() - 1 : this.int32()
    if (length < 0) throw nullField(this, 'byte field')
    return this.#view(length)
  }

  nullableBytes(isCompact: boolean): Buffer | null {
    const length = isCompact ? this.uvarint() - 1 : this.int32()
    return length < 0 ? null : this.#view(length)
  }

  #view(length: number): Buffer {
    if (length > this.end - this.position) throw invalidLength(this, 'byte field', length)
    const at = this.#take(length)
    return this.buffer.subarray(at, at + length)
  }

  /** The next `count` bytes, as a view into the input. */
  raw(count: number): Buffer {
    return this.#view(count)
  }

  /**
   * The element count of an array that cannot be null.
   *
   * @param elementBytesMin - Fewest bytes that one element takes: a count that cannot fit is refused at once.
   * @throws PipelineError `ERR_PROTOCOL_NULL_FIELD`, `ERR_PROTOCOL_INVALID_LENGTH`, `ERR_PROTOCOL_TOO_MANY_ELEMENTS`.
   */
  arrayLength(isCompact: boolean, elementBytesMin: number): number {
    const count = this.nullableArrayLength(isCompact, elementBytesMin)
    if (count < 0) throw nullField(this, 'array')
    return count
  }

  /** The element count of an array, or -1 for null. See `arrayLength`. */
  nullableArrayLength(isCompact: boolean, elementBytesMin: number): number {
    const count = isCompact ? this.uvarint() - 1 : this.int32()
    if (count < 0) return -1
    if (count * elementBytesMin > this.end - this.position) throw invalidLength(this, 'array', count)
    this.#elementsLeft -= count
    if (this.#elementsLeft < 0) {
      throw new PipelineError(
        'ERR_PROTOCOL_TOO_MANY_ELEMENTS',
        `an array of ${count} elements before byte ${this.position} exceeds the ${ARRAY_ELEMENTS_MAX} of a message`,
        { fields: { elementsMax: ARRAY_ELEMENTS_MAX } }
      )
    }
    return count
  }

  /** Reads the size of a tagged field and returns the index where the field must end. */
  taggedFieldEnd(): number {
    const size = this.uvarint()
    if (size > this.end - this.position) throw invalidLength(this, 'tagged field', size)
    return this.position + size
  }

  /** Checks that a tagged field that was read ended where its size said. */
  endTaggedField(end: number): void {
    if (this.position === end) return
    throw new PipelineError(
      'ERR_PROTOCOL_INVALID_TAGGED_FIELD',
      `a tagged field ends at byte ${this.position}, its size says ${end}`
    )
  }

  /** Skips a section of tagged fields of which none is known (KIP-482: unknown tags are ignored). */
  skipTaggedFields(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.position = this.taggedFieldEnd()
    }
  }
}

function truncated(reader: ByteReader, count: number): PipelineError {
  return new PipelineError(
    'ERR_PROTOCOL_TRUNCATED',
    `${count} bytes are needed at byte ${reader.position}, but only ${reader.remaining} are left`
  )
}

function invalidLength(reader: ByteReader, what: string, length: number): PipelineError {
  return new PipelineError(
    'ERR_PROTOCOL_INVALID_LENGTH',
    `a ${what} of length ${length} before byte ${reader.position} is not possible: ${reader.remaining} bytes are left`
  )
}

function nullField(reader: ByteReader, what: string): PipelineError {
  return new PipelineError('ERR_PROTOCOL_NULL_FIELD', `the ${what} before byte ${reader.position} must not be null`)
}
