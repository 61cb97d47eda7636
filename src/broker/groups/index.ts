/** Group coordinator: classic groups and their committed offsets. */

export type { ClassicGroup } from './classic-group.ts'
export type { CommittedOffset, TopicPartition } from './committed-offsets.ts'
export { type CoordinatorSettings, GroupCoordinator, type GroupView } from './group-coordinator.ts'
export type { OffsetsLog, OffsetsMarker, OffsetsProducer, ReadMarker, RecordOrigin } from './group-log.ts'
export type { GroupRecord } from './group-records.ts'
export { NO_BYTES } from './group-types.ts'
export type { OffsetToCommit } from './offset-store.ts'
export { subscriptionOf } from './member-table.ts'
