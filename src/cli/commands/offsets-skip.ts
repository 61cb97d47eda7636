/** `comporta offsets skip`: exactly these records are not read. */

import type { Command } from 'commander'

import { withCluster } from '../operations/cluster-options.ts'
import {
  changeOn,
  type GroupCommandOptions,
  oneGroupOf,
  waitForGroups,
  withGroups,
  withOffsetsChange
} from '../operations/group-options.ts'
import { runChange } from '../operations/run-change.ts'
import type { CommandAction } from './action.ts'

interface SkipOptions extends GroupCommandOptions {
  readonly dispatcher?: boolean
  readonly hideContent?: boolean
}

/** Adds the command below `offsets`. */
export function addOffsetsSkip(offsets: Command, action: CommandAction): void {
  const command = offsets
    .command('skip')
    .argument('<records...>', 'topic-partition@offset: mt-c400-3@1234')
    .summary('skip single records: exactly those, and no other')
    .description(
      'Shows the named records and commits so that the group does not read them. The next record of a group is ' +
        'skipped by its offset. One further on can be skipped alone only by dispatchers of comporta, who read ' +
        'beside the offset what is finished; the dispatcher’s group of the pipeline file is known to be one.'
    )
    .option('--dispatcher', 'dispatchers of comporta read with this group')
    .option('--hide-content', 'do not show keys and values')
  withOffsetsChange(withGroups(command))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta offsets skip mt-c400-3@1234 --dry-run\n' +
        '  comporta offsets skip mt-c400-3@1234 mt-c400-3@1240 --wait 60s\n' +
        '  comporta offsets skip --group billing mt-c400-0@17 --yes'
    )
    .action(action(skip))
}

async function skip(options: SkipOptions, ...texts: string[]): Promise<number> {
  const { planSkip, readPosition } = await import('../../ops/index.ts')
  const records = texts.map(readPosition)
  return await withCluster('offsets', options, async open => {
    const groupId = await oneGroupOf(options, open)
    await waitForGroups(options, open, [groupId])
    const isDispatcher = options.dispatcher === true || open.pipeline?.dispatcher?.groupId === groupId
    const change = await planSkip(open, {
      groupId,
      records,
      isDispatcher,
      isContentHidden: options.hideContent === true
    })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}
