/**
 * Which part of a log may be compacted now, how much it needs it, and which
 * segments become one. Pure.
 * Source: Kafka `LogCleanerManager`, `LogToClean`, `Cleaner.groupSegmentsBySize`.
 */

import type { Segment } from '../segment.ts'
import type { LogConfig } from '../topic-config.ts'

const RELATIVE_OFFSET_MAX = 0x7fff_ffffn

/** A log as this module looks at it. */
export interface CleanableState {
  /** All segments, oldest first; the last one is active. */
  readonly segments: readonly Segment[]
  readonly config: LogConfig
  readonly logStartOffset: bigint
  readonly lastStableOffset: bigint
  /** Offset after the last record. */
  readonly endOffset: bigint
  /** First dirty offset of the checkpoint, if it names this log. */
  readonly checkpoint: bigint | undefined
  readonly nowMs: number
}

/** What may be compacted. */
export interface CleanableRange {
  /** Everything below was compacted at least once. */
  readonly firstDirtyOffset: bigint
  /** First offset that must stay as it is: where a segment begins. Above the dirty one, if anything may be cleaned. */
  readonly firstUncleanableOffset: bigint
  /** Dirty bytes that may be compacted. */
  readonly cleanableBytes: number
  /** `cleanableBytes` as a part of themselves and the clean bytes, 0 to 1. */
  readonly dirtyRatio: number
  /** Whether `max.compaction.lag.ms` is over for a dirty record. */
  readonly isOverdue: boolean
}

/** What may be compacted of a log. */
export function cleanableRange(state: CleanableState): CleanableRange {
  const { segments, config, lastStableOffset, nowMs } = state
  const active = segments.at(-1)
  const firstDirtyOffset = firstDirty(state)
  const limits = [lastStableOffset, active?.baseOffset ?? 0n]
  const dirty = segments.slice(0, -1).filter((_, index) => endOf(segments, index) > firstDirtyOffset)
  if (config.minCompactionLagMs > 0) {
    const youngerThanMs = BigInt(nowMs - config.minCompactionLagMs)
    const young = dirty.find(segment => largestTimestamp(segment) > youngerThanMs)
    if (young !== undefined) limits.push(young.baseOffset)
  }
  const lowest = limits.reduce((least, each) => (each < least ? each : least))
  const { cleanBytes, cleanableBytes, firstUncleanableOffset } = bytesOf(segments, firstDirtyOffset, lowest)
  const totalBytes = cleanBytes + cleanableBytes
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    cleanableBytes,
    dirtyRatio: totalBytes === 0 ? 0 : cleanableBytes / totalBytes,
    isOverdue: dirty.some(segment => isOverdue(segment, config, nowMs))
  }
}

/** Whether a log is worth a cleaning now. */
export function needsCleaning(range: CleanableRange, config: LogConfig): boolean {
  if (range.cleanableBytes === 0) return false
  return range.isOverdue || range.dirtyRatio > config.minCleanableDirtyRatio
}

/** A checkpoint that does not fit the log (records deleted, tail lost) has everything cleaned again. */
function firstDirty({ checkpoint, logStartOffset, endOffset }: CleanableState): bigint {
  if (checkpoint === undefined || checkpoint < logStartOffset || checkpoint > endOffset) return logStartOffset
  return checkpoint
}

function endOf(segments: readonly Segment[], index: number): bigint {
  return segments[index + 1]?.baseOffset ?? RELATIVE_OFFSET_MAX << 32n
}

function largestTimestamp(segment: Segment): bigint {
  const { timestampMs } = segment.maxTimestamp
  return timestampMs >= 0n ? timestampMs : BigInt(segment.touchedMs)
}

function isOverdue(segment: Segment, { maxCompactionLagMs }: LogConfig, nowMs: number): boolean {
  const firstMs = Number(segment.firstTimestampMs ?? -1n)
  return firstMs > 0 && firstMs < nowMs - Math.max(0, maxCompactionLagMs)
}

/** Segments are compacted as a whole, so the limit goes back to where one begins. */
function bytesOf(
  segments: readonly Segment[],
  firstDirtyOffset: bigint,
  limit: bigint
): { cleanBytes: number; cleanableBytes: number; firstUncleanableOffset: bigint } {
  let cleanBytes = 0
  let cleanableBytes = 0
  let firstUncleanableOffset = segments[0]?.baseOffset ?? 0n
  for (const [index, segment] of segments.entries()) {
    const end = endOf(segments, index)
    if (end > limit) break
    firstUncleanableOffset = end
    if (end <= firstDirtyOffset) cleanBytes += segment.sizeBytes
    else cleanableBytes += segment.sizeBytes
  }
  return { cleanBytes, cleanableBytes, firstUncleanableOffset }
}

/** Limits of what becomes one segment. */
export interface GroupLimits {
  readonly segmentBytes: number
  readonly segmentIndexBytes: number
  /** Offset after the last segment. */
  readonly endOffset: bigint
}

/**
 * Neighbours that together are no larger than one segment may be: each group
 * becomes one segment, so that compaction does not leave more and more small files.
 *
 * @param indexBytesOf - Bytes of the larger index of a segment.
 */
export function groupSegments(
  segments: readonly Segment[],
  limits: GroupLimits,
  indexBytesOf: (segment: Segment) => number
): Segment[][] {
  const groups: Segment[][] = []
  let group: Segment[] = []
  let bytes = 0
  let indexBytes = 0
  for (const [index, segment] of segments.entries()) {
    const first = group[0]
    const end = segments[index + 1]?.baseOffset ?? limits.endOffset
    const fits =
      first !== undefined &&
      bytes + segment.sizeBytes <= limits.segmentBytes &&
      indexBytes + indexBytesOf(segment) <= limits.segmentIndexBytes &&
      (segment.sizeBytes === 0 || end - 1n - first.baseOffset <= RELATIVE_OFFSET_MAX)
    if (!fits) {
      group = []
      groups.push(group)
      bytes = 0
      indexBytes = 0
    }
    group.push(segment)
    bytes += segment.sizeBytes
    indexBytes += indexBytesOf(segment)
  }
  return groups
}
