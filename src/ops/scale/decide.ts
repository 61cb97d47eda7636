/**
 * Decides how many instances a group shall have.
 *
 * Pure: what was seen, what is remembered and the time give a decision and what
 * is to be remembered. Nothing is done here; whoever does it reports it with
 * `stepTaken`, so that a dry run decides the same again and again.
 *
 * Invariants: never more instances than partitions, nor above any maximum; no
 * step within the pause after the last one, which is longer than the longest
 * rebalance seen; no step while the group rebalances, while the fleet is not
 * complete, or while anything that it needs is unknown; one instance fewer at a
 * time, and only after a whole window in which fewer were enough.
 */

import { kedaReplicas } from '../keda/keda.ts'
import { isMeasurable, learn, settlingOf } from './learn.ts'
import { type GroupLoad, loadOf } from './load.ts'
import type { ScaleDecision, ScaleHold, ScaleObservation, ScalePolicy, ScaleState } from './scale-types.ts'
import { type Limit, limitOf, missingInput, roomOf, sickTarget, stormReason, vetoOf } from './vetoes.ts'
import { alternativesOf, drainFormula, evenDown, evenUp } from './wanted.ts'
import { notAhead } from './state-file.ts'
import * as words from './words.ts'

/** What a decision is made of. */
export interface ScaleRequest {
  readonly observation: ScaleObservation
  readonly state: ScaleState
  readonly policy: ScalePolicy
}

/** A decision, and what is to be remembered. */
export interface ScaleAnswer {
  readonly decision: ScaleDecision
  readonly state: ScaleState
}

const WANTS_MAX = 500

/** Decides. `nowMs` is the time of the decision, in milliseconds since 1970. */
export function decide({ observation, state, policy }: ScaleRequest, nowMs: number): ScaleAnswer {
  const missing = missingInput(observation, policy, nowMs)
  const learned = learn(notAhead(state, policy, nowMs), observation, { policy, isComplete: missing.length === 0 })
  const { wanted: current } = observation
  const least = leastOf(observation, policy)
  const tooFew = current !== undefined && current < least
  if (missing.length > 0) {
    // Nothing has to be known of the group to know that too few of them are there.
    if (tooFew && pauseLeft(learned, policy, { nowMs, isUp: true }) <= 0) return toMinimum(current)
    return held('unknownInput', missing, { ...learned, wants: [] })
  }
  const settling = settlingOf(observation)
  if (!settling.isSettled && !(tooFew && observation.members?.length === 0)) {
    return held('rebalance', [settling.reason], learned)
  }
  const storm = stormReason(learned, policy, nowMs)
  if (storm !== undefined) return held('storm', [storm], learned)
  const fleet = incompleteReason(observation, learned, { policy, nowMs })
  if (fleet !== undefined) return held('fleetIncomplete', [fleet], learned)
  if (tooFew && current !== undefined) {
    const left = pauseLeft(learned, policy, { nowMs, isUp: true })
    return left > 0 ? held('cooldown', [pauseReason(learned, left)], learned) : toMinimum(current)
  }
  return weigh({ observation, state: learned, policy, load: loadOf(observation), current: current ?? 0, nowMs })

  function held(hold: ScaleHold, reasons: readonly string[], next: ScaleState): ScaleAnswer {
    return { decision: holding({ hold, reasons, nowMs, current }), state: next }
  }

  function toMinimum(from: number): ScaleAnswer {
    const to = least
    const bound = to < policy.instancesMin ? `, of which partitions and the fleet allow ${to}` : ''
    const reason = `${words.instances(from)}: fewer than instancesMin ${policy.instancesMin}${bound}`
    const decision = { atMs: nowMs, from, to, computed: undefined, hold: 'none', alternatives: [] } as const
    return { decision: { ...decision, action: 'resize', reasons: [reason] }, state: learned }
  }
}

/** The fewest there shall be: not more than there can be, or the size would swing between the two. */
function leastOf(observation: ScaleObservation, policy: ScalePolicy): number {
  const { partitions, fleetMax = policy.instancesMin } = observation
  const most = partitions.length === 0 ? fleetMax : Math.min(fleetMax, roomOf(observation))
  return Math.min(policy.instancesMin, most)
}

/**
 * Remembers that a decision was carried out.
 *
 * @param observation - That which the decision was made of.
 */
