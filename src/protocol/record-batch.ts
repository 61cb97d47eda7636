/**
 * The header of a record batch, format version 2.
 *
 *     baseOffset:i64 length:i32 partitionLeaderEpoch:i32 magic:i8 crc:u32
 *     attributes:i16 lastOffsetDelta:i32 baseTimestamp:i64 maxTimestamp:i64
 *     producerId:i64 producerEpoch:i16 baseSequence:i32 recordCount:i32 records
 *
 * `length` counts what follows it. The CRC-32C covers everything from the
 * attributes to the end, so that a broker can stamp base offset and leader epoch
 * in place. Attributes: bits 0 to 2 compression, 3 timestamp type (1 = log append
 * time), 4 transactional, 5 control, 6 delete horizon.
 *
 * Source: Kafka `DefaultRecordBatch`.
 */

import { PipelineError } from '../core/index.ts'
import { type CompressionName, compressionById } from './compression.ts'
import { crc32c } from './crc32c.ts'

/** Bytes of the header of a record batch. */
export const BATCH_HEADER_BYTES = 61

/** Bytes in front of what the length field counts: the base offset and the length itself. */
export const BATCH_OVERHEAD_BYTES = 12

/** The only format version that is read and written. */
export const BATCH_MAGIC = 2

/** Positions of the fields of the header. */
export const BATCH_AT = {
  baseOffset: 0,
  length: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57
} as const

const COMPRESSION_MASK = 0x07
const LOG_APPEND_TIME_BIT = 0x08
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20
const DELETE_HORIZON_BIT = 0x40

