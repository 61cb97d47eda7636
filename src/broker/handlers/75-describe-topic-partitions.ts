/**
 * DescribeTopicPartitions, version 0: topics and partitions in pages (KIP-966).
 *
 * Topics come in order of their names; a page ends after
 * `responsePartitionLimit` partitions, at most 2000, and its cursor says where
 * the next begins. An empty list of topics means all that the caller may describe.
 */

import {
  describeTopicPartitionsApi,
  type DescribeTopicPartitionsRequest,
  type DescribeTopicPartitionsResponseInput,
  type DescribeTopicPartitionsResponseTopicInput
} from '../../protocol/index.ts'
import { INTERNAL_TOPICS, type Topic, topicNameProblem } from '../log/index.ts'
import { maySeeTopic, mayTopic } from './authorization.ts'
import { operationsOnTopic } from './authorized-operations.ts'
import type { BrokerState } from './broker-state.ts'
import { type Caller, defineHandler, errorCode } from './handler.ts'

/** Source: Kafka `max.request.partition.size.limit`. */
const PARTITIONS_PER_PAGE_MAX = 2000

/** The handler of DescribeTopicPartitions. */
export const describeTopicPartitionsHandler = defineHandler({
  api: describeTopicPartitionsApi,
  handle: (broker, request, caller) => {
    const { cursor } = request
    let room = Math.min(PARTITIONS_PER_PAGE_MAX, Math.max(1, request.responsePartitionLimit))
    const topics: DescribeTopicPartitionsResponseTopicInput[] = []
    for (const name of names(broker, request, caller)) {
      if (!mayTopic(broker, caller, { operation: 'describe', name })) {
        topics.push({ name, errorCode: errorCode('TOPIC_AUTHORIZATION_FAILED') })
        continue
      }
      const topic = broker.logs.topic(name)
      if (topic === undefined) {
        topics.push(unknown(name))
        continue
      }
      const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0
      if (room === 0) return page(topics, { topicName: name, partitionIndex: from })
      const to = Math.min(topic.logs.length, from + room)
      topics.push({
        ...describe(broker, topic, { from, to }),
        topicAuthorizedOperations: operationsOnTopic(broker, caller, name)
      })
      room -= Math.max(0, to - from)
      if (to < topic.logs.length) return page(topics, { topicName: name, partitionIndex: to })
    }
    return page(topics, null)
  }
})

/** Names to describe, in order, from the one the cursor names on. */
function names(broker: BrokerState, { topics, cursor }: DescribeTopicPartitionsRequest, caller: Caller): string[] {
  const isAll = topics.length === 0
  const asked = isAll
    ? broker.logs.topics.map(({ name }) => name).filter(name => maySeeTopic(broker, caller, name))
    : topics.map(({ name }) => name)
  const first = cursor?.topicName ?? ''
  return [...new Set(asked)].filter(name => name >= first).toSorted()
}

function page(
  topics: DescribeTopicPartitionsResponseTopicInput[],
  nextCursor: { topicName: string; partitionIndex: number } | null
): DescribeTopicPartitionsResponseInput {
  return { topics, nextCursor }
}

function unknown(name: string): DescribeTopicPartitionsResponseTopicInput {
  const isAllowed = topicNameProblem(name) === undefined
  return { name, errorCode: errorCode(isAllowed ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION') }
}

function describe(
  broker: BrokerState,
  topic: Topic,
  { from, to }: { from: number; to: number }
): DescribeTopicPartitionsResponseTopicInput {
  const nodes = [broker.nodeId]
  const partitions = topic.logs.slice(from, to).map(log => ({
    partitionIndex: log.partition,
    leaderId: broker.nodeId,
    leaderEpoch: log.leaderEpoch,
    replicaNodes: nodes,
    isrNodes: nodes,
    eligibleLeaderReplicas: [],
    lastKnownElr: []
  }))
  return {
    name: topic.name,
    topicId: topic.id,
    isInternal: INTERNAL_TOPICS.has(topic.name),
    partitions
  }
}
