/** Asks the leaders of partitions for offsets, by end or by time, and follows leaders that move. */

import { backoffMs, PipelineError, sleep } from '../core/index.ts'
import { listOffsetsApi } from '../protocol/index.ts'
import type { ListedOffset, OffsetSpec } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import type { TopicPartition } from './group-types.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'

/** A partition and where to look in it. */
export interface OffsetQuestion extends TopicPartition {
  readonly at: OffsetSpec
}

/** How offsets are listed. */
export interface ListOffsetsOptions {
  /** `latest` is the last stable offset instead of the high watermark. Default `false`. */
  readonly isReadCommitted?: boolean
  /** Ends the retries. */
  readonly signal?: AbortSignal
}

/** How one broker is asked for offsets. */
export interface ListOffsetsAtOptions extends ListOffsetsOptions {
  /** Longest wait for its answer, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number
}

/** What clients put where replicas put their node id. */
const CONSUMER_REPLICA_ID = -1
const timestampOf = { earliest: -2n, latest: -1n, maxTimestamp: -3n } as const

/**
 * Lists offsets, retrying what can be retried for one request timeout.
 *
 * @returns One answer per question, in the order of the questions.
 * @throws PipelineError of the connection, `ERR_CLIENT_TOPIC_UNKNOWN`, `ERR_CLIENT_VERSION_UNSUPPORTED`.
 */
export async function listOffsets(
  cluster: Cluster,
  questions: readonly OffsetQuestion[],
  options: ListOffsetsOptions = {}
): Promise<ListedOffset[]> {
  const answers = new Map<OffsetQuestion, ListedOffset>()
  const deadlineMs = cluster.clock.monotonicMs() + cluster.requestTimeoutMs
  let open: readonly OffsetQuestion[] = questions
  for (let failures = 1; open.length > 0; failures++) {
    const retry: OffsetQuestion[] = []
    const isLast = options.signal?.aborted === true || cluster.clock.monotonicMs() >= deadlineMs
    await askAll(cluster, open, { ...options, isLast, answers, retry })
    open = retry
    if (open.length === 0) break
    await sleep(cluster.clock, backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, cluster.random), options.signal)
    await cluster.refreshMetadata()
  }
  return questions.flatMap(question => answers.get(question) ?? [])
}

/**
 * One round of questions, to the leaders that are known: nothing is waited for. What has no answer yet stays open.
 *
 * @throws PipelineError what cannot be retried.
 */
export async function listOffsetsOnce(
  cluster: Cluster,
  questions: readonly OffsetQuestion[],
  options: ListOffsetsOptions = {}
): Promise<{ readonly found: readonly ListedOffset[]; readonly isComplete: boolean }> {
  const round: Round = { ...options, isLast: false, answers: new Map(), retry: [] }
  const byLeader = new Map<number, OffsetQuestion[]>()
  for (const question of questions) {
    const leaderId = cluster.cachedTopic(question.topic)?.partitions[question.partition]?.leaderId ?? -1
    if (leaderId < 0) continue
    const group = byLeader.get(leaderId)
    if (group === undefined) byLeader.set(leaderId, [question])
    else group.push(question)
  }
  await Promise.all([...byLeader].map(([leaderId, group]) => askLeader(cluster, { leaderId, group }, round)))
  return { found: [...round.answers.values()], isComplete: round.answers.size === questions.length }
}

interface Round extends ListOffsetsOptions {
  /** No further round follows: errors are final. */
  readonly isLast: boolean
  readonly answers: Map<OffsetQuestion, ListedOffset>
  readonly retry: OffsetQuestion[]
}

async function askAll(cluster: Cluster, questions: readonly OffsetQuestion[], round: Round): Promise<void> {
  const byLeader = new Map<number, OffsetQuestion[]>()
  for (const question of questions) {
    const leaderId = await cluster.leaderOf(question.topic, question.partition)
    const group = byLeader.get(leaderId)
    if (group === undefined) byLeader.set(leaderId, [question])
    else group.push(question)
  }
  await Promise.all([...byLeader].map(([leaderId, group]) => askLeader(cluster, { leaderId, group }, round)))
}

