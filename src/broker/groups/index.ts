/** Group coordinator: classic groups and their committed offsets. */

export type { ClassicGroup } from './classic-group.ts'
export type { CommittedOffset, TopicPartition } from './committed-offsets.ts'
export {
  type CoordinatorSettings,
  GroupCoordinator,
  type GroupView,
  type OffsetsLog,
  type OffsetToCommit
} from './group-coordinator.ts'
export type { GroupRecord } from './group-records.ts'
export { NO_BYTES } from './group-types.ts'
export { subscriptionOf } from './member-table.ts'
