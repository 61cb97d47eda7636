/** Reads a segment from front to back in chunks of whole batches: compaction looks at every one, once. */

import { batchSizeAt } from '../../../protocol/index.ts'
import type { FilePool } from '../file-pool.ts'
import { BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES } from '../segment-scan.ts'
import type { Segment } from '../segment.ts'

/** What is read, and how. */
export interface ChunkOptions {
  readonly pool: FilePool
  readonly segment: Segment
  /** Position of a batch. Default 0. */
  readonly fromPosition?: number
  /** Bytes of one read; a larger batch is read whole. Source: `log.cleaner.io.buffer.size`. */
  readonly chunkBytes: number
}

/** Whole batches, in order. A chunk is valid until the next one is asked for. Rejects with a system error. */
export async function* chunksOf(options: ChunkOptions): AsyncGenerator<Buffer, void, undefined> {
  const { pool, segment, chunkBytes } = options
  let buffer = Buffer.allocUnsafeSlow(Math.max(chunkBytes, BATCH_HEADER_BYTES))
  let position = options.fromPosition ?? 0
  while (position < segment.sizeBytes) {
    const wanted = buffer.subarray(0, Math.min(buffer.length, segment.sizeBytes - position))
    const count = await pool.use(segment.logPath, file => file.read(wanted, position))
    const bytes = wholeBatches(wanted.subarray(0, count))
    if (bytes > 0) {
      yield wanted.subarray(0, bytes)
      position += bytes
      continue
    }
    const sizeBytes = count < BATCH_PREFIX_BYTES ? 0 : wanted.readInt32BE(8) + BATCH_PREFIX_BYTES
    if (sizeBytes <= wanted.length || position + sizeBytes > segment.sizeBytes) {
      throw new Error(`${segment.logPath} has no whole batch at position ${position}`)
    }
    buffer = Buffer.allocUnsafeSlow(sizeBytes)
  }
}

function wholeBatches(view: Buffer): number {
  let at = 0
  for (;;) {
    const sizeBytes = batchSizeAt(view, at)
    if (sizeBytes === undefined) return at
    at += sizeBytes
  }
}
