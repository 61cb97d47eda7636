/**
 * Members of the classic protocol inside a consumer group: JoinGroup, SyncGroup,
 * Heartbeat and LeaveGroup, answered from the state machine of KIP-848. It is how
 * a group is upgraded while it runs: old and new members share one assignment,
 * which the coordinator makes.
 *
 * A generation is the epoch of the member. Its join is a change of the member and
 * one step towards the target; its sync hands out what the step gave; heartbeats
 * answer REBALANCE_IN_PROGRESS whenever another step is due, which makes the
 * client join again and say what it still has. Pure, as `consumer-group.ts`.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import type { ConsumerGroup, Decision, DecisionContext } from './consumer-group.ts'
import { fencedInstance, unknownInstance } from './consumer-group-rules.ts'
import { blankMember } from './consumer-group-state.ts'
import { type ConsumerMember, GroupRefusal } from './consumer-group-types.ts'
import { partitionsById, readSubscription, subscriptionVersion, writeAssignment } from './consumer-subscription.ts'
import { failedJoin, failedSync } from './group-effects.ts'
import type {
  JoinReply,
  JoinRequest,
  LeavingMember,
  MemberIdentity,
  MemberProtocol,
  SyncReply,
  SyncRequest
} from './group-types.ts'
import type { DeadlineChange } from './member-deadlines.ts'
import { withoutEpochs } from './partition-maps.ts'

const PROTOCOL_TYPE = 'consumer'

/** Decides a JoinGroup. `request.newMemberId` is the id of a member that has none. */
export function joinClassic(
  group: ConsumerGroup,
  request: JoinRequest,
  context: DecisionContext
): Decision<JoinReply> | JoinReply {
  const refuse = (error: KafkaErrorName, id = request.memberId): JoinReply => failedJoin(request.token, error, id)
  const isUnknown = request.memberId === ''
  const memberId = isUnknown ? request.newMemberId : request.memberId
  if (group.isFullFor(memberId)) return refuse('GROUP_MAX_SIZE_REACHED')
  if (request.protocolType !== PROTOCOL_TYPE || !isProtocolShared(group, request.protocols)) {
    return refuse('INCONSISTENT_GROUP_PROTOCOL')
  }
  if (isUnknown && request.groupInstanceId === null && request.isKnownMemberIdRequired) {
    return refuse('MEMBER_ID_REQUIRED', memberId)
  }
  const before = joiningMember(group, { ...request, memberId, isUnknown })
  if (before instanceof GroupRefusal) return refuse(before.error)
  const [protocol] = request.protocols
  const subscription = protocol === undefined ? undefined : readSubscription(protocol.metadata)
  if (protocol === undefined || subscription === undefined) return refuse('INCONSISTENT_GROUP_PROTOCOL')
  const after: ConsumerMember = {
    ...before,
    memberId,
    instanceId: request.groupInstanceId ?? before.instanceId,
    rackId: subscription.rackId ?? before.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    topicNames: [...new Set(subscription.topics)].toSorted(),
    topicRegex: '',
    clientId: request.clientId,
    clientHost: request.clientHost,
    classic: { sessionTimeoutMs: request.sessionTimeoutMs, protocols: request.protocols }
  }
  const owned = partitionsById(subscription.ownedPartitions, context.topics)
  const { member, ...changed } = group.change({ before, after, owned }, context)
  const { nowMs } = context
  const deadlines: DeadlineChange[] = [
    ...changed.deadlines,
    { memberId, kind: 'join', atMs: undefined },
    { memberId, kind: 'session', atMs: nowMs + request.sessionTimeoutMs },
    { memberId, kind: 'sync', atMs: nowMs + request.rebalanceTimeoutMs }
  ]
  const reply: JoinReply = {
    kind: 'join',
    token: request.token,
    error: 'NONE',
    generation: member.epoch,
    protocolType: PROTOCOL_TYPE,
    protocolName: protocol.name,
    // Nobody leads: the coordinator assigns, and every client behaves as a follower.
    leader: '',
    memberId,
    isAssignmentSkipped: false,
    members: []
  }
  return { ...changed, deadlines, reply }
}

function joiningMember(
  group: ConsumerGroup,
  request: { memberId: string; groupInstanceId: string | null; isUnknown: boolean }
): ConsumerMember | GroupRefusal {
  const { memberId, groupInstanceId, isUnknown } = request
  if (groupInstanceId === null) return group.known.member(memberId) ?? blankMember(memberId)
  const holder = group.known.staticMember(groupInstanceId)
  if (isUnknown) return holder === undefined ? blankMember(memberId) : { ...holder, epoch: 0, previousEpoch: 0 }
  if (holder === undefined) return unknownInstance(groupInstanceId)
  return holder.memberId === memberId ? holder : fencedInstance(holder, memberId, groupInstanceId)
}

function isProtocolShared(group: ConsumerGroup, protocols: readonly MemberProtocol[]): boolean {
  const offered = new Set(protocols.map(({ name }) => name))
  for (const { classic } of group.known.members.values()) {
    if (classic === null) continue
    const names = new Set(classic.protocols.map(({ name }) => name))
    for (const name of offered) if (!names.has(name)) offered.delete(name)
  }
  return offered.size > 0
}

