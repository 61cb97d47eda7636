/** What `comporta scale` would decide: its decision core, fed by the simulation as a cluster would feed it. */

import { type SimulationAutoscale } from '../../config/index.ts'
import { decide, stepTaken } from '../scale/decide.ts'
import {
  DEFAULT_SCALE_POLICY,
  EMPTY_SCALE_STATE,
  type ScaleObservation,
  type ScalePolicy,
  type ScaleState
} from '../scale/scale-types.ts'
import type { ScaleDecider, ScaleView } from './simulation-types.ts'

/** Where the times of simulated observations start: any time will do, but 0 looks like none. */
const EPOCH_MS = 1_000_000_000_000

/** A decider with the core's memory. */
export function scaleCoreDecider(settings: Extract<SimulationAutoscale, { policy: 'comporta' }>): ScaleDecider {
  let state: ScaleState = EMPTY_SCALE_STATE
  let before: ScaleView | undefined
  return view => {
    const policy: ScalePolicy = {
      ...DEFAULT_SCALE_POLICY,
      instancesMin: settings.instancesMin,
      instancesMax: settings.instancesMax ?? view.partitions,
      targetLagSeconds: settings.lagS,
      drainSeconds: settings.drainS
    }
    const observation = observationOf(view, before)
    before = view
    const answer = decide({ observation, state, policy }, observation.atMs)
    state = stepTaken(answer.state, answer.decision, observation)
    return answer.decision.to ?? view.instances
  }
}

function observationOf(view: ScaleView, before: ScaleView | undefined): ScaleObservation {
  const stepS = before === undefined ? undefined : view.timeS - before.timeS
  const rateOf = (now: Float64Array, then: Float64Array | undefined, partition: number): number | undefined => {
    if (stepS === undefined || then === undefined) return undefined
    return ((now[partition] ?? 0) - (then[partition] ?? 0)) / stepS
  }
  return {
    atMs: EPOCH_MS + Math.round(view.timeS * 1000),
    wanted: view.instances,
    running: view.instancesReady,
    groupState: view.isRebalancing ? 'PreparingRebalance' : 'Stable',
    members: view.members.map(member => `instance-${member}`),
    partitions: Array.from(view.partitionLags, (lagRecords, partition) => ({
      topic: 'simulated',
      partition,
      owner: (view.partitionOwners[partition] ?? -1) < 0 ? '' : `instance-${view.partitionOwners[partition]}`,
      lagRecords,
      lagSeconds: view.partitionLagSeconds[partition],
      arrivalRate: rateOf(view.partitionEnds, before?.partitionEnds, partition),
      serviceRate: rateOf(view.partitionDone, before?.partitionDone, partition)
    })),
    target: { isBreakerOpen: false, latencyMs: view.targetMs },
    problems: []
  }
}
