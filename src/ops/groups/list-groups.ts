/** All groups of a cluster: what they are, who is in them, how much lies before them. */

import type { ListedGroup } from '../../client/index.ts'
import type { OffsetsOpen } from '../offsets/group-look.ts'
import { scanCluster } from '../scan/scan-cluster.ts'
import type { ClusterScan, ScannedGroup } from '../scan/scan-types.ts'

/** One group in a list. */
export interface GroupRow {
  readonly groupId: string
  /** Kafka's word: `Stable`, `Empty`, `PreparingRebalance` … */
  readonly state: string
  /** `classic`, `consumer`, `share`, `streams`; empty where the broker is too old to say. */
  readonly groupType: string
  /** `consumer`; empty for a group that only has offsets; Connect and others use their own word. */
  readonly protocolType: string
  /** The broker that keeps it; -1 = unknown. */
  readonly coordinatorId: number
  /** Absent where it is not known: groups of other types are listed, not asked. */
  readonly memberCount?: number
  /** Topics that it has committed offsets for. */
  readonly topicCount?: number
  /** Offsets behind its commits, of partitions whose end is known. Partitions without a commit do not count. */
  readonly lag?: bigint
  /** Why something of it is not known. */
  readonly problem?: string
}

/** Which groups are listed. Words are compared without regard to case. */
export interface ListGroupsRequest {
  readonly types?: readonly string[]
  readonly states?: readonly string[]
}

/** Groups, by name, and which brokers could not be asked. */
export interface GroupList {
  readonly groups: readonly GroupRow[]
  readonly problems: readonly string[]
}

/** Lists groups of every type, in few requests whatever their number. */
export async function listGroupRows(open: OffsetsOpen, request: ListGroupsRequest = {}): Promise<GroupList> {
  const brokers = await open.admin.listGroupsByBroker(open.signal === undefined ? {} : { signal: open.signal })
  const isType = filterOf(request.types)
  const isState = filterOf(request.states)
  const found = brokers
    .flatMap(({ nodeId, groups }) => groups.map(group => ({ ...group, nodeId })))
    .filter(({ groupType = '', state }) => isType(groupType) && isState(state))
    .toSorted((left, right) => (left.groupId < right.groupId ? -1 : 1))
  const readers = found.filter(isReader).map(({ groupId }) => groupId)
  const scan = readers.length === 0 ? undefined : await scanCluster(open.cluster, { groups: readers })
  const scanned = new Map(scan?.groups.map(group => [group.groupId, group]))
  return {
    groups: found.map(group => rowOf(group, group.nodeId, looked(scan, scanned.get(group.groupId)))),
    problems: [...brokers.flatMap(({ problem }) => (problem === '' ? [] : [problem])), ...(scan?.problems ?? [])]
  }
}

function filterOf(words: readonly string[] | undefined): (word: string) => boolean {
  if (words === undefined || words.length === 0) return () => true
  const wanted = new Set(words.map(word => word.toLowerCase()))
  return word => wanted.has(word.toLowerCase())
}

/** Classic and consumer groups are read by the same questions. */
function isReader({ groupType = 'classic' }: ListedGroup): boolean {
  return ['classic', 'consumer', ''].includes(groupType.toLowerCase())
}

function rowOf(group: ListedGroup, nodeId: number, more: Partial<GroupRow>): GroupRow {
  const { groupId, state, groupType = '', protocolType } = group
  return { groupId, state, groupType: groupType.toLowerCase(), protocolType, coordinatorId: nodeId, ...more }
}

function looked(scan: ClusterScan | undefined, group: ScannedGroup | undefined): Partial<GroupRow> {
  if (scan === undefined || group === undefined) return {}
  const { members, offsets, problem } = group
  if (problem !== undefined) return { problem }
  let lag = 0n
  for (const { topic, partition, committed } of offsets) {
    const end = scan.topics.get(topic)?.partitions[partition]?.highWatermark ?? -1n
    if (committed >= 0n && end > committed) lag += end - committed
  }
  return {
    state: group.state === 'Dead' ? 'Empty' : group.state,
    topicCount: new Set(offsets.map(({ topic }) => topic)).size,
    lag,
    ...(members === undefined ? {} : { memberCount: members.length })
  }
}
