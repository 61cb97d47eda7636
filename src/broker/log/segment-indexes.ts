/**
 * Indexes of a segment on demand: from memory, from their files, or rebuilt
 * from the log when the files are missing or damaged.
 */

import path from 'node:path'
import { systemErrorCode } from './disk.ts'
import type { FilePool } from './file-pool.ts'
import { OffsetIndex } from './offset-index.ts'
import { Segment, type SegmentIndexes } from './segment.ts'
import { lastOffsetOf, scanSegment } from './segment-scan.ts'
import { TimeIndex } from './time-index.ts'

/** `index.interval.bytes` for rebuilt indexes of old segments: Kafka's default. */
const REBUILD_INTERVAL_BYTES = 4096

/** The indexes of a segment; they stay in memory until the owner sets `segment.indexes` to `undefined`. */
export async function indexesOf(segment: Segment, pool: FilePool): Promise<SegmentIndexes> {
  if (segment.indexes !== undefined) return segment.indexes
  const loaded = await loadIndexes(segment, pool)
  // Another caller may have loaded them meanwhile.
  if (segment.indexes !== undefined) return segment.indexes
  if (loaded === undefined) return rebuildIndexes(segment, pool)
  segment.indexes = loaded
  return loaded
}

/** Reads both index files; `undefined` if they are missing, damaged, or empty where they cannot be. */
export async function loadIndexes(segment: Segment, pool: FilePool): Promise<SegmentIndexes | undefined> {
  const savedOffsets = await readWhole(segment.indexPath, pool)
  const savedTimes = await readWhole(segment.timeIndexPath, pool)
  if (savedOffsets === undefined || savedTimes === undefined) return undefined
  const offsets = new OffsetIndex(segment.baseOffset, savedOffsets)
  const times = new TimeIndex(segment.baseOffset, savedTimes)
  if (!offsets.isSound(segment.sizeBytes) || !times.isSound()) return undefined
  // A sealed segment with records has at least the last entry of its time index.
  if (offsets.count === 0 && times.count === 0 && segment.sizeBytes > 0) return undefined
  return { offsets, times }
}

/** Builds both indexes from the log and replaces their files. The segment gets no batches meanwhile. */
export async function rebuildIndexes(segment: Segment, pool: FilePool): Promise<SegmentIndexes> {
  // On the side: readers of the segment must not see its size and indexes grow anew.
  const scratch = new Segment(path.dirname(segment.logPath), segment.baseOffset, segment.touchedMs)
  const rebuilt = scratch.resetIndexes()
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
        const chunk = Buffer.allocUnsafe(64 * 1024)
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
