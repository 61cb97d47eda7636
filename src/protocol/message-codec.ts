/**
 * What a generated message codec is, and what generated code needs at run time.
 *
 * Semantics are those of Kafka's generated Java classes: a field that its
 * version lacks reads as Kafka's default; on write a default is left out, an
 * ignorable field is dropped, any other value is an error.
 */

import { PipelineError } from '../core/index.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'

/** Reads and writes a message in each of its versions. `T` is what is read, `I` (all optional) what is written. */
export interface MessageCodec<T, I> {
  /** Kafka's name of the message, such as `FetchRequest`. */
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** Whether a version has compact lengths and tagged fields (KIP-482). */
  isFlexible(version: number): boolean
  /**
   * Reads one message; bytes after it are left.
   *
   * @throws PipelineError `ERR_PROTOCOL_UNSUPPORTED_VERSION`, or for malformed input `ERR_PROTOCOL_TRUNCATED`,
   *   `ERR_PROTOCOL_INVALID_LENGTH`, `ERR_PROTOCOL_INVALID_VARINT`, `ERR_PROTOCOL_INVALID_TAGGED_FIELD`,
   *   `ERR_PROTOCOL_NULL_FIELD`, `ERR_PROTOCOL_TOO_MANY_ELEMENTS`.
   */
  read(reader: ByteReader, version: number): T
  /**
   * Writes one message.
   *
   * @throws PipelineError `ERR_PROTOCOL_UNSUPPORTED_VERSION`, `ERR_PROTOCOL_UNSUPPORTED_FIELD`,
   *   `ERR_PROTOCOL_NULL_FIELD`, `ERR_PROTOCOL_VALUE_OUT_OF_RANGE`.
   */
  write(writer: ByteWriter, message: I, version: number): void
}

/** A codec of a record in one of Kafka's internal topics (`__consumer_offsets`, `__transaction_state`). */
export interface RecordCodec<T, I> extends MessageCodec<T, I> {
  /** The number that the key begins with, as int16: it tells which kind of record this is. */
  readonly recordType: number
}

/** One API of Kafka: its key, its request and its response. */
export interface Api<Q, QI, S, SI> {
  readonly key: number
  /** Kafka's name without `Request`, such as `Fetch`. */
  readonly name: string
  readonly request: MessageCodec<Q, QI>
  readonly response: MessageCodec<S, SI>
  /** Oldest version of the codecs. */
  readonly minVersion: number
  /** Newest version that Kafka declares stable: use and advertise no newer one. */
  readonly maxVersion: number
  /** Newest version of the codecs: one more than `maxVersion` where Kafka marks the latest as unstable. */
  readonly maxVersionUnstable: number
}

/** Any API, where its message types are not known. */
export type AnyApi = Api<unknown, never, unknown, never>

/** An empty array to write where a field is absent. */
export const NO_ELEMENTS: readonly never[] = []

/** An empty Buffer for absent byte fields. */
export const NO_BYTES: Buffer = Buffer.alloc(0)

/** An empty struct for absent fields. */
export const NO_FIELDS: Readonly<Record<never, never>> = {}

/** Checks a version against a codec's range. */
export function checkVersion(codec: MessageCodec<unknown, never>, version: number): void {
  const { name, minVersion, maxVersion } = codec
  if (version >= minVersion && version <= maxVersion) return
  throw new PipelineError(
    'ERR_PROTOCOL_UNSUPPORTED_VERSION',
    `${name} has versions ${minVersion} to ${maxVersion}, not ${version}`,
    { kafkaCode: 35, fields: { name, version, minVersion, maxVersion } }
  )
}

/** The error for a field that was set although the version cannot carry it. */
export function unsupportedField(field: string, version: number): PipelineError {
  return new PipelineError('ERR_PROTOCOL_UNSUPPORTED_FIELD', `${field} cannot be sent in version ${version}`, {
    kafkaCode: 35,
    fields: { field, version }
  })
}

/** Passes a value on that the version does not allow to be null. */
export function notNull<T>(value: T | null, field: string): T {
  if (value !== null) return value
  throw new PipelineError('ERR_PROTOCOL_NULL_FIELD', `${field} must not be null in this version`, { fields: { field } })
}
