/** Small rules of consumer groups: epochs, subscriptions, hashes, comparisons. Pure. */

import { createHash } from 'node:crypto'
import type { ConsumerGroupRecord } from './consumer-group-records.ts'
import { metadataOf } from './consumer-group-state.ts'
import {
  type ConsumerMember,
  GroupRefusal,
  type Partitions,
  type ResolvedRegex,
  type TopicsView
} from './consumer-group-types.ts'
import type { DeadlineChange } from './member-deadlines.ts'
import { areOwnedEqual, isWithin } from './partition-maps.ts'
import { areProtocolsEqual } from './protocol-vote.ts'

/**
 * Why a member with this epoch is fenced; `undefined` if it is not. One epoch
 * behind is let through if all that the member has is still its own: the answer
 * with the new epoch may have been lost.
 */
export function epochRefusal(
  member: ConsumerMember,
  claimed: number,
  owned: Partitions | null
): GroupRefusal | undefined {
  if (claimed === 0 || claimed === member.epoch) return undefined
  const isLostAnswer =
    claimed < member.epoch && claimed === member.previousEpoch && owned !== null && isWithin(owned, member.assigned)
  if (isLostAnswer) return undefined
  const relation = claimed > member.epoch ? 'greater' : 'smaller'
  const text =
    `The consumer group member has a ${relation} member epoch (${claimed}) than the one known by the group ` +
    `coordinator (${member.epoch}). The member must abandon all its partitions and rejoin.`
  return new GroupRefusal('FENCED_MEMBER_EPOCH', text)
}

/** Nobody has the instance id. */
export function unknownInstance(instanceId: string): GroupRefusal {
  return new GroupRefusal('UNKNOWN_MEMBER_ID', `Instance id ${instanceId} is unknown.`)
}

/** Somebody else has the instance id. */
export function fencedInstance(holder: ConsumerMember, memberId: string, instanceId: string): GroupRefusal {
  const text = `Static member ${memberId} with instance id ${instanceId} was fenced by member ${holder.memberId}.`
  return new GroupRefusal('FENCED_INSTANCE_ID', text)
}

/** Names of all topics that a member subscribes to, whether they exist or not. */
export function topicNamesOf(
  { topicNames, topicRegex }: ConsumerMember,
  regexes: ReadonlyMap<string, ResolvedRegex>
): readonly string[] {
  const matched = regexes.get(topicRegex)?.topics ?? []
  return matched.length === 0 ? topicNames : [...new Set([...topicNames, ...matched])]
}

/** Ids of the topics that a member subscribes to and that exist. */
export function topicIdsOf(
  member: ConsumerMember,
  regexes: ReadonlyMap<string, ResolvedRegex>,
  topics: TopicsView
): Set<string> {
  return new Set(topicNamesOf(member, regexes).flatMap(name => topics.byName(name)?.id ?? []))
}

/** Tells one set of subscribed topics, with their ids and partition counts, from another. 0 for none. */
export function hashOf(
  members: readonly ConsumerMember[],
  regexes: ReadonlyMap<string, ResolvedRegex>,
  topics: TopicsView
): bigint {
  const names = new Set(members.flatMap(member => [...topicNamesOf(member, regexes)]))
  const found = [...names].toSorted().flatMap(name => topics.byName(name) ?? [])
  if (found.length === 0) return 0n
  const hash = createHash('sha256')
  for (const { name, id, partitionCount } of found) hash.update(`${name} ${id} ${partitionCount}\n`)
  return hash.digest().readBigInt64BE(0)
}

/** Records that remove a member. */
export function removal(memberId: string): ConsumerGroupRecord[] {
  return [
    { kind: 'current', memberId, value: undefined },
    { kind: 'target', memberId, value: undefined },
    { kind: 'member', memberId, value: undefined }
  ]
}

/** A member that has been told to give partitions back must do so in time; classic members have a deadline to join. */
export function rebalanceDeadline(member: ConsumerMember, nowMs: number): DeadlineChange {
  const { memberId, state, epoch, rebalanceTimeoutMs, classic } = member
  const isOwing = state === 'unrevoked' && classic === null
  return { memberId, kind: 'rebalance', atMs: isOwing ? nowMs + rebalanceTimeoutMs : undefined, epoch }
}

/** Whether a member says the same about itself. */
export function isMetadataEqual(left: ConsumerMember, right: ConsumerMember): boolean {
  const { topicNames, classic, ...fields } = metadataOf(left)
  const { topicNames: otherNames, classic: otherClassic, ...others } = metadataOf(right)
  if (JSON.stringify([fields, topicNames]) !== JSON.stringify([others, otherNames])) return false
  if (classic === null || otherClassic === null) return classic === otherClassic
  const areSessionsEqual = classic.sessionTimeoutMs === otherClassic.sessionTimeoutMs
  return areSessionsEqual && areProtocolsEqual(classic.protocols, otherClassic.protocols)
}

/** Whether a member has the same, in the same state. */
export function isCurrentEqual(left: ConsumerMember, right: ConsumerMember): boolean {
  return (
    left.epoch === right.epoch &&
    left.previousEpoch === right.previousEpoch &&
    left.state === right.state &&
    areOwnedEqual(left.assigned, right.assigned) &&
    areOwnedEqual(left.pendingRevocation, right.pendingRevocation)
  )
}
