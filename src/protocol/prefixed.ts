/**
 * Data structures that stand behind an int16: metadata of the consumer protocol
 * inside group requests, and the records of Kafka's internal topics.
 *
 *     consumer protocol => version:i16 body
 *     record value      => version:i16 body
 *     record key        => recordType:i16 body of version 0
 */

import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { MessageCodec, RecordCodec } from './message-codec.ts'

/**
 * Encodes a structure behind its version.
 *
 * @throws PipelineError what `MessageCodec.write` throws.
 */
export function encodeVersioned<I>(codec: MessageCodec<unknown, I>, version: number, message: I): Buffer {
  const writer = new ByteWriter()
  writer.int16(version)
  codec.write(writer, message, version)
  return writer.toBuffer()
}

/**
 * Decodes a structure behind its version.
 *
 * @throws PipelineError `ERR_PROTOCOL_UNSUPPORTED_VERSION` if it is newer, and what `MessageCodec.read` throws.
 */
export function decodeVersioned<T>(codec: MessageCodec<T, never>, buffer: Buffer): T {
  const reader = new ByteReader(buffer)
  return codec.read(reader, reader.int16())
}

/**
 * Decodes metadata of the consumer protocol. A newer version is read as the
 * newest that is known: the protocol promises that versions only add at the end.
 */
export function decodeConsumerProtocol<T>(codec: MessageCodec<T, never>, buffer: Buffer): T {
  const reader = new ByteReader(buffer)
  const version = Math.max(codec.minVersion, Math.min(reader.int16(), codec.maxVersion))
  return codec.read(reader, version)
}

/** Encodes the key of a record of an internal topic. */
export function encodeRecordKey<I>(codec: RecordCodec<unknown, I>, key: I): Buffer {
  const writer = new ByteWriter()
  writer.int16(codec.recordType)
  codec.write(writer, key, 0)
  return writer.toBuffer()
}

/** Which kind of record a key of an internal topic belongs to: compare with `RecordCodec.recordType`. */
export function recordTypeOf(key: Buffer): number {
  return new ByteReader(key).int16()
}

/** Decodes the key of a record of an internal topic. Check `recordTypeOf` first. */
export function decodeRecordKey<T>(codec: RecordCodec<T, never>, key: Buffer): T {
  const reader = new ByteReader(key)
  reader.int16()
  return codec.read(reader, 0)
}
