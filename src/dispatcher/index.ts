/** `dispatcher`: fetch → batch → invoke → settle → commit; retry, dead letters, breaker, flow control. */

export { Breaker, type BreakerOptions, type BreakerPermit, type BreakerState } from './breaker.ts'
export type { DispatcherDescription, PartitionDescription } from './describe.ts'
export { type Dispatcher, type DispatcherOptions, startDispatcher } from './dispatcher.ts'
export type { DrainReport } from './drain-report.ts'
export type { SettingsChange } from './flow/live-settings.ts'
export { isJsonValue, JSON_DEPTH_MAX } from './json-check.ts'
export type { DispatcherTotals } from './meters.ts'
export { OffsetTracker } from './offset-tracker.ts'
export type { EventOrigin, PayloadColumn } from './payload.ts'
export {
  applyReplay,
  endsOf,
  planReplay,
  type ReplayAdmin,
  type ReplayBound,
  type ReplayPartition,
  type ReplayPlan,
  type ReplayRequest,
  untilReplayed
} from './replay.ts'
export { type Decision, type RetryPolicy, Settlement } from './settlement.ts'
export type { DispatcherState, DispatcherStatus, PartitionStatus } from './status.ts'
export type { Transform, TransformInput, TransformOutput } from './transform.ts'
