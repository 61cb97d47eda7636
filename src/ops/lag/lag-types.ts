/** What is said of lag: the words that commands, scaling, alerts, reports and the console share. */

import type { TopicPartition } from '../../client/index.ts'

/**
 * Burrow's words for a partition, and `NONE` where the group has no commit to judge. Source: Burrow
 * `core/internal/evaluator/caching.go`.
 */
export type PartitionStatus = 'OK' | 'WARN' | 'STALL' | 'STOP' | 'REWIND' | 'NONE'

/** Burrow's words for a group. */
export type GroupStatus = 'OK' | 'WARN' | 'ERR' | 'NONE'

/**
 * How the seconds of a lag were found: `append` = the append time of the oldest unread record itself; `interpolated` =
 * between two samples of the log's end; `extrapolated` = outside of the samples; `none` = nothing is unread;
 * `unknown` = nothing to tell it by.
 */
export type LagTimeSource = 'append' | 'interpolated' | 'extrapolated' | 'none' | 'unknown'

/** What is worth a remark beside the status. */
export type LagFlag =
  /** The committed offset lies below the start of the log: records were deleted before they were read. */
  | 'dataLoss'
  /** The committed offset lies above the end of the log: the topic was made anew, or a leader lost records. */
  | 'aheadOfLog'
  /** The group has committed nothing here. */
  | 'noCommit'
  /** What keeps a reader of committed records back is a transaction that stays open. */
  | 'hangingTransaction'
  /** Nobody in the group owns the partition. */
  | 'unassigned'
  /** Neither the offset nor the lag has changed since the last look, and it is above zero. */
  | 'persistent'
  /** The partition has no leader: what is said of it is old, or unknown (`isKnown`). */
  | 'offline'
  /** The topic does not exist any more; what was committed for it expires. */
  | 'noTopic'
  /** All that is unread are markers of transactions: there is nothing to read, and the lag is 0. */
  | 'markersOnly'
  /** The topic is compacted: offsets between the two may have no record any more, so that the lag is an upper bound. */
  | 'compacted'

/**
 * What deletes the oldest unread record first: retention by time or by size; `none` = nothing does, or nothing is
 * unread; `unknown` = the settings or the sizes cannot be read.
 */
export type HeadroomLimit = 'time' | 'size' | 'none' | 'unknown'

/** One partition of a group. */
export interface PartitionLag extends TopicPartition {
  /** Next record to read; `undefined` = nothing committed. */
  readonly committed: bigint | undefined
  readonly logStartOffset: bigint
  /** High watermark; for readers of committed records the last stable offset. */
  readonly endOffset: bigint
  /** `false` = the ends of the partition are not known, and never were: `lagRecords` is 0n then and says nothing. */
  readonly isKnown: boolean
  /** Offsets between the two; never negative. Without a commit: what the group would read with `earliest`. */
  readonly lagRecords: bigint
  /** Offsets that were deleted before the group read them (`dataLoss`); not part of the lag. */
  readonly lostRecords: bigint
  /** Offsets that an open transaction holds back from readers of committed records; not part of the lag. */
  readonly heldBackRecords: bigint
  /** Age of the oldest unread record, in seconds; 0 when nothing is unread; `undefined` if unknown. */
  readonly lagSeconds: number | undefined
  readonly lagTimeSource: LagTimeSource
  readonly status: PartitionStatus
  /** Share of a full window that the verdict rests on, 0 to 1: few looks make no good judge. */
  readonly complete: number
  /** Records appended per second over the window; `undefined` before the second look. */
  readonly arrivalRate: number | undefined
  /** Records committed per second over the window; `undefined` before the second look. */
  readonly serviceRate: number | undefined
  /** Records per second by which the lag grows (positive) or shrinks; `undefined` before the second look. */
  readonly trend: number | undefined
  /** Seconds until nothing is unread at these rates; 0 = already; `undefined` = never, or unknown. */
  readonly drainSeconds: number | undefined
  /** Seconds until retention deletes the oldest unread record, at the earliest; `undefined` = see `headroomLimit`. */
  readonly headroomSeconds: number | undefined
  readonly headroomLimit: HeadroomLimit
  /** Whether sizes were estimated from a record batch, because log directories may not be read. */
  readonly isHeadroomEstimated: boolean
  /** Share of the retention that the backlog takes up, by time or by size, the larger; 1 = it is being deleted. */
  readonly retentionUsed: number | undefined
  /** Client id and host of the owner, for people; empty = none, or not asked. */
  readonly owner: string
  readonly flags: readonly LagFlag[]
  /** When its ends were looked at, in milliseconds since 1970. */
  readonly lookedAtMs: number
}

/** One group. */
export interface GroupLag {
  readonly groupId: string
  /** Kafka's word for its state. */
  readonly state: string
  readonly memberCount: number
  readonly status: GroupStatus
  /** Sum over partitions. */
  readonly lagRecords: bigint
  /** How many of its partitions are unknown (`isKnown`): the sum is then a lower bound. */
  readonly unknownCount: number
  /** Largest of its partitions; `undefined` if none is known, or none but those that have nothing unread. */
  readonly lagSeconds: number | undefined
  /** Of the partition with the largest. */
  readonly lagTimeSource: LagTimeSource
  readonly arrivalRate: number | undefined
  readonly serviceRate: number | undefined
  readonly trend: number | undefined
  /** Seconds until the last of its partitions is drained. */
  readonly drainSeconds: number | undefined
  /** Smallest of its partitions. */
  readonly headroomSeconds: number | undefined
  /** Of the partition with the smallest; `unknown` if any is. */
  readonly headroomLimit: HeadroomLimit
  /** Largest of its partitions. */
  readonly retentionUsed: number | undefined
  /** Share of partitions with enough samples to judge, 0 to 1. Source: Burrow `complete`. */
  readonly complete: number
  /** The partition with the largest lag, `undefined` without partitions. */
  readonly worst: TopicPartition | undefined
  /** Flags of its partitions, each once. */
  readonly flags: readonly LagFlag[]
  /** Ordered by topic and number. */
  readonly partitions: readonly PartitionLag[]
  /** Why the group could not be read. */
  readonly problem?: string
}

/** All groups at one time. */
export interface LagReport {
  readonly clusterId: string
  /** In milliseconds since 1970. */
  readonly takenAtMs: number
  /** How long the look took, in milliseconds. */
  readonly durationMs: number
  readonly groups: readonly GroupLag[]
  /** What could not be looked at, one sentence each. */
  readonly problems: readonly string[]
  /** Some broker did not tell its groups: one that is absent here may be there all the same. Absent = all did. */
  readonly isPartial?: true
}
