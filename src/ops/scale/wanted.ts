/**
 * How many instances the numbers ask for: the drain-time formula, the counts
 * that partitions divide into, and what the other sizes would do.
 *
 *   instances = ceil((arrival + backlog / drainSeconds) / ratePerInstance)
 *
 * The backlog counts only once it is older than `targetLagSeconds`: what is
 * being worked on is no backlog.
 */

import type { GroupLoad } from './load.ts'
import type { ScaleAlternative, ScalePolicy } from './scale-types.ts'
import * as words from './words.ts'

/** What the formula gives. */
export interface Wanted {
  /** Instances, before limits. */
  readonly instances: number
  /** Records per second that must be taken. */
  readonly neededRate: number
  /** How it came to be. */
  readonly reason: string
}

/** The drain-time formula. */
export function drainFormula(load: GroupLoad, ratePerInstance: number, policy: ScalePolicy): Wanted {
  const { arrival, backlog, lagSeconds } = load
  const isLate = lagSeconds > policy.targetLagSeconds
  const neededRate = arrival + (isLate ? backlog / policy.drainSeconds : 0)
  const instances = Math.max(1, Math.ceil(round(neededRate / ratePerInstance)))
  const behind = isLate ? ` + ${words.number(backlog)} behind ÷ ${words.seconds(policy.drainSeconds)}` : ''
  const reason =
    `(${words.rate(arrival)} arriving${behind}) ÷ ${words.rate(ratePerInstance)} per instance = ` +
    `${words.number(neededRate / ratePerInstance)}: ${words.instances(instances)}`
  return { instances, neededRate, reason }
}

/** Keeps what rounding in binary adds from costing an instance: 3.0000000000000004 is 3. */
function round(value: number): number {
  return Math.round(value * 1e9) / 1e9
}

/**
 * The smallest count at which the busiest instance owns as few partitions as this count promises: of 12 partitions, 5
 * instances leave one with 3 as 4 do; 6 are the next that leave 2.
 *
 * @returns A count from 1 to the number of partitions.
 */
export function evenUp(instances: number, partitionCount: number): number {
  if (partitionCount <= 0) return instances
  const perInstance = Math.max(1, Math.floor(partitionCount / Math.max(1, instances)))
  return Math.ceil(partitionCount / perInstance)
}

/** The smallest count whose busiest instance owns no more partitions than with this count: 10 of 12 do what 6 do. */
export function evenDown(instances: number, partitionCount: number): number {
  if (partitionCount <= 0) return instances
  const perInstance = Math.ceil(partitionCount / Math.max(1, instances))
  return Math.ceil(partitionCount / perInstance)
}

/** Seconds until a backlog is gone; infinite if it never is. */
export function drainTime(load: GroupLoad, instances: number, ratePerInstance: number): number {
  const spare = instances * ratePerInstance - load.arrival
  if (load.backlog === 0) return 0
  return spare > 0 ? load.backlog / spare : Number.POSITIVE_INFINITY
}

/** What is weighed beside the size that was chosen. */
export interface AlternativesInput {
  readonly load: GroupLoad
  readonly ratePerInstance: number
  readonly current: number
  readonly computed: number
  readonly limit: number
  readonly min: number
}

/** What other sizes would do: one fewer, as now, one more, what the formula says, the most that there can be. */
export function alternativesOf(input: AlternativesInput): ScaleAlternative[] {
  const { load, ratePerInstance, current, computed, limit, min } = input
  const sizes = [current - 1, current, current + 1, computed, limit]
  const counted = [...new Set(sizes)].filter(size => size >= Math.max(1, min)).toSorted((a, b) => a - b)
  return counted.map(instances => ({ instances, effect: effectOf(instances) }))

  function effectOf(instances: number): string {
    if (instances > load.partitionCount) {
      return `${instances - load.partitionCount} of them idle: there are ${load.partitionCount} partitions`
    }
    if (instances > limit) return `above the limit of ${limit}`
    const utilization = load.arrival / (instances * ratePerInstance)
    const drain = drainTime(load, instances, ratePerInstance)
    if (drain === 0) return `${words.percent(utilization)} busy, nothing behind`
    if (Number.isFinite(drain)) return `${words.percent(utilization)} busy, backlog gone in ${words.seconds(drain)}`
    const growth = words.rate(load.arrival - instances * ratePerInstance)
    return `${words.percent(utilization)} busy: the lag grows by ${growth}`
  }
}
