/**
 * Walks the records of whole batches in place: a cursor over a Buffer, no object per record.
 *
 *     record => length:varint attributes:i8 timestampDelta:varlong offsetDelta:varint
 *               keyLength:varint key valueLength:varint value headerCount:varint headers
 *     header => keyLength:varint key valueLength:varint value      (length -1 = null)
 *
 * `nextRecord` sets fields; keys and values are the ranges `keyStart` to
 * `keyEnd` and `valueStart` to `valueEnd` of `recordBuffer`, which is the input
 * itself or the decompressed records of the current batch. All numbers but the
 * base offset are `number`: deltas fit, and a timestamp in milliseconds does too.
 *
 * Invariant: every range lies inside its record, and a batch that does not hold
 * exactly `recordCount` records throws.
 */

import { PipelineError } from '../core/index.ts'
import { decompress, DECOMPRESSED_BYTES_MAX } from './compression.ts'
import {
  BATCH_HEADER_BYTES,
  batchSizeAt,
  compressionOf,
  isBatchCrcValid,
  isLogAppendTime,
  readBatchHeader,
  type RecordBatchHeader
} from './record-batch.ts'

/** One header of a record. */
export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** How a cursor reads. */
export interface RecordCursorOptions {
  /** Whether each batch's CRC is checked before its records are read. Default true. Source: Kafka `check.crcs`. */
  readonly isCrcChecked?: boolean
  /** Most bytes that one compressed batch may grow to. Default 100 MiB. */
  readonly decompressedBytesMax?: number
}

const NO_RECORDS = Buffer.alloc(0)
const EMPTY_HEADER = readBatchHeader(emptyBatch(), 0)

function emptyBatch(): Buffer {
  const buffer = Buffer.alloc(BATCH_HEADER_BYTES)
  buffer.writeInt32BE(BATCH_HEADER_BYTES - 12, 8)
  buffer.writeInt8(2, 16)
  return buffer
}

/** A cursor over the records of the batches in a Buffer. */
export class RecordCursor {
  /** Header of the current batch. Meaningless before the first `nextBatch`. */
  header: RecordBatchHeader = EMPTY_HEADER
  /** Base offset of the current batch. */
  baseOffset = 0n
  /** Where the current batch begins in the input. */
  batchStart = 0
  /** Where the current batch ends in the input. */
  batchEnd = 0
  /** Offset of the current record minus `baseOffset`. */
  offsetDelta = 0
  /** Time of the current record minus the batch's base timestamp, as stored. */
  timestampDelta = 0
  /** Time of the current record in milliseconds since 1970: the batch's maximum where the broker sets the time. */
  timestampMs = 0
  /** What the ranges below point into. */
  recordBuffer: Buffer = NO_RECORDS
  /** Where the current record begins, its length field excluded, and where it ends. */
  recordStart = 0
  recordEnd = 0
  /** Start of the key, -1 for a null key. */
  keyStart = -1
  keyEnd = -1
  /** Start of the value, -1 for a null value (a tombstone). */
  valueStart = -1
  valueEnd = -1
  headerCount = 0
  /** Start of the first header. */
  headersStart = 0

  readonly #isCrcChecked: boolean
  readonly #decompressedBytesMax: number
  #input: Buffer = NO_RECORDS
  #recordsEnd = 0
  /** Index of the next byte that is read. */
  #at = 0
  #left = 0
  /** Where a batch begins that was not opened yet; -1 once it is. */
  #opening = -1
  #baseTimestampMs = 0
  #fixedTimestampMs = -1
  #isTimeFixed = false

  constructor(options: RecordCursorOptions = {}) {
    this.#isCrcChecked = options.isCrcChecked ?? true
    this.#decompressedBytesMax = options.decompressedBytesMax ?? DECOMPRESSED_BYTES_MAX
  }

  /** Puts the cursor before the first batch of a Buffer. A batch that is cut off at its end is not read. */
  reset(buffer: Buffer): void {
    this.#input = buffer
    this.batchStart = 0
    this.batchEnd = 0
    this.#left = 0
    this.recordBuffer = NO_RECORDS
  }

