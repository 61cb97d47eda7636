/**
 * The way back of a change on disk, as the command line and the console take it: whether it can be taken at all, its
 * plan, and what conflicts mean.
 */

import { PipelineError } from '../../core/index.ts'
import type { Change, ChangePlan } from './change.ts'
import { undoHandlerOf } from './undo-handlers.ts'
import type { UndoRecord } from './undo-store.ts'
import type { UndoOpen } from './undo-types.ts'

/** Where, and how firmly, a change is to be taken back. */
export interface TakeBackQuestion {
  /** `cluster.clusterId` of the cluster at hand. */
  readonly clusterId: string | null
  /** Whether one that has been taken back already is taken back once more. */
  readonly isForced: boolean
}

/** Why a change cannot be taken back, whatever the cluster says; `undefined` = it can be planned. */
export function takeBackProblem(record: UndoRecord, { clusterId, isForced }: TakeBackQuestion): string | undefined {
  if (record.undo.kind === 'impossible') return `it cannot be taken back: ${record.undo.reason}`
  if (record.state === 'undone' && !isForced) return 'it has been taken back already'
  if (record.clusterId === null || record.clusterId === clusterId) return undefined
  return `it was made on the cluster ${record.clusterId}, this one is ${clusterId}`
}

/**
 * Plans the way back.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if this version does not know its kind, or its snapshot is none.
 */
export async function planTakeBack(record: UndoRecord, open: UndoOpen): Promise<Change> {
  const handler = await undoHandlerOf(record.kind)
  if (handler === undefined) {
    throw new PipelineError('ERR_OPS_UNDO_DAMAGED', `this version of comporta takes no change "${record.kind}" back`)
  }
  return await handler(record.snapshot, open)
}

/** Conflicts that are told one by one. */
const CONFLICTS_SHOWN = 50

/**
 * A plan whose conflicts are in the way, or, where they are overridden, among its warnings.
 *
 * @param hint - What to do about them, as the reader of the plan would.
 */
export function withConflicts(plan: ChangePlan, { isForced, hint }: { isForced: boolean; hint: string }): ChangePlan {
  const { conflicts = [], blockers, warnings } = plan
  if (conflicts.length === 0) return plan
  if (isForced) return { ...plan, warnings: [...warnings, ...conflicts] }
  const shown = conflicts.slice(0, CONFLICTS_SHOWN)
  const more = conflicts.length - shown.length
  return { ...plan, blockers: [...blockers, hint, ...shown, ...(more > 0 ? [`… and ${more} more`] : [])] }
}
