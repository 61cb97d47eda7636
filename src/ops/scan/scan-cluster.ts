/**
 * One look at a cluster: partitions with both ends, groups with what they have
 * committed and who is in them.
 *
 * The number of requests depends on brokers, not on partitions or groups: one for
 * the metadata, one ListGroups for each broker, one FindCoordinator for each
 * thousand groups, an OffsetFetch for every 25 groups and a description for every
 * hundred, and one ListOffsets for each leader and end.
 *
 * Committed offsets are read before the ends of the logs, never after: a group
 * that reads along would else seem to be ahead of its log. What cannot be looked
 * at (a right that is missing, a coordinator or leader that is away) is marked
 * where it belongs, and the rest of the scan stands.
 */

import {
  Admin,
  type BrokerGroups,
  byTopicAndPartition,
  type Cluster,
  type ClusterMetadata,
  type GroupDescription,
  type GroupOffsets,
  type ListedGroup,
  type TopicPartition
} from '../../client/index.ts'
import { scanEnds } from './scan-ends.ts'
import type { ClusterScan, ScannedGroup, ScannedOffset, ScanRequest } from './scan-types.ts'

const patienceMsDefault = 5_000

/** Groups that commit no offsets of partitions, by their type. Source: KIP-932, KIP-1071. */
const typesWithoutOffsets: ReadonlySet<string> = new Set(['share'])

/**
 * Looks at a cluster.
 *
 * @throws PipelineError of the connection if no broker answers; whatever else fails is marked in the scan.
 */
export async function scanCluster(cluster: Cluster, request: ScanRequest = {}): Promise<ClusterScan> {
  const startedMs = cluster.clock.monotonicMs()
  const admin = new Admin(cluster)
  const patience = {
    timeoutMs: request.patienceMs ?? patienceMsDefault,
    ...(request.signal === undefined ? {} : { signal: request.signal })
  }
  // Topics are asked for at once where they do not depend on what the groups read.
  const early = request.topics ?? (request.groups === undefined ? undefined : [])
  const [metadata, listed] = await Promise.all([
    cluster.metadata(early),
    request.groups === undefined ? admin.listGroupsByBroker(patience) : Promise.resolve([])
  ])
  const { groups, problems, committedAtMs } = await scanGroups({
    clock: cluster.clock,
    admin,
    request,
    patience,
    listed,
    metadata
  })
  request.signal?.throwIfAborted()
  const whole = await withTopicsOfGroups(cluster, { request, metadata, groups })
  const takenAtMs = cluster.clock.now()
  const topics = await scanEnds(cluster, {
    topics: wantedTopics(whole, request, groups),
    isReadCommitted: request.isReadCommitted ?? false,
    ...patience
  })
  return {
    clusterId: whole.clusterId ?? '',
    brokers: whole.brokers,
    controllerId: whole.controllerId,
    takenAtMs,
    committedAtMs,
    durationMs: cluster.clock.monotonicMs() - startedMs,
    topics: new Map(
      [...topics].sort((left, right) => (left.topic < right.topic ? -1 : 1)).map(each => [each.topic, each])
    ),
    groups,
    problems
  }
}

interface GroupScan {
  readonly clock: Cluster['clock']
  readonly admin: Admin
  readonly request: ScanRequest
  readonly patience: { readonly timeoutMs: number; readonly signal?: AbortSignal }
  readonly listed: readonly BrokerGroups[]
  readonly metadata: ClusterMetadata
}

interface GroupsScanned {
  readonly groups: ScannedGroup[]
  readonly problems: string[]
  readonly committedAtMs: number
}