export function stepTaken(state: ScaleState, decision: ScaleDecision, observation: ScaleObservation): ScaleState {
  const { from, to, atMs } = decision
  if (from === undefined || to === undefined || from === to) return state
  const load = loadOf(observation)
  const isComparable = to > from && load.isBusy && decision.hold === 'none'
  return {
    ...state,
    lastWanted: to,
    wants: [],
    lastStep: {
      atMs,
      from,
      to,
      by: 'scaler',
      throughput: isComparable ? load.service : undefined,
      verdict: isComparable ? 'open' : 'unjudged'
    }
  }
}

/** Everything that weighing needs. */
interface Weighing {
  readonly observation: ScaleObservation
  readonly state: ScaleState
  readonly policy: ScalePolicy
  readonly load: GroupLoad
  readonly current: number
  readonly nowMs: number
}

interface Computed {
  /** Size to have, before limits; `undefined` = cannot be said. */
  readonly instances: number | undefined
  /** Size that would be enough with something to spare. */
  readonly enough: number
  readonly reason: string
  readonly kedaOffsets?: Readonly<Record<string, string>>
}

function weigh(given: Weighing): ScaleAnswer {
  const { observation, policy, load, current, nowMs } = given
  if (!isMeasurable(given.state, nowMs, policy)) {
    const settledFor = (nowMs - (given.state.settledSinceMs ?? nowMs)) / 1000
    const reason = `settled for ${words.seconds(settledFor)}; rates count after ${words.seconds(policy.measureSeconds)}`
    return { decision: holding({ hold: 'measuring', reasons: [reason], nowMs, current }), state: given.state }
  }
  const limit = limitOf(observation, given.state, { policy, nowMs })
  const computed = computedOf(given)
  const state = remember(given, computed)
  const ratePerInstance = state.ratePerInstance ?? 0
  const { lastStep } = state
  const isHarmful =
    lastStep?.verdict === 'harmful' && lastStep.to === current && lastStep.from >= Math.max(1, policy.instancesMin)
  const weighed = { ...given, state }
  const outcome = isHarmful
    ? goBack(weighed, lastStep.from)
    : outcomeOf({ ...weighed, computed, limit, target: sizeOf(computed, limit, weighed) })
  const decision: ScaleDecision = {
    atMs: nowMs,
    action: outcome.hold === 'none' && outcome.to !== current ? 'resize' : 'hold',
    from: current,
    to: outcome.hold === 'none' ? outcome.to : current,
    computed: computed.instances,
    hold: outcome.hold,
    reasons: [...outcome.reasons, computed.reason],
    alternatives:
      ratePerInstance <= 0
        ? []
        : alternativesOf({
            load,
            ratePerInstance,
            current,
            computed: computed.instances ?? current,
            limit: limit.instances,
            min: policy.instancesMin
          })
  }
  return { decision, state }
}

function computedOf({ observation, policy, load, current, state }: Weighing): Computed {
  if (policy.mode === 'keda') return kedaComputed(observation, policy, state)
  const { ratePerInstance, isRateLowerBound = false } = state
  const isQuiet = !load.isBusy && load.lagSeconds <= policy.targetLagSeconds / 2
  if (ratePerInstance === undefined) {
    const isIdle = isQuiet && load.arrival === 0 && load.backlog === 0
    const reason = isIdle ? 'nothing arrives and nothing waits' : 'what an instance can do has not been seen yet'
    return { instances: isIdle ? policy.instancesMin : undefined, enough: isIdle ? current - 1 : current, reason }
  }
  const wanted = drainFormula(load, ratePerInstance, policy)
  if (isRateLowerBound && isQuiet) {
    const does = words.rate(load.meanRate)
    const reason = `no instance has been busy yet: each does ${does} and can do more, so one fewer is tried`
    return { instances: Math.min(wanted.instances, current), enough: current - 1, reason }
  }
  const enough = Math.ceil((wanted.neededRate * (1 + policy.downMarginRatio)) / ratePerInstance)
  return { instances: wanted.instances, enough: Math.max(1, enough), reason: wanted.reason }
}

