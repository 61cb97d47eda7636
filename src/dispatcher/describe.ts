/**
 * Everything that a dispatcher can say of itself at one moment, as JSON can hold it.
 *
 * `status()` is for programs that count; this is for people who ask why
 * something does not move. Offsets are text, because JSON's numbers end at 2^53.
 */

import { byTopicAndPartition, type TopicPartition } from '../client/index.ts'
import type { ProducerDescription } from './exactly-once.ts'
import type { FlowDescription } from './flow/flow-control.ts'
import type { WatchdogDescription } from './flow/watchdog.ts'
import type { IntakeDescription, PauseReason } from './intake.ts'
import type { AnyLane, LaneDescription } from './lane-surroundings.ts'
import type { MemberLike } from './kafka-side.ts'
import type { DispatcherTotals } from './meters.ts'
import type { StationDescription } from './parking/station.ts'
import type { DispatcherState } from './status.ts'

/** One partition. */
export interface PartitionDescription extends LaneDescription {
  /** Last offset that the group has accepted; `null` before the first. */
  readonly committed: string | null
  /** High watermark as of the last fetch; `null` before it. */
  readonly end: string | null
  /** Records between `committed` and `end`; gaps count as records. */
  readonly lag: number | null
  /** Why nothing more is fetched for now; `null` if something is. */
  readonly fetchPausedBy: PauseReason | null
}

/** A dispatcher in full. */
export interface DispatcherDescription {
  readonly state: DispatcherState
  readonly groupId: string
  readonly member: { readonly id: string; readonly generation: number; readonly state: string }
  readonly target: string
  readonly bufferedBytes: number
  /** One for each target: what is sent there, who waits, and what holds it back. */
  readonly routes: FlowDescription['routes']
  readonly intake: IntakeDescription
  readonly watchdog: WatchdogDescription
  /** One for each partition that has retry topics: how many keys wait. */
  readonly retries: readonly StationDescription[]
  /** Transactional producers; empty without exactly-once delivery. */
  readonly producers: readonly ProducerDescription[]
  readonly totals: DispatcherTotals
  /** Ordered by topic and partition. */
  readonly partitions: readonly PartitionDescription[]
}

/** What a description is made from. */
export interface DescribeInput extends Omit<DispatcherDescription, 'member' | 'partitions'> {
  readonly member: Pick<MemberLike, 'memberId' | 'generation' | 'state'>
  readonly lanes: readonly AnyLane[]
  readonly committed: (at: TopicPartition) => bigint | undefined
  readonly end: (at: TopicPartition) => bigint | undefined
  readonly fetchPausedBy: (lane: AnyLane) => PauseReason | undefined
}

/** Makes a description. */
export function describeDispatcher(input: DescribeInput): DispatcherDescription {
  const { member, lanes, committed, end, fetchPausedBy, totals, ...rest } = input
  const partitions = lanes.map(lane => {
    const done = committed(lane)
    const last = end(lane)
    return {
      ...lane.describe(),
      committed: done?.toString() ?? null,
      end: last?.toString() ?? null,
      lag: last === undefined || done === undefined ? null : Math.max(0, Number(last - done)),
      fetchPausedBy: fetchPausedBy(lane) ?? null
    }
  })
  partitions.sort(byTopicAndPartition)
  const { memberId: id, generation, state } = member
  return { ...rest, member: { id, generation, state }, totals: { ...totals }, partitions }
}
