/** `GET /api/changes`: what was changed from this folder of undo records, by the console and by the command line. */

import { PipelineError } from '../../core/index.ts'
import { takeBackProblem, undoHandlerOf, type UndoRecord } from '../../ops/index.ts'
import type { ChangeEntry } from '../api/changes.ts'
import type { Page } from '../api/common.ts'
import type { ConsoleContext } from '../server/server-types.ts'
import type { ChangeDesk } from './change-desk.ts'
import { consoleWords } from './console-words.ts'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 200

/** A page of changes, newest first. @throws PipelineError `ERR_CONSOLE_REQUEST`, `ERR_OPS_UNDO_STORE`. */
export async function listChanges(
  query: URLSearchParams,
  { undo, cluster }: ConsoleContext,
  desk: ChangeDesk
): Promise<Page<ChangeEntry>> {
  const offset = numberOf(query, 'offset', { least: 0, most: 1_000_000, otherwise: 0 })
  const limit = numberOf(query, 'limit', { least: 1, most: LIMIT_MAX, otherwise: LIMIT_DEFAULT })
  const { records, damaged, total } = await undo.list({ offset, limit })
  // Names of files sort by the second.
  const sorted = records.toSorted((left, right) => (left.createdAt < right.createdAt ? 1 : -1))
  const rows = await Promise.all(sorted.map(record => entryOf(record, { clusterId: cluster.clusterId, desk })))
  return { rows, total: total - damaged.length, offset }
}

async function entryOf(
  record: UndoRecord,
  { clusterId, desk }: { readonly clusterId: string | null; readonly desk: ChangeDesk }
): Promise<ChangeEntry> {
  const running = desk.runningWith(record.id)
  const { id, kind, createdAt, summary, state, by = null, result, undoes = null } = record
  const problem =
    running !== undefined
      ? 'it is still running'
      : (takeBackProblem(record, { clusterId, isForced: false }) ??
        ((await undoHandlerOf(kind)) === undefined ? 'this version does not know how' : undefined))
  return {
    undoId: id,
    atMs: Date.parse(createdAt),
    kind,
    summary: consoleWords(summary),
    state: running === undefined ? state : 'running',
    by: by === null ? null : consoleWords(by),
    result: result === undefined ? null : consoleWords(result.summary),
    failures: (result?.failures ?? []).map(consoleWords),
    undoes,
    changeId: running?.parts.id ?? null,
    canUndo: problem === undefined,
    noUndoReason: problem === undefined ? null : consoleWords(problem)
  }
}

function numberOf(
  query: URLSearchParams,
  name: string,
  { least, most, otherwise }: { readonly least: number; readonly most: number; readonly otherwise: number }
): number {
  const text = query.get(name)
  if (text === null) return otherwise
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value
  throw new PipelineError('ERR_CONSOLE_REQUEST', `${name} is a whole number from ${least} to ${most}`)
}
