/**
 * From what was seen of a group and its fleet to what a decision is made of.
 *
 * What could not be seen becomes a problem in words, never a number: a fleet that
 * does not answer, a partition without a leader, a group without a coordinator.
 */

import { type GroupDescription, partitionKeyOf } from '../../client/index.ts'
import type { FleetSize } from '../fleet/fleet.ts'
import type { GroupLag, PartitionLag } from '../lag/lag-types.ts'
import type { ScaleObservation, ScalePartition, TargetHealth } from './scale-types.ts'

/** All that was seen. */
export interface Sight {
  /** In milliseconds since 1970. */
  readonly atMs: number
  /** `undefined` = the group was not in the report. */
  readonly lag: GroupLag | undefined
  /** `undefined` = the coordinator did not answer. */
  readonly group: GroupDescription | undefined
  /** `undefined` = the fleet did not answer. */
  readonly size: FleetSize | undefined
  readonly target: TargetHealth | undefined
  readonly problems: readonly string[]
}

/** Makes one of the other. */
export function observationOf({ atMs, lag, group, size, target, problems }: Sight): ScaleObservation {
  const owners = new Map<string, string>()
  for (const { memberId, assignment } of group?.members ?? []) {
    for (const each of assignment) owners.set(partitionKeyOf(each), memberId)
  }
  const partitions = (lag?.partitions ?? []).filter(each => !isGone(each))
  // A broker that has just started may not know a topic for a moment: who owns its partitions does.
  const unseen = (lag?.partitions ?? []).filter(each => isGone(each) && owners.has(partitionKeyOf(each)))
  const offline = partitions.filter(({ flags }) => flags.includes('offline'))
  return {
    atMs,
    wanted: size?.wanted,
    running: size?.running,
    fleetMin: size?.min,
    fleetMax: size?.max,
    groupState: group === undefined || group.errorCode !== 0 ? undefined : group.state,
    members: group?.members.map(({ memberId }) => memberId).toSorted(),
    partitions: partitions.map(each => partitionOf(each, owners.get(partitionKeyOf(each)) ?? '')),
    target,
    problems: [
      ...problems,
      ...(lag?.problem === undefined ? [] : [`the group could not be read: ${lag.problem}`]),
      ...offline.slice(0, 3).map(({ topic, partition }) => `${topic}-${partition} has no leader`),
      ...unseen.slice(0, 3).map(({ topic, partition }) => `${topic}-${partition} is not seen, though a member owns it`)
    ]
  }
}

/** A topic that was deleted: its offsets outlive it for a while. */
function isGone({ flags }: PartitionLag): boolean {
  return flags.includes('noTopic')
}

function partitionOf(lag: PartitionLag, owner: string): ScalePartition {
  const { topic, partition, lagRecords, lagSeconds, arrivalRate, committed, endOffset } = lag
  // Where nobody has committed anything yet, nothing was taken: that is known, not missing.
  const serviceRate = lag.serviceRate ?? (committed === undefined && arrivalRate !== undefined ? 0 : undefined)
  return {
    topic,
    partition,
    owner,
    lagRecords: Number(lagRecords),
    lagSeconds: lagRecords === 0n ? 0 : lagSeconds,
    arrivalRate,
    serviceRate,
    committed,
    endOffset
  }
}
