/** Why a fleet is left as it is: what is unknown, what limits it, and what more instances would make worse. */

import { suspicionOf } from './learn.ts'
import { aloneBacklog, type GroupLoad } from './load.ts'
import type { ScaleHold, ScaleObservation, ScalePolicy, ScaleState } from './scale-types.ts'
import * as words from './words.ts'

const STORM_WINDOW_MS = 900_000
/** Names are listed up to this many. */
const NAMES_MAX = 3

/** What a decision needs and has not been seen, a sentence each. */
export function missingInput(observation: ScaleObservation, policy: ScalePolicy, nowMs: number): string[] {
  const { wanted, running, groupState, members, partitions, problems, atMs } = observation
  const missing = [...problems]
  const ageSeconds = (nowMs - atMs) / 1000
  if (ageSeconds > policy.staleSeconds) missing.push(`what was seen is ${words.seconds(ageSeconds)} old`)
  if (wanted === undefined || running === undefined) missing.push('the size of the fleet is unknown')
  if (groupState === undefined || members === undefined) missing.push('the state of the group is unknown')
  if (partitions.length === 0) missing.push('the group has no partitions')
  const unknown = partitions.filter(each => each.arrivalRate === undefined || each.serviceRate === undefined)
  if (unknown.length > 0) {
    missing.push(`rates are unknown for ${namesOf(unknown)}: they need two looks`)
  }
  const ageless = partitions.filter(each => each.lagSeconds === undefined && each.lagRecords > 0)
  if (ageless.length > 0) missing.push(`the age of the lag is unknown for ${namesOf(ageless)}`)
  return missing
}

function namesOf(partitions: readonly { readonly topic: string; readonly partition: number }[]): string {
  const names = partitions.slice(0, NAMES_MAX).map(({ topic, partition }) => `${topic}-${partition}`)
  const more = partitions.length - names.length
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')
}

/** Why a group that rebalances again and again is left alone. */
export function stormReason({ rebalancesMs }: ScaleState, policy: ScalePolicy, nowMs: number): string | undefined {
  const recent = rebalancesMs.filter(atMs => nowMs - atMs <= STORM_WINDOW_MS)
  if (recent.length < policy.stormRebalances) return undefined
  return (
    `${recent.length} rebalances in 15 min that no step explains: another one would make it worse; ` +
    'look for members that come and go (comporta doctor)'
  )
}

/** The most that there may be, and why. */
export interface Limit {
  readonly instances: number
  readonly kind: 'partitions' | 'max' | 'fleet' | 'ceiling'
  readonly reason: string
}

function othersOf({ members = [], running = 0 }: ScaleObservation): number {
  return Math.max(0, members.length - running)
}

/** Instances that can have a partition each. */
export function roomOf(observation: ScaleObservation): number {
  return Math.max(1, observation.partitions.length - othersOf(observation))
}

/** The lowest of all limits. */
export function limitOf(
  observation: ScaleObservation,
  { ceiling }: ScaleState,
  { policy, nowMs }: { readonly policy: ScalePolicy; readonly nowMs: number }
): Limit {
  const { partitions, wanted = 0, fleetMax } = observation
  const others = othersOf(observation)
  const besides = others > 0 ? ` and ${others} members that are not of this fleet` : ''
  const limits: Limit[] = [
    {
      kind: 'partitions',
      instances: roomOf(observation),
      reason:
        `there are ${partitions.length} partitions${besides}: an instance more would be idle ` +
        '(comporta partitions plan)'
    },
    { kind: 'max', instances: policy.instancesMax, reason: `instancesMax is ${policy.instancesMax}` }
  ]
  if (fleetMax !== undefined) {
    limits.push({ kind: 'fleet', instances: fleetMax, reason: `the fleet's own maximum is ${fleetMax}` })
  }
  if (ceiling !== undefined && ceiling.untilMs > nowMs) {
    const left = words.seconds((ceiling.untilMs - nowMs) / 1000)
    const reason = `not above ${ceiling.instances} for another ${left}: ${ceiling.reason}`
    // A ceiling keeps from growing; what is there already may stay.
    limits.push({ kind: 'ceiling', instances: Math.max(ceiling.instances, wanted), reason })
  }
  return limits.reduce((lowest, each) => (each.instances < lowest.instances ? each : lowest))
}

/** Why more instances would not help. */
export interface Veto {
  readonly hold: ScaleHold
  readonly reasons: readonly string[]
}

/** What is asked before a step up. */
export interface VetoInput {
  readonly observation: ScaleObservation
  readonly state: ScaleState
  readonly policy: ScalePolicy
  readonly load: GroupLoad
}

/** A sick target first: what waits for it waits on every partition, hot or not. */
export function vetoOf(input: VetoInput): Veto | undefined {
  return sickTarget(input) ?? hotPartition(input)
}

/** Why no size is the right one at the moment: what waits for the target says nothing of the instances. */
export function sickTarget({ observation, state, policy, load }: VetoInput): Veto | undefined {
  const suspicion = suspicionOf(state, load, { observation, policy })
  if (suspicion === undefined) return undefined
  const since = (observation.atMs - (state.sickSinceMs ?? observation.atMs)) / 1000
  const isOver = state.sickSinceMs === undefined && suspicion.kind !== 'breaker'
  if (isOver) return undefined
  const hold = 'sickTarget'
  const normal = `taken for the new normal after ${words.seconds(policy.sickHoldSeconds)}`
  const until = `${normal}, ${words.seconds(since)} have passed`
  const more = 'more instances would only send it more'
  if (suspicion.kind === 'breaker') return { hold, reasons: [`the target is down: a breaker is open, and ${more}`] }
  if (suspicion.kind === 'latency') {
    const { latencyMs, usualMs, rate } = suspicion
    const slow = `an invocation takes ${words.number(latencyMs)} ms, usually ${words.number(usualMs)} ms`
    return { hold, reasons: [`the target is slow: ${slow}, and an instance does ${words.rate(rate)}; ${more}`, until] }
  }
  const { rate, usualRate } = suspicion
  const slow = `a busy instance does ${words.rate(rate)}, usually ${words.rate(usualRate)}`
  return { hold, reasons: [`the target seems to be slow: ${slow}; ${more}`, until] }
}

function hotPartition({ observation, policy, load }: VetoInput): Veto | undefined {
  if (load.lagSeconds <= policy.targetLagSeconds) return undefined
  const alone = aloneBacklog(observation.partitions)
  if (alone.ratio < policy.hotRatio) return undefined
  const names = namesOf(alone.partitions)
  const share = `${words.percent(alone.ratio)} of the lag (${words.number(alone.records)} records)`
  return {
    hold: 'hotPartition',
    reasons: [
      `more consumers will not help: ${share} is in ${names}, alone on their consumers already`,
      'find the hot keys (comporta doctor), spread them (producer.key), or order by key instead of by partition'
    ]
  }
}
