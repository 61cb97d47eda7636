/** When a batch goes to a new segment. Pure. Source: Kafka `LogSegment.shouldRoll`. */

import type { Segment } from './segment.ts'
import type { LogConfig } from './topic-config.ts'

const RELATIVE_OFFSET_MAX = 0x7fff_ffffn
const INDEX_ENTRY_BYTES = 8

/** The batch that is to be appended. */
export interface IncomingBatch {
  readonly sizeBytes: number
  readonly lastOffset: bigint
  readonly maxTimestampMs: bigint
  readonly nowMs: number
}

/** Whether the active segment is full, too old, or cannot index the batch. */
export function shouldRoll(segment: Segment, batch: IncomingBatch, config: LogConfig): boolean {
  if (segment.plannedBytes === 0) return false
  if (segment.plannedBytes + batch.sizeBytes > config.segmentBytes) return true
  if (batch.lastOffset - segment.baseOffset > RELATIVE_OFFSET_MAX) return true
  const indexBytes = segment.indexes?.offsets.sizeBytes ?? 0
  if (indexBytes + INDEX_ENTRY_BYTES > config.segmentIndexBytes) return true
  return ageMs(segment, batch) > config.segmentMs - segment.rollJitterMs
}

/** Age by the clock of the records where they have one, so that a replayed past rolls as it would have then. */
function ageMs(segment: Segment, batch: IncomingBatch): number {
  const firstMs = segment.firstTimestampMs
  if (firstMs !== undefined && firstMs >= 0n) return Number(batch.maxTimestampMs - firstMs)
  return batch.nowMs - segment.touchedMs
}
