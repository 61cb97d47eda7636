/**
 * The load of a group, added up from its partitions, and what an instance does.
 *
 * An instance's rate says what it can do only while it is busy: while more waits
 * for it than it takes in a few seconds. An idle one does what arrives.
 */

import type { ScaleObservation, ScalePartition } from './scale-types.ts'

/** A partition with more unread than its consumer takes in this many seconds is busy: a batch that ages is not. */
const BUSY_SECONDS = 5

/** The load at one time. */
export interface GroupLoad {
  readonly partitionCount: number
  /** Records per second. */
  readonly arrival: number
  /** Records per second. */
  readonly service: number
  /** Records unread. */
  readonly backlog: number
  /** Age of the oldest unread record in seconds. */
  readonly lagSeconds: number
  /** Whether work waits: the service rate is then what the group can do. */
  readonly isBusy: boolean
  /** Mean rate of the instances that are busy, records per second; `undefined` = none is. */
  readonly busyRate: number | undefined
  /** Mean rate of all instances. */
  readonly meanRate: number
  /** The partition with the oldest unread record. */
  readonly worst: ScalePartition | undefined
}

/** Adds up. To be asked only when nothing is missing. */
export function loadOf(observation: ScaleObservation): GroupLoad {
  const { partitions } = observation
  const byOwner = new Map<string, { service: number; isBusy: boolean }>()
  let [arrival, service, backlog, lagSeconds] = [0, 0, 0, 0]
  let worst: ScalePartition | undefined
  for (const each of partitions) {
    arrival += each.arrivalRate ?? 0
    service += each.serviceRate ?? 0
    backlog += each.lagRecords
    if (worst === undefined || (each.lagSeconds ?? 0) > (worst.lagSeconds ?? 0)) worst = each
    lagSeconds = Math.max(lagSeconds, each.lagSeconds ?? 0)
    if (each.owner === '') continue
    const owner = byOwner.get(each.owner) ?? { service: 0, isBusy: false }
    owner.service += each.serviceRate ?? 0
    owner.isBusy ||= isBusy(each)
    byOwner.set(each.owner, owner)
  }
  const busy = [...byOwner.values()].filter(owner => owner.isBusy)
  const consumers = Math.max(1, byOwner.size)
  return {
    partitionCount: partitions.length,
    arrival,
    service,
    backlog,
    lagSeconds,
    // Half of the consumers: one hot partition does not make the group's rate its capacity.
    isBusy: busy.length > 0 && busy.length * 2 >= byOwner.size,
    busyRate: busy.length === 0 ? undefined : busy.reduce((sum, owner) => sum + owner.service, 0) / busy.length,
    meanRate: service / consumers,
    worst
  }
}

function isBusy({ lagRecords, serviceRate = 0 }: ScalePartition): boolean {
  return lagRecords > Math.max(1, serviceRate * BUSY_SECONDS)
}

/** The backlog in partitions whose consumer has nothing else to do, and the rest. */
export interface AloneBacklog {
  /** Records in partitions that are alone on their consumer. */
  readonly records: number
  /** Share of the whole backlog, 0 to 1. */
  readonly ratio: number
  /** Those partitions, largest lag first. */
  readonly partitions: readonly ScalePartition[]
}

/** Below this share of what its consumer does, a neighbour does not keep a partition from running at full speed. */
const NEIGHBOUR_RATIO = 0.1

/**
 * How much of the backlog more consumers cannot help with: a partition has one consumer, so one that shares its
 * consumer with nothing that matters is as fast as it gets.
 */
export function aloneBacklog(partitions: readonly ScalePartition[]): AloneBacklog {
  const byOwner = new Map<string, number>()
  for (const each of partitions) byOwner.set(each.owner, (byOwner.get(each.owner) ?? 0) + workOf(each))
  const alone = partitions
    .filter(each => each.owner !== '' && each.lagRecords > 0)
    .filter(each => {
      const all = byOwner.get(each.owner) ?? 0
      return all - workOf(each) <= all * NEIGHBOUR_RATIO
    })
    .toSorted((a, b) => b.lagRecords - a.lagRecords)
  const records = alone.reduce((sum, each) => sum + each.lagRecords, 0)
  const whole = partitions.reduce((sum, each) => sum + each.lagRecords, 0)
  return { records, ratio: whole === 0 ? 0 : records / whole, partitions: alone }
}

/** What a partition asks of its consumer: what arrives, and what waits, as if a minute were left for that. */
function workOf({ arrivalRate = 0, serviceRate = 0, lagRecords }: ScalePartition): number {
  return Math.max(arrivalRate, serviceRate) + lagRecords / 60
}
