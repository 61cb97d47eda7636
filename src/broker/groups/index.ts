/** Group coordinator: classic groups, consumer groups, and their committed offsets. */

export { ASSIGNOR_NAMES } from './assignors/index.ts'
export type { ClassicGroup } from './classic-group.ts'
export type { CommittedOffset, TopicPartition } from './committed-offsets.ts'
export type { ConsumerGroup } from './consumer-group.ts'
export {
  type ConsumerMember,
  type HeartbeatReply,
  type HeartbeatRequest,
  LEAVE_EPOCH,
  LEAVE_STATIC_EPOCH,
  type Partitions
} from './consumer-group-types.ts'
export type { ClusterTopics } from './consumer-runtime.ts'
export { type CoordinatorSettings, GroupCoordinator, type GroupView } from './group-coordinator.ts'
export type { OffsetsLog, OffsetsMarker, OffsetsProducer, ReadMarker, RecordOrigin } from './group-log.ts'
export { MIGRATION_POLICIES } from './group-migration.ts'
export type { GroupRecord } from './group-records.ts'
export { NO_BYTES } from './group-types.ts'
export type { OffsetToCommit } from './offset-store.ts'
export { subscriptionOf } from './member-table.ts'
export { withoutEpochs } from './partition-maps.ts'
export { topicRegexProblem } from './topic-regex.ts'
