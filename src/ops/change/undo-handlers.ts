/**
 * Who takes a change back, by its kind. Each handler looks at the present state
 * and plans the way back: a change like any other, which is printed, confirmed
 * and can be taken back itself.
 *
 * What a handler has to bear: the change may have been done wholly, in part or
 * not at all (a process that was killed says nothing), and the world may have
 * moved on since. What is still as it was before needs nothing; what is as the
 * change left it is put back; whatever is neither goes into `plan.conflicts`,
 * and only `--force` puts that back, too.
 */

import type { Admin, Cluster } from '../../client/index.ts'
import type { PipelineConfig } from '../../config/index.ts'
import type { Clock } from '../../core/index.ts'
import type { Change, Json } from './change.ts'

/** What a handler may look at. */
export interface UndoOpen {
  readonly cluster: Cluster
  readonly admin: Admin
  /** Absent where `--brokers` named the cluster. */
  readonly pipeline: PipelineConfig | undefined
  readonly clock: Clock
  /** Environment variables: secrets of fleets. Absent = none are needed. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal
}

/**
 * Plans the way back.
 *
 * @param snapshot - What the change saved; from a file, so nothing about it is sure.
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the snapshot is not one of its own.
 */
export type UndoHandler = (snapshot: Json, open: UndoOpen) => Promise<Change>

/** Handlers by kind, imported when one is needed. */
const undoHandlers: Readonly<Record<string, () => Promise<UndoHandler>>> = {
  fleet: async () => (await import('../fleet/resize-change.ts')).undoResize,
  offsets: async () => (await import('../offsets/undo-offsets.ts')).undoOffsets,
  'partitions-migrate': async () => (await import('../partitions/undo-migration.ts')).undoMigration,
  'topics-alter': async () => (await import('../topics/plan-configs.ts')).undoTopicConfigs,
  'topics-create': async () => (await import('../topics/plan-create.ts')).undoCreateTopic
}

/** The handler of a kind; `undefined` if this version has none. */
export async function undoHandlerOf(kind: string): Promise<UndoHandler | undefined> {
  return Object.hasOwn(undoHandlers, kind) ? await undoHandlers[kind]?.() : undefined
}
