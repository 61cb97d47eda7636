/**
 * Walks the batches of a segment file from front to back, in large reads: for
 * recovery, for rebuilding indexes and for replaying producer state.
 *
 * The walk ends at the first batch that cannot be one: too short, cut off,
 * wrong magic, offsets that go back, or (where asked for) a wrong checksum.
 * Everything before it is good.
 */

import { isBatchCrcValid, readBatchHeader, type RecordBatchHeader } from '../../protocol/index.ts'
import type { FilePool } from './file-pool.ts'

/** Bytes of a version 2 batch up to its records. */
export const BATCH_HEADER_BYTES = 61
/** Bytes before the part that the length field counts. */
export const BATCH_PREFIX_BYTES = 12

const CHUNK_BYTES = 1024 * 1024

/** Where to walk and what to check. */
export interface ScanOptions {
  readonly pool: FilePool
  readonly path: string
  /** Position of a batch. Default 0. */
  readonly fromPosition?: number
  /** End of the file, in bytes. */
  readonly endPosition: number
  /** No batch may begin below this offset. */
  readonly minOffset: bigint
  /** Checksums are verified for batches that end at or after this offset. Default: never. */
  readonly crcFromOffset?: bigint
  /** Called for every good batch; its bytes are valid until then. Return `false` to end the walk there. */
  readonly onBatch?: (header: RecordBatchHeader, position: number, batch: Buffer) => boolean | undefined
}

/** How a walk ended. */
export interface ScanEnd {
  /** Position after the last good batch. */
  readonly position: number
  /** Offset after the last good batch; `minOffset` if there was none. */
  readonly nextOffset: bigint
  /** Why the walk ended before the end of the file; `undefined` if it did not. */
  readonly problem: string | undefined
}

/** Last offset of a batch. */
export function lastOffsetOf(header: RecordBatchHeader): bigint {
  return header.baseOffset + BigInt(header.lastOffsetDelta)
}

/** Walks the batches of a file. */
export async function scanSegment(options: ScanOptions): Promise<ScanEnd> {
  const { pool, path, endPosition } = options
  return pool.use(path, async file => {
    let chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, Math.max(1, endPosition)))
    let position = options.fromPosition ?? 0
    let nextOffset = options.minOffset
    while (position < endPosition) {
      const wanted = Math.min(chunk.length, endPosition - position)
      const count = await file.read(chunk.subarray(0, wanted), position)
      if (count < wanted) return { position, nextOffset, problem: `the file ends at ${position + count}` }
      const view = chunk.subarray(0, count)
      const walked = walkChunk(view, { ...options, position, nextOffset })
      position += walked.bytes
      nextOffset = walked.nextOffset
      if (walked.isStopped) return { position, nextOffset, problem: walked.problem }
      // The batch at the front is larger than the chunk: its length was checked against the file already.
      if (walked.bytes === 0) chunk = Buffer.allocUnsafeSlow(walked.neededBytes)
    }
    return { position, nextOffset, problem: undefined }
  })
}

interface ChunkWalk {
  bytes: number
  nextOffset: bigint
  isStopped: boolean
  problem: string | undefined
  neededBytes: number
}

function walkChunk(view: Buffer, options: ScanOptions & { position: number; nextOffset: bigint }): ChunkWalk {
  const walk: ChunkWalk = {
    bytes: 0,
    nextOffset: options.nextOffset,
    isStopped: false,
    problem: undefined,
    neededBytes: 0
  }
  while (walk.bytes < view.length) {
    const restOfFile = options.endPosition - options.position - walk.bytes
    const problem = framingProblem(view, walk.bytes, restOfFile)
    if (problem !== undefined) return { ...walk, isStopped: true, problem }
    const inView = view.length - walk.bytes
    if (inView < BATCH_HEADER_BYTES && inView < restOfFile) return { ...walk, neededBytes: BATCH_HEADER_BYTES }
    const sizeBytes = view.readInt32BE(walk.bytes + 8) + BATCH_PREFIX_BYTES
    if (sizeBytes > inView) return { ...walk, neededBytes: sizeBytes }
    const header = readBatchHeader(view, walk.bytes)
    const contentProblem = batchProblem(view, walk.bytes, { header, walk, crcFromOffset: options.crcFromOffset })
    if (contentProblem !== undefined) return { ...walk, isStopped: true, problem: contentProblem }
    const batch = view.subarray(walk.bytes, walk.bytes + sizeBytes)
    if (options.onBatch?.(header, options.position + walk.bytes, batch) === false) return { ...walk, isStopped: true }
    walk.bytes += sizeBytes
    walk.nextOffset = lastOffsetOf(header) + 1n
  }
  return walk
}

/** Whether the bytes at `at` can begin a batch that the rest of the file holds whole. */
function framingProblem(view: Buffer, at: number, restOfFile: number): string | undefined {
  if (restOfFile < BATCH_HEADER_BYTES) return `${restOfFile} bytes are no whole batch`
  if (view.length - at < BATCH_HEADER_BYTES) return undefined
  const sizeBytes = view.readInt32BE(at + 8) + BATCH_PREFIX_BYTES
  if (sizeBytes < BATCH_HEADER_BYTES) return `a batch cannot have ${sizeBytes} bytes`
  if (view.readInt8(at + 16) !== 2) return `magic ${view.readInt8(at + 16)} is not 2`
  if (sizeBytes > restOfFile) return `a batch of ${sizeBytes} bytes is cut off after ${restOfFile}`
  return undefined
}

interface BatchCheck {
  readonly header: RecordBatchHeader
  readonly walk: ChunkWalk
  readonly crcFromOffset: bigint | undefined
}

function batchProblem(view: Buffer, at: number, { header, walk, crcFromOffset }: BatchCheck): string | undefined {
  if (header.baseOffset < walk.nextOffset) return `offset ${header.baseOffset} comes after ${walk.nextOffset - 1n}`
  if (header.lastOffsetDelta < 0) return `last offset delta ${header.lastOffsetDelta} is negative`
  if (crcFromOffset !== undefined && lastOffsetOf(header) >= crcFromOffset && !isBatchCrcValid(view, at)) {
    return `the checksum of the batch at offset ${header.baseOffset} is wrong`
  }
  return undefined
}
