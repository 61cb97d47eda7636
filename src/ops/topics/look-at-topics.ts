/** What there is to know of topics: partitions, records, bytes, readers, settings, times. Looks only. */

import type { Admin, Cluster, ConfigEntry } from '../../client/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan, ScannedPartition } from '../scan/scan-types.ts'

/** What a look needs. */
export interface TopicsOpen {
  readonly cluster: Cluster
  readonly admin: Admin
}

/** A topic in a list. */
export interface TopicSummary {
  readonly topic: string
  readonly isInternal: boolean
  readonly partitionCount: number
  readonly replicationFactor: number
  /** Offsets between both ends: at least as many as there are records. */
  readonly records: bigint
  /** Bytes of the leaders’ logs, and of all replicas; `undefined` without the right to ask. */
  readonly leaderBytes: bigint | undefined
  readonly replicaBytes: bigint | undefined
  /** Groups with a committed offset in it. */
  readonly groups: readonly string[]
  /** Partitions without a leader, and with fewer replicas in sync than there are. */
  readonly leaderlessCount: number
  readonly underReplicatedCount: number
}

/** A list of topics, and what could not be learned. */
export interface TopicList {
  readonly topics: readonly TopicSummary[]
  /** What is unknown, and which right it needs. */
  readonly unknown: readonly string[]
}

/** Lists topics by name. */
export async function listTopics(
  { cluster, admin }: TopicsOpen,
  options: { readonly withInternal?: boolean; readonly topics?: readonly string[] } = {}
): Promise<TopicList> {
  const unknown: string[] = []
  const names = options.topics ?? (await namesOf(admin))
  const scan = await scanCluster(cluster, { topics: names, withMembers: false })
  const sizes = await sizesOf({ cluster, admin }, scan, unknown)
  const readers = readersOf(scan, unknown)
  const topics = [...scan.topics.values()]
    .filter(({ isInternal }) => options.withInternal === true || !isInternal)
    .map(({ topic, isInternal, partitions }): TopicSummary => {
      const ends = partitions.filter(({ highWatermark }) => highWatermark >= 0n)
      return {
        topic,
        isInternal,
        partitionCount: partitions.length,
        replicationFactor: partitions[0]?.replicas.length ?? 0,
        records: ends.reduce((sum, { highWatermark, logStartOffset }) => sum + highWatermark - logStartOffset, 0n),
        leaderBytes: sizes === undefined ? undefined : sum(partitions, each => sizes.leader(each)),
        replicaBytes: sizes === undefined ? undefined : sum(partitions, each => sizes.all(each)),
        groups: readers.get(topic) ?? [],
        leaderlessCount: partitions.filter(({ leaderId }) => leaderId < 0).length,
        underReplicatedCount: partitions.filter(each => each.inSyncReplicas.length < each.replicas.length).length
      }
    })
    .sort((left, right) => (left.topic < right.topic ? -1 : 1))
  return { topics, unknown }
}

async function namesOf(admin: Admin): Promise<string[]> {
  return (await admin.listTopics()).topics.map(({ topic }) => topic)
}

function sum(partitions: readonly ScannedPartition[], of: (partition: ScannedPartition) => bigint): bigint {
  return partitions.reduce((total, partition) => total + of(partition), 0n)
}

interface Sizes {
  leader(partition: ScannedPartition): bigint
  all(partition: ScannedPartition): bigint
}

async function sizesOf(
  { cluster, admin }: TopicsOpen,
  scan: ClusterScan,
  unknown: string[]
): Promise<Sizes | undefined> {
  const sizes = new Map<string, Map<number, bigint>>()
  try {
    const dirs = await Promise.all(cluster.brokers().map(({ nodeId }) => admin.describeLogDirs(nodeId)))
    for (const { partitions } of dirs.flat()) {
      for (const { topic, partition, nodeId, sizeBytes } of partitions) {
        if (!scan.topics.has(topic)) continue
        const key = `${topic}/${partition}`
        const found = sizes.get(key) ?? new Map<number, bigint>()
        sizes.set(key, found.set(nodeId, (found.get(nodeId) ?? 0n) + sizeBytes))
      }
    }
  } catch (error) {
    const isRight = PipelineError.is(error) && error.kafkaCode === 31
    unknown.push(isRight ? 'sizes: the right DESCRIBE on the cluster is missing' : `sizes: ${messageOf(error)}`)
    return undefined
  }
  const of = ({ topic, partition }: ScannedPartition): Map<number, bigint> | undefined =>
    sizes.get(`${topic}/${partition}`)
  return {
    leader: partition => of(partition)?.get(partition.leaderId) ?? 0n,
    all: partition => [...(of(partition)?.values() ?? [])].reduce((total, bytes) => total + bytes, 0n)
  }
}

