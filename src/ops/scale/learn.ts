/**
 * What a look teaches: the rate of an instance, the usual latency of the target,
 * how long a rebalance takes, who changed the size, and what became of the last
 * step. Pure: the state of before and a look give the state of after.
 *
 * Invariants: nothing is learned while the group is not settled, nor soon after;
 * a rate that has fallen below half is not learned while the target is suspected,
 * so that a sick target does not make the formula ask for ever more instances.
 */

import { type GroupLoad, loadOf } from './load.ts'
import type { ScaleObservation, ScalePolicy, ScaleState, ScaleStep, StepVerdict } from './scale-types.ts'
import * as words from './words.ts'

const REBALANCES_MAX = 20
/** Share of a new measurement in what is remembered. */
const RATE_SHARE = 0.3
const LATENCY_SHARE = 0.1
/** A step that did not bring a tenth of what it should have is of no use. */
const USEFUL_SHARE = 0.2
const HARMFUL_RATIO = 0.9

/** What a look says of the group itself. */
export interface Settling {
  readonly isSettled: boolean
  /** Why it is not, as a sentence. */
  readonly reason: string
}

/** Whether the group has no rebalance under way, and every partition an owner. */
export function settlingOf(observation: ScaleObservation): Settling {
  const { groupState, members, partitions } = observation
  if (groupState === 'Empty' || groupState === 'Dead') return { isSettled: false, reason: 'nobody is in the group' }
  if (groupState !== 'Stable') {
    return {
      isSettled: false,
      reason: `the group is ${groupState ?? 'unknown'}, not Stable: a rebalance is in progress`
    }
  }
  const ownerless = partitions.filter(({ owner }) => owner === '').length
  if (ownerless > 0 && (members?.length ?? 0) > 0) {
    return { isSettled: false, reason: `${ownerless} of ${partitions.length} partitions have no owner yet` }
  }
  return { isSettled: true, reason: '' }
}

/** Learns from a look. `isComplete` = nothing is missing in it: only then rates count. */
export function learn(
  state: ScaleState,
  observation: ScaleObservation,
  { policy, isComplete }: { readonly policy: ScalePolicy; readonly isComplete: boolean }
): ScaleState {
  const settled = learnFleet(learnSettling(learnSize(state, observation), observation), observation)
  if (!isComplete || !isMeasurable(settled, observation.atMs, policy)) return settled
  const load = loadOf(observation)
  const around = { observation, policy }
  return learnRate(judgeStep(settled, load, around), load, around)
}

/** Whether rates are those of the group as it is: settled for long enough, and all instances there. */
export function isMeasurable(state: ScaleState, nowMs: number, policy: ScalePolicy): boolean {
  return state.settledSinceMs !== undefined && nowMs - state.settledSinceMs >= policy.measureSeconds * 1000
}

/** A size that changed without the scaler is a step, too: it costs a rebalance like any other. */
function learnSize(state: ScaleState, { wanted, atMs }: ScaleObservation): ScaleState {
  if (wanted === undefined) return state
  if (state.lastWanted === undefined || state.lastWanted === wanted) return { ...state, lastWanted: wanted }
  const lastStep: ScaleStep = {
    atMs,
    from: state.lastWanted,
    to: wanted,
    by: 'somebody',
    throughput: undefined,
    verdict: 'unjudged'
  }
  return { ...state, lastWanted: wanted, lastStep, wants: [] }
}

/** Since when the fleet is not as large as it should be. */
function learnFleet(state: ScaleState, { wanted, running, members, atMs }: ScaleObservation): ScaleState {
  if (wanted === undefined || running === undefined || members === undefined) return state
  const { incompleteSinceMs, ...rest } = state
  const isComplete = running >= wanted && members.length >= wanted
  return isComplete ? rest : { ...rest, incompleteSinceMs: incompleteSinceMs ?? atMs }
}

function learnSettling(state: ScaleState, observation: ScaleObservation): ScaleState {
  const { atMs, members } = observation
  if (members === undefined || observation.groupState === undefined) return state
  const { isSettled } = settlingOf(observation)
  const hasMoved = state.members !== undefined && !isSame(state.members, members)
  const { unsettledSinceMs: sinceMs, settledSinceMs, ...rest } = state
  const began = (hasMoved || !isSettled) && sinceMs === undefined && state.members !== undefined
  const rebalancesMs = began && !isExplained(state, atMs) ? [...state.rebalancesMs, atMs].slice(-REBALANCES_MAX) : null
  const next = { ...rest, members: [...members], ...(rebalancesMs === null ? {} : { rebalancesMs }) }
  if (!isSettled) return { ...next, unsettledSinceMs: sinceMs ?? atMs }
  if (sinceMs !== undefined) {
    const took = (atMs - sinceMs) / 1000
    // Slowly forgotten: one long rebalance makes the pauses long, not for ever.
    const rebalanceSeconds = Math.max(took, (state.rebalanceSeconds ?? 0) * 0.8)
    return { ...next, settledSinceMs: atMs, rebalanceSeconds }
  }
  return { ...next, settledSinceMs: hasMoved || settledSinceMs === undefined ? atMs : settledSinceMs }
}

/** Whether a step is recent enough to be the reason of a rebalance. */
function isExplained({ lastStep }: ScaleState, nowMs: number): boolean {
  return lastStep !== undefined && nowMs - lastStep.atMs < 300_000
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length
}

