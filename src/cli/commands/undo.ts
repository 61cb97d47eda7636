/** `comporta undo`: what operations have changed, and the way back. */

import type { Command } from 'commander'

import { systemClock } from '../../core/index.ts'
import type { UndoRecord } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import {
  type ChangeCommandOptions,
  openUndoStore,
  runChange,
  undoFolder,
  withChangeOptions
} from '../operations/run-change.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'

interface UndoOptions extends ChangeCommandOptions, ClusterCommandOptions {
  readonly force?: boolean
  readonly all?: boolean
}

const EXAMPLES = `
Exit codes: 0 listed or taken back, 1 refused or not all of it.

Examples:
  comporta undo
  comporta undo 20260301T090000Z-offsets-0k3f9a --dry-run
  comporta undo 20260301T09 --yes`

/** Changes that are listed without --all. */
const LISTED = 20

/** Adds the command. */
export function addUndo(program: Command, action: CommandAction): void {
  const command = program
    .command('undo')
    .summary('list what was changed, and take a change back')
    .description(
      'Without an id it lists the changes that operations have made from here. With one it plans the way back from ' +
        'what was saved before the change, whether that was done wholly, in part or not at all, and applies it after ' +
        'it was confirmed. It refuses on another cluster, and where the state is no longer the one that the change ' +
        'left behind. An undo can be taken back as well.'
    )
    .argument('[id]', 'the change, or the beginning of its id that no other has')
    .option('--force', 'put back what has been changed by others since, too')
    .option('--all', `list all changes instead of the last ${LISTED}`)
  withChangeOptions(withClusterOptions(command)).addHelpText('after', EXAMPLES).action(action(undo))
}

async function undo(options: UndoOptions, id?: string): Promise<number> {
  const store = await openUndoStore(options)
  if (id === undefined) {
    const { records, damaged } = await store.list()
    const shown = options.all === true ? records : records.slice(0, LISTED)
    process.stdout.write(options.json === true ? jsonLine({ changes: shown, damaged }) : listText(shown, options))
    for (const { file, reason } of damaged) process.stderr.write(`${file} is damaged: ${reason}\n`)
    if (shown.length < records.length && options.json !== true) {
      process.stdout.write(`… and ${count(records.length - shown.length)} older ones (--all)\n`)
    }
    return EXIT.ok
  }
  return await takeBack(await store.read(id), options)
}

async function takeBack(record: UndoRecord, options: UndoOptions): Promise<number> {
  const { planTakeBack, takeBackProblem } = await import('../../ops/index.ts')
  const isForced = options.force === true
  const refused = (problem: string): number => {
    process.stderr.write(`${record.id}: ${problem}\n`)
    return EXIT.failed
  }
  // Without a cluster what needs none: nothing is connected for a change that cannot be taken back.
  const problem = takeBackProblem(record, { clusterId: record.clusterId, isForced })
  if (problem !== undefined) {
    return refused(record.state === 'undone' ? `${problem} (--force does it again)` : problem)
  }
  return await withCluster('undo', options, async ({ cluster, admin, pipeline, logger }) => {
    const { clusterId } = cluster
    const elsewhere = takeBackProblem(record, { clusterId, isForced })
    if (elsewhere !== undefined) return refused(elsewhere)
    const open = { cluster, admin, pipeline, clock: systemClock, environment: process.env }
    const change = await planTakeBack(record, open)
    if (options.json !== true) {
      const done = record.state === 'planned' ? 'it is not known what of it was done' : `it is ${record.state}`
      process.stdout.write(`Takes back ${record.id} (${done}): ${record.summary}\n`)
    }
    const { clusterId: about } = record
    return await runChange(change, {
      ...options,
      clusterId: about === null ? null : clusterId,
      logger,
      force: isForced,
      undoes: record
    })
  })
}

function listText(records: readonly UndoRecord[], options: ChangeCommandOptions): string {
  if (records.length === 0) return `No changes are known in ${undoFolder(options)}\n`
  return tableOf<UndoRecord>(
    [
      { title: 'id', text: each => each.id },
      { title: 'state', text: each => each.state },
      { title: 'undo', text: each => (each.undo.kind === 'possible' ? 'yes' : 'no') },
      { title: 'what', text: each => each.summary }
    ],
    records
  )
}
