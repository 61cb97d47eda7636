/** What a dispatcher says of itself: a snapshot for `status()`, the console and the demonstration. */

import { byTopicAndPartition } from '../client/index.ts'
import type { BreakerState } from './breaker.ts'
import type { AnyLane, LaneState } from './lane-surroundings.ts'
import type { DispatcherTotals } from './meters.ts'

/** What a dispatcher is doing. */
export type DispatcherState = 'starting' | 'running' | 'draining' | 'closed' | 'failed'

/** One partition of a dispatcher. */
export interface PartitionStatus {
  readonly topic: string
  readonly partition: number
  readonly state: LaneState
  /** Next record to be put into a batch. */
  readonly position: bigint
  /** Next record to read after a restart: the last offset that the group accepted. */
  readonly committed: bigint
  /** Records of the batch under way. */
  readonly inFlight: number
  /** Bytes fetched and not in a batch yet. */
  readonly bufferedBytes: number
  readonly isPaused: boolean
  /** Records between `committed` and the high watermark; `undefined` before the first fetch. */
  readonly lag: number | undefined
}

/** A snapshot of a dispatcher. */
export interface DispatcherStatus {
  readonly state: DispatcherState
  readonly memberId: string
  readonly generation: number
  readonly breaker: BreakerState
  readonly bufferedBytes: number
  readonly totals: DispatcherTotals
  /** Ordered by topic and partition. */
  readonly partitions: readonly PartitionStatus[]
}

/** What a snapshot is made from. */
export interface StatusInput extends Omit<DispatcherStatus, 'partitions'> {
  readonly lanes: readonly {
    readonly lane: AnyLane
    readonly isPaused: boolean
    readonly committed: bigint | undefined
    /** High watermark. */
    readonly end: bigint | undefined
  }[]
}

/** Makes a snapshot. */
export function readStatus({ lanes, totals, ...rest }: StatusInput): DispatcherStatus {
  const partitions = lanes.map(({ lane, isPaused, committed = 0n, end }) => ({
    topic: lane.topic,
    partition: lane.partition,
    state: lane.state,
    position: lane.position,
    committed,
    inFlight: lane.inFlightRecords,
    bufferedBytes: lane.bufferedBytes,
    isPaused,
    lag: end === undefined ? undefined : Math.max(0, Number(end - committed))
  }))
  partitions.sort(byTopicAndPartition)
  return { ...rest, totals: { ...totals }, partitions }
}
