/** Administration of many groups at once: their offsets and members, in few requests. See `askManyGroups`. */

import {
  consumerGroupDescribeApi,
  type ConsumerGroupDescribeResponseDescribedGroup,
  describeGroupsApi,
  type DescribeGroupsResponseDescribedGroup,
  listGroupsApi,
  offsetFetchApi,
  type OffsetFetchResponseTopics
} from '../protocol/index.ts'
import { messageOf, PipelineError } from '../core/index.ts'
import type { GroupDescription, GroupMemberDescription, GroupOffset, ListedGroup } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import { CONSUMER_PROTOCOL, decodeAssignment, decodeSubscribedTopics, groupPartitions } from './group-protocol.ts'
import type { TopicPartition } from './group-types.ts'
import { kafkaError, KAFKA, throwKafkaError } from './kafka-error.ts'
import { askManyGroups, type GroupAnswer, type ManyGroupsOptions } from './many-groups.ts'

/** OffsetFetch names topics by id from version 10 on (KIP-848); names serve all brokers. */
const offsetVersionMax = 9
/** First version that asks for several groups at once (KIP-709). */
const offsetBatchVersion = 8
/** DescribeGroups reports a group that is not there as an error from version 6 on; version 5 says "Dead". */
const describeVersionMax = 5
/** Most groups in one OffsetFetch: keeps an answer below some megabytes where each group reads 10,000 partitions. */
const offsetGroupsMax = 25
/** Most groups in one DescribeGroups, whose members bring their subscriptions and assignments. */
const describedGroupsMax = 100

/** The committed offsets of one group, or why they are not known. */
export interface GroupOffsets {
  readonly groupId: string
  /** -1 = none was found. */
  readonly coordinatorId: number
  /** 0 = answered; `COORDINATOR_NOT_AVAILABLE` (15) stands for a broker that cannot be reached, too. */
  readonly errorCode: number
  /** Why they are not known, for people; empty = they are. */
  readonly problem: string
  /** What is committed; with `partitions`, -1n where nothing is. */
  readonly offsets: readonly GroupOffset[]
}

/** How the offsets of many groups are asked for. */
export interface GroupOffsetsOptions extends ManyGroupsOptions {
  /** Only these. Default: all that are committed. */
  readonly partitions?: readonly TopicPartition[]
  /** Whether an offset that an open transaction may change has the error UNSTABLE_OFFSET_COMMIT. Default `false`. */
  readonly isStable?: boolean
}

/** The committed offsets of many groups. A group that does not exist has none. */
export async function fetchOffsetsOfGroups(
  cluster: Cluster,
  groupIds: readonly string[],
  { partitions, isStable = false, ...patience }: GroupOffsetsOptions = {}
): Promise<GroupOffsets[]> {
  const topics =
    partitions === undefined
      ? null
      : groupPartitions(partitions).map(each => ({ name: each.topic, partitionIndexes: each.partitions }))
  const answers = await askManyGroups<GroupOffset[]>(cluster, {
    ...patience,
    groupIds,
    what: 'OffsetFetch',
    batchMax: offsetGroupsMax,
    ask: async (nodeId, ids, timeoutMs) => {
      const connection = await cluster.connectionTo({ to: { nodeId }, timeoutMs })
      const version = connection.versionOf(offsetFetchApi, offsetVersionMax)
      const send = { version, timeoutMs, ...signalOf(patience) }
      if (version >= offsetBatchVersion) {
        const request = { groups: ids.map(groupId => ({ groupId, topics })), requireStable: isStable }
        const { groups } = await connection.send(offsetFetchApi, request, send)
        return new Map(groups.map(each => [each.groupId, { errorCode: each.errorCode, value: offsetsOf(each.topics) }]))
      }
      const each = async (groupId: string): Promise<[string, { errorCode: number; value: GroupOffset[] }]> => {
        const answer = await connection.send(offsetFetchApi, { groupId, topics }, send)
        return [groupId, { errorCode: answer.errorCode, value: offsetsOf(answer.topics) }]
      }
      return new Map(await Promise.all(ids.map(each)))
    }
  })
  return answers.map(({ value, ...answer }) => ({ ...answer, offsets: value ?? [] }))
}