  /**
   * Moves to the next batch, whether or not all records of the current one were read.
   *
   * @returns False at the end of the Buffer, or where only a part of a batch follows.
   * @throws PipelineError `ERR_PROTOCOL_CORRUPT_BATCH`, `ERR_PROTOCOL_UNSUPPORTED_MAGIC`,
   *   `ERR_PROTOCOL_UNSUPPORTED_COMPRESSION`, or what `decompress` throws.
   */
  nextBatch(): boolean {
    const start = this.batchEnd
    this.#left = 0
    this.#opening = start
    if (batchSizeAt(this.#input, start) === undefined) return false
    const header = readBatchHeader(this.#input, start)
    const end = start + header.sizeBytes
    if (this.#isCrcChecked && !isBatchCrcValid(this.#input, start)) {
      throw corrupt(`its CRC is not ${header.crc}`, header.baseOffset)
    }
    if (header.recordCount < 0) throw corrupt(`it has ${header.recordCount} records`, header.baseOffset)
    this.header = header
    this.baseOffset = header.baseOffset
    this.batchStart = start
    this.batchEnd = end
    this.#openRecords(header)
    this.#baseTimestampMs = Number(header.baseTimestamp)
    this.#isTimeFixed = isLogAppendTime(header.attributes)
    this.#fixedTimestampMs = Number(header.maxTimestamp)
    this.#left = header.recordCount
    this.#opening = -1
    return true
  }

  /**
   * Goes past the batch that `nextBatch` or `nextRecord` found corrupt: the next call is `nextBatch`.
   *
   * @returns False if it is not even clear where the next one begins.
   */
  skipBatch(): boolean {
    this.#left = 0
    this.recordBuffer = NO_RECORDS
    if (this.#opening < 0) return true
    try {
      this.batchEnd = this.#opening + (batchSizeAt(this.#input, this.#opening) ?? 0)
      return this.batchEnd > this.#opening
    } catch {
      // A length that cannot be: whatever follows has no beginning.
      return false
    }
  }

  #openRecords(header: RecordBatchHeader): void {
    const name = compressionOf(header.attributes)
    const recordsStart = this.batchStart + BATCH_HEADER_BYTES
    // A compacted batch may be empty: then nothing was compressed either.
    if (name === 'none' || header.recordCount === 0) {
      this.recordBuffer = this.#input
      this.#at = recordsStart
      this.#recordsEnd = this.batchEnd
      return
    }
    this.recordBuffer = decompress(name, this.#input.subarray(recordsStart, this.batchEnd), this.#decompressedBytesMax)
    this.#at = 0
    this.#recordsEnd = this.recordBuffer.length
  }

  /**
   * Moves to the next record of the current batch.
   *
   * @returns False after the last one.
   * @throws PipelineError `ERR_PROTOCOL_CORRUPT_BATCH` if the records do not fit the batch.
   */
  nextRecord(): boolean {
    if (this.#left === 0) return this.#endBatch()
    const length = this.#varint()
    const start = this.#at
    const end = start + length
    if (length < 0 || end > this.#recordsEnd) throw this.#corruptRecord(`it has the length ${length}`)
    this.#at = start + 1 // The record's attributes are unused.
    this.timestampDelta = this.#varlong()
    this.offsetDelta = this.#varint()
    const keyLength = this.#varint()
    this.keyStart = keyLength < 0 ? -1 : this.#at
    if (keyLength > 0) this.#at += keyLength
    this.keyEnd = keyLength < 0 ? -1 : this.#at
    const valueLength = this.#varint()
    this.valueStart = valueLength < 0 ? -1 : this.#at
    if (valueLength > 0) this.#at += valueLength
    this.valueEnd = valueLength < 0 ? -1 : this.#at
    const headerCount = this.#varint()
    const at = this.#at
    // Positions only grow: whoever went beyond the record on the way is beyond it here.
    if (headerCount < 0 || at > end || (headerCount === 0 && at !== end)) {
      throw this.#corruptRecord('its fields do not fit its length')
    }
    this.headerCount = headerCount
    this.headersStart = at
    this.recordStart = start
    this.recordEnd = end
    this.timestampMs = this.#isTimeFixed ? this.#fixedTimestampMs : this.#baseTimestampMs + this.timestampDelta
    this.#at = end
    this.#left--
    return true
  }

  /** Records of the current batch that were not read. */
  get recordsLeft(): number {
    return this.#left
  }

  /** Index in `recordBuffer` of the next record, its length field included. */
  get nextPosition(): number {
    return this.#at
  }

  /** Where the records of the current batch end in `recordBuffer`. */
  get recordsEnd(): number {
    return this.#recordsEnd
  }

  /** Time that all records of the current batch have, or that theirs are counted from, in milliseconds. */
  get timeBaseMs(): number {
    return this.#isTimeFixed ? this.#fixedTimestampMs : this.#baseTimestampMs
  }

  /** Whether the broker has set the time: then it is the same for all records of the batch. */
  get isTimeFixed(): boolean {
    return this.#isTimeFixed
  }

  /** Goes past records that somebody else has read and found sound, to the one at `position`. */
  skipTo(position: number, recordCount: number): void {
    this.#at = position
    this.#left -= recordCount
  }

  #endBatch(): false {
    if (this.#at < this.#recordsEnd && this.recordBuffer !== NO_RECORDS) {
      this.recordBuffer = NO_RECORDS
      throw corrupt(`bytes follow its ${this.header.recordCount} records`, this.baseOffset)
    }
    this.recordBuffer = NO_RECORDS
    return false
  }

  /** A zigzag varint; beyond the end of the Buffer the bytes count as 0, the caller checks the position. */
  #varint(): number {
    const buffer = this.recordBuffer
    let at = this.#at
    let byte = buffer[at++] ?? 0
    let value = byte & 0x7f
    if (byte > 0x7f) {
      byte = buffer[at++] ?? 0
      value |= (byte & 0x7f) << 7
      for (let shift = 14; byte > 0x7f; shift += 7) {
        if (shift > 28) throw this.#corruptRecord('a varint is longer than 5 bytes')
        byte = buffer[at++] ?? 0
        value |= (byte & 0x7f) << shift
      }
    }
    this.#at = at
    return (value >>> 1) ^ -(value & 1)
  }

  /** A zigzag varlong as a number: exact up to 2^53, which any time in milliseconds is. */
  #varlong(): number {
    const buffer = this.recordBuffer
    let at = this.#at
    let byte = buffer[at++] ?? 0
    let value = byte & 0x7f
    for (let scale = 128, count = 1; byte > 0x7f; scale *= 128, count++) {
      if (count === 10) throw this.#corruptRecord('a varlong is longer than 10 bytes')
      byte = buffer[at++] ?? 0
      value += (byte & 0x7f) * scale
    }
    this.#at = at
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  #corruptRecord(reason: string): PipelineError {
    const index = this.header.recordCount - this.#left
    return corrupt(`in record ${index} of ${this.header.recordCount}: ${reason}`, this.baseOffset)
  }

  /** Offset of the current record. */
  offset(): bigint {
    return this.baseOffset + BigInt(this.offsetDelta)
  }

  /** Key of the current record, as a view. */
  key(): Buffer | null {
    return this.keyStart < 0 ? null : this.recordBuffer.subarray(this.keyStart, this.keyEnd)
  }

  /** Value of the current record, as a view. */
  value(): Buffer | null {
    return this.valueStart < 0 ? null : this.recordBuffer.subarray(this.valueStart, this.valueEnd)
  }

  /**
   * Headers of the current record, values as views.
   *
   * @throws PipelineError `ERR_PROTOCOL_CORRUPT_BATCH` if they do not fit the record.
   */
  headers(): RecordHeader[] {
    const headers: RecordHeader[] = []
    const resumeAt = this.#at
    this.#at = this.headersStart
    for (let count = this.headerCount; count > 0; count--) {
      const key = this.#headerPart()
      const value = this.#headerPart()
      if (key === null) throw this.#corruptRecord('a header has no key')
      headers.push({ key: key.toString('utf8'), value })
    }
    if (this.#at !== this.recordEnd) throw this.#corruptRecord('its headers do not fit its length')
    this.#at = resumeAt
    return headers
  }

  #headerPart(): Buffer | null {
    const length = this.#varint()
    const start = this.#at
    const end = start + Math.max(0, length)
    if (end > this.recordEnd) throw this.#corruptRecord('its headers do not fit its length')
    this.#at = end
    return length < 0 ? null : this.recordBuffer.subarray(start, end)
  }
}

function corrupt(reason: string, baseOffset: bigint): PipelineError {
  return new PipelineError(
    'ERR_PROTOCOL_CORRUPT_BATCH',
    `the record batch at offset ${baseOffset} is corrupt: ${reason}`,
    {
      kafkaCode: 2,
      fields: { baseOffset }
    }
  )
}
