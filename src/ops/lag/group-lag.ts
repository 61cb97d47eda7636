/** What is said of a group, from what is said of its partitions. Pure. */

import { judgeGroup } from './burrow.ts'
import type { GroupLag, HeadroomLimit, LagFlag, PartitionLag } from './lag-types.ts'

/** Who the group is. */
export interface GroupFacts {
  readonly groupId: string
  readonly state: string
  readonly memberCount: number
  readonly problem: string | undefined
}

/** Sums up a group. */
export function groupLagOf(facts: GroupFacts, partitions: readonly PartitionLag[]): GroupLag {
  const { groupId, state, memberCount, problem } = facts
  const oldest = oldestOf(partitions)
  const first = maxBy(partitions, each => (each.headroomSeconds === undefined ? undefined : -each.headroomSeconds))
  const worst = maxBy(partitions, each => Number(each.lagRecords))
  return {
    groupId,
    state,
    memberCount,
    status: judgeGroup(partitions.map(each => each.status)),
    lagRecords: partitions.reduce((sum, each) => sum + each.lagRecords, 0n),
    unknownCount: partitions.filter(each => !each.isKnown).length,
    lagSeconds: oldest?.lagSeconds,
    lagTimeSource: oldest?.lagTimeSource ?? 'unknown',
    arrivalRate: sumOf(partitions, each => each.arrivalRate),
    serviceRate: sumOf(partitions, each => each.serviceRate),
    trend: sumOf(partitions, each => each.trend),
    drainSeconds: drainOf(partitions),
    headroomSeconds: first?.headroomSeconds,
    headroomLimit: first?.headroomLimit ?? limitOf(partitions),
    retentionUsed: maxBy(partitions, each => each.retentionUsed)?.retentionUsed,
    complete: partitions.length === 0 ? 0 : partitions.filter(each => each.complete >= 1).length / partitions.length,
    worst: worst === undefined ? undefined : { topic: worst.topic, partition: worst.partition },
    flags: flagsOf(partitions),
    partitions,
    ...(problem === undefined ? {} : { problem })
  }
}

/** The partition with the largest age that is known; `undefined` if that is 0 while the age of another is not known. */
function oldestOf(partitions: readonly PartitionLag[]): PartitionLag | undefined {
  const oldest = maxBy(partitions, each => each.lagSeconds)
  const isOpen = (each: PartitionLag): boolean =>
    each.lagSeconds === undefined && (each.lagRecords > 0n || !each.isKnown)
  return oldest?.lagSeconds === 0 && partitions.some(isOpen) ? undefined : oldest
}

/** The item with the largest value that is known; the first of equals. */
function maxBy<T>(items: readonly T[], valueOf: (item: T) => number | undefined): T | undefined {
  let best: T | undefined
  let largest = -Infinity
  for (const item of items) {
    const value = valueOf(item)
    if (value === undefined || !(value > largest)) continue
    best = item
    largest = value
  }
  return best
}

/** `undefined` if none is known. */
function sumOf(
  items: readonly PartitionLag[],
  valueOf: (item: PartitionLag) => number | undefined
): number | undefined {
  let sum: number | undefined
  for (const item of items) {
    const value = valueOf(item)
    if (value !== undefined) sum = (sum ?? 0) + value
  }
  return sum
}

/** The last of its partitions ends it; one that never does, or is unknown, leaves it open. */
function drainOf(partitions: readonly PartitionLag[]): number | undefined {
  let longest = 0
  for (const { drainSeconds } of partitions) {
    if (drainSeconds === undefined) return undefined
    longest = Math.max(longest, drainSeconds)
  }
  return partitions.length === 0 ? undefined : longest
}

function limitOf(partitions: readonly PartitionLag[]): HeadroomLimit {
  return partitions.some(each => each.headroomLimit === 'unknown') ? 'unknown' : 'none'
}

function flagsOf(partitions: readonly PartitionLag[]): LagFlag[] {
  const flags = new Set<LagFlag>()
  for (const each of partitions) for (const flag of each.flags) flags.add(flag)
  return [...flags]
}
