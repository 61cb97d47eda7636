/**
 * Indexes of segments on demand: from memory, from their files, or rebuilt from
 * the log when the files are missing or damaged.
 *
 * Limit: indexes of segments that get no more batches take at most a fixed number
 * of bytes in memory, over all partitions, besides the one in use.
 */

import path from 'node:path'
import { invariant } from '../../core/index.ts'
import { systemErrorCode } from './disk.ts'
import type { FilePool } from './file-pool.ts'
import { OffsetIndex } from './offset-index.ts'
import { Segment, type SegmentIndexes } from './segment.ts'
import { lastOffsetOf, scanSegment } from './segment-scan.ts'
import { TimeIndex } from './time-index.ts'
import { TransactionIndex } from './transaction-index.ts'

/** `index.interval.bytes` for rebuilt indexes of old segments: Kafka's default. */
const REBUILD_INTERVAL_BYTES = 4096

const READ_BYTES_FIRST = 2048
const READ_BYTES = 64 * 1024

/** Default of how many bytes of indexes of old segments stay in memory. */
const CACHE_BYTES_MAX = 64 * 1024 * 1024

/**
 * Indexes of segments, shared by all partitions. Those of active segments stay
 * in memory; of the others, the ones used last, up to a limit in bytes.
 */
export class IndexCache {
  readonly #pool: FilePool
  readonly #bytesMax: number
  // In order of last use: a Map iterates in insertion order, and a use inserts anew.
  readonly #loaded = new Map<Segment, number>()
  readonly #rebuilding = new Map<Segment, Promise<SegmentIndexes>>()
  readonly #retired = new WeakSet<Segment>()
  #bytes = 0

  /** @param bytesMax - Most bytes of loaded indexes. Default 64 MiB. */
  constructor(pool: FilePool, bytesMax: number = CACHE_BYTES_MAX) {
    this.#pool = pool
    this.#bytesMax = bytesMax
  }

  /** Bytes of loaded indexes. */
  get sizeBytes(): number {
    return this.#bytes
  }

