/** Partitions as cells: `GET /api/heat-map?group=` or `?topic=`. Pure. */

import { hotPartitionsOf, type PartitionLag, type ScannedTopic } from '../../ops/index.ts'
import type { Freshness } from '../api/common.ts'
import type { HeatCell, HeatMap } from '../api/groups.ts'
import type { GroupSaid } from './dispatcher-facts.ts'
import { byTopic, type LookIndex } from './look-index.ts'
import { ownersOf } from './group-detail.ts'
import { shortNumber } from './numbers.ts'
import { notFound } from './query.ts'
import type { World } from './world-types.ts'

/** Cells of a map at most: nobody sees more, and an answer stays below a megabyte. */
export const CELLS_MAX = 5000

/** What a map is made from. */
export interface HeatMapOptions {
  readonly index: LookIndex
  readonly freshness: Freshness
  readonly world: World
}

interface Drawn {
  readonly topics: HeatMap['topics'][number][]
  readonly hot: HeatMap['hot'][number][]
  cellCount: number
  hiddenPartitions: number
}

/**
 * The partitions that a group reads.
 *
 * @throws PipelineError `ERR_CONSOLE_NOT_FOUND`
 */
export function groupHeatMap(groupId: string, said: GroupSaid, { index, freshness, world }: HeatMapOptions): HeatMap {
  const group = index.report.groups.find(each => each.groupId === groupId)
  if (group === undefined) throw notFound(`group ${groupId}`)
  const ownerOf = ownersOf(index.scannedGroup(groupId))
  const owners: string[] = []
  const numbers = new Map<string, number>()
  const numberOf = (owner: string): number => {
    if (owner === '') return -1
    const known = numbers.get(owner)
    if (known !== undefined) return known
    numbers.set(owner, owners.length)
    return owners.push(owner) - 1
  }
  const drawn: Drawn = { topics: [], hot: [], cellCount: 0, hiddenPartitions: 0 }
  for (const [topic, partitions] of byTopic(group.partitions)) {
    const arrivals = world.arrivalsOf(topic)
    draw(drawn, { topic, partitions, scanned: index.scan.topics.get(topic), world }, each => ({
      partition: each.partition,
      lagRecords: each.isKnown ? Number(each.lagRecords) : null,
      lagSeconds: shortNumber(each.lagSeconds),
      rate: shortNumber(arrivals[each.partition]?.rate),
      owner: numberOf(ownerOf.get(`${topic} ${each.partition}`) ?? each.owner),
      isPaused: said.of(topic, each.partition)?.isPaused ?? false
    }))
  }
  const { topics, hot, hiddenPartitions } = drawn
  return { freshness, topics, owners, hot, hiddenPartitions }
}

/**
 * All partitions of a topic, whoever reads them.
 *
 * @throws PipelineError `ERR_CONSOLE_NOT_FOUND`
 */
export function topicHeatMap(topic: string, { index, freshness, world }: HeatMapOptions): HeatMap {
  const scanned = index.scan.topics.get(topic)
  if (scanned === undefined) throw notFound(`topic ${topic}`)
  const arrivals = world.arrivalsOf(topic)
  const drawn: Drawn = { topics: [], hot: [], cellCount: 0, hiddenPartitions: 0 }
  draw(drawn, { topic, partitions: scanned.partitions, scanned, world }, each => ({
    partition: each.partition,
    lagRecords: null,
    lagSeconds: null,
    rate: each.problem === undefined ? shortNumber(arrivals[each.partition]?.rate) : null,
    owner: -1,
    isPaused: false
  }))
  const { topics, hot, hiddenPartitions } = drawn
  return { freshness, topics, owners: [], hot, hiddenPartitions }
}

interface DrawnTopic<T> {
  readonly topic: string
  readonly partitions: readonly T[]
  readonly scanned: ScannedTopic | undefined
  readonly world: World
}

function draw<T extends Pick<PartitionLag, 'partition'>>(
  drawn: Drawn,
  { topic, partitions, scanned, world }: DrawnTopic<T>,
  cellOf: (each: T) => Omit<HeatCell, 'isHot'>
): void {
  const shown = partitions.slice(0, Math.max(0, CELLS_MAX - drawn.cellCount))
  drawn.cellCount += shown.length
  drawn.hiddenPartitions += partitions.length - shown.length
  if (shown.length === 0) return
  const hot = hotOf(scanned, world)
  for (const { partition, timesFair } of hot) {
    drawn.hot.push({ topic, partition, timesFair: shortNumber(timesFair) ?? 0 })
  }
  const hotNumbers = new Set(hot.map(({ partition }) => partition))
  drawn.topics.push({
    topic,
    cells: shown.map(each => ({ ...cellOf(each), isHot: hotNumbers.has(each.partition) }))
  })
}

/** By the doctor's rule; what is new is what came over the last looks. */
function hotOf(
  scanned: ScannedTopic | undefined,
  world: World
): readonly { readonly partition: number; readonly timesFair: number }[] {
  if (scanned === undefined || scanned.isInternal) return []
  const arrivals = world.arrivalsOf(scanned.topic)
  const counts = scanned.partitions.map(({ partition, highWatermark, logStartOffset }) => ({
    partition,
    fresh: BigInt(Math.round(arrivals[partition]?.records ?? 0)),
    kept: highWatermark > logStartOffset ? highWatermark - logStartOffset : 0n
  }))
  return hotPartitionsOf(counts).hot
}
