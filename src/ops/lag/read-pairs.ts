/**
 * Which partitions a group reads, and from where. Pure.
 *
 * Those that it has committed, those that its members own, and, of topics that it has committed anything for, the
 * others, too: a partition that was added since is unread although nobody has committed there. A reader that picks its
 * partitions itself (without a protocol) picked them for a reason: of it only what it has committed counts.
 */

import {
  byTopicAndPartition,
  type GroupMemberDescription,
  partitionKeyOf,
  type TopicPartition
} from '../../client/index.ts'
import type { ClusterScan, ScannedGroup } from '../scan/scan-types.ts'
import type { LagFlag } from './lag-types.ts'

/** A partition that a group reads. */
export interface ReadPair extends TopicPartition {
  /** `undefined` = nothing is committed. */
  readonly committed: bigint | undefined
  /** For people; empty = nobody. */
  readonly owner: string
  readonly flags: readonly LagFlag[]
}

/** The pairs of a group, ordered by topic and number. */
export function readPairs(
  scan: ClusterScan,
  { offsets, members, protocolType, problem }: ScannedGroup,
  topics: readonly string[] | undefined
): ReadPair[] {
  if (problem !== undefined && offsets.length === 0 && members === undefined) return []
  const wanted = topics === undefined ? undefined : new Set(topics)
  const owners = ownersOf(members ?? [])
  const committed = new Map(offsets.map(each => [partitionKeyOf(each), each.committed]))
  const places = new Map<string, TopicPartition>()
  const add = (at: TopicPartition): void => {
    if (wanted?.has(at.topic) !== false) places.set(partitionKeyOf(at), at)
  }
  for (const each of offsets) add(each)
  for (const { assignment } of members ?? []) for (const each of assignment) add(each)
  const isSubscriber = protocolType === 'consumer'
  if (isSubscriber)
    for (const topic of topicsOf(places)) for (const each of scan.topics.get(topic)?.partitions ?? []) add(each)
  return [...places]
    .map(([key, { topic, partition }]) => {
      const owner = owners.get(key) ?? ''
      const flags: LagFlag[] = []
      const absence = absenceOf(scan, { topic, partition })
      if (absence !== undefined) flags.push(absence)
      else if (isSubscriber && members !== undefined && owner === '') flags.push('unassigned')
      return { topic, partition, committed: committed.get(key), owner, flags }
    })
    .sort(byTopicAndPartition)
}

function topicsOf(places: ReadonlyMap<string, TopicPartition>): Set<string> {
  return new Set(Array.from(places.values(), ({ topic }) => topic))
}

/** What is not among the topics of a scan does not exist, or may not be seen. */
function absenceOf({ topics }: ClusterScan, { topic, partition }: TopicPartition): LagFlag | undefined {
  const found = topics.get(topic)
  if (found !== undefined && found.partitions.length > partition) return undefined
  return found?.problem === undefined || found.problem.startsWith('UNKNOWN_TOPIC') ? 'noTopic' : 'offline'
}

function ownersOf(members: readonly GroupMemberDescription[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const { clientId, clientHost, groupInstanceId, assignment } of members) {
    const name = groupInstanceId === null || groupInstanceId === '' ? clientId : groupInstanceId
    const owner = `${name}@${clientHost.replace(/^\//u, '')}`
    for (const each of assignment) owners.set(partitionKeyOf(each), owner)
  }
  return owners
}