async function scanGroups(scan: GroupScan): Promise<GroupsScanned> {
  const { admin, request, patience, listed } = scan
  const known = new Map<string, ListedGroup>()
  for (const { groups } of listed) for (const group of groups) known.set(group.groupId, group)
  const groupIds = request.groups ?? [...known.values()].filter(mayHaveOffsets).map(({ groupId }) => groupId)
  const partitions = request.topics === undefined ? undefined : partitionsOf(scan.metadata)
  let committedAtMs = scan.clock.now()
  const readOffsets = async (): Promise<GroupOffsets[]> => {
    const asked = { ...patience, ...(partitions === undefined ? {} : { partitions }) }
    const found = await admin.fetchOffsetsOfGroups(groupIds, asked)
    // Members may take a second longer to be told: offsets are as old as they are, or rates would be wrong.
    committedAtMs = scan.clock.now()
    return found
  }
  const [offsets, members] = await Promise.all([
    readOffsets(),
    request.withMembers === false ? undefined : admin.describeGroups(groupIds, { ...patience, isPartial: true })
  ])
  const groups = offsets
    .map((found, index) => groupOf(found, known.get(found.groupId), members?.[index]))
    // Connect, schema registries and others form groups too, and read nothing with them.
    .filter(group => request.groups !== undefined || isConsumerGroup(group, request.topics))
    .sort((left, right) => (left.groupId < right.groupId ? -1 : 1))
  const problems = listed.flatMap(({ problem }) => (problem === '' ? [] : [problem]))
  return { groups, problems, committedAtMs }
}

function mayHaveOffsets({ groupType }: ListedGroup): boolean {
  return groupType === undefined || !typesWithoutOffsets.has(groupType.toLowerCase())
}

function isConsumerGroup(group: ScannedGroup, topics: readonly string[] | undefined): boolean {
  const { protocolType, offsets, problem } = group
  if (offsets.length > 0 || problem !== undefined) return true
  if (topics === undefined) return protocolType === 'consumer'
  const read = topicsOfGroups([group])
  return topics.some(topic => read.has(topic))
}

function partitionsOf({ topics }: ClusterMetadata): TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map(({ partition }) => ({ topic, partition })))
}

function groupOf(found: GroupOffsets, listed: ListedGroup | undefined, described?: GroupDescription): ScannedGroup {
  const isDescribed = described !== undefined && described.errorCode === 0
  const problem = found.problem === '' ? described?.problem : found.problem
  return {
    groupId: found.groupId,
    state: (isDescribed ? described.state : listed?.state) ?? '',
    protocolType: (isDescribed ? described.protocolType : listed?.protocolType) ?? '',
    assignor: described?.protocol ?? '',
    coordinatorId: found.coordinatorId,
    ...(isDescribed ? { members: described.members } : {}),
    offsets: offsetsOf(found),
    ...(problem === undefined ? {} : { problem })
  }
}

function offsetsOf({ offsets }: GroupOffsets): ScannedOffset[] {
  const found: ScannedOffset[] = []
  for (const { topic, partition, offset, leaderEpoch, metadata, errorCode } of offsets) {
    // Where nothing is committed, a broker that is asked about a partition answers -1; it is as if it had not been.
    if (errorCode !== 0 || offset < 0n) continue
    found.push({ topic, partition, committed: offset, leaderEpoch, metadata })
  }
  return found.sort(byTopicAndPartition)
}

/** The metadata of what the groups read, where it was not asked for before. */
async function withTopicsOfGroups(
  cluster: Cluster,
  { request, metadata, groups }: { request: ScanRequest; metadata: ClusterMetadata; groups: readonly ScannedGroup[] }
): Promise<ClusterMetadata> {
  if (request.topics !== undefined || request.groups === undefined) return metadata
  const topics = topicsOfGroups(groups)
  return topics.size === 0 ? metadata : await cluster.metadata([...topics])
}

function topicsOfGroups(groups: readonly ScannedGroup[]): Set<string> {
  const topics = new Set<string>()
  for (const { offsets, members } of groups) {
    for (const { topic } of offsets) topics.add(topic)
    for (const { assignment } of members ?? []) for (const { topic } of assignment) topics.add(topic)
  }
  return topics
}

/** Internal topics only where they are named, or read by a group. */
function wantedTopics(
  { topics }: ClusterMetadata,
  request: ScanRequest,
  groups: readonly ScannedGroup[]
): ClusterMetadata['topics'] {
  if (request.topics !== undefined) return topics
  const read = topicsOfGroups(groups)
  return topics.filter(({ topic, isInternal }) => !isInternal || read.has(topic))
}
