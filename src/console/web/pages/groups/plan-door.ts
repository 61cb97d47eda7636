/** The way from these pages to the dialogs that plan changes. */

import type { ChangeRequest } from '../../../api/changes.ts'

/** Opens the dialog of a plan. */
export function openPlan(request: ChangeRequest): void {
  console.info('plan', request)
}

/** Asks where the offsets of a group go, and then plans it. */
export function openOffsetsForm(group: string, topics: readonly string[]): void {
  console.info('offsets', group, topics)
}

/** Asks what is replayed, and then plans it. */
export function openReplayForm(group: string, topics: readonly string[]): void {
  console.info('replay', group, topics)
}

/** Asks how far a topic grows, and then plans it. */
export function openGrowForm(topic: string, partitions: number): void {
  console.info('grow', topic, partitions)
}

/** Plans a pause, or its end. */
export function openPause(group: string, topic: string, partition: number, isPaused: boolean): void {
  console.info('pause', group, topic, partition, isPaused)
}
