/** Every experiment, in the order of `comporta chaos list`, and how names become experiments. */

import { PipelineError } from '../../core/index.ts'
import type { ChaosExperiment } from './experiment.ts'
import { brokerKill } from './experiments/broker-kill.ts'
import { brokerRestart } from './experiments/broker-restart.ts'
import { byHand } from './experiments/by-hand.ts'
import { certificateExpired } from './experiments/certificate-expired.ts'
import { certificateRotated } from './experiments/certificate-rotated.ts'
import { clockSkew } from './experiments/clock-skew.ts'
import { duplicateInstance } from './experiments/duplicate-instance.ts'
import { failingTarget } from './experiments/failing-target.ts'
import { killAll } from './experiments/kill-all.ts'
import { killDispatcher } from './experiments/kill-dispatcher.ts'
import { killLambda } from './experiments/kill-lambda.ts'
import { killProducer } from './experiments/kill-producer.ts'
import { networkCut } from './experiments/network-cut.ts'
import { networkHalfOpen } from './experiments/network-half-open.ts'
import { networkSlow } from './experiments/network-slow.ts'
import { partitionGrowth } from './experiments/partition-growth.ts'
import { poisonBurst } from './experiments/poison-burst.ts'
import { rebalanceStorm } from './experiments/rebalance-storm.ts'
import { rollingReplace } from './experiments/rolling-replace.ts'
import { slowTarget } from './experiments/slow-target.ts'
import { stop } from './experiments/stop.ts'
import { targetAway } from './experiments/target-away.ts'

/** All of them. */
export const CHAOS_EXPERIMENTS: readonly ChaosExperiment[] = [
  killDispatcher,
  killProducer,
  killLambda,
  killAll,
  stop,
  slowTarget,
  failingTarget,
  targetAway,
  networkCut,
  networkHalfOpen,
  networkSlow,
  rebalanceStorm,
  rollingReplace,
  duplicateInstance,
  partitionGrowth,
  poisonBurst,
  clockSkew,
  brokerKill,
  brokerRestart,
  certificateRotated,
  certificateExpired,
  byHand
]

/**
 * Experiments by their names, or `all`.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` that says which there are.
 */
export function experimentsNamed(names: readonly string[]): readonly ChaosExperiment[] {
  if (names.includes('all')) return CHAOS_EXPERIMENTS
  return names.map(name => {
    const found = CHAOS_EXPERIMENTS.find(each => each.name === name)
    if (found !== undefined) return found
    const known = CHAOS_EXPERIMENTS.map(each => each.name).join(', ')
    throw new PipelineError('ERR_OPS_NOT_FOUND', `no experiment is called ${name}; there are: ${known}, all`)
  })
}
