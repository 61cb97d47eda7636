/**
 * `protocol`: Kafka's wire format. Message codecs generated from Kafka's own
 * definitions, record batches, compression, checksums. Pure: no I/O, no clock.
 */

export { ARRAY_ELEMENTS_MAX, ByteReader, STRING_BYTES_MAX, ZERO_UUID } from './byte-reader.ts'
export {
  compress,
  COMPRESSION_NAMES,
  type CompressionName,
  compressionById,
  compressionId,
  decompress,
  DECOMPRESSED_BYTES_MAX
} from './compression.ts'
export { crc32c } from './crc32c.ts'
export { ByteWriter, REFERENCE_BYTES_MIN } from './byte-writer.ts'
export {
  apiByKey,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  FRAME_LENGTH_BYTES,
  type RequestHeader
} from './envelope.ts'
// The generated index names every export once; listing some hundred names again here would only drift.
export * from './generated/index.ts'
export {
  isKafkaErrorRetriable,
  kafkaErrorEntry,
  type KafkaErrorEntry,
  kafkaErrorName,
  type KafkaErrorName
} from './kafka-errors.ts'
export type { AnyApi, Api, MessageCodec, RecordCodec } from './message-codec.ts'
export { murmur2, partitionForKey } from './murmur2.ts'
export {
  decodeConsumerProtocol,
  decodeRecordKey,
  decodeVersioned,
  encodeRecordKey,
  encodeVersioned,
  recordTypeOf
} from './prefixed.ts'
export {
  BATCH_AT,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
  batchSizeAt,
  compressionOf,
  hasDeleteHorizon,
  isBatchCrcValid,
  isControl,
  isLogAppendTime,
  isTransactional,
  readBatchHeader,
  type RecordBatchHeader,
  stampBatch,
  stampLogAppendTime,
  writeBatchCrc,
  writeBatchHeader
} from './record-batch.ts'
export {
  type BatchStamp,
  RecordBatchBuilder,
  type RecordBatchBuilderOptions,
  type RecordHeaderInput
} from './record-batch-builder.ts'
export { RecordCursor, type RecordCursorOptions, type RecordHeader } from './record-cursor.ts'
