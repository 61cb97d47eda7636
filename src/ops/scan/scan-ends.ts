/** Both ends of many partitions: one ListOffsets for each leader and end, again where a leader has moved. */

import {
  Admin,
  type Cluster,
  type ListedOffset,
  type OffsetQuestion,
  type PartitionMetadata,
  type TopicMetadata
} from '../../client/index.ts'
import { backoffMs, isRetriable, messageOf, sleep } from '../../core/index.ts'
import { isKafkaErrorRetriable, kafkaErrorName } from '../../protocol/index.ts'
import type { ScannedPartition, ScannedTopic } from './scan-types.ts'

/** What is asked. */
export interface EndsRequest {
  readonly topics: readonly TopicMetadata[]
  /** Whether the last stable offset is asked for, too. */
  readonly isReadCommitted: boolean
  /** How long leaders that move are looked for, in milliseconds. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

interface Wanted {
  readonly topic: string
  metadata: PartitionMetadata
  logStartOffset: bigint
  highWatermark: bigint
  lastStableOffset: bigint
  problem: string | undefined
  /** Whether another round may find what this one did not. */
  isOpen: boolean
}

/** How long a leader is waited for where there is none, in milliseconds: an election takes less, or an operator. */
const electionMs = 1_000

type End = 'logStartOffset' | 'highWatermark' | 'lastStableOffset'

/** Topics with the ends of their partitions. One that fails has a `problem`, and offsets -1n. */
export async function scanEnds(cluster: Cluster, request: EndsRequest): Promise<ScannedTopic[]> {
  const startedMs = cluster.clock.monotonicMs()
  const deadlineMs = startedMs + request.timeoutMs
  const byTopic = new Map(
    request.topics.map(({ topic, partitions }) => [topic, partitions.map(each => wanted(topic, each))])
  )
  const all = [...byTopic.values()].flat()
  let open = all
  for (let failures = 1; open.length > 0; failures += 1) {
    const timeoutMs = Math.min(cluster.requestTimeoutMs, Math.max(1_000, deadlineMs - cluster.clock.monotonicMs()))
    const isElectionDue = cluster.clock.monotonicMs() - startedMs < electionMs
    await askLeaders(cluster, open, { ...request, timeoutMs, isElectionDue })
    open = all.filter(each => each.isOpen)
    if (open.length === 0 || cluster.clock.monotonicMs() >= deadlineMs || request.signal?.aborted === true) break
    const delayMs = backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, cluster.random)
    await sleep(cluster.clock, Math.min(delayMs, Math.max(0, deadlineMs - cluster.clock.monotonicMs())), request.signal)
    await lookForLeaders(cluster, open)
  }
  return request.topics.map(({ topic, topicId, isInternal, errorCode }) => ({
    topic,
    topicId,
    isInternal,
    partitions: (byTopic.get(topic) ?? []).map(scanned),
    ...(errorCode === 0 ? {} : { problem: problemOf(errorCode) })
  }))
}

function wanted(topic: string, metadata: PartitionMetadata): Wanted {
  const none = { logStartOffset: -1n, highWatermark: -1n, lastStableOffset: -1n }
  return { topic, metadata, ...none, problem: undefined, isOpen: true }
}

function scanned({ topic, metadata, problem, ...ends }: Wanted): ScannedPartition {
  const { partition, leaderId, leaderEpoch, replicas, inSyncReplicas } = metadata
  const isKnown = problem === undefined
  return {
    topic,
    partition,
    leaderId,
    leaderEpoch,
    replicas,
    inSyncReplicas,
    logStartOffset: isKnown ? ends.logStartOffset : -1n,
    highWatermark: isKnown ? ends.highWatermark : -1n,
    lastStableOffset: isKnown ? ends.lastStableOffset : -1n,
    ...(isKnown ? {} : { problem })
  }
}

async function askLeaders(
  cluster: Cluster,
  open: readonly Wanted[],
  { isElectionDue, ...request }: EndsRequest & { readonly isElectionDue: boolean }
): Promise<void> {
  const byLeader = new Map<number, Wanted[]>()
  for (const each of open) {
    each.problem = undefined
    const { leaderId } = each.metadata
    if (leaderId < 0) {
      each.problem = 'LEADER_NOT_AVAILABLE: the partition has no leader'
      each.isOpen = isElectionDue
      continue
    }
    const group = byLeader.get(leaderId)
    if (group === undefined) byLeader.set(leaderId, [each])
    else group.push(each)
  }
  await Promise.all([...byLeader].map(([leaderId, group]) => askLeader(cluster, { ...request, leaderId, group })))
}

async function askLeader(
  cluster: Cluster,
  { leaderId, group, ...request }: EndsRequest & { readonly leaderId: number; readonly group: readonly Wanted[] }
): Promise<void> {
  const admin = new Admin(cluster)
  const { timeoutMs, signal } = request
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) }
  const ask = async (end: End, isReadCommitted = false): Promise<void> => {
    const at = end === 'logStartOffset' ? ('earliest' as const) : ('latest' as const)
    const questions: OffsetQuestion[] = group.map(({ topic, metadata }) => ({
      topic,
      partition: metadata.partition,
      at
    }))
    const answers = await admin.listOffsetsAt(leaderId, questions, { ...options, isReadCommitted })
    for (const [index, each] of group.entries()) take(each, end, answers[index])
  }
  try {
    for (const each of group) each.isOpen = false
    // A leader answers in this order, so that no partition seems to end before what is stable in it.
    const asked = [ask('logStartOffset')]
    if (request.isReadCommitted) asked.push(ask('lastStableOffset', true))
    asked.push(ask('highWatermark'))
    await Promise.all(asked)
    for (const each of group) if (!request.isReadCommitted) each.lastStableOffset = each.highWatermark
  } catch (error) {
    for (const each of group) {
      each.problem = `the leader, broker ${leaderId}, did not answer: ${messageOf(error)}`
      each.isOpen = isRetriable(error)
    }
  }
}

function take(each: Wanted, end: End, found: ListedOffset | undefined): void {
  if (found?.errorCode === 0) each[end] = found.offset
  else {
    const code = found?.errorCode ?? -1
    each.problem = problemOf(code)
    each.isOpen = isKafkaErrorRetriable(code)
  }
}

async function lookForLeaders(cluster: Cluster, open: readonly Wanted[]): Promise<void> {
  try {
    const { topics } = await cluster.metadata([...new Set(open.map(({ topic }) => topic))])
    const fresh = new Map(topics.map(({ topic, partitions }) => [topic, partitions]))
    for (const each of open) {
      each.metadata =
        fresh.get(each.topic)?.find(({ partition }) => partition === each.metadata.partition) ?? each.metadata
    }
  } catch {
    // The next round asks whom it knows, and its answers say what is wrong.
  }
}

/** Kafka's word for why nothing is known of a topic or partition, and what it means. */
function problemOf(code: number): string {
  const name = kafkaErrorName(code)
  if (name.endsWith('AUTHORIZATION_FAILED')) return `${name}: needs the right DESCRIBE on the topic`
  return name === 'UNKNOWN_TOPIC_OR_PARTITION' ? `${name}: there is no such topic` : name
}
