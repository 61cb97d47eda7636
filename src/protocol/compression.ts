/**
 * The five codecs of record batches.
 *
 * Decompression has a hard limit on its output: a few bytes of a compressed
 * batch can stand for gigabytes, and they may come from anyone.
 */

import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { messageOf, PipelineError } from '../core/index.ts'

/** Names of Kafka's compression codecs, by their number in a batch's attributes. */
export const COMPRESSION_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Name of a compression codec. */
export type CompressionName = (typeof COMPRESSION_NAMES)[number]

/** Most bytes that a compressed batch may grow to. Default of everything that decompresses. Kafka's largest request, 100 MiB. */
export const DECOMPRESSED_BYTES_MAX = 104_857_600

/** Name of a codec. Throws `PipelineError` `ERR_PROTOCOL_UNSUPPORTED_COMPRESSION` for an id that does not exist. */
export function compressionById(id: number): CompressionName {
  const name = COMPRESSION_NAMES[id]
  if (name !== undefined) return name
  throw new PipelineError('ERR_PROTOCOL_UNSUPPORTED_COMPRESSION', `there is no compression codec ${id}`, {
    kafkaCode: 76
  })
}

/** Number of a codec in a batch's attributes. */
export function compressionId(name: CompressionName): number {
  return COMPRESSION_NAMES.indexOf(name)
}

/** Compresses. `none` returns the same Buffer. */
export function compress(name: CompressionName, buffer: Buffer): Buffer {
  switch (name) {
    case 'none':
      return buffer
    case 'gzip':
      return gzipSync(buffer)
    case 'zstd':
      return zstdCompressSync(buffer, { params: { [constants.ZSTD_c_compressionLevel]: 3 } })
    case 'snappy':
    case 'lz4':
      throw new PipelineError('ERR_PROTOCOL_UNSUPPORTED_COMPRESSION', `${name} is not available`, { kafkaCode: 76 })
  }
}

/**
 * Decompresses. `none` returns the same Buffer.
 *
 * @param bytesMax - Most bytes of output. Default 100 MiB.
 * @throws PipelineError `ERR_PROTOCOL_DECOMPRESSION_FAILED`, `ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE`.
 */
export function decompress(name: CompressionName, buffer: Buffer, bytesMax: number = DECOMPRESSED_BYTES_MAX): Buffer {
  if (name === 'none') return buffer
  try {
    if (name === 'gzip') return gunzipSync(buffer, { maxOutputLength: bytesMax })
    if (name === 'zstd') return zstdDecompressSync(buffer, { maxOutputLength: bytesMax })
    throw new PipelineError('ERR_PROTOCOL_UNSUPPORTED_COMPRESSION', `${name} is not available`, { kafkaCode: 76 })
  } catch (error) {
    throw asPipelineError(error, { name, bytesMax })
  }
}

function asPipelineError(error: unknown, context: { readonly name: string; readonly bytesMax: number }): PipelineError {
  if (PipelineError.is(error)) return error
  const { name, bytesMax } = context
  if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
    return tooLarge(name, bytesMax)
  return new PipelineError(
    'ERR_PROTOCOL_DECOMPRESSION_FAILED',
    `${name} data cannot be decompressed: ${messageOf(error)}`,
    {
      kafkaCode: 2,
      cause: error
    }
  )
}

function tooLarge(name: string, bytesMax: number): PipelineError {
  return new PipelineError(
    'ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE',
    `${name} data would grow beyond the limit of ${bytesMax} bytes`,
    { kafkaCode: 10, fields: { bytesMax } }
  )
}
