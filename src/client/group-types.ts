/** What a group member is told and tells: options, assignment, listener. */

import type { Clock, PipelineError, Random } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { Cluster } from './cluster.ts'

/** A topic and one of its partitions. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A partition that this member now owns, and where to go on reading it. */
export interface AssignedPartition extends TopicPartition {
  /** Offset of the next record to read: the committed one, or what `autoOffsetReset` gave. */
  readonly offset: bigint
  /** Text committed with that offset; empty if there was none. */
  readonly metadata: string
}

/** An offset to commit: the next record to read, not the last one read. */
export interface OffsetToCommit extends TopicPartition {
  readonly offset: bigint
  /** Text kept with the offset, at most 4096 bytes (`offset.metadata.max.bytes`). Default empty. */
  readonly metadata?: string
  /** Leader epoch of the last record read. Default -1, unknown. */
  readonly leaderEpoch?: number
}

/** How partitions are shared out. Names as in Kafka's `partition.assignment.strategy`. */
export type AssignorName = 'cooperative-sticky' | 'range' | 'roundrobin'

/** Where to start when the group has no committed offset. `none` = report it as an error. */
export type AutoOffsetReset = 'earliest' | 'latest' | 'none'

/** What a group member calls. Calls never overlap, except that `lost` and `failed` may come during `revoked`. */
export interface GroupListener {
  /** Partitions that are new to this member; those it already had are not named again. */
  assigned(partitions: readonly AssignedPartition[]): void | Promise<void>
  /**
   * Partitions to give back. Finish or drop what is in flight, commit, then resolve: only then may another member
   * read them. Heartbeats go on meanwhile. Bounded by `rebalanceTimeoutMs` less a margin; after that the member goes
   * on as if it had resolved, and commits for these partitions are refused.
   */
  revoked(partitions: readonly TopicPartition[]): Promise<void>
  /** Partitions that already belong to others: drop the work, a commit would be refused. */
  lost(partitions: readonly TopicPartition[]): void
  /** The member has ended and will not come back by itself. */
  failed(error: PipelineError): void
}

/** Options of `GroupMember`. */
export interface GroupMemberOptions {
  readonly cluster: Cluster
  /** Name of the group. Source: Kafka `group.id`. */
  readonly groupId: string
  /** Topics to read. They need not exist yet. At least one. */
  readonly topics: readonly string[]
  /** Makes the member static (KIP-345): a restart within the session timeout causes no rebalance. Default: dynamic. */
  readonly groupInstanceId?: string
  /** Longest silence before the coordinator removes this member, in milliseconds. Default 45_000. */
  readonly sessionTimeoutMs?: number
  /** Time between heartbeats, in milliseconds; at most a third of the session timeout. Default 3_000. */
  readonly heartbeatIntervalMs?: number
  /** Longest time a member may take to give partitions back and join again, in milliseconds. Default 300_000. */
  readonly rebalanceTimeoutMs?: number
  /** Assignors in order of preference; the group uses one that all members know. Default cooperative-sticky, range. */
  readonly assignors?: readonly AssignorName[]
  /** Where to start without a committed offset. Partitions added later always start at earliest. Default `earliest`. */
  readonly autoOffsetReset?: AutoOffsetReset
  /** How often the subscribed topics are looked at for new partitions, in milliseconds. Default 30_000. */
  readonly topicCheckIntervalMs?: number
  /** Rack of this member (KIP-881), told to the leader. Default none. */
  readonly rackId?: string
  readonly listener: GroupListener
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** What a member is doing. */
export type GroupMemberState = 'idle' | 'joining' | 'syncing' | 'stable' | 'revoking' | 'closing' | 'closed' | 'failed'