/** Decides a SyncGroup: the member gets what its last step gave it. */
export function syncClassic(
  group: ConsumerGroup,
  request: SyncRequest,
  { nowMs, topics }: DecisionContext
): Decision<SyncReply> {
  const refuse = (error: KafkaErrorName, deadlines: DeadlineChange[] = []): Decision<SyncReply> => ({
    records: [],
    deadlines,
    reply: failedSync(request.token, error)
  })
  const member = classicMember(group, request)
  if (typeof member === 'string') return refuse(member)
  const [protocol] = member.classic?.protocols ?? []
  const protocolName = protocol?.name ?? null
  if (request.generation !== member.epoch) return refuse('ILLEGAL_GENERATION')
  const isTypeWrong = request.protocolType !== null && request.protocolType !== PROTOCOL_TYPE
  const isNameWrong = request.protocolName !== null && request.protocolName !== protocolName
  if (isTypeWrong || isNameWrong) return refuse('INCONSISTENT_GROUP_PROTOCOL')
  if (group.known.epoch > member.epoch && member.state !== 'unrevoked') {
    return refuse('REBALANCE_IN_PROGRESS', [joinDeadline(member, nowMs)])
  }
  const version = subscriptionVersion(protocol?.metadata)
  const assignment = writeAssignment(withoutEpochs(member.assigned), version, topics)
  return {
    records: [],
    deadlines: [{ memberId: member.memberId, kind: 'sync', atMs: undefined }, sessionDeadline(member, nowMs)],
    reply: { kind: 'sync', token: request.token, error: 'NONE', protocolType: PROTOCOL_TYPE, protocolName, assignment }
  }
}

/** Decides a Heartbeat: another step is due, or it is not. */
export function heartbeatClassic(
  group: ConsumerGroup,
  identity: MemberIdentity,
  nowMs: number
): Decision<KafkaErrorName> {
  const member = classicMember(group, identity)
  if (typeof member === 'string') return { records: [], deadlines: [], reply: member }
  if (identity.generation !== member.epoch) return { records: [], deadlines: [], reply: 'ILLEGAL_GENERATION' }
  const deadlines = [sessionDeadline(member, nowMs)]
  const isWaiting = member.state === 'unreleased' && !isNextStepPossible(group, member)
  const isStepDue = member.epoch < group.known.epoch || member.state === 'unrevoked'
  if (!isStepDue && (member.state === 'stable' || isWaiting)) return { records: [], deadlines, reply: 'NONE' }
  deadlines.push(joinDeadline(member, nowMs))
  return { records: [], deadlines, reply: 'REBALANCE_IN_PROGRESS' }
}

/**
 * Says which members a LeaveGroup removes, and answers for each named one.
 * Members of either protocol go: administrators remove whom they name, by member
 * id, or by instance id alone.
 */
export function leaveClassic(
  group: ConsumerGroup,
  leaving: readonly LeavingMember[]
): { readonly errors: KafkaErrorName[]; readonly memberIds: string[] } {
  const memberIds = new Set<string>()
  const errors = leaving.map(({ memberId, groupInstanceId }): KafkaErrorName => {
    const holder = groupInstanceId === null ? undefined : group.known.staticMember(groupInstanceId)
    const member = groupInstanceId === null ? group.known.member(memberId) : holder
    if (member === undefined || memberIds.has(member.memberId)) return 'UNKNOWN_MEMBER_ID'
    if (memberId !== '' && memberId !== member.memberId) return 'FENCED_INSTANCE_ID'
    memberIds.add(member.memberId)
    return 'NONE'
  })
  return { errors, memberIds: [...memberIds] }
}

function classicMember(
  group: ConsumerGroup,
  { memberId, groupInstanceId }: { memberId: string; groupInstanceId: string | null }
): ConsumerMember | KafkaErrorName {
  if (groupInstanceId !== null) {
    const holder = group.known.staticMember(groupInstanceId)
    if (holder === undefined) return 'UNKNOWN_MEMBER_ID'
    if (holder.memberId !== memberId) return 'FENCED_INSTANCE_ID'
  }
  const member = group.known.member(memberId)
  return member === undefined || member.classic === null ? 'UNKNOWN_MEMBER_ID' : member
}

/** Whether something that the member waits for is free now. */
function isNextStepPossible(group: ConsumerGroup, member: ConsumerMember): boolean {
  for (const [topicId, partitions] of group.known.target(member.memberId)) {
    for (const partition of partitions) {
      if (group.known.ownerOf(topicId, partition) === undefined) return true
    }
  }
  return false
}

function sessionDeadline({ memberId, classic }: ConsumerMember, nowMs: number): DeadlineChange {
  return { memberId, kind: 'session', atMs: nowMs + (classic?.sessionTimeoutMs ?? 0) }
}

/** Told to join again, a member has its rebalance timeout for it, counted from the first time. */
function joinDeadline({ memberId, rebalanceTimeoutMs }: ConsumerMember, nowMs: number): DeadlineChange {
  return { memberId, kind: 'join', atMs: nowMs + rebalanceTimeoutMs, isOnlyIfAbsent: true }
}
