/** `comporta offsets reset`, `shift` and `delete`: by the scenarios of Kafka's own tool. */

import { readFile, stat } from 'node:fs/promises'

import type { Command } from 'commander'

import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import type { Change, FiledOffset, Read, ResetTo } from '../../ops/index.ts'
import { type OpenCluster, withCluster } from '../operations/cluster-options.ts'
import {
  changeOn,
  type GroupCommandOptions,
  groupsOf,
  scopeOfOptions,
  waitForGroups,
  withGroups,
  withOffsetsChange,
  withTopics
} from '../operations/group-options.ts'
import { runChange } from '../operations/run-change.ts'
import type { CommandAction } from './action.ts'

interface ResetOptions extends GroupCommandOptions {
  readonly toEarliest?: boolean
  readonly toLatest?: boolean
  readonly toCurrent?: boolean
  readonly toOffset?: string
  readonly shiftBy?: string
  readonly toDatetime?: string
  readonly byDuration?: string
  readonly fromFile?: string
  readonly utc?: boolean
}

interface ShiftOptions extends GroupCommandOptions {
  readonly by: string
}

const RESET_EXAMPLES = `
Exit codes: 0 done, 1 refused or not all of it, 130 stopped in between.

Examples:
  comporta offsets reset --to-latest --all-topics --dry-run
  comporta offsets reset --group billing --topic mt-c400:0,1 --to-datetime 2026-03-01T09:00:00.000Z
  comporta offsets reset --group billing --all-topics --by-duration PT2H --wait 60s --yes
  comporta offsets reset --group billing --from-file offsets.csv`

/** Adds the commands below `offsets`. */
export function addOffsetsReset(offsets: Command, action: CommandAction): void {
  const command = offsets
    .command('reset')
    .summary('move committed offsets, by every scenario of Kafka’s tool')
    .description(
      'Moves the committed offsets of groups that nobody is in. Exactly one scenario. Offsets that are named are ' +
        'moved into the log with a warning; a time that no record has reached means the end.'
    )
    .option('--to-earliest', 'the oldest record that is there')
    .option('--to-latest', 'the end: what is there now is never read')
    .option('--to-current', 'as committed; the end where nothing is')
    .option('--to-offset <offset>', 'this offset in each partition')
    .option('--shift-by <count>', 'so many records on, or back if it is negative')
    .option('--to-datetime <time>', 'the first record at or after a time: 2026-03-01T09:00:00.000Z')
    .option('--by-duration <duration>', 'the first record of the last so long: PT1H30M, P1D, 90s, 2h')
    .option('--from-file <file>', 'what the CSV or JSON file says (- = standard input)')
    .option('--utc', 'a time without a zone is one of UTC')
  withOffsetsChange(withTopics(withGroups(command)))
    .addHelpText('after', RESET_EXAMPLES)
    .action(action(reset))
  const shift = offsets
    .command('shift')
    .summary('move committed offsets by a number of records')
    .description('The same as reset --shift-by: needs a commit to count from, and stays inside of the log.')
    .requiredOption('--by <count>', 'so many records on, or back if it is negative')
  withOffsetsChange(withTopics(withGroups(shift)))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets shift --by -100 --topic mt-c400:3\n' +
        '  comporta offsets shift --by 1 --topic mt-c400:3 --yes'
    )
    .action(action((options: ShiftOptions) => reset({ ...options, shiftBy: options.by })))
  const remove = offsets
    .command('delete')
    .summary('delete committed offsets')
    .description(
      'Deletes committed offsets, as if the group had never read these partitions: it then begins where its ' +
        'auto.offset.reset says. A group at work keeps those of topics that it reads.'
    )
  withOffsetsChange(withTopics(withGroups(remove)))
    .addHelpText('after', '\nExamples:\n  comporta offsets delete --group billing --topic old-topic --dry-run')
    .action(action(deleteOffsets))
}

