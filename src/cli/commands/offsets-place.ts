/** `comporta offsets set`, `import` and `copy`: offsets that are given one by one. */

import type { Command } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { FiledOffset } from '../../ops/index.ts'
import { withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import {
  changeOn,
  type GroupCommandOptions,
  groupsOf,
  oneGroupOf,
  scopeOfOptions,
  waitForGroups,
  withGroups,
  withOffsetsChange,
  withTopics
} from '../operations/group-options.ts'
import { runChange } from '../operations/run-change.ts'
import type { CommandAction } from './action.ts'
import { readOffsetsFile } from './offsets-reset.ts'

interface CopyOptions extends GroupCommandOptions {
  readonly from: string
  readonly to?: string
}

/** Adds the commands below `offsets`. */
export function addOffsetsPlace(offsets: Command, action: CommandAction): void {
  const set = offsets
    .command('set')
    .argument('<positions...>', 'topic-partition@offset: mt-c400-3@1234')
    .summary('commit named offsets, also for a group that is not there yet')
    .description('Commits these offsets. One outside of its log is moved into it, with a warning.')
  withOffsetsChange(withGroups(set))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets set mt-c400-0@1200 mt-c400-1@900\n' +
        '  comporta offsets set --group audit mt-c400-0@0 --yes'
    )
    .action(action(setOffsets))
  const bring = offsets
    .command('import')
    .argument('<file>', 'CSV of Kafka’s tool, or JSON; - = standard input')
    .summary('commit what a file says')
    .description(
      'Commits the offsets of a file that comporta offsets export, or kafka-consumer-groups.sh --export, has ' +
        'written. With JSON also metadata and leader epochs come back.'
    )
  withOffsetsChange(withGroups(bring))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets import offsets.csv --group billing --dry-run\n' +
        '  comporta offsets import offsets.json --all-groups'
    )
    .action(action(importOffsets))
  const copy = offsets
    .command('copy')
    .summary('give a group the offsets of another one')
    .description(
      'Commits for one group what another has committed, metadata included. The group is made if it is not there; ' +
        'what it has besides stays.'
    )
    .requiredOption('--from <group>', 'whose offsets')
    .option('--to <group>', 'who gets them (default: the dispatcher’s of the pipeline file)')
  withOffsetsChange(withTopics(withClusterOptions(copy)))
    .addHelpText('after', '\nExamples:\n  comporta offsets copy --from billing --to billing-green --dry-run')
    .action(action(copyOffsets))
}

async function setOffsets(options: GroupCommandOptions, ...texts: string[]): Promise<number> {
  const { planPlace, readPosition } = await import('../../ops/index.ts')
  const offsets = texts.map((text): FiledOffset => {
    const { offset, ...place } = readPosition(text)
    return { ...place, groupId: undefined, stored: { offset, leaderEpoch: -1, metadata: '' } }
  })
  return await withCluster('offsets', options, async open => {
    const groupId = await oneGroupOf(options, open)
    await waitForGroups(options, open, [groupId])
    const change = await planPlace(open, { groupId, offsets, title: 'Set' })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}

async function importOffsets(options: GroupCommandOptions, file = '-'): Promise<number> {
  const { planPlace } = await import('../../ops/index.ts')
  const offsets = await readOffsetsFile(file)
  return await withCluster('offsets', options, async open => {
    const isNamed = offsets.some(({ groupId }) => groupId !== undefined)
    const isEvery = options.allGroups === true && isNamed
    const groupIds = isEvery ? [] : await groupsOf(options, open)
    const wanted = isEvery ? offsets : offsets.filter(each => isOf(each, groupIds))
    if (wanted.length === 0)
      throw new PipelineError('ERR_CLI_USAGE', `${file} has no offsets of ${groupIds.join(', ')}`)
    await waitForGroups(options, open, isEvery ? [...new Set(offsets.flatMap(each => each.groupId ?? []))] : groupIds)
    const [groupId] = groupIds.length === 1 ? groupIds : []
    const change = await planPlace(open, { groupId, offsets: wanted, title: `Import ${file}` })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}

function isOf({ groupId }: FiledOffset, groupIds: readonly string[]): boolean {
  return groupId === undefined || groupIds.includes(groupId)
}

async function copyOffsets(options: CopyOptions): Promise<number> {
  const { planCopy } = await import('../../ops/index.ts')
  const scope = await scopeOfOptions(options, { isNeeded: false })
  return await withCluster('offsets', options, async open => {
    const to = options.to ?? (await oneGroupOf(options, open))
    if (to === options.from) throw new PipelineError('ERR_CLI_USAGE', 'a group is not copied onto itself: say --to')
    await waitForGroups(options, open, [to])
    const change = await planCopy(open, { from: options.from, to, scope })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}
