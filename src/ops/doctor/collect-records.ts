/**
 * Facts from records and commits: a sample of the newest records of each topic, the newest time stamps, the rhythm of
 * commits. Bounded in topics, partitions, bytes and time; nothing of a record is kept but counts and keys.
 */

import { Admin, type Cluster, type PeekQuestion } from '../../client/index.ts'
import { type Clock, messageOf, sleep } from '../../core/index.ts'
import { kafkaErrorName, murmur2, RecordCursor } from '../../protocol/index.ts'
import type { ClusterScan, ScannedTopic } from '../scan/scan-types.ts'
import { type CommitWatch, known, type Known, type NewestTimestamp, type TopicSample, unknown } from './facts.ts'
import { SpaceSaving } from './space-saving.ts'

const TOPICS_MAX = 50
const PARTITIONS_MAX = 24
/** Offsets before the end where a sample begins. */
const DEPTH = 500n
const PARTITION_BYTES = 131_072
const KEYS_KEPT = 200
const KEYS_SHOWN = 5
/** Their index answers: no record is read for them. */
const TIMESTAMPS_MAX = 10_000
const GROUPS_MAX = 50
const WATCH_STEP_MS = 500

/** How keys are shown. */
export interface SampleOptions {
  /** Whole keys instead of their beginning and hash. Default `false`: keys may be personal data. */
  readonly showKeys?: boolean
  /** Topics that are sampled before others: those of the pipeline file. */
  readonly first?: readonly string[]
  readonly signal?: AbortSignal
}

/** Samples the newest records of topics that are not internal. */
export async function sampleTopics(
  cluster: Cluster,
  scan: ClusterScan,
  { showKeys = false, first = [], signal }: SampleOptions
): Promise<Known<readonly TopicSample[]>> {
  const all = sampledOrder(scan, first)
  const topics = all.slice(0, TOPICS_MAX)
  const samples: TopicSample[] = []
  for (const topic of topics) {
    if (signal?.aborted === true) break
    try {
      const { buffers, problem } = await newestBatches(new Admin(cluster), topic, signal)
      const sample = sampleOf(topic.topic, buffers, showKeys)
      samples.push(problem === undefined ? sample : { ...sample, problem })
    } catch (error) {
      // One topic that cannot be read leaves the others.
      samples.push({ ...sampleOf(topic.topic, [], showKeys), problem: messageOf(error) })
    }
  }
  const [one] = samples
  const isNothing = samples.every(({ records, problem }) => records === 0 && problem !== undefined)
  if (one?.problem !== undefined && isNothing) return unknown(`${one.problem}; it needs READ on the topics`)
  const leftOut = all.length - topics.length
  if (leftOut > 0) {
    const problem = `not sampled: ${TOPICS_MAX} topics are, those of the pipeline file and then the largest`
    samples.push({ ...sampleOf(`${leftOut} other topics`, [], showKeys), problem })
  }
  return known(samples)
}

/** Topics with records, those that come first first, then the largest. */
function sampledOrder(scan: ClusterScan, first: readonly string[]): ScannedTopic[] {
  const sizes = new Map<string, number>()
  for (const { topic, isInternal, partitions } of scan.topics.values()) {
    const size = partitions.reduce((sum, each) => sum + Number(each.highWatermark - each.logStartOffset), 0)
    if (!isInternal && size > 0) sizes.set(topic, first.includes(topic) ? Number.POSITIVE_INFINITY : size)
  }
  const names = [...sizes.keys()].sort((left, right) => compareSizes(sizes.get(left) ?? 0, sizes.get(right) ?? 0))
  return names.flatMap(name => scan.topics.get(name) ?? [])
}

function compareSizes(left: number, right: number): number {
  return left === right ? 0 : right - left
}

interface Newest {
  readonly buffers: readonly Buffer[]
  readonly problem: string | undefined
}

async function newestBatches(admin: Admin, topic: ScannedTopic, signal?: AbortSignal): Promise<Newest> {
  const byLeader = new Map<number, PeekQuestion[]>()
  for (const { partition, leaderId, highWatermark, logStartOffset } of topic.partitions.slice(0, PARTITIONS_MAX)) {
    if (leaderId < 0 || highWatermark <= logStartOffset) continue
    const offset = highWatermark - DEPTH > logStartOffset ? highWatermark - DEPTH : logStartOffset
    const questions = byLeader.get(leaderId) ?? []
    questions.push({ topic: topic.topic, topicId: topic.topicId, partition, offset })
    byLeader.set(leaderId, questions)
  }
  const options = { partitionBytesMax: PARTITION_BYTES, ...(signal === undefined ? {} : { signal }) }
  const answers = await Promise.all(
    [...byLeader].map(([leaderId, questions]) => admin.peekBatches(leaderId, questions, options))
  )
  const refused = answers.flat().find(({ errorCode }) => errorCode !== 0)
  return {
    buffers: answers.flat().map(({ records }) => records),
    problem: refused === undefined ? undefined : kafkaErrorName(refused.errorCode)
  }
}

