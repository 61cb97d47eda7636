/**
 * Makes the instances of a fleet anew, one at a time, behind gates.
 *
 * Where the keeper makes rollouts itself (Kubernetes), it is let go for one
 * instance and held again; everywhere else an instance is ended and its keeper
 * puts a new one in its place. What has been done is written to a file before
 * each step, so that `--resume` goes on where it was.
 *
 * A halt leaves everything as it is: the instances that are new stay, the others
 * stay old, and nothing is taken any more.
 */

import { briefMessageOf, type Clock, PipelineError, sleep } from '../../core/index.ts'
import type { FleetActuator } from '../fleet/fleet.ts'
import { writeState } from '../fleet/json-state.ts'
import { decideRollout } from './decide-rollout.ts'
import type { RolloutAction, RolloutObservation, RolloutPolicy, RolloutState, RolloutTarget } from './rollout-types.ts'

/** Options of `runRollout`. */
export interface RolloutOptions {
  readonly fleet: FleetActuator
  readonly policy: RolloutPolicy
  readonly observe: (signal: AbortSignal | undefined) => Promise<RolloutObservation>
  /** Time between two looks, in seconds. */
  readonly pollSeconds: number
  readonly clock: Clock
  /** File of what is remembered. Absent = it cannot be resumed by another process. */
  readonly stateFile?: string
  /** Hears of each action; waits are repeated. */
  readonly onAction?: (action: RolloutAction, state: RolloutState) => void
  readonly signal?: AbortSignal
}

/** How often the keeper of a rollout is asked whether it has begun with the next instance. */
const KEEPER_POLL_MS = 300

/**
 * Runs until it is done, paused, halted, or the signal ends it between two steps.
 *
 * @returns The state it ended in.
 * @throws PipelineError `ERR_OPS_SCALE_STATE` if what is remembered cannot be written.
 */
export async function runRollout(options: RolloutOptions, begun: RolloutState): Promise<RolloutState> {
  const { fleet, policy, observe, clock, pollSeconds, onAction, signal } = options
  let state = begun
  while (!isEnded(signal)) {
    const observation = await observe(signal)
    if (isEnded(signal)) break
    const { action, state: next } = decideRollout({ observation, state, policy }, clock.now())
    state = next
    await save(options, state)
    onAction?.(action, state)
    if (action.kind === 'restart') {
      state = await step(options, state, action.instance)
      await save(options, state)
      continue
    }
    if (action.kind === 'done' && state.isBegun === true) await fleet.rollout?.resume(signal)
    if (action.kind !== 'wait') return state
    await sleep(clock, pollSeconds * 1000, signal)
  }
  return state
}

function isEnded(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

async function save({ stateFile }: RolloutOptions, state: RolloutState): Promise<void> {
  if (stateFile !== undefined) await writeState(stateFile, state)
}

/** Takes one instance. What cannot be done halts: the next look would try it again and again. */
async function step(options: RolloutOptions, state: RolloutState, instance: RolloutTarget): Promise<RolloutState> {
  const { fleet, signal, onAction } = options
  try {
    if (fleet.rollout !== undefined) return await keeperStep(options, state)
    await fleet.restart(instance.id, signal)
    return state
  } catch (error) {
    const haltReason = `${instance.id} could not be replaced: ${briefMessageOf(error)}`
    onAction?.({ kind: 'halt', reasons: [haltReason] }, state)
    return { ...state, phase: 'halted', haltReason }
  }
}

/** Lets the keeper take one instance, and finds out which. */
async function keeperStep(options: RolloutOptions, state: RolloutState): Promise<RolloutState> {
  const { fleet, signal, clock, policy } = options
  const { rollout } = fleet
  if (rollout === undefined) return state
  const all = [...(state.current === undefined ? [] : [state.current]), ...state.remaining]
  const begun = { ...state, isBegun: true }
  if (state.isBegun !== true) {
    await save(options, begun)
    await rollout.begin(signal)
  }
  const before = (await rollout.status(signal)).begun
  const endMs = clock.monotonicMs() + policy.stepTimeoutSeconds * 1000
  await rollout.resume(signal)
  try {
    while (clock.monotonicMs() < endMs && !isEnded(signal)) {
      const status = await rollout.status(signal)
      if (status.problem !== undefined) throw new PipelineError('ERR_OPS_REFUSED', status.problem)
      if (status.begun > before) break
      await sleep(clock, KEEPER_POLL_MS, signal)
    }
  } finally {
    // Held whatever happens, this process's end included: nothing goes on unwatched.
    await rollout.pause()
  }
  const present = new Set((await fleet.instances(signal)).filter(each => each.state !== 'stopping').map(({ id }) => id))
  const gone = all.find(({ id }) => !present.has(id)) ?? state.current
  if (gone === undefined) return begun
  return { ...begun, current: gone, remaining: all.filter(({ id }) => id !== gone.id) }
}
