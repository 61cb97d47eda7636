/** Fetch semantics on top of the segment reader: bounds, limits, going on in the next segment. */

import { KAFKA_ERRORS } from '../../protocol/index.ts'
import { systemErrorCode } from './disk.ts'
import type { BufferSource, LogReader } from './log-reader.ts'
import type { Segment } from './segment.ts'
import type { IndexCache } from './segment-indexes.ts'
import type { SegmentList } from './segment-list.ts'
import type { AbortedTransaction } from './transaction-index.ts'

/** How far and how much to read. */
export interface ReadOptions {
  /** Return the first batch even if it alone is larger than the limit, so that a consumer can go on. Default true. */
  readonly minOneBatch?: boolean
  /** Read only up to the last stable offset, and tell which transactions were aborted. Default false. */
  readonly isReadCommitted?: boolean
  /** Where the buffers of the records come from. Default: new ones. */
  readonly buffers?: BufferSource | undefined
}

/** A transaction whose records a reader of committed records must skip, up to its marker. */
export interface AbortedRange {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/** Batches, or a code of the protocol, with the offsets a fetch answer needs. */
export interface ReadResult {
  /** 0, OFFSET_OUT_OF_RANGE(1), UNKNOWN_TOPIC_OR_PARTITION(3) of a closed log, or KAFKA_STORAGE_ERROR(56). */
  readonly errorCode: number
  /** Whole batches; the first contains the wanted offset and may begin before it. Empty at the end of the log. */
  readonly records: Buffer
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
  /** Aborted transactions that overlap the records, those begun before them too; for `isReadCommitted` only. */
  readonly abortedTransactions: readonly AbortedRange[]
}

/** The log as the reader sees it. */
export interface ReadableLog {
  readonly segments: SegmentList
  readonly reader: LogReader
  readonly indexes: IndexCache
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  /** Read anew after a wait: retention moves it. */
  logStartOffset(): bigint
}

const NOTHING = Buffer.alloc(0)

/** Reads whole batches from the one that contains `fromOffset` on. Rejects with a system error if the disk fails. */
export async function readLog(
  log: ReadableLog,
  { fromOffset, bytesMax, options }: { fromOffset: bigint; bytesMax: number; options: ReadOptions }
): Promise<ReadResult> {
  const { highWatermark, lastStableOffset } = log
  const isReadCommitted = options.isReadCommitted ?? false
  const upToOffset = isReadCommitted ? lastStableOffset : highWatermark
  const answer = (errorCode: number, found?: FoundBatches): ReadResult => ({
    errorCode,
    records: found?.records ?? NOTHING,
    highWatermark,
    lastStableOffset,
    logStartOffset: log.logStartOffset(),
    abortedTransactions: found?.abortedTransactions ?? []
  })
  const outOfRange = answer(KAFKA_ERRORS.OFFSET_OUT_OF_RANGE.code)
  if (fromOffset < log.logStartOffset() || fromOffset > highWatermark) return outOfRange
  const read = { fromOffset, bytesMax, minOneBatch: options.minOneBatch ?? true, upToOffset, buffers: options.buffers }
  let segment = log.segments.floor(fromOffset)
  while (segment !== undefined && fromOffset < upToOffset && segment.baseOffset < upToOffset) {
    try {
      const { records, nextOffset } = await log.reader.read(segment, read)
      if (records.length > 0 && !isReadCommitted) return answer(0, { records, abortedTransactions: [] })
      if (records.length > 0) {
        const abortedTransactions = await abortedIn(log, segment, { fromOffset, upToOffset: nextOffset })
        if (log.segments.indexOf(segment) >= 0) return answer(0, { records, abortedTransactions })
        // Compaction has put another in its place, which names only the transactions it still has records of.
        segment = log.segments.floor(fromOffset)
        continue
      }
    } catch (error) {
      // Retention has removed the segment since it was looked up.
      if (systemErrorCode(error) === 'ENOENT' && fromOffset < log.logStartOffset()) return outOfRange
      throw error
    }
    // Nothing at all in this segment from the offset on: a gap at its end. A batch that did not fit is no gap.
    if ((await log.reader.locate(segment, fromOffset)) < segment.sizeBytes) break
    segment = log.segments.after(segment)
  }
  return answer(0)
}

type FoundBatches = Pick<ReadResult, 'records' | 'abortedTransactions'>

/**
 * Aborted transactions that overlap a range which begins in `segment`. Their markers may be segments further on;
 * those that ended before the range are in none of these. Rejects with a system error.
 */
export async function abortedIn(
  { segments, indexes }: Pick<ReadableLog, 'segments' | 'indexes'>,
  segment: Segment,
  range: { fromOffset: bigint; upToOffset: bigint }
): Promise<AbortedTransaction[]> {
  const found: AbortedTransaction[] = []
  for (const each of segments.all.slice(Math.max(0, segments.indexOf(segment)))) {
    if (each.hasAborts && (await indexes.of(each)).aborts.collect(range, found)) break
  }
  return found
}