function offsetsOf(topics: readonly Pick<OffsetFetchResponseTopics, 'name' | 'partitions'>[]): GroupOffset[] {
  const offsets: GroupOffset[] = []
  for (const { name, partitions } of topics) {
    for (const { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode } of partitions) {
      offsets.push({
        topic: name,
        partition: partitionIndex,
        offset: committedOffset,
        leaderEpoch: committedLeaderEpoch,
        metadata: metadata ?? '',
        errorCode
      })
    }
  }
  return offsets
}

/** How groups are described. */
export interface DescribeGroupsOptions extends ManyGroupsOptions {
  /**
   * Whether a coordinator that cannot be reached is an `errorCode` and a `problem` of its groups instead of an
   * exception. Default `false`.
   */
  readonly isPartial?: boolean
}

/**
 * Groups with their members, in the order they were named.
 *
 * @throws PipelineError of the connection, unless `isPartial`.
 */
export async function describeGroups(
  cluster: Cluster,
  groupIds: readonly string[],
  { isPartial = false, ...patience }: DescribeGroupsOptions = {}
): Promise<GroupDescription[]> {
  const classic = await describeClassic(cluster, groupIds, patience)
  // A group of the consumer protocol (KIP-848) is "Dead" to this question.
  const dead = classic.filter(each => each.errorCode === 0 && each.value?.state === 'Dead').map(each => each.groupId)
  const consumers = new Map<string, GroupDescription>()
  for (const { groupId, value, errorCode, coordinatorId } of await describeConsumers(cluster, dead, patience)) {
    if (value !== undefined && errorCode === 0) consumers.set(groupId, { ...value, coordinatorId })
  }
  return classic.map(({ groupId, coordinatorId, errorCode, problem, value }) => {
    // An error code of the group itself came with a description; a broker that is away did not.
    if (value === undefined && !isPartial) throw unreachable(errorCode, problem)
    const found = consumers.get(groupId) ?? value ?? { ...nothing, groupId }
    return { ...found, coordinatorId, errorCode, ...(problem === '' ? {} : { problem }) }
  })
}

const nothing = { state: '', protocolType: '', protocol: '', members: [] } as const

function unreachable(errorCode: number, problem: string): PipelineError {
  if (errorCode === KAFKA.COORDINATOR_NOT_AVAILABLE) {
    return new PipelineError('ERR_CLIENT_CONNECT_FAILED', problem, { retriable: true })
  }
  return kafkaError(errorCode, 'looking for the coordinator of a group', problem)
}

type Described = Omit<GroupDescription, 'coordinatorId' | 'errorCode'> & { coordinatorId: number; errorCode: number }

function describeClassic(
  cluster: Cluster,
  groupIds: readonly string[],
  patience: ManyGroupsOptions
): Promise<GroupAnswer<Described>[]> {
  return askManyGroups<Described>(cluster, {
    ...patience,
    groupIds,
    what: 'DescribeGroups',
    batchMax: describedGroupsMax,
    ask: async (nodeId, ids, timeoutMs) => {
      const send = { to: { nodeId }, versionMax: describeVersionMax, timeoutMs, ...signalOf(patience) }
      const { groups } = await cluster.send(describeGroupsApi, { groups: ids }, send)
      return new Map(
        groups.map(group => [group.groupId, { errorCode: group.errorCode, value: classicOf(group, nodeId) }])
      )
    }
  })
}

function classicOf(group: DescribeGroupsResponseDescribedGroup, coordinatorId: number): Described {
  return {
    groupId: group.groupId,
    state: group.groupState,
    protocolType: group.protocolType,
    protocol: group.protocolData,
    coordinatorId,
    errorCode: group.errorCode,
    members: group.members.map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      // Connect and schema registries put their own bytes here.
      ...(group.protocolType === CONSUMER_PROTOCOL
        ? { assignment: assignmentOf(member.memberAssignment), ...subscriptionOf(member.memberMetadata) }
        : { assignment: [] })
    }))
  }
}

