/**
 * OffsetFetch, versions 1 to 10: committed offsets of one group, or of several
 * from version 8 on. A partition without one answers offset -1 without error.
 * Null topics mean all (version 2). Version 10 names topics by id.
 *
 * `requireStable` has nothing to wait for: there are no transactions.
 */

import {
  offsetFetchApi,
  type OffsetFetchRequestGroup,
  type OffsetFetchResponseGroupInput,
  type OffsetFetchResponsePartitionInput,
  ZERO_UUID
} from '../../protocol/index.ts'
import type { BrokerState } from './broker-state.ts'
import { defineHandler, errorCode } from './handler.ts'

const BATCHED_GROUPS_VERSION = 8
const TOPIC_ID_VERSION = 10

/** The handler of OffsetFetch. */
export const offsetFetchHandler = defineHandler({
  api: offsetFetchApi,
  handle: (broker, request, { apiVersion }) => {
    if (apiVersion >= BATCHED_GROUPS_VERSION) {
      return { groups: request.groups.map(group => fetchGroup(broker, group, apiVersion)) }
    }
    const names = request.topics?.map(topic => ({ ...topic, topicId: ZERO_UUID })) ?? null
    const group = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics: names }
    const { topics } = fetchGroup(broker, group, apiVersion)
    return { topics: topics?.map(({ name, partitions }) => ({ name, partitions })) ?? [] }
  },
  fail: (request, code) => ({
    errorCode: code,
    groups: request.groups.map(({ groupId }) => ({ groupId, errorCode: code }))
  })
})

function fetchGroup(
  broker: BrokerState,
  group: OffsetFetchRequestGroup,
  apiVersion: number
): OffsetFetchResponseGroupInput {
  const offsets = broker.groups.find(group.groupId)?.offsets
  const one = (topic: string, partitionIndex: number): OffsetFetchResponsePartitionInput => {
    const committed = offsets?.get(topic, partitionIndex)
    if (committed === undefined) return absent(partitionIndex, 'NONE')
    const { offset, leaderEpoch, metadata } = committed
    return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata }
  }
  if (group.topics === null) {
    const topics = [...(offsets?.entries() ?? [])].map(([name, partitions]) => ({
      name,
      topicId: broker.logs.topic(name)?.id ?? ZERO_UUID,
      partitions: [...partitions.keys()].map(partition => one(name, partition))
    }))
    return { groupId: group.groupId, topics }
  }
  const topics = group.topics.map(({ name, topicId, partitionIndexes }) => {
    const known = apiVersion >= TOPIC_ID_VERSION ? broker.logs.topicById(topicId)?.name : name
    const partitions = partitionIndexes.map(partition =>
      known === undefined ? absent(partition, 'UNKNOWN_TOPIC_ID') : one(known, partition)
    )
    return { name, topicId, partitions }
  })
  return { groupId: group.groupId, topics }
}

function absent(partitionIndex: number, error: 'NONE' | 'UNKNOWN_TOPIC_ID'): OffsetFetchResponsePartitionInput {
  return { partitionIndex, committedOffset: -1n, committedLeaderEpoch: -1, metadata: '', errorCode: errorCode(error) }
}
