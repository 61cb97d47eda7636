/**
 * OffsetFetch, versions 1 to 10: committed offsets of one group, or of several
 * from version 8 on. A partition without one answers offset -1 without error.
 * Null topics mean all (version 2). Version 9 on, members of consumer groups say
 * who they are. Version 10 names topics by id.
 *
 * With `requireStable` (version 7, KIP-447) a partition whose offset is part of an
 * open transaction is UNSTABLE_OFFSET_COMMIT: the client asks again.
 */

import {
  type KafkaErrorName,
  offsetFetchApi,
  type OffsetFetchRequest,
  type OffsetFetchRequestGroup,
  type OffsetFetchResponseGroupInput,
  type OffsetFetchResponseInput,
  type OffsetFetchResponsePartitionInput,
  ZERO_UUID
} from '../../protocol/index.ts'
import { authorizationError, maySeeTopic, mayTopic } from './authorization.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'
import { distinct } from './repeated.ts'

const BATCHED_GROUPS_VERSION = 8
const TOPIC_ID_VERSION = 10

/** The handler of OffsetFetch. */
export const offsetFetchHandler = defineHandler({
  api: offsetFetchApi,
  handle: (broker, request, caller) => {
    const { apiVersion } = caller
    const isStableRequired = request.requireStable
    if (apiVersion >= BATCHED_GROUPS_VERSION) {
      // All offsets of a group may be many, and asking for them is a few bytes: once is enough.
      return { groups: distinct(request.groups).map(group => fetchGroup(broker, group, { caller, isStableRequired })) }
    }
    const names = request.topics?.map(topic => ({ ...topic, topicId: ZERO_UUID })) ?? null
    const group = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics: names }
    const { topics, errorCode: code = 0 } = fetchGroup(broker, group, { caller, isStableRequired })
    if (code !== 0) return failSingle(request, code, apiVersion)
    return { topics: topics?.map(({ name, partitions }) => ({ name, partitions })) ?? [] }
  },
  fail: (request, code) => ({
    errorCode: code,
    groups: request.groups.map(({ groupId }) => ({ groupId, errorCode: code }))
  })
})

/** One group's failure before version 8: version 1 has no place for it but the partitions. */
function failSingle(request: OffsetFetchRequest, code: number, apiVersion: number): OffsetFetchResponseInput {
  if (apiVersion > 1) return { errorCode: code }
  const topics = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map(partitionIndex => ({
      partitionIndex,
      committedOffset: -1n,
      metadata: '',
      errorCode: code
    }))
  }))
  return { topics }
}

function fetchGroup(
  broker: BrokerState,
  group: OffsetFetchRequestGroup,
  { caller, isStableRequired }: { readonly caller: Caller; readonly isStableRequired: boolean }
): OffsetFetchResponseGroupInput {
  const { apiVersion } = caller
  const need = { operation: 'describe', type: 'group', name: group.groupId } as const
  const refusal = authorizationError(broker, caller, need)
  if (refusal !== undefined) return { groupId: group.groupId, topics: [], errorCode: errorCode(refusal) }
  const error = broker.groups.fetchOffsetsError(group.groupId, group.memberId, group.memberEpoch)
  if (error !== 'NONE') return { groupId: group.groupId, topics: [], errorCode: errorCode(error) }
  const offsets = broker.groups.find(group.groupId)?.offsets
  const one = (topic: string, partitionIndex: number): OffsetFetchResponsePartitionInput => {
    const committed = offsets?.get(topic, partitionIndex)
    if (isStableRequired && broker.groups.hasPendingOffset(group.groupId, { topic, partition: partitionIndex })) {
      return absent(partitionIndex, 'UNSTABLE_OFFSET_COMMIT')
    }
    if (committed === undefined) return absent(partitionIndex, 'NONE')
    const { offset, leaderEpoch, metadata } = committed
    return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata }
  }
  if (group.topics === null) {
    const seen = [...(offsets?.entries() ?? [])].filter(([name]) => maySeeTopic(broker, caller, name))
    const topics = seen.map(([name, partitions]) => ({
      name,
      topicId: broker.logs.topic(name)?.id ?? ZERO_UUID,
      partitions: [...partitions.keys()].map(partition => one(name, partition))
    }))
    return { groupId: group.groupId, topics }
  }
  const topics = group.topics.map(({ name, topicId, partitionIndexes }) => {
    const known = apiVersion >= TOPIC_ID_VERSION ? broker.logs.topicById(topicId)?.name : name
    const isAllowed = known === undefined || mayTopic(broker, caller, { operation: 'describe', name: known })
    const partitions = partitionIndexes.map(partition => {
      if (known === undefined) return absent(partition, 'UNKNOWN_TOPIC_ID')
      return isAllowed ? one(known, partition) : absent(partition, 'TOPIC_AUTHORIZATION_FAILED')
    })
    return { name, topicId, partitions }
  })
  return { groupId: group.groupId, topics }
}

function absent(partitionIndex: number, error: KafkaErrorName): OffsetFetchResponsePartitionInput {
  return { partitionIndex, committedOffset: -1n, committedLeaderEpoch: -1, metadata: '', errorCode: errorCode(error) }
}
