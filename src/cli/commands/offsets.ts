/** `comporta offsets`: what groups have committed; shows and exports it, and moves it so that it can be taken back. */

import type { Command } from 'commander'

import { printableText } from '../../core/index.ts'
import type { ShownOffset } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { withCluster } from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import {
  type GroupCommandOptions,
  groupsOf,
  scopeOfOptions,
  withGroups,
  withTopics
} from '../operations/group-options.ts'
import { type Column, jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { addOffsetsPlace } from './offsets-place.ts'
import { addOffsetsReset } from './offsets-reset.ts'
import { addOffsetsSkip } from './offsets-skip.ts'

interface ExportOptions extends GroupCommandOptions {
  readonly withGroup?: boolean
}

/** Adds the command and its subcommands. */
export function addOffsets(program: Command, action: CommandAction): void {
  const offsets = program
    .command('offsets')
    .summary('committed offsets of groups: show, reset, skip, copy, export')
    .description(
      'Committed offsets of consumer groups. Whatever moves one shows its plan first, with the records that are read ' +
        'again or never; asks, saves the way back, and can be taken back with comporta undo.'
    )
    .addHelpText('after', '\nExamples:\n  comporta offsets show --group billing\n  comporta offsets reset --help')
  addShow(offsets, action)
  addOffsetsReset(offsets, action)
  addOffsetsSkip(offsets, action)
  addOffsetsPlace(offsets, action)
  addExport(offsets, action)
  for (const command of offsets.commands) {
    command.exitOverride().showHelpAfterError(`(see comporta offsets ${command.name()} --help)`)
  }
}

function addShow(offsets: Command, action: CommandAction): void {
  const command = offsets
    .command('show')
    .summary('what is committed, and how much lies behind it')
    .description(
      'The committed offsets of groups, the ends of their logs and the lag. "finished" are later records that a ' +
        'dispatcher has done already; they are not in the lag.'
    )
  withTopics(withGroups(command))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets show\n  comporta offsets show --all-groups --topic mt-c400:0,1\n' +
        '  comporta offsets show --brokers kafka:9092 --group billing --json'
    )
    .action(action(show))
}

async function show(options: GroupCommandOptions): Promise<number> {
  const { showOffsets } = await import('../../ops/index.ts')
  return await withCluster('offsets', options, async open => {
    const groupIds = await groupsOf(options, open)
    const scope = await scopeOfOptions(options, { isNeeded: false })
    const { groups, offsets } = await showOffsets(open, { groupIds, scope })
    if (options.json === true) {
      const states = groups.map(({ groupId, state, groupType, problems }) => ({ groupId, state, groupType, problems }))
      process.stdout.write(jsonLine({ groups: states, offsets }))
      return EXIT.ok
    }
    process.stdout.write(tableOf(columns(groupIds.length > 1), offsets))
    const lag = offsets.reduce((sum, each) => sum + (each.lag ?? 0n), 0n)
    process.stdout.write(`${count(offsets.length)} offsets, lag ${count(lag)}\n`)
    for (const { groupId, problems } of groups) {
      for (const problem of problems) process.stderr.write(`${printableText(`group ${groupId}: ${problem}`)}\n`)
    }
    return EXIT.ok
  })
}

function columns(isGroupNamed: boolean): Column<ShownOffset>[] {
  const group: Column<ShownOffset>[] = isGroupNamed ? [{ title: 'group', text: each => each.groupId }] : []
  return [
    ...group,
    { title: 'partition', text: each => `${each.topic}-${each.partition}` },
    { title: 'committed', text: each => count(each.stored.offset), align: 'right' },
    { title: 'start', text: each => textOf(each.ends?.logStartOffset), align: 'right' },
    { title: 'end', text: each => textOf(each.ends?.highWatermark), align: 'right' },
    { title: 'lag', text: each => textOf(each.lag), align: 'right' },
    { title: 'finished', text: each => (each.finishedCount === 0 ? '' : count(each.finishedCount)), align: 'right' },
    { title: '', text: noteOf }
  ]
}

function textOf(offset: bigint | undefined): string {
  return offset === undefined ? '–' : count(offset)
}

function noteOf({ stored, ends }: ShownOffset): string {
  if (ends === undefined) return 'the topic is gone'
  const lost = ends.logStartOffset - stored.offset
  if (lost > 0n) return `${count(lost)} records were deleted unread`
  return stored.offset > ends.highWatermark ? 'lies behind the end' : ''
}

function addExport(offsets: Command, action: CommandAction): void {
  const command = offsets
    .command('export')
    .summary('what is committed, as CSV or JSON')
    .description(
      'Prints committed offsets in the CSV of kafka-consumer-groups.sh: topic,partition,offset for one group, ' +
        'group,topic,partition,offset for several. With --json also metadata and leader epochs, which CSV cannot ' +
        'hold. comporta offsets import takes both.'
    )
  withTopics(withGroups(command))
    .option('--with-group', 'the four columns for one group, too')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets export > offsets.csv\n' +
        '  comporta offsets export --all-groups --json > offsets.json'
    )
    .action(action(exportOffsets))
}

async function exportOffsets(options: ExportOptions): Promise<number> {
  const { csvOf, filedOf, jsonOf, showOffsets } = await import('../../ops/index.ts')
  return await withCluster('offsets', options, async open => {
    const groupIds = await groupsOf(options, open)
    const scope = await scopeOfOptions(options, { isNeeded: false })
    const { groups, offsets } = await showOffsets(open, { groupIds, scope })
    const problems = groups.flatMap(group => group.problems)
    for (const problem of problems) process.stderr.write(`${printableText(problem)}\n`)
    const isGroupNamed = options.json === true || options.withGroup === true || groupIds.length > 1
    const filed = filedOf(offsets, { isGroupNamed })
    process.stdout.write(options.json === true ? jsonOf(filed) : csvOf(filed))
    // A file that lacks something must not look like a whole one to a script.
    return problems.length === 0 ? EXIT.ok : EXIT.failed
  })
}
