/** Topics as rows and in full: `GET /api/topics`, `GET /api/topic?name=`. Pure but for caches of a look. */

import type { ScannedPartition, ScannedTopic } from '../../ops/index.ts'
import type { Page } from '../api/common.ts'
import { TOPIC_SORTS, type TopicPartitionRow, type TopicRow } from '../api/topics.ts'
import { isLagKnown } from './group-rows.ts'
import type { LookIndex } from './look-index.ts'
import { shortNumber } from './numbers.ts'
import { inOrder, orderBy, pageBy } from './order.ts'
import { type PipelineNames, roleOfTopic } from './pipeline-names.ts'
import { type AskedPage, askedPage, wordsOf } from './query.ts'
import type { World } from './world-types.ts'

type TopicSort = (typeof TOPIC_SORTS)[number]

/** Groups that are named in a row. */
const READERS_MAX = 10
/** Words of the filter `role`. */
const ROLES = ['events', 'deadLetters', 'retries', 'internal', 'other'] as const
/** Columns that the partitions of a topic are sorted by. */
export const TOPIC_PARTITION_SORTS = ['partition', 'rate', 'endOffset', 'leaderId'] as const

/** Offsets between the ends of all partitions; `undefined` if one is not known. */
export function recordsOf({ partitions, problem }: ScannedTopic): bigint | undefined {
  if (problem !== undefined) return undefined
  let sum = 0n
  for (const each of partitions) {
    if (each.problem !== undefined) return undefined
    sum += each.highWatermark - each.logStartOffset
  }
  return sum
}

/** Makes rows. */
export class TopicRows {
  readonly #names: PipelineNames

  constructor(names: PipelineNames) {
    this.#names = names
  }

  /**
   * The page that was asked for: `offset`, `limit`, `sort`, `descending`, `find`, `role`.
   *
   * @throws PipelineError `ERR_CONSOLE_REQUEST`
   */
  page(index: LookIndex, query: URLSearchParams): Page<TopicRow> {
    const asked = askedPage(query, { sorts: TOPIC_SORTS, sort: 'topic' })
    const roles = wordsOf(query, 'role', ROLES)
    const { sort, isDescending, find } = asked
    const question = JSON.stringify(['topics', sort, isDescending, find, roles])
    const order = index.orders.of(question, () => {
      const all = index.orders.of(`topics ${sort} ${isDescending}`, () => orderOf(index, asked))
      if (find === '' && roles.length === 0) return all
      return all.filter(at => {
        const { topic, isInternal } = topicAt(index, at)
        if (roles.length > 0 && !roles.includes(roleOfTopic(topic, isInternal, this.#names))) return false
        return find === '' || topic.toLowerCase().includes(find)
      })
    })
    return pageBy(order, asked, at => this.row(topicAt(index, at), index))
  }

  /** One row. */
  row(scanned: ScannedTopic, index: LookIndex): TopicRow {
    const { topic, partitions, isInternal, problem } = scanned
    const readers = index.readersOf(topic)
    return {
      topic,
      partitionCount: partitions.length,
      replicationFactor: partitions.reduce((most, { replicas }) => Math.max(most, replicas.length), 0),
      records: recordsOf(scanned)?.toString() ?? null,
      rate: shortNumber(index.rateOf(topic)),
      groups: readers.slice(0, READERS_MAX).map(({ group, lagRecords, lagSeconds }) => ({
        groupId: group.groupId,
        lagRecords: lagRecords.toString(),
        lagSeconds: shortNumber(lagSeconds)
      })),
      groupCount: readers.length,
      lagRecords: lagOf(index, topic)?.toString() ?? null,
      isInternal,
      offlineCount: partitions.filter(({ leaderId }) => leaderId < 0).length,
      underReplicatedCount: partitions.filter(isUnderReplicated).length,
      role: roleOfTopic(topic, isInternal, this.#names),
      problem: problem ?? problemOf(partitions)
    }
  }
}

/** Fewer replicas in sync than there are, with a leader. */
export function isUnderReplicated({ leaderId, replicas, inSyncReplicas }: ScannedPartition): boolean {
  return leaderId >= 0 && inSyncReplicas.length < replicas.length
}

/** The partitions of a topic that were asked for. */
export function topicPartitions(
  { topic, partitions }: ScannedTopic,
  query: URLSearchParams,
  world: World
): Page<TopicPartitionRow> {
  const asked = askedPage(query, { sorts: TOPIC_PARTITION_SORTS, sort: 'partition' })
  const arrivals = world.arrivalsOf(topic)
  const at = (index: number): ScannedPartition => {
    const found = partitions[index]
    if (found === undefined) throw new RangeError(`there is no partition ${index}`)
    return found
  }
  const keys: Readonly<Record<(typeof TOPIC_PARTITION_SORTS)[number], (each: ScannedPartition) => number | undefined>> =
    {
      partition: each => each.partition,
      rate: each => arrivals[each.partition]?.rate,
      endOffset: each => (each.problem === undefined ? Number(each.highWatermark) : undefined),
      leaderId: each => each.leaderId
    }
  const order = orderBy(partitions.length, index => keys[asked.sort](at(index)), asked.isDescending)
  return pageBy(order, asked, index => {
    const each = at(index)
    const isKnown = each.problem === undefined
    return {
      partition: each.partition,
      leaderId: each.leaderId,
      replicas: each.replicas,
      inSyncReplicas: each.inSyncReplicas,
      logStartOffset: isKnown ? each.logStartOffset.toString() : null,
      endOffset: isKnown ? each.highWatermark.toString() : null,
      rate: isKnown ? shortNumber(arrivals[each.partition]?.rate) : null,
      problem: each.problem ?? null
    }
  })
}

function orderOf(index: LookIndex, { sort, isDescending }: AskedPage<TopicSort>): Uint32Array {
  const { length } = index.topics
  // A scan has its topics in the order of their names.
  if (sort === 'topic') return inOrder(length, isDescending)
  const keyOf = KEYS[sort]
  return orderBy(length, at => keyOf(topicAt(index, at), index), isDescending)
}

const KEYS: Readonly<
  Record<Exclude<TopicSort, 'topic'>, (each: ScannedTopic, index: LookIndex) => number | undefined>
> = {
  partitionCount: ({ partitions }) => partitions.length,
  records: each => {
    const records = recordsOf(each)
    return records === undefined ? undefined : Number(records)
  },
  rate: ({ topic }, index) => index.rateOf(topic),
  lagRecords: ({ topic }, index) => {
    const lag = lagOf(index, topic)
    return lag === undefined ? undefined : Number(lag)
  },
  groupCount: ({ topic }, index) => index.readersOf(topic).length
}

/** Of all groups together; `undefined` = nobody reads it, or of nobody it is known. */
function lagOf(index: LookIndex, topic: string): bigint | undefined {
  let sum: bigint | undefined
  for (const { group, lagRecords } of index.readersOf(topic)) if (isLagKnown(group)) sum = (sum ?? 0n) + lagRecords
  return sum
}

function topicAt({ topics }: LookIndex, at: number): ScannedTopic {
  const found = topics[at]
  if (found === undefined) throw new RangeError(`there is no topic ${at}`)
  return found
}

function problemOf(partitions: readonly ScannedPartition[]): string | null {
  const some = partitions.filter(({ problem }) => problem !== undefined)
  const [first] = some
  if (first?.problem === undefined) return null
  return some.length === 1 ? first.problem : `${first.problem} (and ${some.length - 1} more partitions)`
}
