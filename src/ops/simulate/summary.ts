/** The figures of a run, from its looks and sums. */

import type { Look, Recorder } from './recorder.ts'
import type { RunStats } from './run-stats.ts'
import type { SimulationScenario, SimulationSummary } from './simulation-types.ts'
import { meanInvocationMs, TargetCurve } from './target-curve.ts'

interface Ran {
  readonly recorder: Recorder
  readonly stats: RunStats
  readonly durationS: number
  readonly heldByProducer: number
  readonly produced: number
}

/** Sums it up. */
export function summaryOf(scenario: SimulationScenario, run: Ran): SimulationSummary {
  const { recorder, stats, durationS, produced } = run
  const { looks } = recorder
  const peak = highest(looks, look => look.lag)
  const oldest = highest(looks, look => look.lagSeconds)
  const recordsPerBatch = stats.batches > 0 ? stats.batchRecords / stats.batches : 0
  return {
    durationS,
    produced,
    consumed: stats.consumed,
    lagAtEnd: looks.at(-1)?.lag ?? 0,
    lost: stats.lost,
    skipped: stats.skipped,
    heldByProducer: run.heldByProducer,
    peakLag: peak?.lag ?? 0,
    peakLagAtS: peak?.timeS ?? 0,
    peakLagSeconds: oldest?.lagSeconds ?? 0,
    peakLagSecondsAtS: oldest?.timeS ?? 0,
    normalAtS: normalAt(looks, { atS: oldest?.timeS ?? 0, limitS: scenario.normalLagS }),
    drainedAtS: drainedAt(scenario, looks, peak?.timeS ?? 0),
    alerts: recorder.alerts,
    delayMeanS: stats.delayMeanS,
    delayP50S: stats.delayQuantileS(0.5),
    delayP99S: stats.delayQuantileS(0.99),
    delayMaxS: stats.delayMaxS,
    lagMean: durationS > 0 ? recorder.lagSeconds / durationS : 0,
    invocations: stats.invocations,
    failedInvocations: stats.failedInvocations,
    throttles: stats.throttles,
    recordsPerBatch,
    targetSeconds: stats.targetSeconds,
    gbSeconds: (stats.targetSeconds * scenario.target.memoryMb) / 1024,
    instanceSeconds: recorder.instanceSeconds,
    instancesPeak: highest(looks, look => look.instances)?.instances ?? 0,
    rebalances: stats.rebalances,
    rebalanceSeconds: stats.rebalanceSeconds,
    duplicates: stats.duplicates,
    memoryPeakBytes: highest(looks, look => look.memoryBytes)?.memoryBytes ?? 0,
    outOfMemory: stats.outOfMemory,
    cancelledBatches: stats.cancelledBatches,
    bytesIn: produced * scenario.topic.recordBytes
  }
}

function highest(looks: readonly Look[], valueOf: (look: Look) => number): Look | undefined {
  let best: Look | undefined
  for (const look of looks) if (best === undefined || valueOf(look) > valueOf(best)) best = look
  return best
}

/** The first look from which on all is normal, after the worst one; none if it never was otherwise, or still is. */
function normalAt(
  looks: readonly Look[],
  { atS, limitS }: { readonly atS: number; readonly limitS: number }
): number | undefined {
  const last = looks.findLast(look => look.lagSeconds > limitS)
  if (last === undefined || last === looks.at(-1)) return undefined
  return looks.find(look => look.timeS > last.timeS && look.timeS > atS)?.timeS
}

/** The first look after the peak at which only what batching keeps under way is left. */
function drainedAt(scenario: SimulationScenario, looks: readonly Look[], peakAtS: number): number | undefined {
  const target = new TargetCurve(scenario)
  const { group } = scenario
  return looks.find((look, index) => {
    if (look.timeS <= peakAtS) return false
    const before = looks[index - 1]
    const rate = before === undefined ? 0 : (look.produced - before.produced) / (look.timeS - before.timeS)
    const ms = meanInvocationMs(target.at(look.timeS), group.batch.recordsMax) + group.overheadMs
    return look.lag <= 1e-6 + (rate * (group.batch.ageMs + 2 * ms)) / 1000
  })?.timeS
}
