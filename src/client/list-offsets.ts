/** Asks the leaders of partitions for offsets, by end or by time, and follows leaders that move. */

import { backoffMs, PipelineError, sleep } from '../core/index.ts'
import { listOffsetsApi, type ListOffsetsResponsePartitionResponse } from '../protocol/index.ts'
import type { ListedOffset, OffsetSpec } from './admin-types.ts'
import type { Cluster } from './cluster.ts'
import { groupPartitions } from './group-protocol.ts'
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
    if (leaderId >= 0) byLeader.set(leaderId, [...(byLeader.get(leaderId) ?? []), question])
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
    const answer = await cluster.send(
      listOffsetsApi,
      {
        // Without it the request is node 0's, as a follower: Kafka then answers the end of the log, whatever is open.
        replicaId: CONSUMER_REPLICA_ID,
        isolationLevel: round.isReadCommitted === true ? 1 : 0,
        topics: groupPartitions(ask.group).map(({ topic, partitions }) => ({
          name: topic,
          partitions: partitions.map(partition => ({
            partitionIndex: partition,
            timestamp: specTimestamp(ask.group.find(item => item.topic === topic && item.partition === partition)?.at)
          }))
        }))
      },
      { to: { nodeId: ask.leaderId }, ...(round.signal === undefined ? {} : { signal: round.signal }) }
    )
    const found = new Map<string, ListOffsetsResponsePartitionResponse>()
    for (const topic of answer.topics) {
      for (const partition of topic.partitions) found.set(`${topic.name}/${partition.partitionIndex}`, partition)
    }
    for (const question of ask.group) take(question, found.get(`${question.topic}/${question.partition}`), round)
  } catch (cause) {
    const error = asPipelineError(cause, 'ListOffsets')
    if (!error.retriable || round.isLast) throw error
    round.retry.push(...ask.group)
  }
}

function take(question: OffsetQuestion, found: ListOffsetsResponsePartitionResponse | undefined, round: Round): void {
  const { topic, partition } = question
  if (found === undefined) {
    throw new PipelineError('ERR_CLIENT_RESPONSE_INVALID', `ListOffsets: no answer for ${topic}-${partition}`)
  }
  const { offset, timestamp, leaderEpoch, errorCode } = found
  if (errorCode !== KAFKA.NONE && !round.isLast && kafkaError(errorCode, 'ListOffsets').retriable)
    round.retry.push(question)
  else round.answers.set(question, { topic, partition, offset, timestamp, leaderEpoch, errorCode })
}

function specTimestamp(spec: OffsetSpec | undefined): bigint {
  if (spec === undefined) return timestampOf.latest
  return typeof spec === 'string' ? timestampOf[spec] : spec.timestampMs
}
