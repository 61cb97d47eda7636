/** Administration of topics: create, delete, grow, offsets, delete records. */

import {
  createPartitionsApi,
  createTopicsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  kafkaErrorName,
  listOffsetsApi
} from '../protocol/index.ts'
import { ask, byLeader, byTopic } from './admin-send.ts'
import type { AdminResult, ListedOffset, NewTopic, OffsetSpec } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { KAFKA } from './kafka-error.ts'

/** Timestamps that mean a place, not a time. Source: Kafka `ListOffsetsRequest`. */
const places = { latest: -1n, earliest: -2n, maxTimestamp: -3n } as const

/** One item's result in the client's own shape. */
export function resultOf(name: string, errorCode: number, errorMessage: string | null): AdminResult {
  return { name, errorCode, errorName: kafkaErrorName(errorCode), errorMessage }
}

/** Results in the order that the items were named in: brokers answer in any order. */
function inOrderOf(names: readonly string[], results: readonly AdminResult[]): AdminResult[] {
  const places = new Map(names.map((name, index) => [name, index]))
  return results.toSorted((a, b) => (places.get(a.name) ?? names.length) - (places.get(b.name) ?? names.length))
}

export async function createTopics(
  cluster: Cluster,
  topics: readonly NewTopic[],
  isValidateOnly: boolean
): Promise<AdminResult[]> {
  const wanted = topics.map(topic => ({
    name: topic.topic,
    numPartitions: topic.partitionCount ?? -1,
    replicationFactor: topic.replicationFactor ?? -1,
    configs: Object.entries(topic.configs ?? {}).map(([name, value]) => ({ name, value }))
  }))
  const request = { topics: wanted, timeoutMs: cluster.requestTimeoutMs, validateOnly: isValidateOnly }
  const answer = await ask(cluster, () => cluster.send(createTopicsApi, request, { to: 'controller' }), {
    codesOf: each => each.topics.map(topic => topic.errorCode)
  })
  const results = answer.topics.map(topic => resultOf(topic.name, topic.errorCode, topic.errorMessage))
  return inOrderOf(
    topics.map(topic => topic.topic),
    results
  )
}

export async function deleteTopics(cluster: Cluster, topics: readonly string[]): Promise<AdminResult[]> {
  const connection = await cluster.connectionTo({ to: 'controller' })
  const version = connection.versionOf(deleteTopicsApi)
  const { requestTimeoutMs: timeoutMs } = cluster
  // Version 6 names topics one by one, because it can also name them by id (KIP-516).
  const request =
    version >= 6 ? { topics: topics.map(name => ({ name })), timeoutMs } : { topicNames: [...topics], timeoutMs }
  const send = { to: 'controller', versionMax: version } as const
  const answer = await ask(cluster, () => cluster.send(deleteTopicsApi, request, send), {
    // A topic that is gone is what was asked for: asking again would only wait.
    codesOf: each =>
      each.responses.map(topic => topic.errorCode).filter(code => code !== KAFKA.UNKNOWN_TOPIC_OR_PARTITION)
  })
  const results = answer.responses.map(topic => resultOf(topic.name ?? '', topic.errorCode, topic.errorMessage))
  return inOrderOf(topics, results)
}

export async function createPartitions(
  cluster: Cluster,
  topics: readonly { readonly topic: string; readonly partitionCount: number }[]
): Promise<AdminResult[]> {
  const wanted = topics.map(({ topic, partitionCount }) => ({ name: topic, count: partitionCount, assignments: null }))
  const request = { topics: wanted, timeoutMs: cluster.requestTimeoutMs, validateOnly: false }
  const answer = await ask(cluster, () => cluster.send(createPartitionsApi, request, { to: 'controller' }), {
    codesOf: each =>
      each.results.map(result => result.errorCode).filter(code => code !== KAFKA.UNKNOWN_TOPIC_OR_PARTITION)
  })
  const results = answer.results.map(result => resultOf(result.name, result.errorCode, result.errorMessage))
  return inOrderOf(
    topics.map(topic => topic.topic),
    results
  )
}

/** An offset that is asked for. */
export type OffsetRequest = TopicPartition & { readonly at: OffsetSpec }

export async function listOffsets(
  cluster: Cluster,
  requests: readonly OffsetRequest[],
  isReadCommitted: boolean
): Promise<ListedOffset[]> {
  const leaders = await byLeader(cluster, requests)
  const answers = await Promise.all(
    [...leaders].map(([nodeId, items]) => listOffsetsOf(cluster, { nodeId, items, isReadCommitted }))
  )
  return answers.flat()
}

async function listOffsetsOf(
  cluster: Cluster,
  from: { readonly nodeId: number; readonly items: readonly OffsetRequest[]; readonly isReadCommitted: boolean }
): Promise<ListedOffset[]> {
  const topics = [...byTopic(from.items)].map(([name, items]) => ({
    name,
    partitions: items.map(({ partition, at }) => ({
      partitionIndex: partition,
      timestamp: typeof at === 'string' ? places[at] : at.timestampMs
    }))
  }))
  const request = { replicaId: -1, isolationLevel: from.isReadCommitted ? 1 : 0, topics }
  const to = { nodeId: from.nodeId }
  const answer = await ask(cluster, () => cluster.send(listOffsetsApi, request, { to }), {
    codesOf: each => each.topics.flatMap(topic => topic.partitions.map(partition => partition.errorCode))
  })
  return answer.topics.flatMap(topic =>
    topic.partitions.map(({ partitionIndex, offset, timestamp, leaderEpoch, errorCode }) => ({
      topic: topic.name,
      partition: partitionIndex,
      offset,
      timestamp,
      leaderEpoch,
      errorCode
    }))
  )
}

/** A partition whose records below an offset are to go. */
export type RecordDeletion = TopicPartition & { readonly beforeOffset: bigint }
/** Where a partition starts after a deletion. */
export type DeletedRecords = TopicPartition & { readonly logStartOffset: bigint; readonly errorCode: number }

export async function deleteRecords(cluster: Cluster, requests: readonly RecordDeletion[]): Promise<DeletedRecords[]> {
  const leaders = await byLeader(cluster, requests)
  const answers = await Promise.all([...leaders].map(([nodeId, items]) => deleteRecordsOf(cluster, nodeId, items)))
  return answers.flat()
}

async function deleteRecordsOf(
  cluster: Cluster,
  nodeId: number,
  requests: readonly RecordDeletion[]
): Promise<DeletedRecords[]> {
  const topics = [...byTopic(requests)].map(([name, items]) => ({
    name,
    partitions: items.map(({ partition, beforeOffset }) => ({ partitionIndex: partition, offset: beforeOffset }))
  }))
  const request = { topics, timeoutMs: cluster.requestTimeoutMs }
  const answer = await ask(cluster, () => cluster.send(deleteRecordsApi, request, { to: { nodeId } }), {
    codesOf: each => each.topics.flatMap(topic => topic.partitions.map(partition => partition.errorCode))
  })
  return answer.topics.flatMap(topic =>
    topic.partitions.map(({ partitionIndex, lowWatermark, errorCode }) => ({
      topic: topic.name,
      partition: partitionIndex,
      logStartOffset: lowWatermark,
      errorCode
    }))
  )
}