async function reset(options: ResetOptions): Promise<number> {
  const scenario = await scenarioOf(options)
  return await withCluster('offsets', options, async open => {
    const groupIds = await groupsOf(options, open)
    await waitForGroups(options, open, groupIds)
    const change = 'to' in scenario ? await resetTo(options, open, scenario.to) : await place(open, groupIds, scenario)
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}

async function resetTo(options: ResetOptions, open: OpenCluster, to: ResetTo): Promise<Change> {
  const { planReset } = await import('../../ops/index.ts')
  const scope = await scopeOfOptions(options, { isNeeded: true })
  return await planReset(open, { groupIds: await groupsOf(options, open), scope, to })
}

interface FromFile {
  readonly file: string
  readonly offsets: readonly FiledOffset[]
}

async function place(open: OpenCluster, groupIds: readonly string[], { file, offsets }: FromFile): Promise<Change> {
  const { planPlace } = await import('../../ops/index.ts')
  const wanted = offsets.filter(({ groupId }) => groupId === undefined || groupIds.includes(groupId))
  if (wanted.length === 0) {
    throw new PipelineError('ERR_CLI_USAGE', `${file} has no offsets of ${groupIds.join(', ')}`)
  }
  const [groupId] = groupIds.length === 1 ? groupIds : []
  return await planPlace(open, { groupId, offsets: wanted, title: `Set what ${file} says` })
}

/** What is asked for: exactly one scenario. */
async function scenarioOf(options: ResetOptions): Promise<{ readonly to: ResetTo } | FromFile> {
  const { toEarliest, toLatest, toCurrent, toOffset, shiftBy, toDatetime, byDuration, fromFile } = options
  const asked = [toEarliest, toLatest, toCurrent, toOffset, shiftBy, toDatetime, byDuration, fromFile]
  if (asked.filter(each => each !== undefined).length !== 1) {
    throw new PipelineError(
      'ERR_CLI_USAGE',
      'where to? say exactly one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, ' +
        '--to-datetime, --by-duration, --from-file'
    )
  }
  if (fromFile !== undefined) return { file: fromFile, offsets: await readOffsetsFile(fromFile) }
  if (toEarliest === true) return { to: { kind: 'earliest' } }
  if (toLatest === true) return { to: { kind: 'latest' } }
  if (toOffset !== undefined) return { to: { kind: 'offset', offset: wholeNumber('--to-offset', toOffset) } }
  if (shiftBy !== undefined) return { to: { kind: 'shift', by: wholeNumber('--shift-by', shiftBy) } }
  const { readDuration, readTime } = await import('../../ops/index.ts')
  if (toDatetime !== undefined) {
    const timestampMs = msOf('--to-datetime', readTime(toDatetime, { isUtc: options.utc === true }))
    return { to: { kind: 'time', timestampMs } }
  }
  if (byDuration !== undefined) {
    const ago = msOf('--by-duration', readDuration(byDuration))
    return { to: { kind: 'time', timestampMs: BigInt(systemClock.now()) - ago } }
  }
  return { to: { kind: 'current' } }
}

function msOf(option: string, read: Read): bigint {
  if (read.kind === 'ms') return BigInt(read.ms)
  throw new PipelineError('ERR_CLI_USAGE', `${option}: ${read.reason}`)
}

function wholeNumber(option: string, text: string): bigint {
  if (/^[+-]?\d{1,18}$/.test(text)) return BigInt(text.replace('+', ''))
  throw new PipelineError('ERR_CLI_USAGE', `${option}: "${text}" is no whole number`)
}

/** Files of offsets are small: a larger one is another file. */
const FILE_BYTES_MAX = 67_108_864

/** Reads a file of offsets. */
export async function readOffsetsFile(file: string): Promise<FiledOffset[]> {
  const { readOffsets } = await import('../../ops/index.ts')
  return readOffsets(await textOf(file), file === '-' ? 'standard input' : file)
}

async function textOf(file: string): Promise<string> {
  if (file === '-') {
    const { text } = await import('node:stream/consumers')
    return await text(process.stdin)
  }
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes`)
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new PipelineError('ERR_CLI_INPUT', `${file} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

async function deleteOffsets(options: GroupCommandOptions): Promise<number> {
  const { planDeleteOffsets } = await import('../../ops/index.ts')
  const scope = await scopeOfOptions(options, { isNeeded: true })
  return await withCluster('offsets', options, async open => {
    const groupIds = await groupsOf(options, open)
    await waitForGroups(options, open, groupIds)
    const change = await planDeleteOffsets(open, { groupIds, scope })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}
