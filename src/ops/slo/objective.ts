/**
 * An objective on lag: "the oldest unread record is younger than so many seconds, for such a share of the time".
 *
 * A sample is good if the largest lag of the group is known and within the objective, bad as soon as one partition is
 * above it or lost records to retention, and unknown otherwise: what could not be read is never counted as good.
 */

import type { GroupLag, LagReport, PartitionLag } from '../lag/lag-types.ts'
import type { TimeKind } from './bucket-ring.ts'

/** What a group has promised. */
export interface SloObjective {
  readonly group: string
  /** Only these topics. Default: all that the group reads. */
  readonly topics?: readonly string[] | undefined
  /** Oldest that an unread record may be, in seconds. */
  readonly lagSeconds: number
  /** Share of the time that this holds, between 0 and 1, both excluded. */
  readonly objective: number
  /** Days over which the share is taken. */
  readonly windowDays: number
}

/** What one look says of an objective. */
export interface SloSample {
  readonly kind: TimeKind
  /** Largest known lag, in seconds. */
  readonly lagSeconds: number | undefined
  readonly lagRecords: bigint
  /** Why it is unknown, or bad. */
  readonly reason: string
}

/** The name of an objective: in keys of alerts and in the state file. */
export function objectiveName({ group, topics, lagSeconds }: SloObjective): string {
  const scope = topics === undefined ? '' : `[${topics.toSorted().join(',')}]`
  return `${group}${scope} ≤ ${lagSeconds} s`
}

/** Judges one look. */
export function sampleOf(objective: SloObjective, report: LagReport): SloSample {
  const group = report.groups.find(({ groupId }) => groupId === objective.group)
  if (group === undefined) return unknown(`group ${objective.group} is not there`)
  if (group.problem !== undefined) return unknown(`group ${objective.group} cannot be read: ${group.problem}`)
  const partitions = inScope(group, objective)
  if (partitions.length === 0) return unknown(`group ${objective.group} has nothing to read`)
  return sampleOfPartitions(partitions, objective.lagSeconds)
}

/** The partitions that an objective is about. */
export function inScope(group: GroupLag, { topics }: Pick<SloObjective, 'topics'>): readonly PartitionLag[] {
  return topics === undefined ? group.partitions : group.partitions.filter(({ topic }) => topics.includes(topic))
}

function sampleOfPartitions(partitions: readonly PartitionLag[], lagSecondsMax: number): SloSample {
  const known = partitions.flatMap(({ lagSeconds }) => lagSeconds ?? [])
  const lagSeconds = known.length === 0 ? undefined : known.reduce((most, each) => Math.max(most, each), 0)
  const lagRecords = partitions.reduce((sum, each) => sum + each.lagRecords, 0n)
  const lost = partitions.find(({ flags }) => flags.includes('dataLoss'))
  if (lost !== undefined) {
    const reason = `records of ${lost.topic}-${lost.partition} were deleted before they were read`
    return { kind: 'bad', lagSeconds, lagRecords, reason }
  }
  if (lagSeconds !== undefined && lagSeconds > lagSecondsMax) {
    return {
      kind: 'bad',
      lagSeconds,
      lagRecords,
      reason: `lag of ${Math.round(lagSeconds)} s is above ${lagSecondsMax} s`
    }
  }
  const missing = partitions.find(each => !each.isKnown || (each.lagSeconds === undefined && each.lagRecords > 0n))
  if (missing !== undefined) {
    return {
      ...unknown(`the lag of ${missing.topic}-${missing.partition} in seconds is not known`),
      lagSeconds,
      lagRecords
    }
  }
  const offline = partitions.find(({ flags }) => flags.includes('offline'))
  if (offline !== undefined) {
    return { ...unknown(`${offline.topic}-${offline.partition} has no leader`), lagSeconds, lagRecords }
  }
  return { kind: 'good', lagSeconds: lagSeconds ?? 0, lagRecords, reason: '' }
}

function unknown(reason: string): SloSample {
  return { kind: 'unknown', lagSeconds: undefined, lagRecords: 0n, reason }
}
