/**
 * A look at groups before something is done to them: who is at work, what is
 * committed, and what stands in the way.
 */

import {
  type Admin,
  byTopicAndPartition,
  type Cluster,
  type GroupDescription,
  type GroupMemberDescription,
  type GroupOffset,
  type ListedGroup,
  partitionKeyOf,
  type TopicPartition
} from '../../client/index.ts'
import { type Clock, PipelineError, sleep } from '../../core/index.ts'
import { kafkaErrorName, ZERO_UUID } from '../../protocol/index.ts'
import type { LogEnds, StoredOffset, TopicIds } from './offset-move.ts'

/** What planning needs. */
export interface OffsetsOpen {
  readonly cluster: Cluster
  readonly admin: Admin
  /** Default: that of the cluster. */
  readonly clock?: Clock
  readonly signal?: AbortSignal
}

/** What a group has committed for a partition. */
export type CommittedOffset = TopicPartition & StoredOffset

/** One group, as it is now. */
export interface GroupLook {
  readonly groupId: string
  /** Kafka's word; `Dead` where there is no such group. */
  readonly state: string
  /** `classic`, `consumer`, `share`, `streams`; `undefined` where the broker is too old to say, or there is none. */
  readonly groupType: string | undefined
  /** `consumer`; empty for a group that only has offsets; others use their own word. */
  readonly protocolType: string
  /** Name of the assignor in use; empty without members. */
  readonly assignor: string
  /** -1 = unknown. */
  readonly coordinatorId: number
  readonly members: readonly GroupMemberDescription[]
  /** By `partitionKeyOf`. */
  readonly offsets: ReadonlyMap<string, CommittedOffset>
  /** Why something of it is not known, or about to change by itself, one sentence each. */
  readonly problems: readonly string[]
}

/** States of a group that nobody is in. */
const idleStates: ReadonlySet<string> = new Set(['Empty', 'Dead', ''])
/** Members that are named one by one. */
const MEMBERS_NAMED = 5
const UNSTABLE = 88

/** Whether the group is there at all. */
export function isGroupThere({ state, offsets }: GroupLook): boolean {
  return (state !== 'Dead' && state !== '') || offsets.size > 0
}

/** Looks at groups, in the order that they are named. */
export async function lookAtGroups(open: OffsetsOpen, groupIds: readonly string[]): Promise<GroupLook[]> {
  const patience = open.signal === undefined ? {} : { signal: open.signal }
  const [listed, described, offsets] = await Promise.all([
    open.admin.listGroupsByBroker(patience),
    open.admin.describeGroups(groupIds, { ...patience, isPartial: true }),
    open.admin.fetchOffsetsOfGroups(groupIds, { ...patience, isStable: true })
  ])
  const types = new Map(listed.flatMap(({ groups }) => groups.map(group => [group.groupId, group] as const)))
  return groupIds.map((groupId, index) => {
    const committed = offsets[index]
    const found = committed?.offsets ?? []
    const description = described[index]
    return {
      ...stateOf(description, types.get(groupId)),
      groupId,
      offsets: new Map(found.filter(isCommitted).map(each => [partitionKeyOf(each), committedOf(each)])),
      problems: [...new Set([description?.problem ?? '', committed?.problem ?? '', ...offsetProblems(found)])].filter(
        text => text !== ''
      )
    }
  })
}

function stateOf(
  description: GroupDescription | undefined,
  listed: ListedGroup | undefined
): Pick<GroupLook, 'state' | 'groupType' | 'protocolType' | 'assignor' | 'coordinatorId' | 'members'> {
  const { coordinatorId = -1, members = [], state = '' } = description ?? {}
  // Share and streams groups are "Dead" to the questions that classic and consumer groups answer.
  const isOther = listed !== undefined && (state === 'Dead' || state === '')
  return {
    state: isOther ? listed.state : state,
    groupType: listed?.groupType?.toLowerCase(),
    protocolType: isOther ? listed.protocolType : (description?.protocolType ?? ''),
    assignor: description?.protocol ?? '',
    coordinatorId,
    members
  }
}