function kedaComputed({ partitions, wanted }: ScaleObservation, policy: ScalePolicy, state: ScaleState): Computed {
  const previous = new Map(Object.entries(state.kedaOffsets ?? {}).map(([key, text]) => [key, BigInt(text)]))
  const found = kedaReplicas({
    options: { ...policy.keda, minReplicaCount: policy.instancesMin, maxReplicaCount: policy.instancesMax },
    partitions: partitions.map(({ topic, partition, committed, endOffset }) => ({
      topic,
      partition,
      committed,
      endOffset
    })),
    previous,
    ...(wanted === undefined ? {} : { currentReplicas: wanted })
  })
  const kedaOffsets = Object.fromEntries([...found.offsets].map(([key, offset]) => [key, offset.toString()]))
  const reason = `KEDA: ${found.reason}`
  if (found.problem !== undefined) return { instances: undefined, enough: wanted ?? 1, reason, kedaOffsets }
  return { instances: found.replicas, enough: found.replicas, reason, kedaOffsets }
}

/** Keeps what was wanted, for as long as the stabilisation window, and the last before it. */
function remember({ state, policy, nowMs }: Weighing, computed: Computed): ScaleState {
  const fromMs = nowMs - policy.stabilizationSeconds * 1000
  const instances = computed.instances === undefined ? Number.MAX_SAFE_INTEGER : computed.enough
  const wants = [...state.wants, { atMs: nowMs, instances }]
  const first = Math.max(
    0,
    wants.findLastIndex(({ atMs }) => atMs <= fromMs)
  )
  const { kedaOffsets } = computed
  return {
    ...state,
    wants: wants.slice(first).slice(-WANTS_MAX),
    ...(kedaOffsets === undefined ? {} : { kedaOffsets })
  }
}

/** The size to have: what is computed, spread evenly, within the limits, not more than a step away. */
function sizeOf(
  { instances = 0, enough }: Computed,
  limit: Limit,
  { observation, policy, current, load }: Weighing
): number {
  if (current > limit.instances) return current - 1
  if (instances > current) {
    const even = policy.preferEven ? evenUp(instances, load.partitionCount) : instances
    const bounded = even <= limit.instances ? even : evenDown(limit.instances, load.partitionCount)
    const most = Math.max(current + 1, Math.floor(current * policy.stepUpRatio))
    return Math.max(current, Math.min(bounded, limit.instances, most))
  }
  const least = Math.max(policy.instancesMin, observation.fleetMin ?? 0)
  return enough < current ? Math.min(current, Math.max(current - 1, least)) : current
}

interface Outcome {
  readonly hold: ScaleHold
  readonly to: number
  readonly reasons: readonly string[]
}

function goBack({ state, policy, nowMs, current }: Weighing, to: number): Outcome {
  const reason = `${state.ceiling?.reason ?? 'the last step lowered the throughput'}, so it is taken back`
  const left = pauseLeft(state, policy, { nowMs, isUp: true })
  if (left > 0) return { hold: 'cooldown', to: current, reasons: [reason, pauseReason(state, left)] }
  return { hold: 'none', to, reasons: [reason] }
}

interface Judged extends Weighing {
  readonly computed: Computed
  readonly limit: Limit
  readonly target: number
}

function outcomeOf(given: Judged): Outcome {
  const { computed, current, limit, target } = given
  const stay = (hold: ScaleHold, ...reasons: string[]): Outcome => ({ hold, to: current, reasons })
  if (computed.instances === undefined && current <= limit.instances) return stay('unknownInput')
  if (target === current) {
    if ((computed.instances ?? 0) <= current) return enoughOutcome(given)
    return stay(limit.kind === 'ceiling' ? 'ceiling' : 'limit', limit.reason)
  }
  if (target > current) return growth(given)
  return shrinking(given)
}

/** As many as the formula asks for. A lag that is old all the same has another reason than their number. */
function enoughOutcome({ observation, state, policy, load, current }: Judged): Outcome {
  if (load.lagSeconds <= policy.targetLagSeconds) {
    return { hold: 'none', to: current, reasons: [steadyReason(load, policy)] }
  }
  const late = lateReason(load, policy)
  const veto = vetoOf({ observation, state, policy, load })
  if (veto !== undefined) return { hold: veto.hold, to: current, reasons: [...veto.reasons, late] }
  return { hold: 'none', to: current, reasons: [late, 'these instances are enough for it'] }
}

function growth({ state, policy, observation, load, nowMs, current, target, computed }: Judged): Outcome {
  const veto = vetoOf({ observation, state, policy, load })
  if (veto !== undefined) return { hold: veto.hold, to: current, reasons: veto.reasons }
  if (state.incompleteSinceMs !== undefined) {
    return {
      hold: 'fleetIncomplete',
      to: current,
      reasons: ['not all that were asked for before have come: no more are']
    }
  }
  const left = pauseLeft(state, policy, { nowMs, isUp: true })
  const late = lateReason(load, policy)
  if (left > 0) return { hold: 'cooldown', to: current, reasons: [late, pauseReason(state, left)] }
  const reasons = [late]
  if (target !== computed.instances) {
    const perInstance = Math.ceil(load.partitionCount / target)
    reasons.push(
      `${words.instances(target)} in this step: the busiest has ${perInstance} of ${load.partitionCount} partitions`
    )
  }
  return { hold: 'none', to: target, reasons }
}

