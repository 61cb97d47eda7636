/** Administration of topics: create, delete, grow, offsets, delete records. */

import { backoffMs, isRetriable, sleep } from '../core/index.ts'
import {
  createPartitionsApi,
  createTopicsApi,
  deleteRecordsApi,
  type DeleteRecordsResponse,
  deleteTopicsApi,
  type DeleteTopicsResponse,
  isKafkaErrorRetriable,
  kafkaErrorName
} from '../protocol/index.ts'
import { ask, byLeader, byTopic } from './admin-send.ts'
import type { AdminResult, NewTopic } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { KAFKA } from './kafka-error.ts'
import { partitionKeyOf } from './topic-partition.ts'

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
  const { requestTimeoutMs: timeoutMs } = cluster
  const send = async (): Promise<DeleteTopicsResponse> => {
    const connection = await cluster.connectionTo({ to: 'controller' })
    const version = connection.versionOf(deleteTopicsApi)
    // Version 6 names topics one by one, because it can also name them by id (KIP-516).
    const request =
      version >= 6 ? { topics: topics.map(name => ({ name })), timeoutMs } : { topicNames: [...topics], timeoutMs }
    return connection.send(deleteTopicsApi, request, { version })
  }
  const answer = await ask(cluster, send, {
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

/** Deletes the records of partitions below an offset. Partitions that change their leader meanwhile are followed. */
export async function deleteRecords(cluster: Cluster, requests: readonly RecordDeletion[]): Promise<DeletedRecords[]> {
  const deadlineMs = cluster.clock.monotonicMs() + cluster.requestTimeoutMs
  const results = new Map<string, DeletedRecords>()
  let open = requests
  for (let failures = 1; ; failures += 1) {
    const isLast = cluster.clock.monotonicMs() >= deadlineMs
    const leaders = await byLeader(cluster, open)
    const rounds = [...leaders].map(([nodeId, items]) => deleteRecordsOf(cluster, { nodeId, items, isLast }))
    for (const result of (await Promise.all(rounds)).flat()) results.set(partitionKeyOf(result), result)
    open = open.filter(request => {
      const code = results.get(partitionKeyOf(request))?.errorCode
      return code === undefined || (code !== KAFKA.NONE && isKafkaErrorRetriable(code))
    })
    if (open.length === 0 || isLast) return requests.flatMap(request => results.get(partitionKeyOf(request)) ?? [])
    await cluster.refreshMetadata().catch(() => undefined)
    await sleep(cluster.clock, backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, cluster.random))
  }
}

/** Asks one leader, once. Nothing if it cannot be reached, unless this is the last time. */
async function deleteRecordsOf(
  cluster: Cluster,
  { nodeId, items, isLast }: { nodeId: number; items: readonly RecordDeletion[]; isLast: boolean }
): Promise<DeletedRecords[]> {
  const topics = [...byTopic(items)].map(([name, each]) => ({
    name,
    partitions: each.map(({ partition, beforeOffset }) => ({ partitionIndex: partition, offset: beforeOffset }))
  }))
  const request = { topics, timeoutMs: cluster.requestTimeoutMs }
  let answer: DeleteRecordsResponse
  try {
    answer = await cluster.send(deleteRecordsApi, request, { to: { nodeId } })
  } catch (error) {
    if (isLast || !isRetriable(error)) throw error
    return []
  }
  return answer.topics.flatMap(topic =>
    topic.partitions.map(({ partitionIndex, lowWatermark, errorCode }) => ({
      topic: topic.name,
      partition: partitionIndex,
      logStartOffset: lowWatermark,
      errorCode
    }))
  )
}