/** Bytes that are no assignment say nothing: one odd member must not hide all groups of its request. */
function assignmentOf(bytes: Buffer): TopicPartition[] {
  try {
    return decodeAssignment(bytes)
  } catch {
    return []
  }
}

/** As `assignmentOf`. A group between two generations has no subscriptions either. */
function subscriptionOf(bytes: Buffer): Pick<GroupMemberDescription, 'subscription'> {
  try {
    return bytes.length === 0 ? {} : { subscription: decodeSubscribedTopics(bytes) }
  } catch {
    return {}
  }
}

/** Groups of the consumer protocol; a cluster that does not know it has none. */
async function describeConsumers(
  cluster: Cluster,
  groupIds: readonly string[],
  patience: ManyGroupsOptions
): Promise<GroupAnswer<Described>[]> {
  if (groupIds.length === 0) return []
  try {
    return await askManyGroups<Described>(cluster, {
      ...patience,
      groupIds,
      what: 'ConsumerGroupDescribe',
      batchMax: describedGroupsMax,
      ask: async (nodeId, ids, timeoutMs) => {
        const send = { to: { nodeId }, timeoutMs, ...signalOf(patience) }
        const { groups } = await cluster.send(consumerGroupDescribeApi, { groupIds: ids }, send)
        return new Map(
          groups.map(group => [group.groupId, { errorCode: group.errorCode, value: consumerOf(group, nodeId) }])
        )
      }
    })
  } catch (error) {
    if (PipelineError.is(error, 'ERR_CLIENT_VERSION_UNSUPPORTED')) return []
    throw error
  }
}

function consumerOf(group: ConsumerGroupDescribeResponseDescribedGroup, coordinatorId: number): Described {
  return {
    groupId: group.groupId,
    state: group.groupState,
    protocolType: CONSUMER_PROTOCOL,
    protocol: group.assignorName,
    coordinatorId,
    errorCode: group.errorCode,
    members: group.members.map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      assignment: member.assignment.topicPartitions.flatMap(({ topicName, partitions }) =>
        partitions.map(partition => ({ topic: topicName, partition }))
      ),
      subscription: member.subscribedTopicNames
    }))
  }
}

/** The groups that one broker coordinates, or why they are not known. */
export interface BrokerGroups {
  readonly nodeId: number
  readonly groups: readonly ListedGroup[]
  /** Why they are not known, for people; empty = they are. */
  readonly problem: string
}

/** The groups of each broker, asked once: a broker that does not answer is told of, not waited for. */
export async function listGroupsByBroker(
  cluster: Cluster,
  { timeoutMs = cluster.requestTimeoutMs, signal }: ManyGroupsOptions = {}
): Promise<BrokerGroups[]> {
  const send = { timeoutMs, ...(signal === undefined ? {} : { signal }) }
  return await Promise.all(
    cluster.brokers().map(async ({ nodeId }) => {
      try {
        const answer = await cluster.send(listGroupsApi, {}, { ...send, to: { nodeId } })
        throwKafkaError(answer.errorCode, 'ListGroups')
        return { nodeId, groups: answer.groups.map(listedOf), problem: '' }
      } catch (error) {
        return { nodeId, groups: [], problem: `the groups of broker ${nodeId} are not known: ${messageOf(error)}` }
      }
    })
  )
}

/** A group as ListGroups has it. */
export function listedOf(group: {
  readonly groupId: string
  readonly protocolType: string
  readonly groupState: string
  readonly groupType: string
}): ListedGroup {
  const { groupId, protocolType, groupState, groupType } = group
  return { groupId, protocolType, state: groupState, ...(groupType === '' ? {} : { groupType }) }
}

function signalOf({ signal }: ManyGroupsOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