/** Groups that have committed something in each topic. */
export function readersOf(scan: ClusterScan, unknown: string[]): Map<string, string[]> {
  const readers = new Map<string, string[]>()
  for (const { groupId, offsets, problem } of scan.groups) {
    if (problem !== undefined) unknown.push(`offsets of group ${groupId}: ${problem}`)
    for (const { topic, committed } of offsets) {
      if (committed < 0n) continue
      const names = readers.get(topic) ?? []
      readers.set(topic, names)
      if (names.at(-1) !== groupId) names.push(groupId)
    }
  }
  return readers
}

/** A partition of a description. */
export interface DescribedPartition extends ScannedPartition {
  /** Time of the first and of the newest record, in milliseconds since 1970; `undefined` without records. */
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
}

/** A topic with everything. */
export interface TopicDescription {
  readonly topic: string
  readonly partitions: readonly DescribedPartition[]
  /** Settings that the topic itself has. */
  readonly ownConfigs: readonly ConfigEntry[]
  readonly groups: readonly string[]
  /** What is unknown, and which right it needs. */
  readonly unknown: readonly string[]
}

/**
 * Describes a topic.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none.
 */
export async function describeTopic({ cluster, admin }: TopicsOpen, topic: string): Promise<TopicDescription> {
  const unknown: string[] = []
  const scan = await scanCluster(cluster, { topics: [topic], withMembers: false })
  const found = scan.topics.get(topic)
  if (found === undefined || found.partitions.length === 0) {
    throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}`)
  }
  const led = found.partitions.filter(({ leaderId }) => leaderId >= 0)
  const ask = async (at: 'maxTimestamp' | { readonly timestampMs: bigint }): Promise<Map<number, number>> => {
    const questions = led.map(({ partition }) => ({ topic, partition, at }))
    const listed = await admin.listOffsets(questions).catch((error: unknown) => {
      // Brokers before 3.0 do not know the newest time.
      unknown.push(`times of records: ${messageOf(error)}`)
      return []
    })
    return new Map(
      listed.filter(({ timestamp }) => timestamp >= 0n).map(each => [each.partition, Number(each.timestamp)])
    )
  }
  const [oldest, newest] = await Promise.all([ask({ timestampMs: 0n }), ask('maxTimestamp')])
  return {
    topic,
    partitions: found.partitions.map(partition => ({
      ...partition,
      oldestMs: oldest.get(partition.partition),
      newestMs: newest.get(partition.partition)
    })),
    ownConfigs: await ownConfigsOf(admin, topic, unknown),
    groups: readersOf(scan, unknown).get(topic) ?? [],
    unknown
  }
}

/** Number of the source of a topic’s own settings. Source: Kafka `DYNAMIC_TOPIC_CONFIG`. */
const TOPIC_SOURCE = 1

/** Settings that a topic itself has, by name. What cannot be read is told. */
export async function ownConfigsOf(admin: Admin, topic: string, unknown: string[]): Promise<ConfigEntry[]> {
  const [described] = await admin.describeConfigs([{ type: 'topic', name: topic }])
  if (described === undefined || described.errorCode !== 0) {
    const name = kafkaErrorName(described?.errorCode ?? -1)
    unknown.push(`settings: ${name}${name.includes('AUTHORIZATION') ? ', the right DESCRIBE_CONFIGS is missing' : ''}`)
    return []
  }
  return described.entries.filter(({ source }) => source === TOPIC_SOURCE).toSorted(byName)
}

function byName(left: ConfigEntry, right: ConfigEntry): number {
  return left.name < right.name ? -1 : Number(left.name > right.name)
}
