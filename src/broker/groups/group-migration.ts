/**
 * Conversion of a running group between the classic protocol and the consumer
 * protocol, in both directions. Pure: answers what the other form of the group is.
 *
 * Up: a member of the consumer protocol joins a classic group of consumers. All
 * members keep what they have; the generation becomes the epoch of the group, of
 * its members and of their target. Down: the last member of the consumer protocol
 * has gone. The rest keep what they have, as the assignment of a generation that
 * is the epoch of the group; what they were to have comes with the next one.
 *
 * Source: KIP-848, *Migration*; Kafka `group.consumer.migration.policy`.
 */

import type { ClassicGroup } from './classic-group.ts'
import { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerGroupRecord } from './consumer-group-records.ts'
import { hashOf } from './consumer-group-rules.ts'
import { blankMember } from './consumer-group-state.ts'
import {
  type ConsumerGroupSettings,
  type ConsumerMember,
  GroupRefusal,
  type Partitions,
  type TopicsView
} from './consumer-group-types.ts'
import { readAssignment, readSubscription, subscriptionVersion, writeAssignment } from './consumer-subscription.ts'
import type { MemberProtocol, StoredGroup } from './group-types.ts'
import { subscriptionOf } from './member-table.ts'
import { unionOwned, withEpoch, withoutEpochs } from './partition-maps.ts'
import { electProtocol } from './protocol-vote.ts'

/** Values of `group.consumer.migration.policy`. */
export const MIGRATION_POLICIES = ['bidirectional', 'upgrade', 'downgrade', 'disabled'] as const

/** `group.consumer.migration.policy`: which running groups may change their type. */
export type MigrationPolicy = (typeof MIGRATION_POLICIES)[number]

/** What an upgrade needs to know. */
export interface UpgradeContext {
  readonly policy: MigrationPolicy
  readonly settings: ConsumerGroupSettings
  readonly topics: TopicsView
  readonly nowMs: number
}

/** The consumer group that a classic group becomes, and its records; or why it cannot. */
export function upgrade(
  classic: ClassicGroup,
  { policy, settings, topics, nowMs }: UpgradeContext
): { readonly group: ConsumerGroup; readonly records: ConsumerGroupRecord[] } | GroupRefusal {
  const refuse = (why: string): GroupRefusal =>
    new GroupRefusal(
      'GROUP_ID_NOT_FOUND',
      `Cannot upgrade classic group ${classic.groupId} to consumer group because ${why}.`
    )
  if (policy !== 'bidirectional' && policy !== 'upgrade') return refuse('online upgrade is disabled')
  const { generation, protocolName } = classic
  const members = [...classic.members]
  const foreign = 'the group does not use the consumer embedded protocol'
  if (classic.protocolType !== 'consumer') return refuse(foreign)
  if (members.length > settings.memberCountMax) {
    return refuse('the group size exceeds the consumer group maximum size')
  }
  const converted: ConsumerMember[] = []
  for (const member of members) {
    // Before the first vote there is no elected strategy; all of a client's name the same topics.
    const subscription = readSubscription(subscriptionOf(member, protocolName ?? member.protocols[0]?.name ?? null))
    if (subscription === undefined) return refuse(foreign)
    const assigned = readAssignment(member.assignment, topics)
    if (assigned === undefined) return refuse('an unsupported custom assignor is in use')
    converted.push({
      ...blankMember(member.memberId),
      instanceId: member.groupInstanceId,
      rackId: subscription.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      topicNames: [...new Set(subscription.topics)].toSorted(),
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
      epoch: generation,
      previousEpoch: generation,
      assigned: withEpoch(assigned, generation)
    })
  }
  return build(classic.groupId, converted, { generation, settings, topics, nowMs })
}

function build(
  groupId: string,
  members: readonly ConsumerMember[],
  context: { generation: number; settings: ConsumerGroupSettings; topics: TopicsView; nowMs: number }
): { readonly group: ConsumerGroup; readonly records: ConsumerGroupRecord[] } {
  const { generation, settings, topics, nowMs } = context
  const group = new ConsumerGroup(groupId, settings)
  const target = (member: ConsumerMember): ConsumerGroupRecord => ({
    kind: 'target',
    memberId: member.memberId,
    value: new Map([...member.assigned].map(([topicId, epochs]) => [topicId, [...epochs.keys()]]))
  })
  // The first target of the upgraded group must not wait for the interval between two of them.
  const records: ConsumerGroupRecord[] = [
    ...members.map((member): ConsumerGroupRecord => ({ kind: 'member', memberId: member.memberId, value: member })),
    { kind: 'epoch', value: { epoch: generation, metadataHash: hashOf(members, new Map(), topics) } },
    ...members.map(target),
    { kind: 'targetEpoch', value: { epoch: generation, timestampMs: -1 } },
    ...members.map((member): ConsumerGroupRecord => ({ kind: 'current', memberId: member.memberId, value: member }))
  ]
  const deadlines = members.flatMap(member => group.restartDeadlines(member, nowMs))
  group.complete({ records, deadlines })
  return { group, records }
}

/** The classic group that the classic members of a consumer group become without the leaving ones. */
export function downgrade(
  group: ConsumerGroup,
  leaving: ReadonlySet<string>,
  { topics, nowMs }: { topics: TopicsView; nowMs: number }
): { readonly stored: StoredGroup; readonly protocols: ReadonlyMap<string, readonly MemberProtocol[]> } {
  const rest = [...group.known.members.values()].filter(({ memberId }) => !leaving.has(memberId))
  const protocols = new Map(rest.map(({ memberId, classic }) => [memberId, classic?.protocols ?? []]))
  const protocolName = electProtocol([...protocols.values()].map(each => ({ protocols: each }))) ?? null
  const members = rest.map(member => {
    const subscription = protocols.get(member.memberId)?.find(({ name }) => name === protocolName)?.metadata
    const version = subscriptionVersion(subscription)
    return {
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.classic?.sessionTimeoutMs ?? 0,
      subscription: subscription ?? Buffer.alloc(0),
      assignment: writeAssignment(heldBy(member), version, topics)
    }
  })
  const stored: StoredGroup = {
    protocolType: 'consumer',
    generation: group.known.epoch,
    protocolName,
    leader: members[0]?.memberId ?? null,
    stateTimestampMs: nowMs,
    members
  }
  return { stored, protocols }
}

/** What a member has or has not given back yet: until it joins again, nobody else may have it. */
function heldBy({ assigned, pendingRevocation }: ConsumerMember): Partitions {
  return withoutEpochs(unionOwned(assigned, pendingRevocation))
}
