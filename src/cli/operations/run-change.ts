/**
 * How every command changes something: the plan is printed, a person types a
 * word, the snapshot goes to disk, then it is done, and the way back is told.
 *
 * Exit codes: 0 done (or `--dry-run` of something that can be done), 1 refused,
 * not confirmed, or not all of it came out as planned, 130 stopped in between.
 */

import { dirname, join, resolve } from 'node:path'

import type { Command } from 'commander'

import { printableText, systemClock } from '../../core/index.ts'
import type { AppliedChange, Change, ChangeEffect, ChangePlan } from '../../ops/index.ts'
import type { UndoRecord, UndoStore } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { confirmByTyping } from '../confirm.ts'
import { type CommonOptions, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { goOnWithoutReader } from '../process/lost-reader.ts'
import { onFirstSignal } from '../process/signals.ts'
import { count, duration } from './format.ts'
import { type Column, jsonLine, tableOf } from './table.ts'

/** Options of every command that changes something. */
export interface ChangeCommandOptions extends CommonOptions {
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly undoDir?: string
}

/** How a change is run. */
export interface RunChangeOptions extends ChangeCommandOptions {
  /** `cluster.clusterId`; `null` for a change that is not about a cluster. */
  readonly clusterId: string | null
  readonly logger: Logger
  /** The change that this one takes back. */
  readonly undoes?: UndoRecord
  /** What programs want to know of the plan besides: further members of the one JSON document. */
  readonly more?: Readonly<Record<string, unknown>>
  /** Whether conflicts of an undo are overridden. */
  readonly force?: boolean
}

/** Effects that are printed for people; programs get all of them. */
const EFFECTS_SHOWN = 50

/** Adds `--dry-run`, `--yes` and `--undo-dir`. */
export function withChangeOptions(command: Command): Command {
  return command
    .option('--dry-run', 'show the plan and change nothing')
    .option('--yes', 'do not ask')
    .option(
      '--undo-dir <folder>',
      'where the way back is kept (default: .comporta/undo beside the pipeline file, or COMPORTA_UNDO_DIR)'
    )
}

/** The folder of undo records: `--undo-dir`, `COMPORTA_UNDO_DIR`, or `.comporta/undo` beside the pipeline file. */
export function undoFolder(options: ChangeCommandOptions): string {
  const named = options.undoDir ?? process.env['COMPORTA_UNDO_DIR']
  return named === undefined || named === ''
    ? join(resolve(dirname(pipelinePath(options))), '.comporta', 'undo')
    : resolve(named)
}

/** The records of changes. */
export async function openUndoStore(options: ChangeCommandOptions): Promise<UndoStore> {
  const { UndoStore } = await import('../../ops/index.ts')
  return new UndoStore({ folder: undoFolder(options), clock: systemClock })
}

/**
 * Prints, asks, saves, applies, tells.
 *
 * @returns The exit code.
 * @throws PipelineError `ERR_CLI_USAGE` where nobody can be asked, `ERR_OPS_UNDO_STORE` if the snapshot cannot be
 *   written (nothing was changed then), and what the change throws.
 */
export async function runChange(change: Change, options: RunChangeOptions): Promise<number> {
  if (options.dryRun !== true) goOnWithoutReader()
  const { withConflicts } = await import('../../ops/index.ts')
  const hint = 'the state is not the one that the change left behind: look at it, and go on with --force'
  const plan = withConflicts(change.plan, { isForced: options.force === true, hint })
  const isJson = options.json === true
  const { more = {} } = options
  if (!isJson) process.stdout.write(planText(plan))
  if (plan.blockers.length > 0 || options.dryRun === true) {
    if (isJson) process.stdout.write(jsonLine({ plan, ...more, isDryRun: options.dryRun === true, isApplied: false }))
    if (plan.blockers.length > 0) process.stderr.write('Nothing was changed.\n')
    return plan.blockers.length > 0 ? EXIT.failed : EXIT.ok
  }
  if (plan.effects.length === 0) {
    // All is as it was before the change: somebody has put it back, or it was never done.
    if (options.undoes !== undefined) await (await openUndoStore(options)).update(options.undoes, { state: 'undone' })
    if (isJson) process.stdout.write(jsonLine({ plan, ...more, isDryRun: false, isApplied: false }))
    return EXIT.ok
  }
  if (options.yes !== true) {
    if (isJson) process.stderr.write(planText(plan))
    if (!(await confirmByTyping(plan.confirmWord))) {
      process.stderr.write('Nothing was changed.\n')
      return EXIT.failed
    }
  }
  // Not a copy of the object: a change may be an instance whose parts are not its own properties.
  return await applyAndTell({ plan, snapshot: change.snapshot, apply: context => change.apply(context) }, options)
}

async function applyAndTell(change: Change, options: RunChangeOptions): Promise<number> {
  const { clusterId, logger, undoes, json, more = {} } = options
  const { applyChange } = await import('../../ops/index.ts')
  const stop = new AbortController()
  const ignoreSignals = onFirstSignal(logger, () => stop.abort())
  let applied: AppliedChange
  let saved: UndoRecord | undefined
  try {
    applied = await applyChange(change, {
      store: await openUndoStore(options),
      clusterId,
      signal: stop.signal,
      onProgress: text => process.stderr.write(`${printableText(text)}\n`),
      onSaved: record => {
        saved = record
      },
      ...(undoes === undefined ? {} : { undoes })
    })
  } catch (error) {
    if (saved?.undo.kind === 'possible') {
      process.stderr.write(`It ended before it was done. To take back what was: comporta undo ${saved.id}\n`)
    }
    throw error
  } finally {
    ignoreSignals()
  }
  const { result, record } = applied
  if (json === true) {
    const { plan } = change
    process.stdout.write(jsonLine({ plan, ...more, isDryRun: false, isApplied: true, result, undoId: record.id }))
  } else {
    process.stdout.write(resultText(applied))
  }
  if (result.isComplete && result.failures.length === 0) return EXIT.ok
  return stop.signal.aborted ? EXIT.interrupted : EXIT.failed
}

function resultText({ result, record }: AppliedChange): string {
  const failures = result.failures.map(text => `failed: ${printableText(text)}\n`).join('')
  const undo =
    record.undo.kind === 'possible'
      ? `To take it back: comporta undo ${record.id}\n`
      : `It cannot be taken back: ${record.undo.reason}\n`
  return `${printableText(result.summary)}\n${failures}${undo}`
}

/** A plan for people. */
export function planText(plan: ChangePlan): string {
  const shown = plan.effects.slice(0, EFFECTS_SHOWN)
  const hidden = plan.effects.length - shown.length
  const table = shown.length === 0 ? '' : `${tableOf(columnsFor(shown), shown)}`
  const lines = [
    hidden > 0 ? `… and ${count(hidden)} more lines (--json shows all)` : '',
    plan.summary,
    ...plan.warnings.map(text => `warning: ${text}`),
    ...plan.blockers.map(text => `blocked: ${text}`),
    plan.undo.kind === 'impossible' ? `This cannot be taken back: ${plan.undo.reason}` : ''
  ]
  return `${table}${lines
    .filter(text => text !== '')
    .map(text => `${printableText(text)}\n`)
    .join('')}`
}

function columnsFor(effects: readonly ChangeEffect[]): Column<ChangeEffect>[] {
  const columns: Column<ChangeEffect>[] = [
    { title: 'what', text: each => each.what },
    { title: 'before', text: each => each.before, align: 'right' },
    { title: 'after', text: each => each.after, align: 'right' }
  ]
  if (effects.some(each => each.records !== undefined)) {
    columns.push({ title: 'records', text: each => recordsText(each.records), align: 'right' })
  }
  if (effects.some(each => each.seconds !== undefined)) {
    columns.push({ title: 'time', text: each => duration(each.seconds), align: 'right' })
  }
  if (effects.some(each => each.note !== undefined)) columns.push({ title: '', text: each => each.note ?? '' })
  return columns
}

function recordsText(records: bigint | undefined): string {
  if (records === undefined || records === 0n) return records === undefined ? '' : '0'
  return records > 0n ? `${count(records)} again` : `${count(-records)} never`
}
