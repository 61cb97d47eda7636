/** A rollout as a plan that a person reads before: which instances, behind which gates, with which warnings. */

import type { ChangePlan } from '../change/change.ts'
import type { FleetActuator } from '../fleet/fleet.ts'
import { readState } from '../fleet/json-state.ts'
import { assignorWarnings, type AssignorQuestion } from './assignors.ts'
import { gatesOf } from './decide-rollout.ts'
import type { RolloutObservation, RolloutPolicy, RolloutState } from './rollout-types.ts'

/** What the plan is made of. */
export interface RolloutPlanRequest {
  readonly fleet: FleetActuator
  readonly state: RolloutState
  readonly observation: RolloutObservation
  readonly policy: RolloutPolicy
  /** Of the group and of the pipeline file; absent where the file has no dispatcher. */
  readonly assignors?: AssignorQuestion
  /** `dispatcher.groupInstanceId` is set, and for how long a member may then be away, in seconds. */
  readonly staticSeconds?: number | undefined
  readonly keeperProblems: readonly string[]
}

/** Plans it. Gates that are shut are in its way. */
export function planRollout(request: RolloutPlanRequest): ChangePlan {
  const { fleet, state, observation, policy, assignors, staticSeconds, keeperProblems } = request
  const places = [...(state.current === undefined ? [] : [state.current]), ...state.remaining]
  const health = new Map(observation.instances?.map(each => [each.id, each.health]))
  const warnings = assignors === undefined ? [] : assignorWarnings(assignors)
  if (staticSeconds === undefined) {
    warnings.push('each instance leaves the group and joins again: two rebalances for each')
  } else {
    warnings.push(`static members: one that is back within ${staticSeconds} s moves no partition`)
  }
  if (places.length === 1) warnings.push('it is the only instance: nothing is delivered until it is back')
  if (policy.canary > 0) warnings.push(`pauses after ${policy.canary}, until somebody says --resume`)
  const isFresh = state.done.length === 0 && state.current === undefined
  const gates = isFresh ? gatesOf(observation, state, policy) : []
  // A fleet that does not answer seems empty: its gate says so.
  const empty = places.length === 0 && observation.instances !== undefined ? [`${fleet.name} has no instances`] : []
  return {
    kind: 'rollout',
    confirmWord: fleet.name,
    summary:
      `${fleet.name}: ${places.length} instances one at a time; between two the group is settled for ` +
      `${policy.settleSeconds} s and the lag below ${policy.maxLagSeconds} s or back where it was`,
    effects: places.map(({ id }) => ({ what: id, before: health.get(id) ?? '', after: 'replaced' })),
    warnings,
    blockers: [...empty, ...keeperProblems, ...gates],
    undo: { kind: 'impossible', reason: 'roll out the configuration, or the image, of before' }
  }
}

/**
 * What a rollout remembered; `undefined` if there was none.
 *
 * @throws PipelineError `ERR_OPS_SCALE_STATE` if the file cannot be read, or is damaged.
 */
export async function readRollout(path: string): Promise<RolloutState | undefined> {
  return await readState(path, isRolloutState)
}

function isRolloutState(value: unknown): value is RolloutState {
  const { version, phase, remaining, done, before } = Object(value) as Record<string, unknown>
  return (
    version === 1 && typeof phase === 'string' && Array.isArray(remaining) && Array.isArray(done) && before !== null
  )
}
