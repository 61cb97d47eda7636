/** The same scenario with other settings: for what-ifs, comparisons and `--set`. */

import { type SimulationInput, simulationConfig } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import { simulate } from './simulate.ts'
import type { SimulationHooks, SimulationScenario, SimulationSummary } from './simulation-types.ts'

/** Settings by their path, `group.batch.recordsMax`; `null` takes one away. */
export type ScenarioSettings = Readonly<Record<string, unknown>>

/** One row of a comparison. */
export interface ComparedRun {
  readonly name: string
  readonly set: ScenarioSettings
  readonly summary: SimulationSummary
}

/**
 * A scenario with settings changed.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` if there is no such setting, or a value is not allowed.
 */
export function withSettings(scenario: SimulationScenario, settings: ScenarioSettings): SimulationScenario {
  const copy = structuredClone(scenario) as Record<string, unknown>
  for (const [path, value] of Object.entries(settings)) setAt(copy, path, value)
  // What was read as a scenario is one again, or the schema says what is wrong with it.
  return simulationConfig(copy as SimulationInput)
}

function setAt(root: Record<string, unknown>, path: string, value: unknown): void {
  const steps = path.split('.')
  const last = steps.pop() ?? ''
  let node: unknown = root
  for (const step of steps) {
    const holder = node as Record<string, unknown>
    if (!Object.hasOwn(holder, step) && !Array.isArray(node)) setOwn(holder, step, {})
    node = Object.hasOwn(holder, step) ? holder[step] : undefined
    if (typeof node !== 'object' || node === null) {
      throw new PipelineError('ERR_CONFIG_INVALID', `simulation: ${path}: there is nothing at ${step}`)
    }
  }
  const holder = node as Record<string, unknown>
  if (value === null) delete holder[last]
  else setOwn(holder, last, value)
}

/** A setting named like what every object has, `__proto__`, is one that there is not. */
function setOwn(holder: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true })
}

/** What everybody asks: double the volume, the partitions, the batch, the instances. */
export function usualWhatIfs(scenario: SimulationScenario): { name: string; set: ScenarioSettings }[] {
  const { arrival, topic, group, microBatch, events } = scenario
  const canGrow = arrival.keys.type !== 'shares' && !events.some(event => event.type === 'partitions')
  const all = [
    { name: 'double volume', set: { 'arrival.factor': arrival.factor * 2 } },
    ...(canGrow ? [{ name: 'double partitions', set: { 'topic.partitions': topic.partitions * 2 } }] : [])
  ]
  if (microBatch !== undefined) return all
  return [
    ...all,
    { name: 'double batch', set: { 'group.batch.recordsMax': group.batch.recordsMax * 2 } },
    { name: 'double instances', set: { 'group.instances': group.instances * 2 } }
  ]
}

/** Runs the scenario, its what-ifs and the usual ones. */
export function compareScenarios(scenario: SimulationScenario, hooks: SimulationHooks = {}): ComparedRun[] {
  const variants = [{ name: 'as given', set: {} }, ...scenario.whatIfs, ...usualWhatIfs(scenario)]
  return variants.map(({ name, set }) => ({ name, set, summary: simulate(withSettings(scenario, set), hooks).summary }))
}
