/**
 * Writes Kafka's wire types.
 *
 * Small fields go into one growing scratch Buffer. A byte field of at least
 * `REFERENCE_BYTES_MIN` is not copied: the scratch so far becomes a chunk, the
 * field's Buffer becomes the next chunk. The result is a list for `writev`.
 * Who passes a Buffer must not change it until the chunks are sent.
 */

import { PipelineError } from '../core/index.ts'
import { STRING_BYTES_MAX } from './byte-reader.ts'

/** Byte fields from this size on are passed by reference instead of copied. */
export const REFERENCE_BYTES_MIN = 1024

const INT64_MAX = 0x7fff_ffff_ffff_ffffn
const INT64_MIN = -0x8000_0000_0000_0000n
const UUID_PATTERN = /^[\w-]{22}$/

/** Bytes of an unsigned varint. */
export function uvarintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

/** Collects the bytes of one message. Values out of range throw `PipelineError` `ERR_PROTOCOL_VALUE_OUT_OF_RANGE`. */
export class ByteWriter {
  #scratch: Buffer
  /** Where the part of the scratch begins that is not yet a chunk. */
  #start = 0
  #position = 0
  #chunks: Buffer[] = []
  #chunkBytes = 0
  /** Open tagged fields: inside them all is copied, because their size is put in front afterwards. */
  #taggedDepth = 0

  /** @param sizeHint - First size of the scratch, in bytes. It grows by itself. */
  constructor(sizeHint = 512) {
    this.#scratch = Buffer.allocUnsafe(sizeHint)
  }

  /** How many bytes were written. */
  get byteLength(): number {
    return this.#chunkBytes + this.#position - this.#start
  }

  /** What was written, in order, without copying. The writer may be used on. */
  chunks(): Buffer[] {
    this.#flush()
    return this.#chunks
  }

  /** What was written as one Buffer: a copy if a byte field was passed by reference. */
  toBuffer(): Buffer {
    const chunks = this.chunks()
    const first = chunks[0]
    return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
  }

  #flush(): void {
    if (this.#position === this.#start) return
    this.#chunks.push(this.#scratch.subarray(this.#start, this.#position))
    this.#chunkBytes += this.#position - this.#start
    this.#start = this.#position
  }

  /** Makes room for `count` bytes and returns where they go. */
  #take(count: number): number {
    const at = this.#position
    if (at + count > this.#scratch.length) return this.#grow(count)
    this.#position = at + count
    return at
  }

