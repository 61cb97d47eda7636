/**
 * Builds one record batch: records go straight into their wire form in a
 * scratch Buffer that is used again for the next batch.
 *
 * Limits: `sizeBytesMax` before compression. A first record that alone exceeds
 * it is taken, otherwise it could never be sent; whoever calls checks
 * `max.request.size`.
 */

import { PipelineError } from '../core/index.ts'
import { compress, compressInThread, compressionId, type CompressionName } from './compression.ts'
import { batchAttributes, BATCH_HEADER_BYTES, BATCH_MAGIC, writeBatchHeader } from './record-batch.ts'

/** What a batch is built with. */
export interface RecordBatchBuilderOptions {
  /** Default `none`. */
  readonly compression?: CompressionName
  /** Most bytes of a batch before compression, header included. Default 1_048_576. */
  readonly sizeBytesMax?: number
}

/** A header of a record to be written. */
export interface RecordHeaderInput {
  readonly key: string
  readonly value: Uint8Array | null
}

/** What the header of a batch says besides its records. */
export interface BatchStamp {
  /** Default -1: not idempotent. */
  readonly producerId?: bigint
  /** Default -1. */
  readonly producerEpoch?: number
  /** Default -1. */
  readonly baseSequence?: number
  /** Default false. */
  readonly isTransactional?: boolean
  /** Default false. */
  readonly isControl?: boolean
  /** Default 0: the broker stamps it. */
  readonly baseOffset?: bigint
  /** Default -1: the broker stamps it. */
  readonly partitionLeaderEpoch?: number
}

const SCRATCH_BYTES_FIRST = 16_384
/** Up to this length a loop copies faster than `set`. */
const SHORT_BYTES_MAX = 32
const NO_HEADERS: readonly RecordHeaderInput[] = []

/** Bytes of a zigzag varint of an int32. */
function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 0x80) return 1
  if (zigzag < 0x4000) return 2
  if (zigzag < 0x20_0000) return 3
  return zigzag < 0x1000_0000 ? 4 : 5
}

/** Zigzag of any safe integer, as a number. */
function zigzagOf(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1
}

