/** What a plan has to know of a topic and of who reads it: looked at, never changed. */

import type { Admin, Cluster } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan, ScannedGroup, ScannedTopic } from '../scan/scan-types.ts'
import { type KeySample, type SampledRange, sampleKeys } from './sample-keys.ts'
import { BEHIND_WINDOW_S, type PartitionLoad } from './need.ts'
import type { SettleLook } from './settled.ts'

/** A topic, its readers and its settings. */
export interface TopicFacts {
  readonly topic: string
  readonly scan: ClusterScan
  readonly scanned: ScannedTopic
  readonly partitionCount: number
  readonly replicationFactor: number
  /** Settings that the topic itself has; `undefined` without the right to see them. */
  readonly configs: Readonly<Record<string, string>> | undefined
  readonly isCompacted: boolean
  /** Groups that have committed offsets of it, or read it. */
  readonly groups: readonly ScannedGroup[]
}

/** Source number of a setting that a topic itself has. Source: Kafka `DescribeConfigsResponse.ConfigSource`. */
const TOPIC_CONFIG_SOURCE = 1
/** Topics of Kafka Streams: their partitions belong to tasks with state. */
const STREAMS_TOPIC = /-(changelog|repartition)$/

/**
 * Looks at a topic.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none, or it cannot be seen.
 */
