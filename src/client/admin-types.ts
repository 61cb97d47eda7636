/** What administration takes and gives: topics, offsets, groups, configurations. */

import type { TopicPartition } from './group-types.ts'

/** A topic to create. */
export interface NewTopic {
  readonly topic: string
  /** Default: the broker's `num.partitions`. */
  readonly partitionCount?: number
  /** Default: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** What became of one item of an admin call. */
export interface AdminResult {
  readonly name: string
  /** 0 = done. */
  readonly errorCode: number
  /** Kafka's name of the code, `NONE` for 0. */
  readonly errorName: string
  readonly errorMessage: string | null
}

/** An offset found by `listOffsets`. */
export interface ListedOffset extends TopicPartition {
  /** -1n if no record has such a timestamp. */
  readonly offset: bigint
  /** Timestamp of that record, -1n if it was not asked by time. */
  readonly timestamp: bigint
  readonly leaderEpoch: number
  readonly errorCode: number
}

/** Where `listOffsets` looks: the ends, or the first record at or after a time in milliseconds since 1970. */
export type OffsetSpec = 'earliest' | 'latest' | 'maxTimestamp' | { readonly timestampMs: bigint }

/** A group in a list. */
export interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly state: string
  /** `classic`, `consumer`, `share`, `streams`; absent where the broker is too old to say (KIP-848). */
  readonly groupType?: string
}

/** A member of a group. */
export interface GroupMemberDescription {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Decoded from the consumer protocol; empty for other kinds of groups. */
  readonly assignment: readonly TopicPartition[]
  /** Topics that it wants to read, whether they exist or not; absent for other kinds of groups. */
  readonly subscription?: readonly string[]
}

/** A group with its members. */
export interface GroupDescription {
  readonly groupId: string
  readonly state: string
  readonly protocolType: string
  /** Name of the assignor in use. */
  readonly protocol: string
  readonly coordinatorId: number
  readonly members: readonly GroupMemberDescription[]
  readonly errorCode: number
  /** Why it could not be described, for people. */
  readonly problem?: string
}

/** A committed offset of a group. */
export interface GroupOffset extends TopicPartition {
  /** Next record to read; -1n if nothing is committed. */
  readonly offset: bigint
  readonly leaderEpoch: number
  readonly metadata: string
  readonly errorCode: number
}

/** What a configuration belongs to. */
export interface ConfigResource {
  readonly type: 'topic' | 'broker' | 'group'
  /** Topic name, node id as text, or group id. */
  readonly name: string
}

/** One setting. */
export interface ConfigEntry {
  readonly name: string
  /** `null` when the setting is secret or unset. */
  readonly value: string | null
  readonly isReadOnly: boolean
  readonly isDefault: boolean
  readonly isSensitive: boolean
  /** Number of the source in Kafka's table (1 topic, 2 dynamic broker, 4 static broker, 5 default). */
  readonly source: number
}

/** The settings of one resource. */
export interface DescribedConfig extends ConfigResource {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly entries: readonly ConfigEntry[]
}

/** A change of one setting. */
export interface ConfigChange {
  readonly name: string
  readonly operation: 'set' | 'delete' | 'append' | 'subtract'
  readonly value?: string
}
