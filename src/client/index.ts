/** `client`: any Kafka cluster. Connections, metadata, administration, raw fetch, raw append, group membership. */

export {
  Admin,
  type AdminResult,
  type ConfigChange,
  type ConfigEntry,
  type ConfigResource,
  type DescribedConfig,
  type GroupDescription,
  type GroupMemberDescription,
  type GroupOffset,
  type ListedGroup,
  type ListedOffset,
  type NewTopic,
  type OffsetSpec
} from './admin.ts'
export { Appender } from './appender.ts'
export type { AppenderOptions, AppendHeader, AppendRecord, DeliveredBatch, DeliveryListener } from './appender-types.ts'
export { Cluster } from './cluster.ts'
export type {
  BrokerNode,
  ClusterMetadata,
  ClusterOptions,
  ConnectionSettings,
  OauthToken,
  PartitionMetadata,
  SaslOptions,
  SendOptions,
  SendTarget,
  TlsOptions,
  TopicMetadata
} from './cluster-options.ts'
export { Fetcher } from './fetcher.ts'
export type { FetchedChunk, FetcherOptions, FetchPartitionError } from './fetcher-types.ts'
export { GroupMember } from './group-member.ts'
export type {
  AssignedPartition,
  AssignorName,
  AutoOffsetReset,
  GroupListener,
  GroupMemberOptions,
  GroupMemberState,
  OffsetToCommit,
  TopicPartition
} from './group-types.ts'
