/**
 * Reads whole batches at an offset.
 *
 * The offset index gives a place at most one index interval before the wanted
 * batch; from there only batch headers are read until the batch that contains
 * the offset. A consumer that reads on asks next for the offset after what it
 * got, so the reader remembers where recent reads ended and starts there
 * without any lookup.
 *
 * Never reads beyond `sizeBytes` of a segment: bytes behind it may be half a write.
 */

import type { FilePool } from './file-pool.ts'
import type { Segment } from './segment.ts'
import type { OffsetPosition } from './offset-index.ts'
import type { IndexCache } from './segment-indexes.ts'
import { BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES } from './segment-scan.ts'

const HINT_COUNT_MAX = 64
const PROBE_BYTES = 4096
const LAST_OFFSET_DELTA_AT = 23

/** What to read. */
export interface SegmentRead {
  readonly fromOffset: bigint
  /** Most bytes to return. */
  readonly bytesMax: number
  /** Return the first batch even if it alone is larger than `bytesMax`. */
  readonly minOneBatch: boolean
  /** Batches that begin at or after this offset are not returned. */
  readonly upToOffset: bigint
  /** Where the buffer of the answer comes from. Default: a new one. */
  readonly buffers?: BufferSource | undefined
}

/** Gives buffers of exactly a size with any content; whoever passes it knows when they are free again. */
export interface BufferSource {
  acquire(sizeBytes: number): Buffer
}

/** Whole batches of a segment. */
export interface SegmentBytes {
  /** Empty if the segment has none there. */
  readonly records: Buffer
  /** Offset after the last batch; 0 if there is none. */
  readonly nextOffset: bigint
}

const NO_BATCHES: SegmentBytes = { records: Buffer.alloc(0), nextOffset: 0n }

interface Hint {
  readonly segment: Segment
  readonly position: number
}

/** Reads segments of one partition. */
export class LogReader {
  readonly #pool: FilePool
  readonly #indexes: IndexCache
  readonly #hints = new Map<bigint, Hint>()

  constructor(pool: FilePool, indexes: IndexCache) {
    this.#pool = pool
    this.#indexes = indexes
  }

  /** Whole batches from the one that contains the offset on. */
  async read(segment: Segment, read: SegmentRead): Promise<SegmentBytes> {
    const limit = segment.sizeBytes
    const hint = this.#hints.get(read.fromOffset)
    const position = hint?.segment === segment ? hint.position : await this.locate(segment, read.fromOffset)
    if (position >= limit) return NO_BATCHES
    const wanted = Math.min(Math.max(read.bytesMax, BATCH_HEADER_BYTES), limit - position)
    let chunk = await this.#readAt(segment, { position, sizeBytes: wanted, buffers: read.buffers })
    const firstBytes = sizeAt(chunk, 0)
    if (firstBytes > read.bytesMax) {
      if (!read.minOneBatch) return NO_BATCHES
      if (firstBytes > chunk.length)
        chunk = await this.#readAt(segment, { position, sizeBytes: firstBytes, buffers: read.buffers })
    }
    const end = wholeBatches(chunk, Math.max(read.bytesMax, firstBytes), read.upToOffset)
    if (end.bytes > 0) this.#remember(end.nextOffset, { segment, position: position + end.bytes })
    return { records: chunk.subarray(0, end.bytes), nextOffset: end.nextOffset }
  }

  /** Position of the first batch that ends at or after the offset; the size of the segment if there is none. */
  async locate(segment: Segment, offset: bigint): Promise<number> {
    const indexes = await this.#indexes.of(segment)
    const limit = segment.sizeBytes
    const entry = indexes.offsets.lookup(offset)
    if (entry.position > 0 && !(await this.#isBatchEndAt(segment, entry))) {
      // The active segment keeps what it has: its index grows while a rebuild would run.
      if (segment.isSealed) await this.#indexes.rebuild(segment)
      return this.#walkTo(segment, offset, { position: 0, limit })
    }
    return this.#walkTo(segment, offset, { position: entry.position, limit })
  }

  /** Whether a batch with that last offset is there: an index may be wrong in ways its order does not show. */
  async #isBatchEndAt(segment: Segment, entry: OffsetPosition): Promise<boolean> {
    const header = await this.#readAt(segment, { position: entry.position, sizeBytes: BATCH_HEADER_BYTES })
    return header.length === BATCH_HEADER_BYTES && lastOffsetAt(header, 0) === entry.offset
  }

  async #walkTo(segment: Segment, offset: bigint, from: { position: number; limit: number }): Promise<number> {
    let { position } = from
    const { limit } = from
    while (position < limit) {
      const probe = await this.#readAt(segment, { position, sizeBytes: Math.min(PROBE_BYTES, limit - position) })
      let at = 0
      while (at + BATCH_HEADER_BYTES <= probe.length) {
        if (lastOffsetAt(probe, at) >= offset) return position + at
        at += sizeAt(probe, at)
      }
      // A file cut short behind our back: nothing more to find here.
      if (at === 0) return limit
      position += at
    }
    return limit
  }

  async #readAt(
    segment: Segment,
    { position, sizeBytes, buffers }: { position: number; sizeBytes: number; buffers?: BufferSource | undefined }
  ): Promise<Buffer> {
    // Not from Node's shared pool: a fetch answer may be held for long.
    const buffer = buffers === undefined ? Buffer.allocUnsafeSlow(sizeBytes) : buffers.acquire(sizeBytes)
    const count = await this.#pool.use(segment.logPath, file => file.read(buffer, position))
    return buffer.subarray(0, count)
  }

  #remember(offset: bigint, hint: Hint): void {
    this.#hints.delete(offset)
    this.#hints.set(offset, hint)
    if (this.#hints.size <= HINT_COUNT_MAX) return
    for (const oldest of this.#hints.keys()) {
      this.#hints.delete(oldest)
      return
    }
  }
}

function sizeAt(chunk: Buffer, at: number): number {
  return chunk.readInt32BE(at + 8) + BATCH_PREFIX_BYTES
}

function lastOffsetAt(chunk: Buffer, at: number): bigint {
  return chunk.readBigInt64BE(at) + BigInt(chunk.readInt32BE(at + LAST_OFFSET_DELTA_AT))
}

/** How many bytes at the front are whole batches within both limits, and the offset after them. */
function wholeBatches(chunk: Buffer, bytesMax: number, upToOffset: bigint): { bytes: number; nextOffset: bigint } {
  const end = Math.min(chunk.length, bytesMax)
  let at = 0
  let nextOffset = 0n
  while (at + BATCH_HEADER_BYTES <= end) {
    const sizeBytes = sizeAt(chunk, at)
    if (at + sizeBytes > end || chunk.readBigInt64BE(at) >= upToOffset) break
    nextOffset = lastOffsetAt(chunk, at) + 1n
    at += sizeBytes
  }
  return { bytes: at, nextOffset }
}
