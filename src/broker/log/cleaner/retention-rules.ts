/**
 * What compaction keeps of one batch and of one record. Pure.
 * Source: Kafka `Cleaner.cleanInto`, `Cleaner.shouldRetainRecord`, `MemoryRecords.filterTo`.
 */

import { hasDeleteHorizon, isControl, type RecordBatchHeader } from '../../../protocol/index.ts'
import type { ProducerEntry } from '../producer-state.ts'
import { lastOffsetOf } from '../segment-scan.ts'
import type { KeyOffsets } from './key-offsets.ts'

/** The last thing that is known of a producer which may go on. */
export interface LastOfProducer {
  /** Last offset of its last batch of data; `undefined` if its last entry is a marker. */
  readonly lastDataOffset: bigint | undefined
  readonly producerEpoch: number
}

/**
 * The last entry of every producer, as far as it is written: what is on its way may still be refused, and then the
 * batch before it is the last one.
 */
export function lastOfProducers(entries: Iterable<ProducerEntry>, highWatermark: bigint): Map<bigint, LastOfProducer> {
  const last = new Map<bigint, LastOfProducer>()
  for (const { producerId, producerEpoch, batches } of entries) {
    const written = batches.findLast(batch => batch.lastOffset < highWatermark)
    last.set(producerId, { lastDataOffset: written?.lastOffset, producerEpoch })
  }
  return last
}

/** What one cleaning knows. */
export interface CleaningRules {
  /** Last offset of each key up to `mappedOffset`. */
  readonly keys: KeyOffsets
  /** Last offset that is in `keys`. */
  readonly mappedOffset: bigint
  /** First offset that this cleaning does not touch. */
  readonly endOffset: bigint
  readonly nowMs: number
  /** `delete.retention.ms`. */
  readonly deleteRetentionMs: number
  readonly lastOfProducers: ReadonlyMap<bigint, LastOfProducer>
}

/** What becomes of a batch. */
export interface BatchVerdict {
  /** Whether all its records go. */
  readonly isDiscarded: boolean
  /** Whether its header stays even without a record. */
  readonly isKeptEmpty: boolean
  /** Whether it is a marker whose transaction has no data left: it waits for its delete horizon. */
  readonly isMarkerOfNothing: boolean
}

/** Time from which the tombstones or the marker of a batch may go, or `undefined` if it was not decided yet. */
export function deleteHorizonOf(header: RecordBatchHeader): bigint | undefined {
  return hasDeleteHorizon(header.attributes) ? header.baseTimestamp : undefined
}

/** @param isDiscardable - Aborted data, or a marker without data: see `CleanedTransactions`. */
export function judgeBatch(header: RecordBatchHeader, isDiscardable: boolean, rules: CleaningRules): BatchVerdict {
  const isMarker = isControl(header.attributes)
  const horizon = deleteHorizonOf(header)
  const isOver = horizon !== undefined && horizon <= BigInt(rules.nowMs)
  const isDiscarded = isDiscardable && (!isMarker || isOver)
  const lastOffset = lastOffsetOf(header)
  // The last batch of the range stays as a header, so that the end of what was cleaned does not get lost.
  const isKeptEmpty = isLastOfProducer(header, rules) || lastOffset + 1n === rules.endOffset
  return { isDiscarded, isKeptEmpty, isMarkerOfNothing: isMarker && isDiscardable }
}

/** A producer that goes on must find its last sequence (or, after a marker, its epoch) when the log is replayed. */
function isLastOfProducer(header: RecordBatchHeader, { lastOfProducers }: CleaningRules): boolean {
  if (header.producerId < 0n) return false
  const last = lastOfProducers.get(header.producerId)
  if (last === undefined) return false
  if (last.lastDataOffset !== undefined) return lastOffsetOf(header) === last.lastDataOffset
  return isControl(header.attributes) && header.producerEpoch === last.producerEpoch
}

/** Whether a record of a batch that is not discarded stays. */
export function isRecordKept(
  record: { readonly key: Uint8Array | null; readonly offset: bigint; readonly isTombstone: boolean },
  horizon: bigint | undefined,
  rules: CleaningRules
): boolean {
  if (record.offset > rules.mappedOffset) return true
  // Written before the topic was compacted: nothing could ever replace it.
  if (record.key === null) return false
  if (Number(record.offset) < rules.keys.get(record.key)) return false
  return !record.isTombstone || horizon === undefined || BigInt(rules.nowMs) < horizon
}