function isCommitted({ offset, errorCode }: GroupOffset): boolean {
  return offset >= 0n && errorCode === 0
}

function committedOf({ topic, partition, offset, leaderEpoch, metadata }: GroupOffset): CommittedOffset {
  return { topic, partition, offset, leaderEpoch, metadata }
}

function offsetProblems(offsets: readonly GroupOffset[]): string[] {
  return offsets.flatMap(({ topic, partition, errorCode }) => {
    if (errorCode === 0) return []
    const place = `${topic}-${partition}`
    if (errorCode !== UNSTABLE) return [`the offset of ${place} cannot be read: ${kafkaErrorName(errorCode)}`]
    return [`an open transaction is about to change the offset of ${place}: wait until it has ended, and try again`]
  })
}

/** Why the offsets of a group cannot be set now, each with its remedy. Empty = they can. */
export function blockersOf(group: GroupLook): string[] {
  const { groupId, state, groupType, protocolType, problems } = group
  if (groupType === 'share') {
    return [`${groupId} is a share group, which keeps its place per record: use kafka-share-groups.sh`]
  }
  if (groupType === 'streams') {
    return [`${groupId} is a streams group, whose stores go with its offsets: use kafka-streams-application-reset.sh`]
  }
  if (protocolType !== '' && protocolType !== 'consumer') {
    return [`${groupId} is no consumer group but one of "${protocolType}": its offsets mean something else`]
  }
  const found = problems.map(text => `group ${groupId}: ${text}`)
  return idleStates.has(state) ? found : [...found, atWorkText(group)]
}

/** Who is at work, and how to stop it. */
function atWorkText({ groupId, state, members }: GroupLook): string {
  const named = members.slice(0, MEMBERS_NAMED).map(memberName).join(', ')
  const more = members.length > MEMBERS_NAMED ? ` and ${members.length - MEMBERS_NAMED} more` : ''
  const who = members.length === 0 ? 'members that are just joining' : `${named}${more}`
  const isStatic = members.some(({ groupInstanceId }) => groupInstanceId !== null)
  const hint = isStatic
    ? '; a static member stays for its session timeout after it has ended, or until: comporta groups remove-member'
    : ''
  return (
    `group ${groupId} is at work (${state}): ${who}. Offsets can be set only while nobody is in it: stop these ` +
    `processes (a dispatcher drains on SIGTERM or Ctrl-C), or say --wait 60s to wait until they have gone${hint}`
  )
}

/** A member for people: `orders-1 (client id comporta-dispatcher, 10.0.0.4)`. */
export function memberName({ memberId, groupInstanceId, clientId, clientHost }: GroupMemberDescription): string {
  return `${groupInstanceId ?? memberId} (client id ${clientId}, ${clientHost.replace(/^\//, '')})`
}

/** How often groups are looked at while they are waited for, in milliseconds. */
const LOOK_MS = 500

/**
 * Waits until nobody is in any of the groups.
 *
 * @returns Whether that is so; `false` when the time is over or the signal has come.
 */
export async function untilIdle(
  open: OffsetsOpen,
  groupIds: readonly string[],
  { waitMs, onProgress }: { readonly waitMs: number; readonly onProgress?: (text: string) => void }
): Promise<boolean> {
  const clock = open.clock ?? open.cluster.clock
  const deadlineMs = clock.monotonicMs() + waitMs
  let told = ''
  for (;;) {
    const found = await open.admin.describeGroups(groupIds, { isPartial: true })
    const busy = found.filter(({ state }) => !idleStates.has(state))
    if (busy.length === 0) return true
    const memberCount = busy.reduce((sum, { members }) => sum + members.length, 0)
    const text = `waiting for ${memberCount} members of ${busy.map(({ groupId }) => groupId).join(', ')} to leave`
    if (text !== told) onProgress?.(text)
    told = text
    if (clock.monotonicMs() >= deadlineMs || !(await sleep(clock, LOOK_MS, open.signal))) return false
  }
}

