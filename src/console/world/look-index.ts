/**
 * What is looked up in a look: made when it is first needed, once for each look, and forgotten with it.
 *
 * Sorting two thousand groups or ten thousand topics takes milliseconds; pages, browsers and the live stream that ask
 * for the same order share it.
 */

import type { ClusterScan, GroupLag, LagReport, PartitionLag, ScannedGroup, ScannedTopic } from '../../ops/index.ts'
import { rateOf } from './history.ts'
import { FewResults } from './order.ts'
import { restingReplaysOf } from './resting-replays.ts'
import type { World, WorldLook } from './world-types.ts'

/** A group that reads a topic. */
export interface TopicReader {
  readonly group: GroupLag
  readonly lagRecords: bigint
  /** Largest of its partitions of the topic; `undefined` = not known. */
  readonly lagSeconds: number | undefined
  readonly serviceRate: number | undefined
  /** Partitions of the topic of which nothing is known. */
  readonly unknownCount: number
}

/** Worst readers first. */
const none: readonly TopicReader[] = []

/** See the module. */
export class LookIndex {
  readonly scan: ClusterScan
  readonly report: LagReport
  /** In the order of their names. */
  readonly topics: readonly ScannedTopic[]
  readonly orders: FewResults<Uint32Array> = new FewResults()
  readonly #world: World
  readonly #topicRates = new Map<string, number | undefined>()
  #restingReplays: ReadonlySet<string> | undefined
  #scannedGroups: ReadonlyMap<string, ScannedGroup> | undefined
  #readers: ReadonlyMap<string, readonly TopicReader[]> | undefined

  constructor(look: WorldLook, world: World) {
    this.scan = look.scan
    this.report = look.report
    this.topics = [...look.scan.topics.values()]
    this.#world = world
  }

  /** A group with its members. */
  scannedGroup(groupId: string): ScannedGroup | undefined {
    this.#scannedGroups ??= new Map(this.scan.groups.map(group => [group.groupId, group]))
    return this.#scannedGroups.get(groupId)
  }

  /** Whether it is of a replay that does not run. */
  isRestingReplay(groupId: string): boolean {
    this.#restingReplays ??= restingReplaysOf(this.report.groups)
    return this.#restingReplays.has(groupId)
  }

  /** Groups that read a topic, the one that is furthest behind first. */
  readersOf(topic: string): readonly TopicReader[] {
    this.#readers ??= readersByTopic(this.report.groups)
    return this.#readers.get(topic) ?? none
  }

  /** Records appended per second; `undefined` = not known. */
  rateOf(topic: string): number | undefined {
    if (!this.#topicRates.has(topic)) this.#topicRates.set(topic, rateOf(this.#world.arrivalsOf(topic)))
    return this.#topicRates.get(topic)
  }
}

/** Indexes of looks, kept as long as the looks are. */
export class LookIndexes {
  readonly #world: World
  readonly #indexes = new WeakMap<LagReport, LookIndex>()

  constructor(world: World) {
    this.#world = world
  }

  /** The index of a look; one that only failed again has that of the last one. */
  of(look: WorldLook): LookIndex {
    const known = this.#indexes.get(look.report)
    if (known !== undefined) return known
    const made = new LookIndex(look, this.#world)
    this.#indexes.set(look.report, made)
    return made
  }
}

function readersByTopic(groups: readonly GroupLag[]): Map<string, TopicReader[]> {
  const readers = new Map<string, TopicReader[]>()
  for (const group of groups) {
    for (const [topic, partitions] of byTopic(group.partitions)) {
      const reader = readerOf(group, partitions)
      const some = readers.get(topic)
      if (some === undefined) readers.set(topic, [reader])
      else some.push(reader)
    }
  }
  for (const some of readers.values()) if (some.length > 1) some.sort(byLag)
  return readers
}

function byLag(left: TopicReader, right: TopicReader): number {
  const seconds = (right.lagSeconds ?? -1) - (left.lagSeconds ?? -1)
  if (seconds !== 0) return seconds
  return left.lagRecords === right.lagRecords ? 0 : left.lagRecords > right.lagRecords ? -1 : 1
}

/** Runs of partitions of one topic: they are ordered by topic. */
export function* byTopic<T extends { readonly topic: string }>(partitions: readonly T[]): Generator<[string, T[]]> {
  let from = 0
  for (let index = 1; index <= partitions.length; index += 1) {
    const topic = partitions[from]?.topic
    if (topic === undefined || partitions[index]?.topic === topic) continue
    yield [topic, partitions.slice(from, index)]
    from = index
  }
}

function readerOf(group: GroupLag, partitions: readonly PartitionLag[]): TopicReader {
  let lagRecords = 0n
  let lagSeconds: number | undefined
  let serviceRate: number | undefined
  let unknownCount = 0
  let isOpen = false
  for (const each of partitions) {
    lagRecords += each.lagRecords
    if (!each.isKnown) unknownCount += 1
    if (each.lagSeconds !== undefined) lagSeconds = Math.max(lagSeconds ?? 0, each.lagSeconds)
    else isOpen = true
    if (each.serviceRate !== undefined) serviceRate = (serviceRate ?? 0) + each.serviceRate
  }
  // As for groups: nothing is "0 seconds behind" while the age of another partition is not known.
  if (lagSeconds === 0 && isOpen) lagSeconds = undefined
  return { group, lagRecords, lagSeconds, serviceRate, unknownCount }
}
