/**
 * The five codecs of record batches.
 *
 * Decompression has a hard limit on its output: a few bytes of a compressed
 * batch can stand for gigabytes, and they may come from anyone.
 */

import { promisify } from 'node:util'
import { constants, gunzipSync, gzip, gzipSync, zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { messageOf, PipelineError } from '../core/index.ts'
import { tooLarge } from './decompression-output.ts'
import { lz4Decompress } from './lz4.ts'
import { snappyCompress, snappyDecompress } from './snappy.ts'
import { wasmCompression } from './wasm-compression.ts'

/** Names of Kafka's compression codecs, by their number in a batch's attributes. */
export const COMPRESSION_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Name of a compression codec. */
export type CompressionName = (typeof COMPRESSION_NAMES)[number]

/** Most bytes that a compressed batch may grow to, unless said otherwise: Kafka's largest request, 100 MiB. */
export const DECOMPRESSED_BYTES_MAX = 104_857_600

/** From this size on gzip and zstd take so long that it is worth a thread, in bytes. */
const THREAD_BYTES_MIN = 16_384
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }
const gzipInThread = promisify(gzip)
const zstdInThread = promisify(zstdCompress) as (buffer: Buffer, options: typeof ZSTD_OPTIONS) => Promise<Buffer>

const LZ4_EMPTY_FRAME = Buffer.from('04224d1860408200000000', 'hex')

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
      return zstdCompressSync(buffer, ZSTD_OPTIONS)
    case 'snappy':
      return snappyCompress(buffer)
    case 'lz4':
      // The library cannot take an empty input after its memory has grown: the empty frame is written by hand.
      return buffer.length === 0 ? LZ4_EMPTY_FRAME : wasmCompression().lz4Compress(buffer)
  }
}

/**
 * Compresses beside the event loop, in a thread of Node's pool, what would hold it up for milliseconds: 256 KiB take
 * gzip 2 to 4 ms. The Buffer must not be changed meanwhile.
 *
 * @returns `undefined` for what is done faster at once: other codecs, and little data.
 */
export function compressInThread(name: CompressionName, buffer: Buffer): Promise<Buffer> | undefined {
  if (buffer.length < THREAD_BYTES_MIN) return undefined
  if (name === 'gzip') return gzipInThread(buffer)
  return name === 'zstd' ? zstdInThread(buffer, ZSTD_OPTIONS) : undefined
}

/**
 * Decompresses. `none` returns the same Buffer.
 *
 * @param bytesMax - Most bytes of output. Default 100 MiB.
 * @throws PipelineError `ERR_PROTOCOL_DECOMPRESSION_FAILED`, `ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE`.
 */
export function decompress(name: CompressionName, buffer: Buffer, bytesMax: number = DECOMPRESSED_BYTES_MAX): Buffer {
  try {
    switch (name) {
      case 'none':
        return buffer
      case 'gzip':
        return gunzipSync(buffer, { maxOutputLength: bytesMax })
      case 'zstd':
        return zstdDecompressSync(buffer, { maxOutputLength: bytesMax })
      case 'snappy':
        return snappyDecompress(buffer, bytesMax)
      case 'lz4':
        return lz4Decompress(buffer, bytesMax)
    }
  } catch (error) {
    throw asPipelineError(error, { name, bytesMax })
  }
}

function asPipelineError(error: unknown, context: { readonly name: string; readonly bytesMax: number }): PipelineError {
  if (PipelineError.is(error)) return error
  const { name, bytesMax } = context
  if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(bytesMax)
  return new PipelineError(
    'ERR_PROTOCOL_DECOMPRESSION_FAILED',
    `${name} data cannot be decompressed: ${messageOf(error)}`,
    {
      kafkaCode: 2,
      cause: error
    }
  )
}