  #grow(count: number): number {
    const used = this.#position - this.#start
    const scratch = Buffer.allocUnsafe(Math.max(512, 2 * (used + count)))
    // Chunks made so far keep the old scratch alive: only the open part moves.
    this.#scratch.copy(scratch, 0, this.#start, this.#position)
    this.#scratch = scratch
    this.#start = 0
    this.#position = used + count
    return used
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) throw outOfRange('int8', value)
    const at = this.#take(1)
    this.#scratch[at] = value
  }

  bool(value: boolean): void {
    const at = this.#take(1)
    this.#scratch[at] = value ? 1 : 0
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) throw outOfRange('int16', value)
    const at = this.#take(2)
    this.#scratch[at] = value >> 8
    this.#scratch[at + 1] = value
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) throw outOfRange('uint16', value)
    const at = this.#take(2)
    this.#scratch[at] = value >> 8
    this.#scratch[at + 1] = value
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw outOfRange('int32', value)
    this.#uint32(value)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) throw outOfRange('uint32', value)
    this.#uint32(value)
  }

  #uint32(value: number): void {
    const at = this.#take(4)
    const scratch = this.#scratch
    scratch[at] = value >>> 24
    scratch[at + 1] = value >>> 16
    scratch[at + 2] = value >>> 8
    scratch[at + 3] = value
  }

  int64(value: bigint): void {
    if (value > INT64_MAX || value < INT64_MIN) throw outOfRange('int64', value)
    const at = this.#take(8)
    this.#scratch.writeBigInt64BE(value, at)
  }

  float64(value: number): void {
    const at = this.#take(8)
    this.#scratch.writeDoubleBE(value, at)
  }

  /** A uuid in Kafka's base64url form. */
  uuid(value: string): void {
    if (!UUID_PATTERN.test(value)) throw outOfRange('uuid', value)
    const at = this.#take(16)
    this.#scratch.write(value, at, 16, 'base64url')
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(value: number): void {
    if (value >>> 0 !== value) throw outOfRange('unsigned varint', value)
    const at = this.#take(uvarintBytes(value))
    putUvarint(this.#scratch, at, value)
  }

  /** A zigzag varint of at most 32 bits. */
  varint(value: number): void {
    if ((value | 0) !== value) throw outOfRange('varint', value)
    this.uvarint(((value << 1) ^ (value >> 31)) >>> 0)
  }

  /** A zigzag varint of at most 64 bits. */
  varlong(value: bigint): void {
    if (value > INT64_MAX || value < INT64_MIN) throw outOfRange('varlong', value)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest > 0x7fn) {
      const at = this.#take(1)
      this.#scratch[at] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    const at = this.#take(1)
    this.#scratch[at] = Number(rest)
  }

  string(value: string, isCompact: boolean): void {
    const length = Buffer.byteLength(value)
    if (length > STRING_BYTES_MAX) throw outOfRange('string of at most 32767 bytes; length', length)
    if (isCompact) this.uvarint(length + 1)
    else this.int16(length)
    if (length === 0) return
    const at = this.#take(length)
    this.#scratch.write(value, at, length, 'utf8')
  }

  nullableString(value: string | null, isCompact: boolean): void {
    if (value !== null) this.string(value, isCompact)
    else if (isCompact) this.uvarint(0)
    else this.int16(-1)
  }

  bytes(value: Uint8Array, isCompact: boolean): void {
    if (isCompact) this.uvarint(value.length + 1)
    else this.int32(value.length)
    this.raw(value)
  }

  nullableBytes(value: Uint8Array | null, isCompact: boolean): void {
    if (value !== null) this.bytes(value, isCompact)
    else this.nullArray(isCompact)
  }

  /** Record batches: one Buffer, or several that follow each other (chunks of a log file). */
  records(value: Uint8Array | readonly Uint8Array[], isCompact: boolean): void {
    if (value instanceof Uint8Array) {
      this.bytes(value, isCompact)
      return
    }
    let length = 0
    for (const part of value) length += part.length
    if (isCompact) this.uvarint(length + 1)
    else this.int32(length)
    for (const part of value) this.raw(part)
  }

  nullableRecords(value: Uint8Array | readonly Uint8Array[] | null, isCompact: boolean): void {
    if (value !== null) this.records(value, isCompact)
    else this.nullArray(isCompact)
  }

  /** Bytes without a length. */
  raw(value: Uint8Array): void {
    if (value.length >= REFERENCE_BYTES_MIN && this.#taggedDepth === 0) {
      this.#flush()
      this.#chunks.push(value instanceof Buffer ? value : Buffer.from(value.buffer, value.byteOffset, value.length))
      this.#chunkBytes += value.length
      return
    }
    const at = this.#take(value.length)
    this.#scratch.set(value, at)
  }

  arrayLength(count: number, isCompact: boolean): void {
    if (isCompact) this.uvarint(count + 1)
    else this.int32(count)
  }

  /** The length that means null, of an array or a byte field. */
  nullArray(isCompact: boolean): void {
    if (isCompact) this.uvarint(0)
    else this.int32(-1)
  }

  /** Begins a tagged field; its content follows, then `endTaggedField` with the returned mark. */
  beginTaggedField(tag: number): number {
    this.uvarint(tag)
    this.#taggedDepth++
    return this.#position - this.#start
  }

  /** Ends a tagged field: puts the size in front of the content written since `mark`. */
  endTaggedField(mark: number): void {
    const size = this.#position - this.#start - mark
    const sizeBytes = uvarintBytes(size)
    this.#take(sizeBytes)
    const at = this.#start + mark
    this.#scratch.copyWithin(at + sizeBytes, at, at + size)
    putUvarint(this.#scratch, at, size)
    this.#taggedDepth--
  }
}

function putUvarint(buffer: Buffer, position: number, value: number): void {
  let at = position
  let rest = value
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at] = rest
}

function outOfRange(type: string, value: number | bigint | string): PipelineError {
  return new PipelineError('ERR_PROTOCOL_VALUE_OUT_OF_RANGE', `${value} is not a valid ${type}`)
}