function varlongBytes(value: number): number {
  if (value >= -64 && value < 64) return 1
  let bytes = 1
  for (let rest = zigzagOf(value); rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

function bytesOf(value: Uint8Array | null): number {
  return value === null ? 1 : varintBytes(value.length) + value.length
}

/** Collects records and builds batches of them. */
export class RecordBatchBuilder {
  readonly #compression: CompressionName
  readonly #sizeBytesMax: number
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES_FIRST)
  #at = BATCH_HEADER_BYTES
  #recordCount = 0
  #baseTimestampMs = 0
  #maxTimestampMs = 0

  constructor(options: RecordBatchBuilderOptions = {}) {
    this.#compression = options.compression ?? 'none'
    this.#sizeBytesMax = options.sizeBytesMax ?? 1_048_576
  }

  /** How many records were appended. */
  get recordCount(): number {
    return this.#recordCount
  }

  /** Whether `buildInPlace` gives a part of the builder's own memory. */
  get isInPlace(): boolean {
    return this.#compression === 'none'
  }

  /** Bytes of the batch so far, before compression, header included. */
  get sizeBytes(): number {
    return this.#at
  }

  /** Time of the first record, in milliseconds. */
  get baseTimestampMs(): number {
    return this.#baseTimestampMs
  }

  /**
   * Appends one record. Key, value and headers are copied.
   *
   * @param timestampMs - Milliseconds since 1970, a safe integer.
   * @returns False if the batch is full: build it, reset, and append again.
   */
  // oxlint-disable-next-line max-params -- hot path: no object per record
  tryAppend(
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly RecordHeaderInput[] = NO_HEADERS
  ): boolean {
    return this.#tryWrite(timestampMs, key, headers, value, 0, value === null ? -1 : value.length)
  }

  /**
   * The same for a value that is a part of a Buffer.
   *
   * @param start - First byte of the value.
   * @param end - Behind its last byte.
   */
  // oxlint-disable-next-line max-params -- hot path: no object per record
  tryAppendSpan(
    timestampMs: number,
    key: Uint8Array | null,
    headers: readonly RecordHeaderInput[] | undefined,
    bytes: Uint8Array,
    start: number,
    end: number
  ): boolean {
    return this.#tryWrite(timestampMs, key, headers ?? NO_HEADERS, bytes, start, end - start)
  }

  /** Writes a record with a value of `valueBytes` bytes, -1 for null. */
  // oxlint-disable-next-line max-params -- hot path: no object per record
  #tryWrite(
    timestampMs: number,
    key: Uint8Array | null,
    headers: readonly RecordHeaderInput[],
    source: Uint8Array | null,
    start: number,
    valueBytes: number
  ): boolean {
    const recordCount = this.#recordCount
    const timestampDelta = recordCount === 0 ? 0 : timestampMs - this.#baseTimestampMs
    const length =
      1 +
      varlongBytes(timestampDelta) +
      varintBytes(recordCount) +
      (key === null ? 1 : varintBytes(key.length) + key.length) +
      (valueBytes < 0 ? 1 : varintBytes(valueBytes) + valueBytes) +
      (headers.length === 0 ? 1 : headersBytes(headers))
    const sizeBytes = varintBytes(length) + length
    const from = this.#at
    if (recordCount > 0 && from + sizeBytes > this.#sizeBytesMax) return false
    if (from + sizeBytes > this.#scratch.length) this.#grow(sizeBytes)
    if (recordCount === 0) {
      this.#baseTimestampMs = timestampMs
      this.#maxTimestampMs = timestampMs
    } else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs
    const scratch = this.#scratch
    let at = putVarint(scratch, from, length)
    scratch[at++] = 0
    at = putVarlong(scratch, at, timestampDelta)
    at = putVarint(scratch, at, recordCount)
    at = key === null ? putNull(scratch, at) : putBytes(scratch, at, key)
    if (source === null || valueBytes < 0) at = putNull(scratch, at)
    else {
      at = putVarint(scratch, at, valueBytes)
      scratch.set(source.subarray(start, start + valueBytes), at)
      at += valueBytes
    }
    at = headers.length === 0 ? putVarint(scratch, at, 0) : putHeaders(scratch, at, headers)
    this.#at = at
    this.#recordCount = recordCount + 1
    return true
  }

  /**
   * The batch as its own Buffer. The builder keeps its records until `reset`.
   *
   * @throws PipelineError `ERR_PROTOCOL_VALUE_OUT_OF_RANGE` without records.
   */
  build(stamp: BatchStamp = {}): Buffer {
    if (this.#recordCount === 0) {
      throw new PipelineError('ERR_PROTOCOL_VALUE_OUT_OF_RANGE', 'a record batch needs at least one record')
    }
    const batch = this.#assemble()
    this.#writeHeader(batch, stamp)
    return batch
  }

  /**
   * The same without a copy where nothing is compressed: the Buffer is the builder's own, until `reset`.
   *
   * @throws PipelineError `ERR_PROTOCOL_VALUE_OUT_OF_RANGE` without records.
   */
  buildInPlace(stamp: BatchStamp = {}): Buffer {
    if (this.#compression !== 'none' || this.#recordCount === 0) return this.build(stamp)
    const batch = this.#scratch.subarray(0, this.#at)
    this.#writeHeader(batch, stamp)
    return batch
  }

  /**
   * The same with the compression in a thread. Nothing may be appended, nor the builder reset, before it is done.
   *
   * @returns `undefined` where `buildInPlace` is as good.
   */
  buildInThread(stamp: BatchStamp = {}): Promise<Buffer> | undefined {
    const records = compressInThread(this.#compression, this.#scratch.subarray(BATCH_HEADER_BYTES, this.#at))
    return records?.then(compressed => {
      const batch = withRoomForHeader(compressed)
      this.#writeHeader(batch, stamp)
      return batch
    })
  }

  #writeHeader(batch: Buffer, stamp: BatchStamp): void {
    writeBatchHeader(batch, {
      baseOffset: stamp.baseOffset ?? 0n,
      partitionLeaderEpoch: stamp.partitionLeaderEpoch ?? -1,
      magic: BATCH_MAGIC,
      attributes: batchAttributes({
        compressionId: compressionId(this.#compression),
        isTransactional: stamp.isTransactional ?? false,
        isControl: stamp.isControl ?? false
      }),
      lastOffsetDelta: this.#recordCount - 1,
      baseTimestamp: BigInt(this.#baseTimestampMs),
      maxTimestamp: BigInt(this.#maxTimestampMs),
      producerId: stamp.producerId ?? -1n,
      producerEpoch: stamp.producerEpoch ?? -1,
      baseSequence: stamp.baseSequence ?? -1,
      recordCount: this.#recordCount
    })
  }

  /** Room for the header, then the records, compressed if asked for. */
  #assemble(): Buffer {
    if (this.#compression === 'none') return Buffer.from(this.#scratch.subarray(0, this.#at))
    const records = compress(this.#compression, this.#scratch.subarray(BATCH_HEADER_BYTES, this.#at))
    return withRoomForHeader(records)
  }

  /** Forgets the records and begins the next batch. */
  reset(): void {
    this.#at = BATCH_HEADER_BYTES
    this.#recordCount = 0
    this.#baseTimestampMs = 0
    this.#maxTimestampMs = 0
  }

  #grow(count: number): void {
    const scratch = Buffer.allocUnsafeSlow(Math.max(this.#at + count, this.#scratch.length * 2))
    this.#scratch.copy(scratch, 0, 0, this.#at)
    this.#scratch = scratch
  }
}

function withRoomForHeader(records: Buffer): Buffer {
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length)
  batch.set(records, BATCH_HEADER_BYTES)
  return batch
}

// Each of these writes at an index and answers the index behind what it wrote.

function putVarint(target: Buffer, from: number, value: number): number {
  let at = from
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at++] = rest
  return at
}

function putVarlong(target: Buffer, from: number, value: number): number {
  let at = from
  let rest = zigzagOf(value)
  while (rest >= 128) {
    target[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  target[at++] = rest
  return at
}

function putNull(target: Buffer, at: number): number {
  target[at] = 1 // Zigzag of -1.
  return at + 1
}

/** Keys and such: for few bytes a loop is faster than the call of `set`. */
function putBytes(target: Buffer, from: number, value: Uint8Array): number {
  const { length } = value
  const at = putVarint(target, from, length)
  if (length > SHORT_BYTES_MAX) target.set(value, at)
  else for (let index = 0; index < length; index++) target[at + index] = value[index] ?? 0
  return at + length
}

function putHeaders(target: Buffer, from: number, headers: readonly RecordHeaderInput[]): number {
  let at = putVarint(target, from, headers.length)
  for (const header of headers) {
    const keyBytes = Buffer.byteLength(header.key)
    at = putVarint(target, at, keyBytes)
    target.write(header.key, at, keyBytes, 'utf8')
    at += keyBytes
    at = header.value === null ? putNull(target, at) : putBytes(target, at, header.value)
  }
  return at
}

function headersBytes(headers: readonly RecordHeaderInput[]): number {
  let sum = varintBytes(headers.length)
  for (const header of headers) {
    const keyBytes = Buffer.byteLength(header.key)
    sum += varintBytes(keyBytes) + keyBytes + bytesOf(header.value)
  }
  return sum
}
