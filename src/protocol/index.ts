/**
 * `protocol`: Kafka's wire format. Message codecs generated from Kafka's own
 * definitions, record batches, compression, checksums. Pure: no I/O, no clock.
 */

export { ARRAY_ELEMENTS_MAX, ByteReader, STRING_BYTES_MAX, ZERO_UUID } from './byte-reader.ts'
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
export {
  decodeConsumerProtocol,
  decodeRecordKey,
  decodeVersioned,
  encodeRecordKey,
  encodeVersioned,
  recordTypeOf
} from './prefixed.ts'
