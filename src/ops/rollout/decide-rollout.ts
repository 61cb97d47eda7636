/**
 * Decides what a rollout does next. Pure.
 *
 * An instance is taken only while every gate is open, and has been for a while:
 * all instances healthy, the group stable and complete, every partition owned,
 * the lag back where it was, no more dead letters than before. After it is taken
 * the same gates say when it is done. A gate that does not open in time, a lag or
 * an error rate that gets out of hand, or an instance that fails, halts.
 *
 * Invariants: never two instances down by its doing; nothing is taken while
 * anything is unknown; what has halted does nothing until a person resumes it.
 */

import type { RolloutAction, RolloutObservation, RolloutPolicy, RolloutState, RolloutTarget } from './rollout-types.ts'

/** What a decision is made of. */
export interface RolloutRequest {
  readonly observation: RolloutObservation
  readonly state: RolloutState
  readonly policy: RolloutPolicy
}

/** What to do, and what to remember. */
export interface RolloutAnswer {
  readonly action: RolloutAction
  readonly state: RolloutState
}

/**
 * A rollout that has not begun.
 *
 * @param observation - How it is before.
 */
export function newRollout(fleet: string, observation: RolloutObservation): RolloutState {
  const instances = observation.instances ?? []
  return {
    version: 1,
    fleet,
    phase: 'ready',
    startedMs: observation.atMs,
    remaining: instances.map(({ id, incarnation }) => ({ id, incarnation })),
    done: [],
    before: {
      instances: instances.length,
      members: observation.members?.length ?? 0,
      idle: idleOf(observation.members ?? []),
      lagSeconds: observation.lagSeconds ?? 0,
      deadLetters: observation.deadLetters?.toString() ?? null
    },
    isCanaryPassed: false
  }
}

/** Goes on after a halt or a pause: an instance that was under way is judged by the gates before another is taken. */
export function resumeRollout(state: RolloutState, nowMs: number): RolloutState {
  const { haltReason: _, openSinceMs: __, deadLettersSeen: ___, ...rest } = state
  if (state.phase === 'done') return state
  const isCanaryPassed = state.phase === 'paused' || state.isCanaryPassed
  if (state.current === undefined) return { ...rest, phase: 'ready', isCanaryPassed, stepStartedMs: nowMs }
  return { ...rest, phase: 'restarting', isCanaryPassed, isResumed: true, stepStartedMs: nowMs }
}

/** Decides. `nowMs` is the time of the decision, in milliseconds since 1970. */
export function decideRollout({ observation, state, policy }: RolloutRequest, nowMs: number): RolloutAnswer {
  if (state.phase === 'done') return { action: { kind: 'done', reasons: ['every instance is new'] }, state }
  if (state.phase === 'halted') return { action: { kind: 'halt', reasons: [state.haltReason ?? 'halted'] }, state }
  const alarm = alarmOf({ observation, state, policy })
  if (alarm !== undefined) return halt(state, alarm)
  // One that is still the old one, though all is well, was written down and never asked for: it is taken again.
  const shut = gatesOf(observation, state.isResumed === true ? withoutCurrent(state) : state, policy)
  const stepStartedMs = state.stepStartedMs ?? nowMs
  const seen = { ...state, stepStartedMs, ...deadLettersOf(observation, state) }
  if (shut.length > 0) {
    const { openSinceMs: _, ...waiting } = seen
    const seconds = (nowMs - stepStartedMs) / 1000
    if (seconds <= policy.stepTimeoutSeconds) return { action: { kind: 'wait', reasons: shut }, state: waiting }
    const what = state.current === undefined ? 'it could not begin' : `${state.current.id} is not back`
    return halt(waiting, `${what} within ${policy.stepTimeoutSeconds} s: ${shut.join('; ')}`)
  }
  const openSinceMs = state.openSinceMs ?? nowMs
  const left = policy.settleSeconds - (nowMs - openSinceMs) / 1000
  const open = { ...seen, openSinceMs }
  if (left > 0) return { action: { kind: 'wait', reasons: [`settled; ${Math.ceil(left)} s to be sure`] }, state: open }
  return next(finishStep(open, observation), policy, { observation, nowMs })
}

function withoutCurrent(state: RolloutState): RolloutState {
  const { current: _, ...rest } = state
  return rest
}

/** The instance under way is done; after a resume it may be the old one still, and is the next. */
function finishStep(state: RolloutState, { instances = [] }: RolloutObservation): RolloutState {
  const { current, isResumed: _, ...rest } = state
  if (current === undefined) return rest
  if (instances.some(each => keyOf(each) === keyOf(current))) {
    return { ...rest, phase: 'ready', remaining: [current, ...state.remaining] }
  }
  return { ...rest, phase: 'ready', done: [...state.done, current.id] }
}

