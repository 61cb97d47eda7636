/** `comporta groups`: who reads what, and groups that are no longer needed. */

import type { Command } from 'commander'

import { PipelineError, printableText } from '../../core/index.ts'
import type { GroupRow } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import { changeOn, type GroupCommandOptions, waitForGroups, withOffsetsChange } from '../operations/group-options.ts'
import { runChange, withChangeOptions } from '../operations/run-change.ts'
import { type Column, jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { addGroupsDescribe } from './groups-describe.ts'
import { collect } from '../operations/collect.ts'

interface ListOptions extends ClusterCommandOptions {
  readonly type?: readonly string[]
  readonly state?: readonly string[]
}

interface RemoveOptions extends GroupCommandOptions {
  readonly member?: readonly string[]
  readonly allMembers?: boolean
}

/** Adds the command and its subcommands. */
export function addGroups(program: Command, action: CommandAction): void {
  const groups = program
    .command('groups')
    .summary('consumer groups: list, describe, delete, remove a member')
    .description(
      'Groups of both protocols. Share groups and streams groups are shown, and not touched: Kafka has tools of its ' +
        'own for what they keep.'
    )
    .addHelpText('after', '\nExamples:\n  comporta groups list\n  comporta groups describe orders')
  addList(groups, action)
  addGroupsDescribe(groups, action)
  addDelete(groups, action)
  addRemove(groups, action)
  for (const command of groups.commands) {
    command.exitOverride().showHelpAfterError(`(see comporta groups ${command.name()} --help)`)
  }
}

function addList(groups: Command, action: CommandAction): void {
  const command = groups
    .command('list')
    .summary('all groups: state, type, members, lag')
    .description('All groups of the cluster, of every type, in few requests whatever their number.')
    .option('--type <type>', 'classic, consumer, share or streams; may be given again', collect)
    .option('--state <state>', 'for example Stable, Empty, Dead; may be given again', collect)
  withClusterOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta groups list\n  comporta groups list --state empty --type classic --json'
    )
    .action(action(list))
}

async function list(options: ListOptions): Promise<number> {
  const { listGroupRows } = await import('../../ops/index.ts')
  return await withCluster('groups', options, async open => {
    const { groups, problems } = await listGroupRows(open, {
      ...(options.type === undefined ? {} : { types: options.type }),
      ...(options.state === undefined ? {} : { states: options.state })
    })
    process.stdout.write(options.json === true ? jsonLine({ groups, problems }) : tableOf(rowColumns, groups))
    if (options.json !== true) for (const problem of problems) process.stderr.write(`${printableText(problem)}\n`)
    return EXIT.ok
  })
}

const rowColumns: readonly Column<GroupRow>[] = [
  { title: 'group', text: each => each.groupId },
  { title: 'state', text: each => each.state },
  { title: 'type', text: each => typeText(each) },
  { title: 'members', text: each => known(each.memberCount), align: 'right' },
  { title: 'topics', text: each => known(each.topicCount), align: 'right' },
  { title: 'lag', text: each => known(each.lag), align: 'right' },
  { title: 'coordinator', text: each => `${each.coordinatorId}`, align: 'right' },
  { title: '', text: each => each.problem ?? '' }
]

function known(value: number | bigint | undefined): string {
  return value === undefined ? '–' : count(value)
}

/** Connect and others form classic groups, and read nothing with them. */
function typeText({ groupType, protocolType }: GroupRow): string {
  return protocolType === '' || protocolType === 'consumer' ? groupType : `${groupType} (${protocolType})`
}

function addDelete(groups: Command, action: CommandAction): void {
  const command = groups
    .command('delete')
    .argument('<groups...>', 'names of groups')
    .summary('delete groups with their committed offsets')
    .description(
      'Deletes groups that nobody is in. The plan shows every offset that goes. comporta undo commits them again, ' +
        'metadata included; until then a consumer of that name begins where its auto.offset.reset says.'
    )
  withOffsetsChange(withClusterOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta groups delete old-service --dry-run\n  comporta groups delete a b --yes'
    )
    .action(action(deleteGroups))
}

async function deleteGroups(options: GroupCommandOptions, ...names: string[]): Promise<number> {
  const { planDeleteGroups } = await import('../../ops/index.ts')
  return await withCluster('groups', options, async open => {
    const groupIds = [...new Set(names)]
    await waitForGroups(options, open, groupIds)
    const change = await planDeleteGroups(open, groupIds)
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}

function addRemove(groups: Command, action: CommandAction): void {
  const command = groups
    .command('remove-member')
    .argument('<group>', 'name of the group')
    .summary('remove members of a classic group, static ones too')
    .description(
      'Removes members, so that their partitions go to others at once: of a process that hangs, or of a static ' +
        'member that will not come back within its session timeout. A member that is alive joins again. Groups ' +
        'of the consumer protocol know no removal by others (KIP-848).'
    )
    .option('--member <id>', 'a member id, or the instance id of a static member; may be given again', collect)
    .option('--all-members', 'everybody')
  withChangeOptions(withClusterOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  comporta groups remove-member orders --member orders-3\n' +
        '  comporta groups remove-member orders --all-members --dry-run'
    )
    .action(action(removeMember))
}

async function removeMember(options: RemoveOptions, groupId = ''): Promise<number> {
  const { member, allMembers } = options
  if ((member === undefined) === (allMembers !== true)) {
    throw new PipelineError('ERR_CLI_USAGE', 'which members? say --member <id>, or --all-members')
  }
  const { planRemoveMembers } = await import('../../ops/index.ts')
  return await withCluster('groups', options, async open => {
    const change = await planRemoveMembers(open, { groupId, members: member ?? 'all' })
    return await runChange(change, { ...options, ...changeOn(open) })
  })
}