/**
 * Groups that operations on all groups mean: consumer groups of both protocols, and groups that only have offsets.
 */
export async function allConsumerGroups({ admin }: OffsetsOpen): Promise<string[]> {
  const listed = await admin.listGroups()
  return listed
    .filter(({ groupType = 'classic', protocolType }) => {
      const type = groupType.toLowerCase()
      return (type === 'classic' || type === 'consumer') && (protocolType === '' || protocolType === 'consumer')
    })
    .map(({ groupId }) => groupId)
    .toSorted()
}

/** Both ends of partitions, by `partitionKeyOf`. */
export type EndsByPartition = ReadonlyMap<string, LogEnds>

/**
 * Asks for both ends.
 *
 * @throws PipelineError `ERR_OPS_REFUSED` where a leader refuses, and those of the connection.
 */
export async function endsOf({ admin }: OffsetsOpen, partitions: readonly TopicPartition[]): Promise<EndsByPartition> {
  const sorted = [...partitions].sort(byTopicAndPartition)
  const [starts, ends] = await Promise.all([
    admin.listOffsets(sorted.map(({ topic, partition }) => ({ topic, partition, at: 'earliest' as const }))),
    admin.listOffsets(sorted.map(({ topic, partition }) => ({ topic, partition, at: 'latest' as const })))
  ])
  const found = new Map<string, LogEnds>()
  for (const [index, start] of starts.entries()) {
    const end = ends[index]
    const errorCode = start.errorCode === 0 ? (end?.errorCode ?? 0) : start.errorCode
    if (end === undefined || errorCode !== 0) {
      const name = kafkaErrorName(errorCode)
      const hint = name === 'TOPIC_AUTHORIZATION_FAILED' ? '; it needs the right Describe on the topic' : ''
      throw new PipelineError('ERR_OPS_REFUSED', `the ends of ${start.topic}-${start.partition}: ${name}${hint}`)
    }
    found.set(partitionKeyOf(start), { logStartOffset: start.offset, highWatermark: end.offset })
  }
  return found
}

/** Ids of the topics of some partitions, as far as brokers tell them. */
export async function topicIdsOf({ admin }: OffsetsOpen, places: readonly TopicPartition[]): Promise<TopicIds> {
  const names = [...new Set(places.map(({ topic }) => topic))]
  if (names.length === 0) return new Map()
  const { topics } = await admin.describeTopics(names)
  return new Map(
    topics.flatMap(({ topic, topicId, errorCode }) =>
      errorCode === 0 && topicId !== ZERO_UUID ? [[topic, topicId] as const] : []
    )
  )
}

/** Whether a topic is another one than it was. One that brokers or snapshots do not tell counts as the same. */
export function isOtherTopic(before: string | undefined, now: string | undefined): boolean {
  return before !== undefined && now !== undefined && before !== now
}

/** Which of some partitions are there. */
export interface PartitionsThere<T extends TopicPartition> {
  readonly there: readonly T[]
  readonly missing: readonly T[]
  /** There, and without a leader: nothing can be asked about them. */
  readonly leaderless: readonly T[]
}

/** Looks partitions up, so that nothing is asked of what is not there (which would be retried for long). */
export async function partitionsThere<T extends TopicPartition>(
  { admin }: OffsetsOpen,
  partitions: readonly T[]
): Promise<PartitionsThere<T>> {
  const names = [...new Set(partitions.map(({ topic }) => topic))]
  const metadata = names.length === 0 ? { topics: [] } : await admin.describeTopics(names)
  const leaders = new Map(
    metadata.topics.flatMap(topic =>
      topic.partitions.map(each => [partitionKeyOf({ ...each, topic: topic.topic }), each])
    )
  )
  const leaderOf = (each: T): number | undefined => leaders.get(partitionKeyOf(each))?.leaderId
  return {
    there: partitions.filter(each => (leaderOf(each) ?? -1) >= 0),
    missing: partitions.filter(each => leaderOf(each) === undefined),
    leaderless: partitions.filter(each => leaderOf(each) === -1)
  }
}
