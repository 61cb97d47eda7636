/** Which segments are old enough to go. Pure. Source: Kafka `UnifiedLog.deleteOldSegments`. */

import type { Segment } from './segment.ts'
import type { LogConfig } from './topic-config.ts'

/** What retention looks at. */
export interface RetentionInput {
  /** Oldest first. */
  readonly segments: readonly Segment[]
  readonly config: LogConfig
  readonly logStartOffset: bigint
  readonly nowMs: number
}

/**
 * How many of the oldest segments may be removed; all of them if the active one
 * has expired too. An empty active segment always stays.
 *
 * Three reasons: they lie below the log start offset (for every cleanup policy);
 * the rest is still at least `retention.bytes`; their youngest record is older
 * than `retention.ms`. The last two only with the policy `delete`.
 */
export function countToDelete({ segments, config, logStartOffset, nowMs }: RetentionInput): number {
  let count = 0
  for (let next = segments[1]; next !== undefined && next.baseOffset <= logStartOffset; next = segments[count + 1]) {
    count += 1
  }
  if (!config.isDeleted) return count
  if (config.retentionBytes >= 0) {
    let excess = -config.retentionBytes
    for (const segment of segments.slice(count)) excess += segment.sizeBytes
    count = countWhile(segments, count, segment => {
      excess -= segment.sizeBytes
      return excess >= 0
    })
  }
  if (config.retentionMs < 0) return count
  return countWhile(segments, count, segment => nowMs - youngestMs(segment) > config.retentionMs)
}

function countWhile(segments: readonly Segment[], from: number, isDeletable: (segment: Segment) => boolean): number {
  let count = from
  for (const [index, segment] of segments.entries()) {
    if (index < from) continue
    const isEmptyActive = index === segments.length - 1 && segment.sizeBytes === 0
    if (isEmptyActive || !isDeletable(segment)) break
    count += 1
  }
  return count
}

/** Records without timestamps are as old as their file. */
function youngestMs(segment: Segment): number {
  const { timestampMs } = segment.maxTimestamp
  return timestampMs >= 0n ? Number(timestampMs) : segment.touchedMs
}
