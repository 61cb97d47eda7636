/**
 * Applies a change so that it can be taken back: the snapshot first, then the
 * change, then what became of it.
 */

import { invariant, messageOf } from '../../core/index.ts'
import type { ApplyContext, Change, ChangeResult } from './change.ts'
import type { UndoRecord, UndoStore } from './undo-store.ts'

/** What an application needs besides the change. */
export interface ApplyOptions extends ApplyContext {
  readonly store: UndoStore
  /** `cluster.clusterId`; `null` for changes that are not about a cluster. */
  readonly clusterId: string | null
  /** The change that this one takes back. */
  readonly undoes?: UndoRecord
  /** Who does it. */
  readonly by?: string
  /** Hears of the record as soon as it is safe: from then on the change can be taken back, whatever happens. */
  readonly onSaved?: (record: UndoRecord) => void
}

/** What came of it. */
export interface AppliedChange {
  readonly result: ChangeResult
  /** For `comporta undo <id>`. */
  readonly record: UndoRecord
}

/**
 * Applies a change without blockers.
 *
 * @throws PipelineError `ERR_OPS_UNDO_STORE` if the snapshot cannot be written: nothing was changed then; and whatever
 *   `change.apply` throws: the record then says `partial`, and can be taken back.
 */
export async function applyChange(change: Change, options: ApplyOptions): Promise<AppliedChange> {
  const { plan, snapshot } = change
  invariant(plan.blockers.length === 0, 'a change is applied although something is in its way')
  const { store, clusterId, undoes, by, onProgress, onStep, signal } = options
  const planned = await store.create({
    kind: plan.kind,
    clusterId,
    summary: plan.summary,
    confirmWord: plan.confirmWord,
    effectCount: plan.effects.length,
    undo: snapshot === undefined && plan.undo.kind === 'possible' ? NO_SNAPSHOT : plan.undo,
    snapshot: snapshot ?? null,
    ...(undoes === undefined ? {} : { undoes: undoes.id }),
    ...(by === undefined ? {} : { by })
  })
  options.onSaved?.(planned)
  const context = {
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onStep === undefined ? {} : { onStep }),
    ...(signal === undefined ? {} : { signal })
  }
  let result: ChangeResult
  try {
    result = await change.apply(context)
  } catch (error) {
    const failed = { isComplete: false, summary: 'It ended with an error.', failures: [messageOf(error)] }
    // Without it the record says `planned`, which an undo takes for the same: the first error is the one to tell.
    await store.update(planned, { state: 'partial', result: failed }).catch(() => undefined)
    throw error
  }
  const { isComplete, summary, failures } = result
  const state = isComplete ? 'applied' : 'partial'
  const record = await store.update(planned, { state, result: { isComplete, summary, failures } })
  if (undoes !== undefined && isComplete) await store.update(undoes, { state: 'undone' })
  return { result, record }
}

const NO_SNAPSHOT = { kind: 'impossible', reason: 'nothing was saved for it' } as const
