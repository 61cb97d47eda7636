/**
 * Looks at the record batches at some offsets, once, without waiting: to tell the age of a record, not to read a topic.
 *
 * A first request asks one broker for many partitions with few bytes for each. A batch that is larger comes only as the
 * first of an answer: those partitions are asked again, one by one.
 */

import { fetchApi, ZERO_UUID } from '../protocol/index.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { throwKafkaError } from './kafka-error.ts'
import { partitionKey } from './topic-partition.ts'

/** Where to look. */
export interface PeekQuestion extends TopicPartition {
  /** Topic id in Kafka's form, as metadata has it. */
  readonly topicId: string
  readonly offset: bigint
}

/** What was found. */
export interface PeekAnswer extends TopicPartition {
  readonly errorCode: number
  /** Whole record batches from the one that holds the offset on; empty if nothing is there. */
  readonly records: Buffer
}

/** How it is looked. */
export interface PeekOptions {
  /** Longest wait for an answer, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number
  /** Bytes of each partition in the first request. Default 16_384. */
  readonly partitionBytesMax?: number
  /** Most partitions that are asked again, one by one. Default 100. */
  readonly singlesMax?: number
  readonly signal?: AbortSignal
}

/** First version that names topics by id (KIP-516). */
const topicIdVersion = 13
/** First version with fetch sessions (KIP-227). */
const sessionVersion = 7
/** Epoch of a request without a session (KIP-227). */
const noSessionEpoch = -1
/** Most partitions of one request. */
const partitionsPerRequest = 200
/** Most bytes of one answer: enough for all of a request. */
const answerBytesMax = 16_777_216

/**
 * Asks one broker.
 *
 * @returns An answer for each question that has one, in no order; a batch that could not be had is left out.
 * @throws PipelineError of the connection.
 */
export async function peekBatches(
  cluster: Cluster,
  { leaderId, questions }: { readonly leaderId: number; readonly questions: readonly PeekQuestion[] },
  options: PeekOptions = {}
): Promise<PeekAnswer[]> {
  const { partitionBytesMax = 16_384, singlesMax = 100 } = options
  const answers: PeekAnswer[] = []
  const large: PeekQuestion[] = []
  for (let from = 0; from < questions.length; from += partitionsPerRequest) {
    const some = questions.slice(from, from + partitionsPerRequest)
    const found = await fetchOnce(cluster, { leaderId, questions: some, partitionBytesMax }, options)
    for (const question of some) {
      const answer = found.get(partitionKey(question.topic, question.partition))
      if (answer === undefined) continue
      if (answer.errorCode === 0 && answer.records.length === 0 && answer.hasMore(question.offset)) large.push(question)
      else answers.push(answer)
    }
  }
  // One byte is as good as any number: the first batch of an answer comes whole.
  const single = async (question: PeekQuestion): Promise<void> => {
    const found = await fetchOnce(cluster, { leaderId, questions: [question], partitionBytesMax: 1 }, options)
    answers.push(...found.values())
  }
  await Promise.all(large.slice(0, singlesMax).map(single))
  return answers.map(({ topic, partition, errorCode, records }) => ({ topic, partition, errorCode, records }))
}

type Found = PeekAnswer & { readonly hasMore: (offset: bigint) => boolean }

async function fetchOnce(
  cluster: Cluster,
  ask: {
    readonly leaderId: number
    readonly questions: readonly PeekQuestion[]
    readonly partitionBytesMax: number
  },
  { timeoutMs = cluster.requestTimeoutMs, signal }: PeekOptions
): Promise<Map<string, Found>> {
  const patience = { timeoutMs, ...(signal === undefined ? {} : { signal }) }
  const connection = await cluster.connectionTo({ to: { nodeId: ask.leaderId }, ...patience })
  const version = connection.versionOf(fetchApi)
  const names = new Map(ask.questions.map(({ topic, topicId }) => [topicId, topic]))
  const answer = await connection.send(
    fetchApi,
    {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: answerBytesMax,
      topics: topicsOf(ask, version),
      ...(version < sessionVersion ? {} : { sessionEpoch: noSessionEpoch })
    },
    { version, ...patience }
  )
  throwKafkaError(answer.errorCode, `Fetch from broker ${ask.leaderId}`)
  const found = new Map<string, Found>()
  for (const { topic: name, topicId, partitions } of answer.responses) {
    const topic = version >= topicIdVersion ? (names.get(topicId) ?? '') : name
    for (const { partitionIndex: partition, errorCode, records, highWatermark } of partitions) {
      const hasMore = (offset: bigint): boolean => offset < highWatermark
      found.set(partitionKey(topic, partition), {
        topic,
        partition,
        errorCode,
        records: records ?? Buffer.alloc(0),
        hasMore
      })
    }
  }
  return found
}

type Topics = NonNullable<Parameters<typeof fetchApi.request.write>[1]['topics']>

function topicsOf(
  { questions, partitionBytesMax }: { readonly questions: readonly PeekQuestion[]; readonly partitionBytesMax: number },
  version: number
): Topics {
  const topics = new Map<string, { topicId: string; partitions: Topics[number]['partitions'] & unknown[] }>()
  for (const { topic, topicId, partition, offset } of questions) {
    const asked = { partition, fetchOffset: offset, partitionMaxBytes: partitionBytesMax }
    const found = topics.get(topic)
    if (found === undefined) topics.set(topic, { topicId, partitions: [asked] })
    else found.partitions.push(asked)
  }
  return [...topics].map(([topic, { topicId, partitions }]) =>
    version >= topicIdVersion ? { topicId, partitions } : { topic, topicId: ZERO_UUID, partitions }
  )
}