/** The fields of a batch's header. */
export interface RecordBatchHeader {
  readonly baseOffset: bigint
  /** Bytes of the whole batch, header included. */
  readonly sizeBytes: number
  readonly partitionLeaderEpoch: number
  /** Format version: 2. */
  readonly magic: number
  /** CRC-32C as stored, unsigned. Not checked by reading it: see `isBatchCrcValid`. */
  readonly crc: number
  readonly attributes: number
  /** Offset of the last record minus the base offset. Compaction may have removed that record. */
  readonly lastOffsetDelta: number
  /** Milliseconds; with the delete horizon bit the time at which a tombstone or marker may go. */
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  /** -1 without idempotence. */
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/**
 * Reads the header of the batch at `position`.
 *
 * @throws PipelineError `ERR_PROTOCOL_TRUNCATED` if less than a header is there, `ERR_PROTOCOL_UNSUPPORTED_MAGIC`,
 *   `ERR_PROTOCOL_CORRUPT_BATCH` if the length is less than a header.
 */
export function readBatchHeader(buffer: Buffer, position: number): RecordBatchHeader {
  if (buffer.length - position < BATCH_HEADER_BYTES) {
    // The magic byte is at the same place in every format: name that problem first, an old batch may be shorter.
    if (buffer.length - position > BATCH_AT.magic) checkMagic(buffer, position)
    throw new PipelineError(
      'ERR_PROTOCOL_TRUNCATED',
      `a record batch begins at byte ${position}, but only ${buffer.length - position} bytes of its header are there`
    )
  }
  checkMagic(buffer, position)
  const length = buffer.readInt32BE(position + BATCH_AT.length)
  if (length < BATCH_HEADER_BYTES - BATCH_OVERHEAD_BYTES) {
    throw new PipelineError('ERR_PROTOCOL_CORRUPT_BATCH', `a record batch cannot have the length ${length}`, {
      kafkaCode: 2
    })
  }
  return {
    baseOffset: buffer.readBigInt64BE(position),
    sizeBytes: length + BATCH_OVERHEAD_BYTES,
    partitionLeaderEpoch: buffer.readInt32BE(position + BATCH_AT.partitionLeaderEpoch),
    magic: BATCH_MAGIC,
    crc: buffer.readUInt32BE(position + BATCH_AT.crc),
    attributes: buffer.readInt16BE(position + BATCH_AT.attributes),
    lastOffsetDelta: buffer.readInt32BE(position + BATCH_AT.lastOffsetDelta),
    baseTimestamp: buffer.readBigInt64BE(position + BATCH_AT.baseTimestamp),
    maxTimestamp: buffer.readBigInt64BE(position + BATCH_AT.maxTimestamp),
    producerId: buffer.readBigInt64BE(position + BATCH_AT.producerId),
    producerEpoch: buffer.readInt16BE(position + BATCH_AT.producerEpoch),
    baseSequence: buffer.readInt32BE(position + BATCH_AT.baseSequence),
    recordCount: buffer.readInt32BE(position + BATCH_AT.recordCount)
  }
}

function checkMagic(buffer: Buffer, position: number): void {
  const magic = buffer.readInt8(position + BATCH_AT.magic)
  if (magic === BATCH_MAGIC) return
  throw new PipelineError(
    'ERR_PROTOCOL_UNSUPPORTED_MAGIC',
    `record batches of format version ${magic} are not supported`,
    {
      kafkaCode: 43,
      fields: { magic }
    }
  )
}

/** Codec of a batch. Throws `PipelineError` `ERR_PROTOCOL_UNSUPPORTED_COMPRESSION` for the ids 5 to 7. */
export function compressionOf(attributes: number): CompressionName {
  return compressionById(attributes & COMPRESSION_MASK)
}

/** Whether the batch is part of a transaction. */
export function isTransactional(attributes: number): boolean {
  return (attributes & TRANSACTIONAL_BIT) !== 0
}

/** Whether the batch holds a control record (the end of a transaction), which no consumer may see. */
export function isControl(attributes: number): boolean {
  return (attributes & CONTROL_BIT) !== 0
}

/** Whether the broker set the time: then every record has the batch's `maxTimestamp`. */
export function isLogAppendTime(attributes: number): boolean {
  return (attributes & LOG_APPEND_TIME_BIT) !== 0
}

/** Whether `baseTimestamp` holds a delete horizon (compacted tombstones and markers). */
export function hasDeleteHorizon(attributes: number): boolean {
  return (attributes & DELETE_HORIZON_BIT) !== 0
}

/** Attributes of a batch to be written. */
export function batchAttributes(options: {
  readonly compressionId: number
  readonly isTransactional: boolean
  readonly isControl: boolean
}): number {
  return (
    options.compressionId | (options.isTransactional ? TRANSACTIONAL_BIT : 0) | (options.isControl ? CONTROL_BIT : 0)
  )
}

/**
 * Size in bytes of the batch at `position`, or `undefined` if it is not complete before `end`.
 *
 * @throws PipelineError `ERR_PROTOCOL_CORRUPT_BATCH` if its length is impossible.
 */
export function batchSizeAt(buffer: Buffer, position: number, end: number = buffer.length): number | undefined {
  if (end - position < BATCH_OVERHEAD_BYTES) return undefined
  const length = buffer.readInt32BE(position + BATCH_AT.length)
  // The least that any format version has: Kafka's LegacyRecord.RECORD_OVERHEAD_V0.
  if (length < 14) {
    throw new PipelineError('ERR_PROTOCOL_CORRUPT_BATCH', `a record batch cannot have the length ${length}`, {
      kafkaCode: 2
    })
  }
  const sizeBytes = length + BATCH_OVERHEAD_BYTES
  return sizeBytes <= end - position ? sizeBytes : undefined
}

/** Whether the batch at `position` is complete and its CRC-32C is right. */
export function isBatchCrcValid(buffer: Buffer, position: number): boolean {
  if (buffer.length - position < BATCH_HEADER_BYTES) return false
  const end = position + buffer.readInt32BE(position + BATCH_AT.length) + BATCH_OVERHEAD_BYTES
  if (end < position + BATCH_HEADER_BYTES || end > buffer.length) return false
  return crc32c(buffer, position + BATCH_AT.attributes, end) === buffer.readUInt32BE(position + BATCH_AT.crc)
}

/** Stamps a batch in place, as the leader does before it appends: these fields are outside of the CRC. */
// oxlint-disable-next-line max-params -- hot path: no object per batch
export function stampBatch(buffer: Buffer, position: number, baseOffset: bigint, leaderEpoch: number): void {
  buffer.writeBigInt64BE(baseOffset, position)
  buffer.writeInt32BE(leaderEpoch, position + BATCH_AT.partitionLeaderEpoch)
}

/** Turns a batch in place into one with log append time: sets the bit and `maxTimestamp`, and the CRC anew. */
export function stampLogAppendTime(buffer: Buffer, position: number, timestampMs: number): void {
  const attributes = buffer.readInt16BE(position + BATCH_AT.attributes)
  buffer.writeInt16BE(attributes | LOG_APPEND_TIME_BIT, position + BATCH_AT.attributes)
  buffer.writeBigInt64BE(BigInt(timestampMs), position + BATCH_AT.maxTimestamp)
  writeBatchCrc(buffer, position)
}

/** Computes and stores the CRC of a complete batch. */
export function writeBatchCrc(buffer: Buffer, position: number): void {
  const end = position + buffer.readInt32BE(position + BATCH_AT.length) + BATCH_OVERHEAD_BYTES
  buffer.writeUInt32BE(crc32c(buffer, position + BATCH_AT.attributes, end), position + BATCH_AT.crc)
}

/**
 * Finishes a batch whose records stand behind the room for its header: writes every field, then the CRC.
 *
 * @param batch - The whole batch and nothing else.
 */
export function writeBatchHeader(batch: Buffer, header: Omit<RecordBatchHeader, 'sizeBytes' | 'crc'>): void {
  batch.writeBigInt64BE(header.baseOffset, BATCH_AT.baseOffset)
  batch.writeInt32BE(batch.length - BATCH_OVERHEAD_BYTES, BATCH_AT.length)
  batch.writeInt32BE(header.partitionLeaderEpoch, BATCH_AT.partitionLeaderEpoch)
  batch.writeInt8(header.magic, BATCH_AT.magic)
  batch.writeInt16BE(header.attributes, BATCH_AT.attributes)
  batch.writeInt32BE(header.lastOffsetDelta, BATCH_AT.lastOffsetDelta)
  batch.writeBigInt64BE(header.baseTimestamp, BATCH_AT.baseTimestamp)
  batch.writeBigInt64BE(header.maxTimestamp, BATCH_AT.maxTimestamp)
  batch.writeBigInt64BE(header.producerId, BATCH_AT.producerId)
  batch.writeInt16BE(header.producerEpoch, BATCH_AT.producerEpoch)
  batch.writeInt32BE(header.baseSequence, BATCH_AT.baseSequence)
  batch.writeInt32BE(header.recordCount, BATCH_AT.recordCount)
  writeBatchCrc(batch, 0)
}