export async function readTopicFacts(cluster: Cluster, admin: Admin, topic: string): Promise<TopicFacts> {
  const { topics } = await admin.describeTopics([topic])
  if ((topics[0]?.partitions.length ?? 0) === 0)
    throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}, or no right to see it`)
  const [scan, described] = await Promise.all([
    scanCluster(cluster, { topics: [topic] }),
    admin.describeConfigs([{ type: 'topic', name: topic }])
  ])
  const scanned = scan.topics.get(topic)
  const partitionCount = scanned?.partitions.length ?? 0
  if (scanned === undefined) throw new PipelineError('ERR_OPS_NOT_FOUND', `topic ${topic} has gone`)
  const isSeen = described[0]?.errorCode === 0
  const entries = described[0]?.entries ?? []
  const own = entries.filter(({ source, value }) => source === TOPIC_CONFIG_SOURCE && value !== null)
  const policy = entries.find(({ name }) => name === 'cleanup.policy')?.value ?? ''
  return {
    topic,
    scan,
    scanned,
    partitionCount,
    replicationFactor: Math.max(1, ...scanned.partitions.map(({ replicas }) => replicas.length)),
    configs: isSeen ? Object.fromEntries(own.map(({ name, value }) => [name, value ?? ''])) : undefined,
    isCompacted: policy.includes('compact'),
    groups: scan.groups.filter(group => readsTopic(group, topic))
  }
}

/** Whether a group has anything to do with a topic. */
export function readsTopic({ offsets, members = [] }: ScannedGroup, topic: string): boolean {
  return (
    offsets.some(each => each.topic === topic) ||
    members.some(
      ({ assignment, subscription }) =>
        assignment.some(each => each.topic === topic) || subscription?.includes(topic) === true
    )
  )
}

/** A sample of the keys of a topic. */
export async function sampleTopicKeys(
  cluster: Cluster,
  facts: TopicFacts,
  limits: { readonly perPartition?: number; readonly timeoutMs?: number } = {}
): Promise<KeySample> {
  const partitions = facts.scanned.partitions.map((each): SampledRange => {
    const committed = facts.groups.flatMap(({ offsets }) => {
      const found = offsets.find(offset => offset.topic === facts.topic && offset.partition === each.partition)
      return found === undefined ? [] : [found.committed]
    })
    const least = committed.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
    return { partition: each.partition, logStart: each.logStartOffset, end: each.highWatermark, committed: least }
  })
  return await sampleKeys({ cluster, topic: facts.topic, partitions, ...limits })
}

/** What each partition did between two looks, for one group. Rates are `undefined` where they cannot be told. */
function loadsBetween(first: TopicFacts, second: TopicFacts, groupId: string): PartitionLoad[] {
  const seconds = (second.scan.takenAtMs - first.scan.takenAtMs) / 1000
  const committedIn = (facts: TopicFacts, partition: number): bigint | undefined => {
    const found = facts.groups
      .find(group => group.groupId === groupId)
      ?.offsets.find(each => each.topic === facts.topic && each.partition === partition)
    return found === undefined || found.committed < 0n ? undefined : found.committed
  }
  return second.scanned.partitions.map(({ partition, highWatermark, logStartOffset }) => {
    const before = first.scanned.partitions.find(each => each.partition === partition)
    const committed = committedIn(second, partition)
    const committedBefore = committedIn(first, partition)
    const lag = Math.max(0, Number(highWatermark - (committed ?? logStartOffset)))
    if (before === undefined || seconds <= 0)
      return { partition, lag, trend: undefined, arrivalRate: undefined, serviceRate: undefined, isBehind: undefined }
    const arrivalRate = Number(highWatermark - before.highWatermark) / seconds
    const isBehind = seconds < BEHIND_WINDOW_S ? undefined : (committed ?? logStartOffset) < before.highWatermark
    // A first commit, or one that went back, says nothing of what was read.
    const served = committed === undefined ? 0n : committedBefore === undefined ? -1n : committed - committedBefore
    const serviceRate = served < 0n ? undefined : Number(served) / seconds
    const trend = serviceRate === undefined ? undefined : arrivalRate - serviceRate
    return { partition, lag, trend, arrivalRate, serviceRate, isBehind }
  })
}

/** A group and what each partition did for it. */
export interface TopicReader {
  readonly groupId: string
  readonly members: number
  readonly loads: readonly PartitionLoad[]
}

/** The reader a topic is planned for: the one named, else one with members, else the largest lag. */
export function readerOf(first: TopicFacts, seen: TopicFacts, groupId?: string): TopicReader | undefined {
  const lagOf = ({ loads }: TopicReader): number => loads.reduce((sum, { lag }) => sum + lag, 0)
  const readers = seen.groups
    .filter(group => groupId === undefined || group.groupId === groupId)
    .map(group => ({
      groupId: group.groupId,
      members: group.members?.length ?? 0,
      loads: loadsBetween(first, seen, group.groupId)
    }))
  if (groupId !== undefined && readers.length === 0)
    throw new PipelineError('ERR_OPS_NOT_FOUND', `group ${groupId} does not read ${seen.topic}`)
  // Who is at work says more than one that nobody is in.
  return readers.toSorted((a, b) => Number(b.members > 0) - Number(a.members > 0) || lagOf(b) - lagOf(a))[0]
}

/** How a group stands to a topic, for the judge of step 5. */
export function settleLookOf(facts: TopicFacts, group: ScannedGroup, atMs: number): SettleLook {
  const members = group.members ?? []
  const owners = new Map<number, string>()
  for (const { memberId, assignment } of members)
    for (const { topic, partition } of assignment) if (topic === facts.topic) owners.set(partition, memberId)
  const committed = new Map(
    group.offsets.filter(({ topic }) => topic === facts.topic).map(each => [each.partition, each.committed])
  )
  return {
    atMs,
    state: group.state,
    memberCount: members.length,
    partitions: facts.scanned.partitions.map(({ partition, leaderId, logStartOffset, highWatermark }) => ({
      partition,
      hasLeader: leaderId >= 0,
      owner: owners.get(partition) ?? '',
      committed: committed.get(partition),
      logStart: logStartOffset,
      end: highWatermark
    }))
  }
}

/**
 * What a rebalance costs a group, for people.
 * Source: KIP-429 (cooperative), KIP-848 (consumer protocol): what a member keeps goes on while others move.
 */
export function rebalanceText({ assignor, members = [] }: ScannedGroup): string {
  if (members.length === 0) return 'no members: nothing stops'
  return /cooperative|uniform/.test(assignor)
    ? 'partitions that stay go on; the new ones begin when members notice them'
    : `all ${members.length} members stop from the first that joins again to the last: a heartbeat (3 s) and ` +
        'what each has to finish'
}

/**
 * Whose clients may skip the beginning of a new partition: one sentence, or none. Source: KIP-1327,
 * `metadata.max.age.ms`.
 */
export function latestWarning({ groups }: TopicFacts): string[] {
  const live = groups.filter(({ members = [] }) => members.length > 0).map(({ groupId }) => groupId)
  if (live.length === 0) return []
  return [
    `${live.join(', ')}: clients with auto.offset.reset=latest skip what is written to a new partition before ` +
      'they see ' +
      'it (up to metadata.max.age.ms, 5 min); Comporta’s dispatchers begin new partitions at 0'
  ]
}

/** What a growth means for a topic that is more than a queue: one sentence each. */
export function topicWarnings({ topic, isCompacted, groups }: TopicFacts): string[] {
  const warnings: string[] = []
  if (isCompacted)
    warnings.push(
      `${topic} is compacted: of a key that moves, the old value stays in its old partition for good, and readers of ` +
        'the whole topic see both; write tombstones, or migrate'
    )
  if (STREAMS_TOPIC.test(topic))
    warnings.push(
      `${topic} is named like an internal topic of Kafka Streams: its tasks do not start with another count`
    )
  for (const { groupId, assignor, offsets } of groups) {
    if (assignor === 'stream')
      warnings.push(`${groupId} is a Kafka Streams application: joins and state need the count that they began with`)
    else if (assignor === 'range' && offsets.some(each => each.topic !== topic))
      warnings.push(`${groupId} reads several topics by range: if it joins them by partition, they need the same count`)
  }
  return warnings
}
