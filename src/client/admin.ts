/** Administration of topics, offsets, groups and configurations. */

import type { ClusterMetadata } from './cluster-options.ts'
import type { Cluster } from './cluster.ts'
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
}

/** A member of a group. */
export interface GroupMemberDescription {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Decoded from the consumer protocol; empty for other kinds of groups. */
  readonly assignment: readonly TopicPartition[]
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

/** Administration through a cluster client. Items fail one by one: look at their `errorCode`. */
export class Admin {
  readonly #cluster: Cluster
  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }
  createTopics(_topics: readonly NewTopic[], _options?: { readonly isValidateOnly?: boolean }): Promise<AdminResult[]> {
    return Promise.resolve([])
  }
  deleteTopics(_topics: readonly string[]): Promise<AdminResult[]> {
    return Promise.resolve([])
  }
  describeTopics(topics: readonly string[]): Promise<ClusterMetadata> {
    return this.#cluster.metadata(topics)
  }
  listTopics(): Promise<ClusterMetadata> {
    return this.#cluster.metadata()
  }
  createPartitions(_topics: readonly { topic: string; partitionCount: number }[]): Promise<AdminResult[]> {
    return Promise.resolve([])
  }
  listOffsets(
    _requests: readonly (TopicPartition & { readonly at: OffsetSpec })[],
    _options?: { readonly isReadCommitted?: boolean }
  ): Promise<ListedOffset[]> {
    return Promise.resolve([])
  }
  listGroups(): Promise<ListedGroup[]> {
    return Promise.resolve([])
  }
  describeGroups(_groupIds: readonly string[]): Promise<GroupDescription[]> {
    return Promise.resolve([])
  }
  deleteGroups(_groupIds: readonly string[]): Promise<AdminResult[]> {
    return Promise.resolve([])
  }
  /** All committed offsets, or those of the given partitions. */
  fetchGroupOffsets(_groupId: string, _partitions?: readonly TopicPartition[]): Promise<GroupOffset[]> {
    return Promise.resolve([])
  }
  /** Sets the offsets of a group without members. */
  alterGroupOffsets(
    _groupId: string,
    _offsets: readonly (TopicPartition & { readonly offset: bigint; readonly metadata?: string })[]
  ): Promise<(TopicPartition & { readonly errorCode: number })[]> {
    return Promise.resolve([])
  }
  describeConfigs(_resources: readonly ConfigResource[]): Promise<DescribedConfig[]> {
    return Promise.resolve([])
  }
  alterConfigs(
    _changes: readonly { resource: ConfigResource; changes: readonly ConfigChange[] }[]
  ): Promise<AdminResult[]> {
    return Promise.resolve([])
  }
  deleteRecords(
    _requests: readonly (TopicPartition & { readonly beforeOffset: bigint })[]
  ): Promise<(TopicPartition & { readonly logStartOffset: bigint; readonly errorCode: number })[]> {
    return Promise.resolve([])
  }
}
