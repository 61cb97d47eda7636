/** `client`: any Kafka cluster. Connections, metadata, administration, raw fetch, raw append, group membership. */

export { Admin } from './admin.ts'
export type {
  AdminResult,
  ConfigChange,
  ConfigEntry,
  ConfigResource,
  DescribedConfig,
  GroupDescription,
  GroupMemberDescription,
  GroupOffset,
  ListedGroup,
  ListedOffset,
  NewTopic,
  OffsetSpec
} from './admin-types.ts'
export type { BrokerGroups, DescribeGroupsOptions, GroupOffsets, GroupOffsetsOptions } from './admin-many-groups.ts'
export type { DescribeConfigsOptions } from './admin-configs.ts'
export type { LogDir, LogDirPartition } from './admin-log-dirs.ts'
export type { PeekAnswer, PeekOptions, PeekQuestion } from './peek-batches.ts'
export type { ManyGroupsOptions } from './many-groups.ts'
export type { AlteredOffset, NewGroupOffset } from './admin-groups.ts'
export type { MemberToRemove, RemovedMember } from './admin-members.ts'
export type { QuotaEntity } from './admin-quotas.ts'
export type { ListOffsetsAtOptions, OffsetQuestion } from './list-offsets.ts'
export type { LingerSetting } from './append-linger.ts'
export { Appender } from './appender.ts'
export type {
  AppenderOptions,
  AppendHeader,
  AppendRecord,
  DeliveredBatch,
  DeliveryListener,
  OutstandingRecord,
  RecordRows,
  RowPlace
} from './appender-types.ts'
export { Cluster } from './cluster.ts'
export type {
  BrokerNode,
  ClusterMetadata,
  ClusterOptions,
  ConnectionSettings,
  OauthToken,
  PasswordMechanism,
  PartitionMetadata,
  Renewable,
  SaslOptions,
  SendOptions,
  SendTarget,
  TlsOptions,
  TlsProvider,
  TopicMetadata,
  UserCredentials
} from './cluster-options.ts'
export { Fetcher } from './fetcher.ts'
export type { Lease } from './answer-memory.ts'
export type { FetchedChunk, FetcherOptions, FetchPartitionError } from './fetcher-types.ts'
export { GroupMember } from './group-member.ts'
export type {
  AssignedPartition,
  AssignorName,
  AutoOffsetReset,
  CloseOptions,
  GroupListener,
  GroupMemberOptions,
  GroupMemberState,
  GroupProtocol,
  OffsetToCommit,
  PartitionStart,
  RetireOptions,
  TopicPartition
} from './group-types.ts'
export { recordOf } from './record-of.ts'
export { byTopicAndPartition, partitionKeyOf } from './topic-partition.ts'
export { TransactionalAppender } from './transactional-appender.ts'
export type { GroupMetadata, TransactionalAppenderOptions } from './transaction-types.ts'
