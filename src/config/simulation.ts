/** Simulation files, and simulations of programs that have none. */

import { parseDocument } from 'yaml'
import { z } from 'zod'

import { PipelineError } from '../core/index.ts'
import { checkedValue, readConfigFile } from './checked-file.ts'
import { checkedInput } from './checked-input.ts'
import type { Report } from './schema/common.ts'
import { type SimulationConfig, simulationSchema } from './schema/simulation.ts'
import { isClockTime, simulationSeconds } from './schema/simulation-time.ts'
import { type Environment, parseConfigSource } from './source.ts'

/** Most keys that are hashed. */
const KEYS_MAX = 2_000_000

/** What a program has to say of a simulation. */
export type SimulationInput = z.input<typeof simulationSchema>

/**
 * Reads and checks a simulation file.
 *
 * @throws PipelineError `ERR_CONFIG_UNREADABLE`, or `ERR_CONFIG_INVALID` with every problem.
 */
export async function loadSimulationFile(path: string, environment: Environment): Promise<SimulationConfig> {
  const text = await readConfigFile(path, 'Write one as docs/guides/simulate.md says')
  return parseSimulation(text, { fileName: path, environment })
}

/**
 * Checks the text of a simulation file.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function parseSimulation(
  text: string,
  { fileName, environment }: { readonly fileName: string; readonly environment: Environment }
): SimulationConfig {
  return checkedValue({
    schema: simulationSchema,
    fileName,
    source: parseConfigSource(text, environment),
    rules: (_, simulation, report) => {
      if (simulation !== undefined) reportProblems(simulation, report)
    }
  })
}

/**
 * Checks a simulation and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function simulationConfig(input: SimulationInput): SimulationConfig {
  return checkedInput(input, { schema: simulationSchema, name: 'simulation', rules: reportProblems })
}

/** What each setting allows on its own, but not together with the others. */
function reportProblems(simulation: SimulationConfig, report: Report): void {
  const { arrival, topic, events, startsAt } = simulation
  if ((arrival.recordsPerSecond === undefined) === (arrival.curve === undefined)) {
    report(['arrival'], 'needs recordsPerSecond or curve, one of them')
  }
  if (arrival.bursts !== undefined && arrival.bursts.forS >= arrival.bursts.everyS) {
    report(['arrival', 'bursts', 'forS'], `must be shorter than everyS (${arrival.bursts.everyS})`)
  }
  if (arrival.keys.type === 'shares') {
    const { shares } = arrival.keys
    if (shares.length !== topic.partitions) {
      report(['arrival', 'keys', 'shares'], `are ${shares.length}, but topic.partitions is ${topic.partitions}`)
    }
    if (!shares.some(share => share > 0)) report(['arrival', 'keys', 'shares'], 'at least one must be above 0')
  }
  if (arrival.keys.type === 'codeAndTruck' && arrival.keys.codes * arrival.keys.trucks > KEYS_MAX) {
    report(['arrival', 'keys', 'trucks'], `codes × trucks are more than ${KEYS_MAX} keys`)
  }
  reportCounts(simulation, report)
  let partitions = topic.partitions
  events.forEach((event, index) => {
    if (event.type !== 'partitions') return
    if (event.count <= partitions) report(['events', index, 'count'], `must be more than the ${partitions} before`)
    if (arrival.keys.type === 'shares') report(['events', index], 'partitions cannot grow with keys: { type: shares }')
    partitions = event.count
  })
  if (startsAt === undefined) reportClockTimes(simulation, [], report)
}

/** What happens again and again, and how often at most: each costs memory or time. */
function reportCounts({ duration, startsAt, ...rest }: SimulationConfig, report: Report): void {
  const durationS = simulationSeconds(duration, startsAt)
  const check = (path: PropertyKey[], periodS: number | undefined, most: number): void => {
    if (periodS === undefined || durationS / periodS <= most) return
    report(path, `every ${periodS} s is more than ${most.toLocaleString('en-US')} times in the duration`)
  }
  check(['sampleS'], rest.sampleS, 1_000_000)
  check(['arrival', 'bursts', 'everyS'], rest.arrival.bursts?.everyS, 500_000)
  check(
    ['arrival', 'repeat'],
    rest.arrival.repeat === undefined ? undefined : simulationSeconds(rest.arrival.repeat),
    10_000
  )
  check(['topic', 'retentionCheck'], simulationSeconds(rest.topic.retentionCheck), 1_000_000)
  check(['autoscale', 'everyS'], rest.autoscale?.everyS, 1_000_000)
  check(['microBatch', 'intervalMs'], rest.microBatch && rest.microBatch.intervalMs / 1000, 20_000_000)
  rest.alerts.forEach(({ everyS }, index) => check(['alerts', index, 'everyS'], everyS, 1_000_000))
}

/** Times of the day where nothing says which time the start is. */
function reportClockTimes(value: unknown, path: PropertyKey[], report: Report): void {
  if (Array.isArray(value)) value.forEach((each, index) => reportClockTimes(each, [...path, index], report))
  else if (typeof value === 'object' && value !== null) {
    for (const [name, each] of Object.entries(value)) {
      if (!(path.length === 0 && name === 'whatIfs')) reportClockTimes(each, [...path, name], report)
    }
  } else if (typeof value === 'string' && isClockTime(value) && TIMES.has(String(path.at(-1)))) {
    report(path, 'is a time of the day, and needs startsAt')
  }
}

const TIMES: ReadonlySet<string> = new Set([
  'at',
  'from',
  'to',
  'until',
  'duration',
  'for',
  'repeat',
  'ramp',
  'rampOut'
])

/**
 * A value as YAML reads it: `4`, `[1, 2]`, `{ type: even }`.
 *
 * @param name - What it is for, in the message.
 * @throws PipelineError `ERR_CONFIG_INVALID`.
 */
export function parseYamlValue(text: string, name: string): unknown {
  const document = parseDocument(text, { prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) throw new PipelineError('ERR_CONFIG_INVALID', `${name}: not valid YAML: ${error.message}`)
  return document.toJS({ maxAliasCount: 100 })
}

/** A simulation file as JSON Schema (2020-12), for editors. */
export function simulationJsonSchema(): Record<string, unknown> {
  return {
    $id: 'https://comporta.dev/schema/simulation.schema.json',
    title: 'Comporta simulation file',
    ...z.toJSONSchema(simulationSchema, { io: 'input', unrepresentable: 'any' })
  }
}
