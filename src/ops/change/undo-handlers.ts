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

import type { UndoHandler } from './undo-types.ts'

/** Handlers by kind, imported when one is needed. */
const undoHandlers: Readonly<Record<string, () => Promise<UndoHandler>>> = {
  fleet: async () => (await import('../fleet/resize-change.ts')).undoResize,
  offsets: async () => (await import('../offsets/undo-offsets.ts')).undoOffsets,
  'partition-pause': async () => (await import('../partitions/pause-partition.ts')).undoPause,
  'partitions-migrate': async () => (await import('../partitions/undo-migration.ts')).undoMigration,
  replay: async () => (await import('../replay/replay-plan.ts')).undoReplay,
  'topics-alter': async () => (await import('../topics/plan-configs.ts')).undoTopicConfigs,
  'topics-create': async () => (await import('../topics/plan-create.ts')).undoCreateTopic
}

/** The handler of a kind; `undefined` if this version has none. */
export async function undoHandlerOf(kind: string): Promise<UndoHandler | undefined> {
  return Object.hasOwn(undoHandlers, kind) ? await undoHandlers[kind]?.() : undefined
}
