/** What is seen while an experiment runs, and what is worked out of it. Pure. */

import type { AuditReport } from '../audit/audit.ts'

/** Offsets of one partition. */
export interface PartitionOffsets {
  /** Next record that the group reads; 0 before its first commit. */
  readonly committed: number
  readonly end: number
  readonly logStart: number
}

/** The pipeline at one moment. Counts are from the start of the run. */
export interface ChaosSample {
  /** Milliseconds since the start of the run. */
  readonly atMs: number
  readonly produced: number
  /** Deliveries that services have accepted. */
  readonly delivered: number
  /** By `topic-partition`, as Kafka says; `undefined` while it does not answer. */
  readonly offsets: ReadonlyMap<string, PartitionOffsets> | undefined
  /** Partitions that running dispatchers have, and those there are. */
  readonly assigned: number
  readonly partitionCount: number
  /** Times that partitions came or went, of all dispatchers together. */
  readonly rebalances: number
  /** Records in the dead letter topic, less as many bad ones as the load may hold. */
  readonly strayDeadLetters: number
  /** Parts that ended by themselves, and why. */
  readonly ended: readonly string[]
}

/** A line of the report's timeline. */
export interface TimelineEntry {
  readonly atMs: number
  readonly text: string
}

/** Numbers of a steady stretch. */
export interface SteadyState {
  /** Deliveries per second. */
  readonly deliveredPerSecond: number
  readonly producedPerSecond: number
  /** Largest lag, in records. */
  readonly lagMax: number
}

/** What the ledgers say at the end. */
export interface ChaosLedgers {
  readonly audit: AuditReport
  /** Events handed to producers, acknowledged or not. */
  readonly handedOver: number
  /** First deliveries behind a later event of a key that changed its partition when the topic grew: allowed then. */
  readonly movedOutOfOrder: number
}

/** Everything that a run has shown, for the check of the hypothesis. */
export interface ChaosObservation {
  readonly before: SteadyState
  /** Absent if the pipeline did not become steady again. */
  readonly after: SteadyState | undefined
  readonly ledgers: ChaosLedgers
  /** Times between which the harm lay. */
  readonly harmFromMs: number
  readonly harmToMs: number
  /** From the end of the harm to the steady state; absent if it was not reached. */
  readonly recoveredMs: number | undefined
  readonly lagMax: number
  readonly pause: PartitionPause | undefined
  /** Since the harm began. */
  readonly rebalances: number
  readonly ended: readonly string[]
  readonly samples: readonly ChaosSample[]
}

/** A partition that had records and no progress. */
export interface PartitionPause {
  readonly partition: string
  readonly ms: number
}

/** Records that the group has not committed; `undefined` while Kafka does not answer. */
export function lagOf({ offsets }: ChaosSample): number | undefined {
  if (offsets === undefined) return undefined
  let lag = 0
  for (const { committed, end } of offsets.values()) lag += Math.max(0, end - committed)
  return lag
}

/** Records that were deleted before the group had read them. */
export function lostUnread({ offsets }: ChaosSample): number {
  let lost = 0
  for (const { committed, logStart } of offsets?.values() ?? []) {
    // A partition without a commit starts where its log does.
    if (committed > 0) lost += Math.max(0, logStart - committed)
  }
  return lost
}

/** Rates and lag between two samples; `undefined` with fewer than two. */
export function steadyOf(samples: readonly ChaosSample[]): SteadyState | undefined {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
  const seconds = (last.atMs - first.atMs) / 1000
  return {
    deliveredPerSecond: (last.delivered - first.delivered) / seconds,
    producedPerSecond: (last.produced - first.produced) / seconds,
    lagMax: largestLag(samples)
  }
}

/** The largest lag that was seen. */
export function largestLag(samples: readonly ChaosSample[]): number {
  return samples.reduce((largest, sample) => Math.max(largest, lagOf(sample) ?? 0), 0)
}

/**
 * The longest time in which a partition had uncommitted records and committed none. Time in which Kafka did not answer
 * counts. As fine as samples are apart.
 */
export function longestPause(samples: readonly ChaosSample[]): PartitionPause | undefined {
  const since = new Map<string, { committed: number; fromMs: number }>()
  let longest: PartitionPause | undefined
  for (const { atMs, offsets } of samples) {
    for (const [partition, { committed, end }] of offsets ?? []) {
      const before = since.get(partition)
      const ms = before === undefined ? 0 : atMs - before.fromMs
      if (before !== undefined && ms > (longest?.ms ?? 0)) longest = { partition, ms }
      if (end <= committed) since.delete(partition)
      else if (before?.committed !== committed) since.set(partition, { committed, fromMs: atMs })
    }
  }
  return longest
}
