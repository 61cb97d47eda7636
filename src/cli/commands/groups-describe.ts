/** `comporta groups describe`: a group with its members and what it has committed. */

import type { Command } from 'commander'

import type { GroupMemberDescription } from '../../client/index.ts'
import { PipelineError, printableText } from '../../core/index.ts'
import type { GroupLook, ShownOffset } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import { type Column, jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'

interface DescribeOptions extends ClusterCommandOptions {
  readonly verbose?: boolean
}

/** Adds the command below `groups`. */
export function addGroupsDescribe(groups: Command, action: CommandAction): void {
  const command = groups
    .command('describe')
    .argument('[groups...]', 'names of groups (default: the dispatcher’s of the pipeline file)')
    .summary('members, assignment, offsets and lag of groups')
    .description(
      'The state of a group, its coordinator and assignor, its members with what they are assigned, and its ' +
        'committed offsets with who reads on from them.'
    )
    .option('--verbose', 'assignments and subscriptions of each member, and the text beside each offset')
  withClusterOptions(command)
    .addHelpText(
      'after',
      '\nExit codes: 0 shown, 1 a group is not there, or not known.\n\nExamples:\n' +
        '  comporta groups describe billing\n  comporta groups describe billing --verbose --json'
    )
    .action(action(describe))
}

async function describe(options: DescribeOptions, ...names: string[]): Promise<number> {
  const { isGroupThere, showOffsets } = await import('../../ops/index.ts')
  return await withCluster('groups', options, async open => {
    const own = open.pipeline?.dispatcher?.groupId
    if (names.length === 0 && own === undefined) throw new PipelineError('ERR_CLI_USAGE', 'which group? name it')
    const groupIds = [...new Set(names.length > 0 ? names : [own ?? ''])]
    const { groups, offsets } = await showOffsets(open, { groupIds, scope: 'all' })
    if (options.json === true) {
      const list = groups.map(group => ({
        ...group,
        offsets: offsets.filter(({ groupId }) => groupId === group.groupId)
      }))
      process.stdout.write(jsonLine({ groups: list }))
    } else {
      for (const group of groups) {
        const own = offsets.filter(({ groupId }) => groupId === group.groupId)
        process.stdout.write(groupText(group, own, options.verbose === true))
      }
    }
    const isWhole = groups.every(group => isGroupThere(group) && group.problems.length === 0)
    return isWhole && groups.length > 0 ? EXIT.ok : EXIT.failed
  })
}

function groupText(group: GroupLook, offsets: readonly ShownOffset[], isVerbose: boolean): string {
  const { groupId, state, groupType, protocolType, assignor, coordinatorId, members, problems } = group
  const lag = offsets.reduce((sum, each) => sum + (each.lag ?? 0n), 0n)
  const kind = [groupType, protocolType === 'consumer' ? '' : protocolType].filter(Boolean).join(', ')
  const facts = [
    `group ${groupId}: ${state === 'Dead' && offsets.length === 0 ? 'not there' : state}`,
    kind === '' ? '' : `type ${kind}`,
    assignor === '' ? '' : `assignor ${assignor}`,
    coordinatorId < 0 ? '' : `coordinator ${coordinatorId}`,
    `${count(members.length)} ${members.length === 1 ? 'member' : 'members'}`,
    `lag ${count(lag)}`
  ]
  return [
    `${printableText(facts.filter(Boolean).join(', '))}\n`,
    ...problems.map(text => `  ${printableText(text)}\n`),
    members.length === 0 ? '' : `\n${tableOf(memberColumns(isVerbose), members)}`,
    offsets.length === 0 ? '' : `\n${tableOf(offsetColumns(members, isVerbose), offsets)}`,
    '\n'
  ].join('')
}

function memberColumns(isVerbose: boolean): Column<GroupMemberDescription>[] {
  const more: Column<GroupMemberDescription>[] = [
    { title: 'assignment', text: each => assignmentText(each) },
    { title: 'subscription', text: each => (each.subscription ?? []).join(',') }
  ]
  return [
    { title: 'member', text: each => each.memberId },
    { title: 'instance', text: each => each.groupInstanceId ?? '' },
    { title: 'client', text: each => each.clientId },
    { title: 'host', text: each => each.clientHost.replace(/^\//, '') },
    { title: 'partitions', text: each => count(each.assignment.length), align: 'right' },
    ...(isVerbose ? more : [])
  ]
}

/** `mt-c400:0,1,2 mt-c401:0` */
function assignmentText({ assignment }: GroupMemberDescription): string {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of assignment) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition])
  return [...byTopic].map(([topic, partitions]) => `${topic}:${partitions.join(',')}`).join(' ')
}

function offsetColumns(members: readonly GroupMemberDescription[], isVerbose: boolean): Column<ShownOffset>[] {
  const owners = new Map(
    members.flatMap(member =>
      member.assignment.map(({ topic, partition }) => [`${topic}-${partition}`, member] as const)
    )
  )
  const ownerOf = ({ topic, partition }: ShownOffset): string => {
    const owner = owners.get(`${topic}-${partition}`)
    return owner === undefined ? '' : (owner.groupInstanceId ?? owner.memberId)
  }
  const more: Column<ShownOffset>[] = [
    { title: 'epoch', text: each => `${each.stored.leaderEpoch}`, align: 'right' },
    { title: 'finished', text: each => (each.finishedCount === 0 ? '' : count(each.finishedCount)), align: 'right' }
  ]
  return [
    { title: 'partition', text: each => `${each.topic}-${each.partition}` },
    { title: 'committed', text: each => count(each.stored.offset), align: 'right' },
    { title: 'end', text: each => (each.ends === undefined ? '–' : count(each.ends.highWatermark)), align: 'right' },
    { title: 'lag', text: each => (each.lag === undefined ? '–' : count(each.lag)), align: 'right' },
    ...(isVerbose ? more : []),
    { title: 'member', text: ownerOf }
  ]
}
