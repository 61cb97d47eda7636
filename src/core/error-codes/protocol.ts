/**
 * Error codes of the room `protocol`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const protocolErrorCodes = {
  ERR_PROTOCOL_TRUNCATED: {
    summary: 'A message or a record batch ends before its last field.',
    remedy: 'The peer sent garbage or the file is cut: close the connection, or recover the log.',
    retriable: false
  },
  ERR_PROTOCOL_INVALID_LENGTH: {
    summary: 'A length in a message is negative, or larger than what follows it.',
    remedy: 'The peer sent garbage or speaks another protocol: close the connection.',
    retriable: false
  },
  ERR_PROTOCOL_INVALID_VARINT: {
    summary: 'A variable-length number is longer than its type allows.',
    remedy: 'The peer sent garbage: close the connection.',
    retriable: false
  },
  ERR_PROTOCOL_INVALID_TAGGED_FIELD: {
    summary: 'A tagged field has another size than its content.',
    remedy: 'The peer sent garbage: close the connection.',
    retriable: false
  },
  ERR_PROTOCOL_TOO_MANY_ELEMENTS: {
    summary: 'A message has more array elements than one message may have.',
    remedy: 'Ask for less in one request; the limit protects the memory of the process.',
    retriable: false
  },
  ERR_PROTOCOL_NULL_FIELD: {
    summary: 'A field is null in a version in which it cannot be.',
    remedy: 'Give the field a value, or use a version in which it may be null.',
    retriable: false
  },
  ERR_PROTOCOL_VALUE_OUT_OF_RANGE: {
    summary: 'A value does not fit the type of its field.',
    remedy: 'Pass a value within the range of the wire type.',
    retriable: false
  },
  ERR_PROTOCOL_UNSUPPORTED_VERSION: {
    summary: 'The version of an API is outside the range that the codec knows.',
    remedy: 'Negotiate the version with ApiVersions before sending.',
    retriable: false
  },
  ERR_PROTOCOL_UNSUPPORTED_FIELD: {
    summary: 'A field that matters was set in a version that cannot carry it.',
    remedy: 'Leave the field at its default, or use a version that has it.',
    retriable: false
  },
  ERR_PROTOCOL_UNSUPPORTED_MAGIC: {
    summary: 'A record batch has a format version other than 2.',
    remedy: 'Produce with a client that speaks Kafka 0.11 or newer.',
    retriable: false
  },
  ERR_PROTOCOL_CORRUPT_BATCH: {
    summary: 'A record batch contradicts itself: sizes, counts or record fields do not fit.',
    remedy: 'The bytes were damaged or made by a faulty client: do not store or process them.',
    retriable: false
  },
  ERR_PROTOCOL_UNSUPPORTED_COMPRESSION: {
    summary: 'A record batch names a compression codec that does not exist.',
    remedy: 'Use none, gzip, snappy, lz4 or zstd.',
    retriable: false
  },
  ERR_PROTOCOL_DECOMPRESSION_FAILED: {
    summary: 'Compressed data cannot be decompressed.',
    remedy: 'The bytes were damaged or made by a faulty client: do not store or process them.',
    retriable: false
  },
  ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE: {
    summary: 'Compressed data would grow beyond the limit.',
    remedy: 'Send smaller batches, or raise the limit if the data is trusted.',
    retriable: false
  }
} as const satisfies Record<`ERR_PROTOCOL_${string}`, ErrorCodeEntry>
