/**
 * Which partitions a group reads, and from where. Pure.
 *
 * Those that it has committed, those that its members own, and, of topics that it has committed anything for, the
 * others, too: a partition that was added since is unread although nobody has committed there. A reader that picks its
 * partitions itself (without a protocol) picked them for a reason: of it only what it has committed counts.
 */

import type { GroupMemberDescription, TopicPartition } from '../../client/index.ts'
import type { ClusterScan, ScannedGroup, ScannedTopic } from '../scan/scan-types.ts'
import type { LagFlag } from './lag-types.ts'

/** A partition that a group reads. */
export interface ReadPair extends TopicPartition {
  /** `undefined` = nothing is committed. */
  readonly committed: bigint | undefined
  /** For people; empty = nobody. */
  readonly owner: string
  readonly flags: readonly LagFlag[]
}

/** What is known of a place before all of it is. */
interface Place {
  committed: bigint | undefined
  owner: string
}

/** Places by topic and number: no text is built for each, because there may be a million. */
class Places {
  readonly #topics = new Map<string, Map<number, Place>>()

  of(topic: string, partition: number): Place {
    let numbers = this.#topics.get(topic)
    if (numbers === undefined) {
      numbers = new Map()
      this.#topics.set(topic, numbers)
    }
    let place = numbers.get(partition)
    if (place === undefined) {
      place = { committed: undefined, owner: '' }
      numbers.set(partition, place)
    }
    return place
  }

  /** In order. */
  get topics(): string[] {
    return [...this.#topics.keys()].sort()
  }

  /** Ordered by number. */
  numbersOf(topic: string): (readonly [number, Place])[] {
    return [...(this.#topics.get(topic) ?? [])].sort(([left], [right]) => left - right)
  }
}

/** The pairs of a group, ordered by topic and number. */
export function readPairs(
  scan: ClusterScan,
  { offsets, members, protocolType, problem }: ScannedGroup,
  topics: readonly string[] | undefined
): ReadPair[] {
  // Offsets that could not be read are not offsets that nobody has committed.
  if (problem !== undefined && offsets.length === 0) return []
  const wanted = topics === undefined ? undefined : new Set(topics)
  const places = new Places()
  for (const { topic, partition, committed } of offsets) places.of(topic, partition).committed = committed
  for (const member of members ?? []) {
    const owner = ownerOf(member)
    for (const { topic, partition } of member.assignment) places.of(topic, partition).owner = owner
  }
  const isSubscriber = protocolType === 'consumer'
  const isOwned = isSubscriber && members !== undefined
  const pairs: ReadPair[] = []
  for (const topic of places.topics) {
    if (wanted?.has(topic) === false) continue
    const found = scan.topics.get(topic)
    if (isSubscriber) for (const { partition } of found?.partitions ?? []) places.of(topic, partition)
    for (const [partition, { committed, owner }] of places.numbersOf(topic)) {
      pairs.push({ topic, partition, committed, owner, flags: flagsOf(found, partition, isOwned && owner === '') })
    }
  }
  return pairs
}

const noFlags: readonly LagFlag[] = []

/** What is not among the topics of a scan does not exist, or may not be seen. */
function flagsOf(topic: ScannedTopic | undefined, partition: number, isUnassigned: boolean): readonly LagFlag[] {
  if (topic !== undefined && topic.partitions.length > partition) return isUnassigned ? ['unassigned'] : noFlags
  return topic?.problem === undefined || topic.problem.startsWith('UNKNOWN_TOPIC') ? ['noTopic'] : ['offline']
}

function ownerOf({ clientId, clientHost, groupInstanceId }: GroupMemberDescription): string {
  const name = groupInstanceId === null || groupInstanceId === '' ? clientId : groupInstanceId
  return `${name}@${clientHost.replace(/^\//u, '')}`
}
