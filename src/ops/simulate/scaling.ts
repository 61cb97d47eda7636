/** Who decides how many instances there are: policies of a scenario, and a hook. Pure but for their memory. */

import { type SimulationAutoscale, simulationSeconds } from '../../config/index.ts'
import { scaleCoreDecider } from './scale-core.ts'
import type { ScaleDecider, ScaleView } from './simulation-types.ts'

type Policy<Name> = Extract<SimulationAutoscale, { policy: Name }>

/** A decider with its memory. */
export function deciderOf(autoscale: SimulationAutoscale, hook: ScaleDecider | undefined): ScaleDecider {
  const decide = hook ?? byPolicy(autoscale)
  return view => {
    const most = Math.min(autoscale.instancesMax ?? view.partitions, view.partitions)
    return Math.max(autoscale.instancesMin, Math.min(most, Math.round(decide(view))))
  }
}

function byPolicy(autoscale: SimulationAutoscale): ScaleDecider {
  switch (autoscale.policy) {
    case 'threshold':
      return byThreshold(autoscale)
    case 'keda':
      return byKeda(autoscale)
    case 'drainTime':
      return byDrainTime(autoscale)
    case 'comporta':
      return scaleCoreDecider(autoscale)
    case 'hook':
      return view => view.instances
  }
}

function byThreshold(policy: Policy<'threshold'>): ScaleDecider {
  let aboveSinceS: number | undefined
  let belowSinceS: number | undefined
  let steppedAtS = -Infinity
  return ({ timeS, lag, instances }) => {
    aboveSinceS = lag > policy.lag ? (aboveSinceS ?? timeS) : undefined
    belowSinceS = policy.lagLow !== undefined && lag < policy.lagLow ? (belowSinceS ?? timeS) : undefined
    if (timeS - steppedAtS < policy.cooldownS) return instances
    if (aboveSinceS !== undefined && timeS - aboveSinceS >= simulationSeconds(policy.for)) {
      steppedAtS = timeS
      return instances + policy.step
    }
    if (belowSinceS !== undefined && timeS - belowSinceS >= simulationSeconds(policy.lowFor)) {
      steppedAtS = timeS
      return instances - policy.step
    }
    return instances
  }
}

/**
 * KEDA's Kafka scaler with its defaults: each partition counts its lag, all
 * together at most `partitions × lagThreshold`; the autoscaler rounds up, and
 * takes the largest wish of the last `cooldownS` before it takes instances away.
 */
function byKeda({ lagThreshold, cooldownS }: Policy<'keda'>): ScaleDecider {
  let wishes: { readonly atS: number; readonly count: number }[] = []
  return ({ timeS, lag, partitions }) => {
    const count = Math.ceil(Math.min(lag, partitions * lagThreshold) / lagThreshold)
    wishes = [...wishes.filter(wish => timeS - wish.atS < cooldownS), { atS: timeS, count }]
    return Math.max(...wishes.map(wish => wish.count))
  }
}

function byDrainTime({ drainS, perInstancePerSecond, cooldownS }: Policy<'drainTime'>): ScaleDecider {
  let changedAtS = -Infinity
  let known = -1
  return (view: ScaleView) => {
    const each = perInstancePerSecond ?? view.perInstancePerSecond
    const wanted = each > 0 ? Math.ceil((view.arrivalPerSecond + view.lag / drainS) / each) : view.instances
    if (view.instances !== known) {
      known = view.instances
      changedAtS = view.timeS
    }
    return wanted < view.instances && view.timeS - changedAtS < cooldownS ? view.instances : wanted
  }
}