function shrinking({ observation, state, policy, load, nowMs, current, target, limit }: Judged): Outcome {
  const stay = (hold: ScaleHold, ...reasons: string[]): Outcome => ({ hold, to: current, reasons })
  const isOver = current > limit.instances
  const veto = sickTarget({ observation, state, policy, load })
  if (veto !== undefined) return stay(veto.hold, ...veto.reasons)
  if (!isOver && load.lagSeconds > policy.targetLagSeconds) return stay('none', lateReason(load, policy))
  if (!isOver) {
    const window = policy.stabilizationSeconds
    const oldest = state.wants[0]?.atMs ?? nowMs
    const covered = (nowMs - oldest) / 1000
    const most = Math.max(...state.wants.map(({ instances }) => instances))
    if (covered < window || most >= current) {
      const known = covered < window ? `for ${words.seconds(covered)} of ${words.seconds(window)}` : 'not all the time'
      return stay('stabilization', `fewer than ${current} would have been enough ${known}`)
    }
  }
  const left = pauseLeft(state, policy, { nowMs, isUp: false })
  if (left > 0) return stay('cooldown', pauseReason(state, left))
  const reason = isOver
    ? limit.reason
    : `fewer were enough for ${words.seconds(policy.stabilizationSeconds)}: one is taken away`
  return { hold: 'none', to: target, reasons: [reason] }
}

function steadyReason({ lagSeconds, arrival }: GroupLoad, { targetLagSeconds }: ScalePolicy): string {
  const lag = `lag ${words.seconds(lagSeconds)} of at most ${words.seconds(targetLagSeconds)}`
  return `the size is right: ${words.rate(arrival)} arrive, ${lag}`
}

function lateReason({ lagSeconds, backlog, service }: GroupLoad, { targetLagSeconds }: ScalePolicy): string {
  const lag = `lag ${words.seconds(lagSeconds)} (${words.number(backlog)} records)`
  const side = lagSeconds > targetLagSeconds ? 'above' : 'within'
  return `${lag} is ${side} ${words.seconds(targetLagSeconds)}; ${words.rate(service)} are taken`
}

function incompleteReason(
  { wanted = 0, running = 0, members = [] }: ScaleObservation,
  { incompleteSinceMs }: ScaleState,
  { policy, nowMs }: { readonly policy: ScalePolicy; readonly nowMs: number }
): string | undefined {
  if (incompleteSinceMs === undefined) return undefined
  const seconds = (nowMs - incompleteSinceMs) / 1000
  const seen = `${wanted} asked for, ${running} running, ${members.length} members for ${words.seconds(seconds)}`
  return seconds <= policy.fleetWaitSeconds ? `the fleet is not complete: ${seen}` : undefined
}

/** Seconds until the next step may be taken: never shorter than one and a half of the longest rebalance seen. */
function pauseLeft(
  { lastStep, rebalanceSeconds = 0 }: ScaleState,
  { upCooldownSeconds, downCooldownSeconds }: ScalePolicy,
  { nowMs, isUp }: { readonly nowMs: number; readonly isUp: boolean }
): number {
  if (lastStep === undefined) return 0
  const pause = Math.max(isUp ? upCooldownSeconds : downCooldownSeconds, rebalanceSeconds * 1.5)
  return pause - (nowMs - lastStep.atMs) / 1000
}

function pauseReason({ lastStep }: ScaleState, left: number): string {
  const { from, to, by } = lastStep ?? { from: 0, to: 0, by: 'scaler' }
  const whose = by === 'somebody' ? ' that somebody else made' : ''
  return `${words.seconds(left)} of the pause are left after the step from ${from} to ${to}${whose}`
}

function holding(given: {
  readonly hold: ScaleHold
  readonly reasons: readonly string[]
  readonly nowMs: number
  readonly current: number | undefined
}): ScaleDecision {
  const { hold, reasons, nowMs: atMs, current } = given
  return { atMs, action: 'hold', from: current, to: current, computed: undefined, hold, reasons, alternatives: [] }
}
