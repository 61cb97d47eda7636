/**
 * The simulator: a scenario in, a result out. Pure: no clock, no I/O, and the
 * same result for the same scenario.
 *
 * Two sides take turns. The control side is a queue of times: restarts,
 * rebalances, looks of the scaling policy and of alerts, retention, samples.
 * Between two of them an engine moves records: `exact` by an event for every
 * batch, or `fluid` by flows that are constant until something changes.
 */

import { simulationSeconds } from '../../config/index.ts'
import { PipelineError, SeededRandom } from '../../core/index.ts'
import { ArrivalCurve } from './arrival-curve.ts'
import type { DataPlane } from './data-plane.ts'
import { ExactPlane } from './exact-plane.ts'
import { FluidPlane } from './fluid-plane.ts'
import { SimulationRun } from './simulation-run.ts'
import type { SimulationHooks, SimulationResult, SimulationScenario } from './simulation-types.ts'

/** Batches up to which `auto` is exact: about three seconds. */
const EXACT_BATCHES_MAX = 500_000
/** Batches, and drawn records, up to which a scenario may ask for them one by one: a few minutes. */
const ASKED_MAX = 50_000_000
/** Partitions up to which `auto` is exact. */
const EXACT_PARTITIONS_MAX = 5000

/**
 * Runs a scenario.
 *
 * @param scenario - As read from a file, or from `simulationConfig({...})`.
 * @param hooks - A scaling policy of the caller's own.
 */
export function simulate(scenario: SimulationScenario, hooks: SimulationHooks = {}): SimulationResult {
  const { run, turns } = begun(scenario, hooks)
  // Nobody else waits: one turn after the other.
  while (turns.next().done !== true);
  return run.result()
}

/**
 * `simulate` for a process that has others to answer meanwhile.
 *
 * @param scenario - As of `simulate`.
 * @param pause - Called some hundred times or more, between short pieces of the run: resolves when it may go on.
 */
export async function simulateInTurns(
  scenario: SimulationScenario,
  pause: () => Promise<void> | undefined
): Promise<SimulationResult> {
  const { run, turns } = begun(scenario, {})
  while (turns.next().done !== true) {
    const waits = pause()
    if (waits !== undefined) await waits
  }
  return run.result()
}

function begun(
  scenario: SimulationScenario,
  hooks: SimulationHooks
): { readonly run: SimulationRun; readonly turns: Generator<undefined, void> } {
  const durationS = simulationSeconds(scenario.duration, scenario.startsAt)
  const curve = new ArrivalCurve(scenario)
  const isExact = scenario.microBatch !== undefined || isExactEnough(scenario, { curve, durationS })
  const random = new SeededRandom(scenario.seed)
  const run = new SimulationRun(scenario, { curve, durationS, isExact, hooks, random })
  return { run, turns: run.start(parts => plane(parts, { isExact, durationS, run })) }
}

function plane(
  parts: ConstructorParameters<typeof ExactPlane>[0],
  how: { readonly isExact: boolean; readonly durationS: number; readonly run: SimulationRun }
): DataPlane {
  if (parts.scenario.microBatch !== undefined) return how.run.microBatch(parts, parts.scenario.microBatch)
  return how.isExact ? new ExactPlane(parts) : new FluidPlane({ ...parts, durationS: how.durationS })
}

function isExactEnough(
  { mode, group, topic, arrival }: SimulationScenario,
  { curve, durationS }: { readonly curve: ArrivalCurve; readonly durationS: number }
): boolean {
  if (mode === 'fluid') return false
  const records = curve.countAt(durationS)
  const full = Math.min(group.batch.recordsMax, group.batch.bytesMax / topic.recordBytes)
  const byAge = group.batch.ageMs === 0 ? records : (topic.partitions * durationS * 1000) / group.batch.ageMs
  const batches = Math.max(records / full, Math.min(records, byAge))
  const isAsked = mode === 'exact' || arrival.pattern === 'poisson'
  if (isAsked && Math.max(batches, arrival.pattern === 'poisson' ? records : 0) > ASKED_MAX) {
    const message = `simulation: some ${batches.toExponential(1)} batches one by one are too many: take mode: fluid`
    throw new PipelineError('ERR_CONFIG_INVALID', `${message}, or a shorter duration`)
  }
  return isAsked || (batches <= EXACT_BATCHES_MAX && topic.partitions <= EXACT_PARTITIONS_MAX)
}