/** What became of a step up, once the group has been settled for long enough after it. */
function judgeStep(
  state: ScaleState,
  load: GroupLoad,
  { observation, policy }: { readonly observation: ScaleObservation; readonly policy: ScalePolicy }
): ScaleState {
  const { lastStep } = state
  if (lastStep?.verdict !== 'open' || (state.settledSinceMs ?? 0) < lastStep.atMs) return state
  // What an open breaker holds back is not held back by the step.
  if (observation.target?.isBreakerOpen === true) return state
  const verdict = verdictOf(lastStep, load)
  const next = { ...state, lastStep: { ...lastStep, verdict } }
  if (verdict !== 'harmful' && verdict !== 'useless') return next
  const { from, to, throughput = 0 } = lastStep
  const gain = `${words.rate(throughput)} before, ${words.rate(load.service)} after`
  const what = verdict === 'harmful' ? 'lowered the throughput' : 'did not raise the throughput'
  return {
    ...next,
    ceiling: {
      instances: verdict === 'harmful' ? from : to,
      untilMs: observation.atMs + policy.ceilingSeconds * 1000,
      reason: `the step from ${from} to ${to} ${what}: ${gain}`
    }
  }
}

function verdictOf({ from, to, throughput }: ScaleStep, { isBusy, service }: GroupLoad): StepVerdict {
  if (to < from || throughput === undefined || throughput <= 0) return 'unjudged'
  // Nothing waits any more: whatever it did, it was enough.
  if (!isBusy) return 'helped'
  const gain = service / throughput
  if (gain < HARMFUL_RATIO) return 'harmful'
  return gain < 1 + (to / from - 1) * USEFUL_SHARE ? 'useless' : 'helped'
}

function learnRate(
  state: ScaleState,
  load: GroupLoad,
  { observation, policy }: { readonly observation: ScaleObservation; readonly policy: ScalePolicy }
): ScaleState {
  const suspicion = suspicionOf(state, load, { observation, policy })
  const sinceMs = state.sickSinceMs ?? observation.atMs
  const isNewNormal =
    observation.target?.isBreakerOpen !== true && observation.atMs - sinceMs >= policy.sickHoldSeconds * 1000
  if (suspicion !== undefined && !isNewNormal) return { ...state, sickSinceMs: sinceMs }
  const { sickSinceMs: _, ...healthy } = state
  const verdict = state.lastStep?.verdict
  // Instances beyond what helps do less each, but could do more: that is no measurement of an instance.
  const isHeldBack = verdict === 'useless' || verdict === 'harmful'
  return {
    ...healthy,
    ...latencyOf(state, observation, { isNewNormal: suspicion !== undefined, slowRatio: policy.sickLatencyRatio }),
    ...(isHeldBack ? {} : rateOf(state, load, suspicion !== undefined))
  }
}

function rateOf(
  state: ScaleState,
  { busyRate, meanRate }: GroupLoad,
  isNewNormal: boolean
): Pick<ScaleState, 'ratePerInstance' | 'isRateLowerBound'> {
  const known = state.ratePerInstance
  if (busyRate !== undefined && busyRate > 0) {
    if (known === undefined || state.isRateLowerBound === true || isNewNormal) {
      return { ratePerInstance: busyRate, isRateLowerBound: false }
    }
    return { ratePerInstance: known + (busyRate - known) * RATE_SHARE, isRateLowerBound: false }
  }
  if (known === undefined) return meanRate > 0 ? { ratePerInstance: meanRate, isRateLowerBound: true } : {}
  // It did more than it was thought to be able to, without being busy.
  return meanRate > known ? { ratePerInstance: meanRate } : {}
}

function latencyOf(
  { usualLatencyMs }: ScaleState,
  { target }: ScaleObservation,
  { isNewNormal, slowRatio }: { readonly isNewNormal: boolean; readonly slowRatio: number }
): Pick<ScaleState, 'usualLatencyMs'> {
  const latency = target?.latencyMs
  if (latency === undefined) return {}
  if (usualLatencyMs === undefined || isNewNormal) return { usualLatencyMs: latency }
  // A look that spans the turn is not what is usual.
  if (latency > usualLatencyMs * slowRatio) return {}
  return { usualLatencyMs: usualLatencyMs + (latency - usualLatencyMs) * LATENCY_SHARE }
}

/** What speaks for a sick target. */
export type Suspicion =
  | { readonly kind: 'breaker' }
  | { readonly kind: 'latency'; readonly latencyMs: number; readonly usualMs: number; readonly rate: number }
  | { readonly kind: 'rate'; readonly rate: number; readonly usualRate: number }

/** A slow target shows in the rate of busy instances, in their latency where they tell it, and in their breakers. */
export function suspicionOf(
  state: ScaleState,
  { busyRate }: GroupLoad,
  { observation, policy }: { readonly observation: ScaleObservation; readonly policy: ScalePolicy }
): Suspicion | undefined {
  const { target } = observation
  if (target?.isBreakerOpen === true) return { kind: 'breaker' }
  const { ratePerInstance: usualRate, usualLatencyMs: usualMs } = state
  if (busyRate === undefined || usualRate === undefined || state.isRateLowerBound === true) return undefined
  const latencyMs = target?.latencyMs
  if (latencyMs !== undefined && usualMs !== undefined) {
    const isSlow = latencyMs > usualMs * policy.sickLatencyRatio
    // Half way to the threshold of the rate alone: two witnesses need less each.
    const isLess = busyRate < usualRate * ((1 + policy.sickRateRatio) / 2)
    return isSlow && isLess ? { kind: 'latency', latencyMs, usualMs, rate: busyRate } : undefined
  }
  // A step up that shares the same work among more is no sign of a sick target.
  if (state.lastStep?.verdict === 'useless') return undefined
  return busyRate < usualRate * policy.sickRateRatio ? { kind: 'rate', rate: busyRate, usualRate } : undefined
}
