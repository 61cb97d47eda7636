/**
 * Offsets by time: the first record at or after a timestamp, and the youngest
 * record. The time index says in which part of which segment to look; the batch
 * itself, decompressed if need be, says which record it is.
 *
 * Source: Kafka `UnifiedLog.fetchOffsetByTimestamp`, `LogSegment.findOffsetByTimestamp`.
 */

import { RecordCursor, type RecordBatchHeader } from '../../protocol/index.ts'
import type { FilePool } from './file-pool.ts'
import type { LogReader } from './log-reader.ts'
import type { Segment } from './segment.ts'
import type { IndexCache } from './segment-indexes.ts'
import { lastOffsetOf, scanSegment } from './segment-scan.ts'

/** A record's offset with its timestamp and the leader epoch it was written in. */
export interface TimestampedOffset {
  readonly offset: bigint
  readonly timestampMs: bigint
  readonly leaderEpoch: number
}

/** What is searched. */
export interface TimestampSearch {
  readonly pool: FilePool
  readonly reader: LogReader
  readonly indexes: IndexCache
  /** Oldest first. */
  readonly segments: readonly Segment[]
  readonly logStartOffset: bigint
}

/** The first record at or after `timestampMs`; `undefined` if all are older. */
export async function offsetForTimestamp(
  search: TimestampSearch,
  timestampMs: bigint
): Promise<TimestampedOffset | undefined> {
  for (const segment of search.segments) {
    if (segment.maxTimestamp.timestampMs < timestampMs) continue
    const found = await findInSegment(search, segment, timestampMs)
    if (found !== undefined) return found
  }
  return undefined
}

/** The first record with the largest timestamp of all; `undefined` if no record has one. */
export async function maxTimestampOffset(search: TimestampSearch): Promise<TimestampedOffset | undefined> {
  let youngest: Segment | undefined
  for (const segment of search.segments) {
    const { timestampMs } = segment.maxTimestamp
    if (timestampMs >= 0n && timestampMs > (youngest?.maxTimestamp.timestampMs ?? -1n)) youngest = segment
  }
  if (youngest === undefined) return undefined
  const { timestampMs } = youngest.maxTimestamp
  return (await findInSegment(search, youngest, timestampMs)) ?? findYoungestRecord(search)
}

/**
 * Compaction may have left but the header of the batch with the largest timestamp, for the sake of its producer. Then
 * every batch is looked at: nothing else says how old the records of the others are.
 */
async function findYoungestRecord(search: TimestampSearch): Promise<TimestampedOffset | undefined> {
  let youngest: { segment: Segment; position: number; header: RecordBatchHeader } | undefined
  for (const segment of search.segments) {
    await scanSegment({
      pool: search.pool,
      path: segment.logPath,
      endPosition: segment.sizeBytes,
      minOffset: segment.baseOffset,
      onBatch: (header, position) => {
        const isYounger = header.maxTimestamp > (youngest?.header.maxTimestamp ?? -1n)
        const isThere = header.recordCount > 0 && lastOffsetOf(header) >= search.logStartOffset
        if (isThere && isYounger) youngest = { segment, position, header }
        return undefined
      }
    })
  }
  if (youngest === undefined) return undefined
  const { segment, position, header } = youngest
  return findInBatch(search, segment, { header, position, timestampMs: header.maxTimestamp })
}

async function findInSegment(
  search: TimestampSearch,
  segment: Segment,
  timestampMs: bigint
): Promise<TimestampedOffset | undefined> {
  const { logStartOffset } = search
  const indexes = await search.indexes.of(segment)
  // All records up to the entry below are older, except those of the same time in the entry's own batch.
  const indexed = indexes.times.lookup(timestampMs)?.offset ?? segment.baseOffset
  const fromOffset = indexed > logStartOffset ? indexed : logStartOffset
  let position = await search.reader.locate(segment, fromOffset)
  while (position < segment.sizeBytes) {
    const batch = await nextBatchNotOlder(search, segment, { position, timestampMs })
    if (batch === undefined) return undefined
    const found = await findInBatch(search, segment, { ...batch, timestampMs })
    if (found !== undefined) return found
    position = batch.position + batch.header.sizeBytes
  }
  return undefined
}

async function nextBatchNotOlder(
  { pool }: TimestampSearch,
  segment: Segment,
  from: { position: number; timestampMs: bigint }
): Promise<{ header: RecordBatchHeader; position: number } | undefined> {
  let found: { header: RecordBatchHeader; position: number } | undefined
  await scanSegment({
    pool,
    path: segment.logPath,
    fromPosition: from.position,
    endPosition: segment.sizeBytes,
    minOffset: segment.baseOffset,
    onBatch: (header, position) => {
      if (header.maxTimestamp < from.timestampMs) return undefined
      found = { header, position }
      return false
    }
  })
  return found
}

async function findInBatch(
  { pool, logStartOffset }: TimestampSearch,
  segment: Segment,
  { header, position, timestampMs }: { header: RecordBatchHeader; position: number; timestampMs: bigint }
): Promise<TimestampedOffset | undefined> {
  if (lastOffsetOf(header) < logStartOffset) return undefined
  const bytes = Buffer.allocUnsafe(header.sizeBytes)
  await pool.use(segment.logPath, file => file.read(bytes, position))
  const cursor = new RecordCursor()
  cursor.reset(bytes)
  if (!cursor.nextBatch()) return undefined
  while (cursor.nextRecord()) {
    const recordMs = BigInt(cursor.timestampMs)
    const offset = cursor.offset()
    if (recordMs < timestampMs || offset < logStartOffset) continue
    return { offset, timestampMs: recordMs, leaderEpoch: header.partitionLeaderEpoch }
  }
  return undefined
}
