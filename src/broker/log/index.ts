/** The durable, segmented log of the embedded broker: what the rest of the broker may use of it. */

export type { AppendedBatch, AppendResult, RecordError, RefusedBatch } from './append-result.ts'
export type { AppendOrigin } from './batch-validator.ts'
export type { BrokerIdentity } from './broker-identity.ts'
export { type Disk, systemDisk } from './disk.ts'
export type { EpochEnd } from './leader-epochs.ts'
export { LogManager } from './log-manager.ts'
export type { LogManagerOptions, NewTopic, Topic, TopicResult } from './log-manager-options.ts'
export { PartitionLog } from './partition-log.ts'
export type {
  AppendMarker,
  AppendOptions,
  AppendTransaction,
  DeleteRecordsResult,
  OpenTransaction
} from './partition-log-options.ts'
export type { ProducerDescription } from './producer-state.ts'
export type { AbortedRange, ReadOptions, ReadResult } from './read-log.ts'
export type { TimestampedOffset } from './timestamp-lookup.ts'
export {
  brokerConfigProblems,
  type ConfigSource,
  type ConfigTexts,
  describeTopicConfigs,
  type LogConfig,
  type ResolvedTopicConfig,
  resolveTopicConfig,
  toLogConfig,
  topicConfigProblems
} from './topic-config.ts'
export {
  type ConfigType,
  isTopicConfigName,
  type ServerSynonym,
  TOPIC_CONFIG_NAMES,
  TOPIC_CONFIGS,
  type TopicConfigEntry,
  topicConfigEntry,
  type TopicConfigName
} from './topic-config-table.ts'
export { INTERNAL_TOPICS, topicNameProblem } from './topic-names.ts'
export type { TransactionVerification, VerifiedBatch } from './transaction-verification.ts'
export { randomUuid } from './uuid.ts'
