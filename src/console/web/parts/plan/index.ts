/** Everything that changes something: forms that ask what is to be, and the dialog that plans, confirms and follows. */

import { openPlan, type OpenPlanOptions } from './plan-dialog.tsx'

export { openGrowForm } from './grow-form.tsx'
export { openOffsetsForm } from './offsets-form.tsx'
export { openPlan, type OpenPlanOptions, openUndo } from './plan-dialog.tsx'
export { openReplayForm } from './replay-form.tsx'

/** Pauses a partition of a group, or lets it go on, after it was confirmed. `isPaused`: whether it is paused now. */
// oxlint-disable-next-line max-params -- the name and its four values are agreed between the areas of the pages
export function openPause(group: string, topic: string, partition: number, isPaused: boolean): void {
  openPlan({ kind: isPaused ? 'partition.resume' : 'partition.pause', group, topic, partition })
}

/** Skips one record for a group. */
export function openSkip(
  at: { readonly group: string; readonly topic: string; readonly partition: number; readonly offset: string },
  options: OpenPlanOptions = {}
): void {
  openPlan({ kind: 'offsets.skip', ...at, count: 1 }, options)
}