function next(
  state: RolloutState,
  policy: RolloutPolicy,
  { observation, nowMs }: { readonly observation: RolloutObservation; readonly nowMs: number }
): RolloutAnswer {
  const present = new Set(observation.instances?.map(keyOf))
  // Those that somebody else has replaced meanwhile are new already.
  const remaining = state.remaining.filter(each => present.has(keyOf(each)))
  const [instance, ...others] = remaining
  const total = state.done.length + remaining.length
  if (instance === undefined) {
    const reasons = [`${state.done.length} of ${total} instances are new, the group is settled`]
    return { action: { kind: 'done', reasons }, state: { ...state, remaining: [], phase: 'done' } }
  }
  if (policy.canary > 0 && state.done.length >= policy.canary && !state.isCanaryPassed) {
    const reasons = [`${state.done.length} of ${total} instances are new: look at them, then go on with --resume`]
    return { action: { kind: 'pause', reasons }, state: { ...state, remaining, phase: 'paused' } }
  }
  const { openSinceMs: _, ...rest } = state
  const reasons = [`every gate is open: ${instance.id} is next (${state.done.length + 1} of ${total})`]
  return {
    action: { kind: 'restart', instance, reasons },
    state: { ...rest, phase: 'restarting', current: instance, remaining: others, stepStartedMs: nowMs }
  }
}

function halt(state: RolloutState, reason: string): RolloutAnswer {
  return { action: { kind: 'halt', reasons: [reason] }, state: { ...state, phase: 'halted', haltReason: reason } }
}

/** What halts at once, whatever the time. */
function alarmOf({ observation, state, policy }: RolloutRequest): string | undefined {
  const { instances = [], lagSeconds = 0 } = observation
  const failed = instances.filter(each => each.state === 'failed')
  const [first] = failed
  if (first !== undefined && state.phase === 'restarting') {
    return `${namesOf(failed)} failed while ${state.current?.id ?? 'an instance'} was being replaced`
  }
  const worst = Math.max(policy.haltLagSeconds, state.before.lagSeconds * policy.lagRatio)
  if (state.phase === 'restarting' && lagSeconds > worst) {
    const before = Math.round(state.before.lagSeconds)
    return `the lag is ${Math.round(lagSeconds)} s, above ${Math.round(worst)} s (before: ${before} s)`
  }
  const { deadLetters, atMs } = observation
  const before = state.deadLettersSeen
  if (deadLetters === undefined || before === undefined || state.phase !== 'restarting') return undefined
  const seconds = (atMs - before.atMs) / 1000
  const rate = seconds > 0 ? Number(deadLetters - BigInt(before.count)) / seconds : 0
  if (rate <= policy.deadLettersPerSecondMax) return undefined
  return `${Math.round(rate * 10) / 10} dead letters per second, more than ${policy.deadLettersPerSecondMax}`
}

/** Dead letters are counted over some seconds, so that a single one is not a rate. */
const DEAD_LETTERS_WINDOW_MS = 10_000

function deadLettersOf({ deadLetters, atMs }: RolloutObservation, state: RolloutState): Partial<RolloutState> {
  const before = state.deadLettersSeen
  if (deadLetters === undefined) return {}
  if (before !== undefined && atMs - before.atMs < DEAD_LETTERS_WINDOW_MS) return {}
  return { deadLettersSeen: { atMs, count: deadLetters.toString() } }
}

/** The gates that are shut, a sentence each; empty = all are open. */
export function gatesOf(observation: RolloutObservation, state: RolloutState, policy: RolloutPolicy): string[] {
  const { instances, groupState, members, partitionCount, lagSeconds, problems } = observation
  const shut = [...problems]
  if (instances === undefined) shut.push('the fleet is unknown')
  else {
    const down = instances.filter(each => each.state !== 'running')
    if (down.length > 0) {
      shut.push(`${down.length} of ${instances.length} instances are not up: ${namesOf(down)}`)
    }
    const { current } = state
    if (current !== undefined && instances.some(each => keyOf(each) === keyOf(current))) {
      shut.push(`${current.id} is still the old one`)
    }
    const up = instances.length - down.length
    if (up < state.before.instances) shut.push(`${up} instances run, ${state.before.instances} did before`)
  }
  if (groupState !== 'Stable') shut.push(`the group is ${groupState ?? 'unknown'}, not Stable`)
  if (members === undefined) shut.push('the members are unknown')
  else {
    if (members.length < state.before.members) {
      shut.push(`${members.length} members, ${state.before.members} were there before`)
    }
    shut.push(...ownership(members, partitionCount, state.before.idle))
  }
  if (lagSeconds === undefined) shut.push('the lag is unknown')
  else {
    const most = Math.max(policy.maxLagSeconds, state.before.lagSeconds * policy.lagRatio)
    if (lagSeconds > most) shut.push(`the lag is ${Math.round(lagSeconds)} s, above ${Math.round(most)} s`)
  }
  return shut
}

function ownership(
  members: readonly { readonly partitions: number }[],
  partitionCount: number | undefined,
  idleBefore: number
): string[] {
  if (partitionCount === undefined) return ['the partitions are unknown']
  const owned = members.reduce((sum, each) => sum + each.partitions, 0)
  if (owned < partitionCount) return [`${partitionCount - owned} of ${partitionCount} partitions have no owner`]
  const idle = idleOf(members)
  const expected = Math.max(idleBefore, members.length - partitionCount)
  // A member without partitions while others have several is one that has just come.
  return idle > expected ? [`${idle - expected} members own no partition yet`] : []
}

function idleOf(members: readonly { readonly partitions: number }[]): number {
  return members.filter(each => each.partitions === 0).length
}

function namesOf(instances: readonly { readonly id: string; readonly health: string }[]): string {
  return instances.map(({ id, health }) => `${id} (${health})`).join(', ')
}

function keyOf({ id, incarnation }: RolloutTarget): string {
  return `${id}/${incarnation}`
}