  /** The indexes of a segment: from memory, from their files, or rebuilt. */
  async of(segment: Segment): Promise<SegmentIndexes> {
    const known = segment.indexes
    if (known !== undefined) {
      if (this.#loaded.has(segment)) this.#touch(segment, known)
      return known
    }
    const loaded = (await loadIndexes(segment, this.#pool)) ?? (await this.#rebuild(segment))
    // Another caller may have loaded them meanwhile.
    const indexes = segment.indexes ?? loaded
    segment.indexes = indexes
    this.#touch(segment, indexes)
    return indexes
  }

  /** Makes the indexes of a sealed segment anew from its log. */
  async rebuild(segment: Segment): Promise<void> {
    this.#touch(segment, await this.#rebuild(segment))
  }

  /** Resolves when nobody writes index files of these segments; until the next turn nobody begins to. */
  async settled(segments: readonly Segment[]): Promise<void> {
    const busy = (): Promise<SegmentIndexes> | undefined =>
      segments.map(each => this.#rebuilding.get(each)).find(Boolean)
    for (let rebuilding = busy(); rebuilding !== undefined; rebuilding = busy()) {
      await rebuilding.catch(() => undefined)
    }
  }

  /** Says that the files of this segment's name belong to another one now: its indexes are never written again. */
  retire(segment: Segment): void {
    this.#retired.add(segment)
    this.forget(segment)
  }

  /** One at a time for each segment: two would write the same files. */
  async #rebuild(segment: Segment): Promise<SegmentIndexes> {
    const known = this.#rebuilding.get(segment)
    if (known !== undefined) return known
    // Whoever still reads it reads again from the one that took its place.
    if (this.#retired.has(segment)) {
      const { baseOffset } = segment
      return { offsets: new OffsetIndex(baseOffset), times: new TimeIndex(0n), aborts: new TransactionIndex() }
    }
    const rebuilding = rebuildIndexes(segment, this.#pool)
    this.#rebuilding.set(segment, rebuilding)
    try {
      return await rebuilding
    } finally {
      this.#rebuilding.delete(segment)
    }
  }

  /** Takes a segment that is removed out of the cache. */
  forget(segment: Segment): void {
    this.#bytes -= this.#loaded.get(segment) ?? 0
    this.#loaded.delete(segment)
    segment.indexes = undefined
  }

  #touch(segment: Segment, indexes: SegmentIndexes): void {
    this.#bytes -= this.#loaded.get(segment) ?? 0
    this.#loaded.delete(segment)
    const bytes = indexes.offsets.sizeBytes + indexes.times.sizeBytes + indexes.aborts.sizeBytes
    this.#loaded.set(segment, bytes)
    this.#bytes += bytes
    for (const oldest of this.#loaded.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === segment) return
      this.forget(oldest)
    }
  }
}

/** Reads the index files; `undefined` if offset or time index are missing, damaged, or empty where they cannot be. */
export async function loadIndexes(segment: Segment, pool: FilePool): Promise<SegmentIndexes | undefined> {
  const savedOffsets = await readWhole(segment.indexPath, pool)
  const savedTimes = await readWhole(segment.timeIndexPath, pool)
  if (savedOffsets === undefined || savedTimes === undefined) return undefined
  const offsets = new OffsetIndex(segment.baseOffset, savedOffsets)
  const times = new TimeIndex(segment.baseOffset, savedTimes)
  if (!offsets.isSound(segment.sizeBytes) || !times.isSound()) return undefined
  // A sealed segment with records has at least the last entry of its time index.
  if (offsets.count === 0 && times.count === 0 && segment.sizeBytes > 0) return undefined
  const aborts = await loadAborts(segment, pool)
  invariant(aborts, `${segment.transactionIndexPath} was damaged since the broker started`)
  return { offsets, times, aborts }
}

/** Reads the aborted transactions of a segment; `undefined` if their file is damaged. None if there is no file. */
export async function loadAborts(segment: Segment, pool: FilePool): Promise<TransactionIndex | undefined> {
  // Most segments have none, and a start looks at thousands.
  if (!segment.hasAborts) return new TransactionIndex()
  const saved = await readWhole(segment.transactionIndexPath, pool)
  if (saved === undefined) return new TransactionIndex()
  const aborts = new TransactionIndex(saved)
  return aborts.isSound(segment.baseOffset, saved.length) ? aborts : undefined
}

/**
 * Builds offset and time index from the log and replaces their files. The segment gets no batches meanwhile.
 * The aborted transactions stay: they are those of their file.
 */
export async function rebuildIndexes(segment: Segment, pool: FilePool): Promise<SegmentIndexes> {
  // On the side: readers of the segment must not see its size and indexes grow anew.
  const scratch = new Segment(path.dirname(segment.logPath), segment.baseOffset, segment.touchedMs)
  const aborts = await loadAborts(segment, pool)
  invariant(aborts, `${segment.transactionIndexPath} was damaged since the broker started`)
  const rebuilt = scratch.resetIndexes(aborts)
  await scanSegment({
    pool,
    path: segment.logPath,
    endPosition: segment.sizeBytes,
    minOffset: segment.baseOffset,
    onBatch: (header, position) => {
      const { sizeBytes, maxTimestamp: maxTimestampMs } = header
      scratch.noteWritten(
        { lastOffset: lastOffsetOf(header), maxTimestampMs, position, sizeBytes },
        REBUILD_INTERVAL_BYTES
      )
      return undefined
    }
  })
  scratch.closeTimeIndex()
  for (const file of [scratch.indexPath, scratch.timeIndexPath]) {
    await pool.create(file)
    await pool.use(file, file => file.truncate(0))
  }
  await scratch.saveIndexes(pool)
  segment.maxTimestamp = scratch.maxTimestamp
  segment.indexes = rebuilt
  return rebuilt
}

async function readWhole(file: string, pool: FilePool): Promise<Buffer | undefined> {
  try {
    return await pool.use(file, async open => {
      const chunks: Buffer[] = []
      let bytes = 0
      for (;;) {
        // Most of these files have a few entries, and a start reads thousands of them.
        const chunk = Buffer.allocUnsafe(bytes === 0 ? READ_BYTES_FIRST : READ_BYTES)
        const count = await open.read(chunk, bytes)
        chunks.push(chunk.subarray(0, count))
        bytes += count
        if (count < chunk.length) return Buffer.concat(chunks, bytes)
      }
    })
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
