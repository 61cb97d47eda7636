/**
 * What one look at a cluster gives: partitions with both ends, groups with their
 * committed offsets. Everything that judges a cluster judges such a scan.
 */

import type { BrokerNode, GroupMemberDescription, TopicPartition } from '../../client/index.ts'

/** One partition, as its leader answered. */
export interface ScannedPartition extends TopicPartition {
  /** -1 = without a leader; the offsets are then -1n. */
  readonly leaderId: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly logStartOffset: bigint
  readonly highWatermark: bigint
  /** Below the high watermark while a transaction is open. Equal to it if it was not asked for. */
  readonly lastStableOffset: bigint
  /** Leader epoch, -1 when the broker is too old to say. */
  readonly leaderEpoch: number
  /** Why its offsets are not known (no leader, no right, leader away): they are then -1n. */
  readonly problem?: string
}

/** A topic, partitions ordered by number. */
export interface ScannedTopic {
  readonly topic: string
  /** Topic id in Kafka's form: another one under the same name means that the topic was made anew. */
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly ScannedPartition[]
  /** Why nothing is known of it (no such topic, no right): it then has no partitions. */
  readonly problem?: string
}

/** What a group has committed for a partition. */
export interface ScannedOffset extends TopicPartition {
  /** Next record to read; -1n where nothing is committed. */
  readonly committed: bigint
  readonly leaderEpoch: number
  readonly metadata: string
}

/** A group. */
export interface ScannedGroup {
  readonly groupId: string
  /** Kafka's word: `Stable`, `PreparingRebalance`, `Empty`, `Dead` … */
  readonly state: string
  /** `consumer` for consumer groups; Connect and others use their own word. */
  readonly protocolType: string
  /** Name of the assignor in use; empty without members. */
  readonly assignor: string
  readonly coordinatorId: number
  /** Absent where members were not asked for. */
  readonly members?: readonly GroupMemberDescription[]
  readonly offsets: readonly ScannedOffset[]
  /** Why the group could not be read (no right, coordinator away); its offsets are then empty, not zero. */
  readonly problem?: string
}

/** One look at a cluster. */
export interface ClusterScan {
  readonly clusterId: string
  readonly brokers: readonly BrokerNode[]
  /** -1 = unknown. */
  readonly controllerId: number
  /** When the offsets were asked for, in milliseconds since 1970. */
  readonly takenAtMs: number
  /** When committed offsets were read, before that, in milliseconds since 1970. Absent = at `takenAtMs`. */
  readonly committedAtMs?: number
  /** How long the scan took, in milliseconds. */
  readonly durationMs: number
  readonly topics: ReadonlyMap<string, ScannedTopic>
  readonly groups: readonly ScannedGroup[]
  /** What could not be looked at as a whole, one sentence each: brokers whose groups are not known. */
  readonly problems: readonly string[]
}

/** What to look at. */
export interface ScanRequest {
  /** Only these groups. Default: all that are consumer groups, or have committed offsets. */
  readonly groups?: readonly string[]
  /** Only these topics. Default: those of the groups and, without `groups`, all others that are not internal. */
  readonly topics?: readonly string[]
  /** Whether members are asked for, which costs a request for each coordinator. Default `true`. */
  readonly withMembers?: boolean
  /** Whether the last stable offset is asked for, which doubles the questions to leaders. Default `false`. */
  readonly isReadCommitted?: boolean
  /**
   * How long what may pass (a coordinator that loads, a leader that moves) is asked again, in milliseconds, before it
   * is marked as a problem. Default 5_000.
   */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
}
