/** What a group member is told and tells: options, assignment, listener. */

import type { Clock, PipelineError, Random } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { Cluster } from './cluster.ts'

/** A topic and one of its partitions. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Where reading a partition goes on. */
export interface PartitionStart extends TopicPartition {
  /** Offset of the next record to read: the committed one, or what the reset policy gave. */
  readonly offset: bigint
  /** Text committed with that offset; empty if there was none. */
  readonly metadata: string
}

/** A partition that this member now owns, and where to go on reading it. */
export interface AssignedPartition extends PartitionStart {
  /** Starts of its companions, in the order in which the option `companions` named them. Absent without that option. */
  readonly companions?: readonly PartitionStart[]
}

/** An offset to commit: the next record to read, not the last one read. */
export interface OffsetToCommit extends TopicPartition {
  readonly offset: bigint
  /** Text kept with the offset, at most 4096 bytes (`offset.metadata.max.bytes`). Default empty. */
  readonly metadata?: string
  /** Leader epoch of the last record read. Default -1, unknown. */
  readonly leaderEpoch?: number
}

/** How partitions are shared out by a classic group. Names as in Kafka's `partition.assignment.strategy`. */
export type AssignorName = 'cooperative-sticky' | 'sticky' | 'range' | 'roundrobin'

/**
 * Which protocol a member speaks: `classic` (JoinGroup, every Kafka), `consumer` (KIP-848, Kafka 4), `auto` = consumer
 * where the cluster has it, the group allows it, and `sessionTimeoutMs` and `assignors`, which only the classic one
 * knows, are not set to anything but their defaults. Source: Kafka `group.protocol`.
 */
export type GroupProtocol = 'auto' | 'consumer' | 'classic'

/** Where to start when the group has no committed offset. `none` = report it as an error. */
export type AutoOffsetReset = 'earliest' | 'latest' | 'none'

/**
 * What a group member calls. Calls never overlap, except that during `revoked` of some partitions `assigned` may come
 * for others, and `lost` and `failed` for any.
 */
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
  /** Which protocol to speak. Default `auto`. */
  readonly groupProtocol?: GroupProtocol
  /** Makes the member static (KIP-345): a restart within the session timeout causes no rebalance. Default: dynamic. */
  readonly groupInstanceId?: string
  /** Whether a static member that closes gives its place up, as a dynamic one does. Default `false`. */
  readonly isStaticPlaceGivenUp?: boolean
  /**
   * Longest silence before the coordinator removes this member, in milliseconds. Default 45_000. In the consumer
   * protocol the broker decides (`group.consumer.session.timeout.ms`).
   */
  readonly sessionTimeoutMs?: number
  /**
   * Longest time between heartbeats, in milliseconds; at most a third of the session timeout. Shorter where the
   * coordinator asks for it, and while the group is changing. Default 1_000.
   */
  readonly heartbeatIntervalMs?: number
  /** Longest time a member may take to give partitions back and join again, in milliseconds. Default 300_000. */
  readonly rebalanceTimeoutMs?: number
  /**
   * Classic protocol: assignors in order of preference; the group uses one that all members know. Default
   * cooperative-sticky, range.
   */
  readonly assignors?: readonly AssignorName[]
  /**
   * Consumer protocol: assignor of the broker, `uniform` or `range` in Kafka. Default: the broker's choice. Source:
   * Kafka `group.remote.assignor`.
   */
  readonly serverAssignor?: string
  /** Where to start without a committed offset. Partitions added later always start at earliest. Default `earliest`. */
  readonly autoOffsetReset?: AutoOffsetReset
  /** Whether the latest offset is the last stable one, as for readers of committed records. Default `false`. */
  readonly isReadCommitted?: boolean
  /**
   * Classic protocol: how often the leader looks at the topics for new partitions, in milliseconds. In the consumer
   * protocol the coordinator tells. Default 5_000.
   */
  readonly topicCheckIntervalMs?: number
  /** Rack of this member (KIP-881), told to the leader. Default none. */
  readonly rackId?: string
  /**
   * Partitions that go with an assigned one without being assigned by the group: whoever holds it may commit them, and
   * gets their starts (the committed offset, or 0) with `assigned`. Pure. Default none.
   */
  readonly companions?: (partition: TopicPartition) => readonly TopicPartition[]
  readonly listener: GroupListener
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** What a member is doing. */
export type GroupMemberState = 'idle' | 'joining' | 'syncing' | 'stable' | 'revoking' | 'closing' | 'closed' | 'failed'

/** How a member closes. */
export interface CloseOptions {
  /** Why, for the log and the coordinator (LeaveGroup since version 5). Default `the member is closing`. */
  readonly reason?: string
}

/** How a member retires. */
export interface RetireOptions {
  /** Longest wait, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number
}
