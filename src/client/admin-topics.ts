/** Administration of topics: create, delete, grow, offsets, delete records. */

import {
  createPartitionsApi,
  createTopicsApi,
  deleteRecordsApi,
  type DeleteRecordsResponse,
  deleteTopicsApi,
  kafkaErrorName
} from '../protocol/index.ts'
import { ask, byLeader, byTopic } from './admin-send.ts'
import type { AdminResult, NewTopic } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { KAFKA } from './kafka-error.ts'

/** One item's result in the client's own shape. */
export function resultOf(name: string, errorCode: number, errorMessage: string | null): AdminResult {
  return { name, errorCode, errorName: kafkaErrorName(errorCode), errorMessage }
}

/** Results in the order that the items were named in: brokers answer in any order. */
function inOrderOf(names: readonly string[], results: readonly AdminResult[]): AdminResult[] {
  const places = new Map(names.map((name, index) => [name, index]))
  return results.toSorted((a, b) => (places.get(a.name) ?? names.length) - (places.get(b.name) ?? names.length))
}

/** Creates topics; one that exists is a result, not an exception. */
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

/** Deletes topics and their records. */
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

/** Grows topics to a number of partitions. */
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

/** A partition whose records below an offset are to go. */
export type RecordDeletion = TopicPartition & { readonly beforeOffset: bigint }
/** Where a partition starts after a deletion. */
export type DeletedRecords = TopicPartition & { readonly logStartOffset: bigint; readonly errorCode: number }

/** Deletes the records of partitions below an offset. */
export async function deleteRecords(cluster: Cluster, requests: readonly RecordDeletion[]): Promise<DeletedRecords[]> {
  const leaders = await byLeader(cluster, requests)
  const answers = await Promise.all([...leaders.values()].map(items => deleteRecordsOf(cluster, items)))
  return answers.flat()
}

/** @param requests - Partitions of one leader. If it loses them, the next leader of the first one is asked. */
async function deleteRecordsOf(cluster: Cluster, requests: readonly RecordDeletion[]): Promise<DeletedRecords[]> {
  const [first] = requests
  if (first === undefined) return []
  const topics = [...byTopic(requests)].map(([name, items]) => ({
    name,
    partitions: items.map(({ partition, beforeOffset }) => ({ partitionIndex: partition, offset: beforeOffset }))
  }))
  const request = { topics, timeoutMs: cluster.requestTimeoutMs }
  const send = async (): Promise<DeleteRecordsResponse> => {
    const nodeId = await cluster.leaderOf(first.topic, first.partition)
    return cluster.send(deleteRecordsApi, request, { to: { nodeId } })
  }
  const answer = await ask(cluster, send, {
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