/** Counts what record batches hold. */
export function sampleOf(topic: string, buffers: readonly Buffer[], showKeys: boolean): TopicSample {
  const cursor = new RecordCursor()
  const counts = new SpaceSaving(KEYS_KEPT)
  let records = 0
  let nullKeys = 0
  let tombstones = 0
  let largestBytes = 0
  for (const buffer of buffers) {
    cursor.reset(buffer)
    while (cursor.nextBatch()) {
      // Control batches (bit 5) mark the ends of transactions.
      if ((cursor.header.attributes & 0x20) !== 0) continue
      while (cursor.nextRecord()) {
        records += 1
        largestBytes = Math.max(largestBytes, cursor.recordEnd - cursor.recordStart)
        if (cursor.valueStart < 0) tombstones += 1
        if (cursor.keyStart < 0) nullKeys += 1
        else counts.add(cursor.recordBuffer.toString('latin1', cursor.keyStart, cursor.keyEnd))
      }
    }
  }
  const keys = counts
    .top(KEYS_SHOWN)
    .map(({ item, least }) => ({ text: keyText(item, showKeys), share: least / Math.max(1, records) }))
  return { topic, records, nullKeys, tombstones, keys, largestBytes }
}

function keyText(latin1: string, isWhole: boolean): string {
  const bytes = Buffer.from(latin1, 'latin1')
  const text = bytes.toString('utf8').replaceAll(/[^\x20-\x7e]/g, '?')
  if (isWhole) return `"${text.slice(0, 100)}"`
  const hash = (murmur2(bytes) >>> 0).toString(16).padStart(8, '0')
  return `"${text.slice(0, Math.min(3, Math.floor(text.length / 2)))}…" (murmur2 ${hash})`
}

/** The newest time stamp of partitions, from their index: no record is read (KIP-734, Kafka 3.0). */
export async function newestTimestamps(
  cluster: Cluster,
  scan: ClusterScan
): Promise<Known<readonly NewestTimestamp[]>> {
  const questions = [...scan.topics.values()]
    .filter(({ isInternal }) => !isInternal)
    .flatMap(({ partitions }) => partitions)
    .filter(({ leaderId, highWatermark, logStartOffset }) => leaderId >= 0 && highWatermark > logStartOffset)
    .slice(0, TIMESTAMPS_MAX)
    .map(({ topic, partition }) => ({ topic, partition, at: 'maxTimestamp' as const }))
  try {
    const found = await new Admin(cluster).listOffsets(questions)
    const failed = found.filter(({ errorCode }) => errorCode !== 0)
    const [first] = failed
    // Some that do not answer leave the others to judge by; if none does, there is nothing to say "ok" of.
    if (first !== undefined && failed.length === found.length) {
      return unknown(`${failed.length} partitions do not answer: ${kafkaErrorName(first.errorCode)}`)
    }
    const dated = found.filter(({ errorCode, timestamp }) => errorCode === 0 && timestamp >= 0n)
    return known(dated.map(({ topic, partition, timestamp }) => ({ topic, partition, timestampMs: Number(timestamp) })))
  } catch (error) {
    return unknown(`${messageOf(error)}; it needs DESCRIBE on the topics, and Kafka 3.0`)
  }
}

/** How long commits are watched, and by which clock. */
export interface WatchOptions {
  readonly clock: Clock
  readonly seconds: number
  readonly signal?: AbortSignal
}

/** Watches when the committed offsets of groups with members change. */
export async function watchCommits(
  cluster: Cluster,
  scan: ClusterScan,
  { clock, seconds, signal }: WatchOptions
): Promise<Known<readonly CommitWatch[]>> {
  const groupIds = scan.groups
    .filter(({ members = [], problem }) => members.length > 0 && problem === undefined)
    .map(({ groupId }) => groupId)
    .slice(0, GROUPS_MAX)
  const last = new Map<string, string>()
  const changes = new Map<string, number[]>(groupIds.map(groupId => [groupId, []]))
  const admin = new Admin(cluster)
  const startMs = clock.monotonicMs()
  const patience = signal === undefined ? {} : { signal }
  try {
    for (let now = startMs; now - startMs <= seconds * 1000 && groupIds.length > 0; now = clock.monotonicMs()) {
      for (const { groupId, offsets } of await admin.fetchOffsetsOfGroups(groupIds, patience)) {
        const state = offsets.map(({ topic, partition, offset }) => `${topic}/${partition}=${offset}`).join()
        const before = last.get(groupId)
        if (before !== undefined && before !== state) changes.get(groupId)?.push(now - startMs)
        last.set(groupId, state)
      }
      if (!(await sleep(clock, WATCH_STEP_MS, signal))) break
    }
  } catch (error) {
    return unknown(messageOf(error))
  }
  return known([...changes].map(([groupId, changesMs]) => ({ groupId, changesMs })))
}
