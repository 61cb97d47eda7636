/**
 * Removes members of a group: of one whose process hangs, or a static member that
 * will not come back and holds its partitions for its session timeout.
 */

import type { GroupMemberDescription } from '../../client/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { ApplyContext, Change, ChangeResult } from '../change/change.ts'
import { type GroupLook, lookAtGroups, type OffsetsOpen } from '../offsets/group-look.ts'

/** Who is removed. */
export interface RemoveMembersRequest {
  readonly groupId: string
  /** Member ids, or instance ids of static members; `all` = everybody. */
  readonly members: readonly string[] | 'all'
}

/** Members that are named to whoever asked for one that is not there. */
const NAMED_MAX = 10

/** Plans the removal. Nothing undoes it: a member that is alive joins again by itself. */
export async function planRemoveMembers(open: OffsetsOpen, request: RemoveMembersRequest): Promise<Change> {
  const { groupId } = request
  const [group] = await lookAtGroups(open, [groupId])
  const present = group?.members ?? []
  const { found, missing } = membersOf(present, request.members)
  const effects = found.map(member => ({
    what: nameOf(member),
    before: `${member.assignment.length} partitions`,
    after: 'removed',
    note: `client id ${member.clientId}, ${member.clientHost.replace(/^\//, '')}`
  }))
  const partitionCount = found.reduce((sum, { assignment }) => sum + assignment.length, 0)
  return {
    plan: {
      kind: 'group-members',
      confirmWord: groupId,
      summary:
        `Remove ${found.length} of ${present.length} members of group ${groupId}: ` +
        `${partitionCount} partitions go to the others.`,
      effects,
      warnings: [
        'the group rebalances; what the members have in flight may be done once more',
        'a member that is still alive notices and joins again: to stop it, stop its process'
      ],
      blockers: [...blockersOf(groupId, group), ...missingTexts(groupId, missing, present)],
      undo: { kind: 'impossible', reason: 'a member comes back only by itself: start its process again' }
    },
    snapshot: undefined,
    apply: context => remove(open, { groupId, found, context })
  }
}

function membersOf(
  present: readonly GroupMemberDescription[],
  wanted: readonly string[] | 'all'
): { readonly found: readonly GroupMemberDescription[]; readonly missing: readonly string[] } {
  if (wanted === 'all') return { found: present, missing: [] }
  const isNamed = ({ memberId, groupInstanceId }: GroupMemberDescription, name: string): boolean =>
    memberId === name || groupInstanceId === name
  return {
    found: present.filter(member => wanted.some(name => isNamed(member, name))),
    missing: wanted.filter(name => !present.some(member => isNamed(member, name)))
  }
}

function nameOf({ memberId, groupInstanceId }: GroupMemberDescription): string {
  return groupInstanceId ?? memberId
}

function missingTexts(
  groupId: string,
  missing: readonly string[],
  present: readonly GroupMemberDescription[]
): string[] {
  if (missing.length === 0) return []
  const names = present.slice(0, NAMED_MAX).map(nameOf).join(', ')
  const there =
    present.length === 0 ? 'nobody is in it' : `in it are ${names}${present.length > NAMED_MAX ? ', …' : ''}`
  return [`group ${groupId} has no member ${missing.join(', ')}: ${there}`]
}

function blockersOf(groupId: string, group: GroupLook | undefined): string[] {
  const { groupType, problems = [] } = group ?? {}
  if (groupType === 'consumer') {
    return [
      `group ${groupId} speaks the consumer protocol (KIP-848), in which only a member itself can leave: stop its ` +
        'process; one that hangs is removed after group.consumer.session.timeout.ms (45 s by default)'
    ]
  }
  if (groupType === 'share' || groupType === 'streams') {
    return [`group ${groupId} is a ${groupType} group, whose members only leave by themselves: stop their processes`]
  }
  return problems.map(text => `group ${groupId}: ${text}`)
}

interface Removal {
  readonly groupId: string
  readonly found: readonly GroupMemberDescription[]
  readonly context: ApplyContext
}

async function remove(open: OffsetsOpen, { groupId, found, context }: Removal): Promise<ChangeResult> {
  const answers = await open.admin.removeMembers(groupId, {
    // A static member's id may have changed by a restart since the plan: its instance id is its name.
    members: found.map(({ memberId, groupInstanceId }) =>
      groupInstanceId === null ? { memberId } : { groupInstanceId }
    ),
    reason: 'removed by comporta groups remove-member'
  })
  const failures = answers
    .filter(({ errorCode }) => errorCode !== 0)
    .map(({ memberId, groupInstanceId, errorCode }) => `${groupInstanceId ?? memberId}: ${kafkaErrorName(errorCode)}`)
  const doneCount = found.length - failures.length
  context.onProgress?.(`${doneCount} of ${found.length} members removed`)
  return {
    isComplete: failures.length === 0,
    summary: `${doneCount} of ${found.length} members of group ${groupId} were removed.`,
    failures
  }
}
