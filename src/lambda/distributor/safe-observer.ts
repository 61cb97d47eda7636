/** Observers as the distributor calls them: what one throws is dropped, and what one does not watch is not made. */

import type { DistributorEvent, EventPartition } from '../event/read-event.ts'
import type { DistributorObserver, ObservedBatch, ObservedFailures, ObservedResult, ObservedTrace } from './observer.ts'
import type { PartitionVerdicts } from './verdict.ts'

/**
 * An observer that never throws; without the methods that the given one does not have.
 *
 * @param storeFailed - Told of a store that failed, if the observer does not want to hear of it.
 */
export function safeObserver(
  given: DistributorObserver | undefined,
  storeFailed: (error: unknown) => void
): DistributorObserver {
  if (given === undefined) return { storeFailed }
  const safe: { -readonly [Name in keyof DistributorObserver]: DistributorObserver[Name] } = {}
  if (given.invocationStarted !== undefined) {
    safe.invocationStarted = (batch, context) => quietly(() => given.invocationStarted?.(batch, context))
  }
  if (given.enriched !== undefined) safe.enriched = counts => quietly(() => given.enriched?.(counts))
  if (given.requestDone !== undefined) safe.requestDone = request => quietly(() => given.requestDone?.(request))
  if (given.recordsFailed !== undefined) safe.recordsFailed = failures => quietly(() => given.recordsFailed?.(failures))
  safe.storeFailed = given.storeFailed === undefined ? storeFailed : error => quietly(() => given.storeFailed?.(error))
  if (given.invocationEnded !== undefined) {
    safe.invocationEnded = (result, context) => settled(() => given.invocationEnded?.(result, context))
  }
  if (given.invocationFailed !== undefined) {
    safe.invocationFailed = (error, context) => settled(() => given.invocationFailed?.(error, context))
  }
  return safe
}

function quietly(call: () => void): void {
  try {
    call()
  } catch {
    // A metric is no reason to deliver a batch again.
  }
}

async function settled(call: () => void | Promise<void>): Promise<void> {
  try {
    await call()
  } catch {
    // As above.
  }
}

/** What an observer is told of an event. */
export function observedBatch({ format, partitions }: DistributorEvent, trace?: ObservedTrace): ObservedBatch {
  return {
    format,
    topics: [...new Set(partitions.map(each => each.topic))],
    partitionCount: partitions.length,
    partitions: partitions.flatMap(({ topic, partition, offsets }) => {
      const [firstOffset] = offsets
      const lastOffset = offsets.at(-1)
      if (firstOffset === undefined || lastOffset === undefined) return []
      return [{ topic, partition, firstOffset, lastOffset }]
    }),
    recordCount: partitions.reduce((sum, each) => sum + each.offsets.length, 0),
    ...(trace === undefined ? {} : { trace })
  }
}

/** A partition with what was said of it. */
export interface SettledPartition {
  readonly partition: EventPartition
  readonly verdicts: PartitionVerdicts
  readonly repeatedCount: number
}

/** Counts an invocation's records, and tells of those that are not simply well. */
export function observeResult(
  observer: DistributorObserver,
  partitions: readonly SettledPartition[],
  durationMs: number
): ObservedResult {
  const counts = { retry: 0, deadLetter: 0, skip: 0 }
  let recordCount = 0
  let repeatedCount = 0
  for (const { partition, verdicts, repeatedCount: repeated } of partitions) {
    recordCount += partition.offsets.length
    repeatedCount += repeated
    for (const failures of failuresByAction(partition, verdicts)) {
      counts[failures.action] += failures.recordCount
      observer.recordsFailed?.(failures)
    }
  }
  return {
    durationMs,
    recordCount,
    deliveredCount: recordCount - counts.retry - counts.deadLetter - counts.skip,
    retriedCount: counts.retry,
    deadLetteredCount: counts.deadLetter,
    skippedCount: counts.skip,
    repeatedCount
  }
}

function failuresByAction(partition: EventPartition, verdicts: PartitionVerdicts): readonly ObservedFailures[] {
  if (verdicts.count === 0) return []
  const found = new Map<string, ObservedFailures>()
  for (const [index, { action, reason }] of verdicts.inOrder()) {
    const known = found.get(action)
    const { topic, partition: number } = partition
    const first = known ?? {
      topic,
      partition: number,
      action,
      recordCount: 0,
      firstOffset: partition.offsets[index] ?? 0,
      reason
    }
    found.set(action, { ...first, recordCount: first.recordCount + 1 })
  }
  return [...found.values()]
}