async function askLeader(
  cluster: Cluster,
  ask: { readonly leaderId: number; readonly group: readonly OffsetQuestion[] },
  round: Round
): Promise<void> {
  try {
    const found = await listOffsetsAt(cluster, ask, round)
    for (const [index, question] of ask.group.entries()) take(question, found[index], round)
  } catch (cause) {
    const error = asPipelineError(cause, 'ListOffsets')
    if (!error.retriable || round.isLast) throw error
    round.retry.push(...ask.group)
  }
}

/** Most partitions that one request asks about. */
const questionsPerRequestMax = 10_000

/**
 * Asks one broker, once: nothing is waited for, and errors of partitions are in the answers.
 *
 * @returns One answer per question, in the order of the questions; `undefined` where the broker left one out.
 * @throws PipelineError of the connection.
 */
export async function listOffsetsAt(
  cluster: Cluster,
  { leaderId, group }: { readonly leaderId: number; readonly group: readonly OffsetQuestion[] },
  { isReadCommitted = false, signal, timeoutMs }: ListOffsetsAtOptions = {}
): Promise<(ListedOffset | undefined)[]> {
  const found: (ListedOffset | undefined)[] = Array.from({ length: group.length })
  await Promise.all(
    requestsOf(group).map(async topics => {
      const answer = await cluster.send(
        listOffsetsApi,
        {
          // Without it the request is node 0's, as a follower: Kafka then answers the end of the log, whatever is open.
          replicaId: CONSUMER_REPLICA_ID,
          isolationLevel: isReadCommitted ? 1 : 0,
          topics: [...topics].map(([name, partitions]) => ({
            name,
            partitions: Array.from(partitions, ([partitionIndex, { timestamp }]) => ({ partitionIndex, timestamp }))
          }))
        },
        {
          to: { nodeId: leaderId },
          ...(signal === undefined ? {} : { signal }),
          ...(timeoutMs === undefined ? {} : { timeoutMs })
        }
      )
      for (const topic of answer.topics) {
        const asked = topics.get(topic.name)
        for (const { partitionIndex: partition, offset, timestamp, leaderEpoch, errorCode } of topic.partitions) {
          const question = asked?.get(partition)
          if (question === undefined) continue
          found[question.index] = { topic: topic.name, partition, offset, timestamp, leaderEpoch, errorCode }
        }
      }
    })
  )
  return found
}

type Asked = Map<string, Map<number, { readonly index: number; readonly timestamp: bigint }>>

/** Divides questions into requests: a broker refuses a partition that is named twice in one. */
function requestsOf(questions: readonly OffsetQuestion[]): Asked[] {
  const requests: { readonly topics: Asked; size: number }[] = []
  for (const [index, { topic, partition, at }] of questions.entries()) {
    let request = requests.find(
      ({ topics, size }) => size < questionsPerRequestMax && topics.get(topic)?.has(partition) !== true
    )
    if (request === undefined) {
      request = { topics: new Map(), size: 0 }
      requests.push(request)
    }
    const partitions = request.topics.get(topic)
    const asked = { index, timestamp: specTimestamp(at) }
    if (partitions === undefined) request.topics.set(topic, new Map([[partition, asked]]))
    else partitions.set(partition, asked)
    request.size += 1
  }
  return requests.map(({ topics }) => topics)
}

function take(question: OffsetQuestion, found: ListedOffset | undefined, round: Round): void {
  const { topic, partition } = question
  if (found === undefined) {
    throw new PipelineError('ERR_CLIENT_RESPONSE_INVALID', `ListOffsets: no answer for ${topic}-${partition}`)
  }
  const { errorCode } = found
  if (errorCode !== KAFKA.NONE && !round.isLast && kafkaError(errorCode, 'ListOffsets').retriable)
    round.retry.push(question)
  else round.answers.set(question, found)
}

function specTimestamp(spec: OffsetSpec): bigint {
  return typeof spec === 'string' ? timestampOf[spec] : spec.timestampMs
}
