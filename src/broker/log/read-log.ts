/** Fetch semantics on top of the segment reader: bounds, limits, going on in the next segment. */

import { KAFKA_ERRORS } from '../../protocol/index.ts'
import { systemErrorCode } from './disk.ts'
import type { LogReader } from './log-reader.ts'
import type { SegmentList } from './segment-list.ts'

/** How far and how much to read. */
export interface ReadOptions {
  /** Return the first batch even if it alone is larger than the limit, so that a consumer can go on. Default true. */
  readonly minOneBatch?: boolean
  /** `highWatermark` (default), or `lastStableOffset` for consumers that read committed records only. */
  readonly upTo?: 'highWatermark' | 'lastStableOffset'
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
}

/** The log as the reader sees it. */
export interface ReadableLog {
  readonly segments: SegmentList
  readonly reader: LogReader
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
  const upToOffset = options.upTo === 'lastStableOffset' ? lastStableOffset : highWatermark
  const answer = (errorCode: number, records: Buffer): ReadResult => ({
    errorCode,
    records,
    highWatermark,
    lastStableOffset,
    logStartOffset: log.logStartOffset()
  })
  const outOfRange = answer(KAFKA_ERRORS.OFFSET_OUT_OF_RANGE.code, NOTHING)
  if (fromOffset < log.logStartOffset() || fromOffset > highWatermark) return outOfRange
  const minOneBatch = options.minOneBatch ?? true
  let segment = log.segments.floor(fromOffset)
  while (segment !== undefined && fromOffset < upToOffset && segment.baseOffset < upToOffset) {
    try {
      const records = await log.reader.read(segment, { fromOffset, bytesMax, minOneBatch, upToOffset })
      if (records.length > 0) return answer(0, records)
    } catch (error) {
      // Retention has removed the segment since it was looked up.
      if (systemErrorCode(error) === 'ENOENT' && fromOffset < log.logStartOffset()) return outOfRange
      throw error
    }
    // Nothing at all in this segment from the offset on: a gap at its end. A batch that did not fit is no gap.
    if ((await log.reader.locate(segment, fromOffset)) < segment.sizeBytes) break
    segment = log.segments.after(segment)
  }
  return answer(0, NOTHING)
}
