/**
 * Step 1 of the playbook: do metrics say that partitions are what is missing? Pure.
 *
 * Partitions are not added by intuition. Lag grows although consumers have time left and there is none to add: then the
 * number of partitions is the limit. Every other picture has another cure, which is said. What is not known counts
 * neither for nor against.
 */

import { counted } from '../words/counted.ts'

/** What was measured. Rates are records per second over the window of the looks. */
export interface NeedFacts {
  readonly partitions: readonly PartitionLoad[]
  /** Members of the group that reads the topic. */
  readonly consumers: number
  /** Processor of the consumers, 0 to 1; `undefined` = not known. */
  readonly consumerCpu?: number | undefined
  /** Whether more consumers were tried and did not help; `undefined` = not tried. */
  readonly didMoreConsumersHelp?: boolean | undefined
  /** Share of the busiest key, 0 to 1; `undefined` = no sample. */
  readonly hotKeyShare?: number | undefined
}

/** One partition over the window. */
export interface PartitionLoad {
  readonly partition: number
  readonly lag: number
  /** Lag gained per second; `undefined` = one look only. */
  readonly trend: number | undefined
  readonly arrivalRate: number | undefined
  readonly serviceRate: number | undefined
  /**
   * Whether records that were there at the first look are still unread at the second: the partition had work all the
   * time. A lag of batches in flight has other records in it at each look. `undefined` = not known, or looked at for
   * less than `BEHIND_WINDOW_S`.
   */
  readonly isBehind?: boolean | undefined
}

/** Shortest window, in seconds, after which unread records are a backlog and not a batch in flight. */
export const BEHIND_WINDOW_S = 5

/** One of the users' criteria. */
export interface NeedCriterion {
  readonly name: 'lagGrows' | 'partitionsSaturated' | 'consumersIdle' | 'noMoreConsumers' | 'noHotKey'
  /** `unknown`: nothing to tell it by. */
  readonly holds: boolean | 'unknown'
  readonly reason: string
}

/** The verdict. */
export interface NeedVerdict {
  /** `needed`; `notNeeded`, with the cure in `advice`; `unknown`: it cannot be told from what was measured. */
  readonly kind: 'needed' | 'notNeeded' | 'unknown'
  readonly criteria: readonly NeedCriterion[]
  readonly advice: string
}

/** A partition is saturated when it gives less than this share of what comes. */
const SATURATED = 0.98
/** A key with more than this share of the traffic keeps one partition hot, whatever their number. */
const HOT_KEY_SHARE = 0.5
/** Source: the users' rule. */
const CPU_BUSY = 0.5

/** Judges the need. */
export function judgeNeed(facts: NeedFacts): NeedVerdict {
  const criteria = [lagGrows(facts), saturated(facts), consumersIdle(facts), noMoreConsumers(facts), noHotKey(facts)]
  const failed = criteria.find(({ holds }) => holds === false)
  if (failed !== undefined) return { kind: 'notNeeded', criteria, advice: cureOf(failed) }
  // Without these two nothing is confirmed; the processor is often not known from here, and the rest follows.
  const unknown = criteria.find(
    ({ name, holds }) => holds === 'unknown' && (name === 'lagGrows' || name === 'noMoreConsumers')
  )
  if (unknown !== undefined) return { kind: 'unknown', criteria, advice: `${unknown.reason}: look while records flow` }
  return { kind: 'needed', criteria, advice: 'lag grows and nothing else is left to add: more partitions are the cure' }
}

function lagGrows({ partitions }: NeedFacts): NeedCriterion {
  const trends = partitions.flatMap(({ trend }) => trend ?? [])
  if (trends.length === 0) return { name: 'lagGrows', holds: 'unknown', reason: 'one look shows no trend' }
  const total = trends.reduce((sum, trend) => sum + trend, 0)
  const reason = `lag changes by ${total.toFixed(1)} records/s`
  if (partitions.every(({ isBehind }) => isBehind === false))
    return { name: 'lagGrows', holds: false, reason: `${reason}, all of it batches in flight` }
  return { name: 'lagGrows', holds: total > 0, reason }
}

function saturated({ partitions }: NeedFacts): NeedCriterion {
  const known = partitions.filter(each => each.arrivalRate !== undefined && each.serviceRate !== undefined)
  if (known.length === 0) return { name: 'partitionsSaturated', holds: 'unknown', reason: 'no rates are known' }
  const full = known.filter(
    ({ arrivalRate = 0, serviceRate = 0, lag, isBehind }) =>
      lag > 0 && isBehind !== false && serviceRate < arrivalRate * SATURATED
  )
  const names = full.slice(0, 10).map(({ partition }) => partition)
  const which = names.length === 0 ? '' : ` (${names.join(', ')}${full.length > names.length ? ', …' : ''})`
  const reason = `${full.length} of ${known.length} partitions give less than comes${which}`
  return { name: 'partitionsSaturated', holds: full.length > 0, reason }
}

function consumersIdle({ consumerCpu }: NeedFacts): NeedCriterion {
  if (consumerCpu === undefined)
    return {
      name: 'consumersIdle',
      holds: 'unknown',
      reason: 'the processor of the consumers is not known (--consumer-cpu)'
    }
  const reason = `consumers use ${Math.round(consumerCpu * 100)} % of their processor`
  return { name: 'consumersIdle', holds: consumerCpu < CPU_BUSY, reason }
}

function noMoreConsumers({ consumers, partitions, didMoreConsumersHelp }: NeedFacts): NeedCriterion {
  const name = 'noMoreConsumers'
  if (didMoreConsumersHelp !== undefined) {
    const reason = didMoreConsumersHelp ? 'more consumers helped' : 'more consumers did not help'
    return { name, holds: !didMoreConsumersHelp, reason }
  }
  if (consumers === 0) return { name, holds: false, reason: 'no consumer works' }
  if (consumers >= partitions.length)
    return { name, holds: true, reason: `${consumers} consumers for ${partitions.length} partitions: no more can work` }
  const reason = `${counted(consumers, 'consumer')} for ${partitions.length} partitions: more can work already`
  return { name, holds: false, reason }
}

function noHotKey({ hotKeyShare }: NeedFacts): NeedCriterion {
  if (hotKeyShare === undefined) return { name: 'noHotKey', holds: 'unknown', reason: 'no keys were sampled' }
  const reason = `the busiest key has ${Math.round(hotKeyShare * 100)} % of the traffic`
  return { name: 'noHotKey', holds: hotKeyShare <= HOT_KEY_SHARE, reason }
}

function cureOf({ name, reason }: NeedCriterion): string {
  const cures: Record<NeedCriterion['name'], string> = {
    lagGrows: 'the group keeps up: nothing is missing',
    partitionsSaturated: 'every partition gives what comes: look at the producer, or wait for the drain',
    consumersIdle: 'the consumers are busy themselves: more or larger instances first',
    noMoreConsumers: 'add consumers up to the number of partitions first (comporta scale)',
    noHotKey: 'one key stays in one partition: split it into sub-keys; more partitions do not help'
  }
  return `${reason}: ${cures[name]}`
}
