/** `comporta simulate`: what would happen, by a model: an incident again, a double volume, another batch. */

import { type Command, InvalidArgumentError, Option } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { Calibration, ComparedRun, ScenarioSettings, SimulationScenario } from '../../ops/index.ts'
import { type CommonOptions, loadPipeline } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { jsonLine } from '../operations/table.ts'
import type { CommandAction } from './action.ts'

interface SimulateOptions extends CommonOptions {
  readonly set?: readonly (readonly [string, unknown])[]
  readonly whatIf?: string
  readonly compare?: boolean
  readonly csv?: boolean
  readonly fromPipeline?: boolean
  readonly calibrate?: string
  readonly rate?: number
  readonly instances?: number
  readonly partitions?: number
  readonly mode?: SimulationScenario['mode']
  readonly seed?: number
}

const EXAMPLES = `
A scenario is a YAML file (docs/guides/simulate.md, schema/simulation.schema.json), or one of the incidents that come
with the package: incident-lag, incident-backlog.

Examples:
  comporta simulate incident-lag
  comporta simulate incident-lag --compare
  comporta simulate incident-lag --set group.batch.recordsMax=2000 --set group.concurrency=4
  comporta simulate plan.yaml --what-if "double volume" --csv > series.csv
  comporta simulate --from-pipeline --rate 13000 --instances 4 --calibrate run.json --compare
  comporta simulate --calibrate run.json`

/** Adds the command. */
export function addSimulate(program: Command, action: CommandAction): void {
  program
    .command('simulate')
    .argument('[scenario]', 'scenario file, or the name of an incident')
    .summary('what would happen: incidents, what-ifs and forecasts by a model')
    .description(
      'Simulates arrivals, partitions, a consumer group, batches and their target: lag, delays, losses, memory and ' +
        'invocations over time. Talks to no cluster. The same scenario gives the same result.'
    )
    .option('--set <path=value>', 'another value of a setting, as YAML; may be given again', collectSetting)
    .option('--what-if <name>', 'one of the scenario’s what-ifs, or of the usual ones')
    .option(
      '--compare',
      'all what-ifs of the scenario, and the usual ones: double volume, partitions, batch, instances'
    )
    .option('--csv', 'print the series as CSV')
    .option('--from-pipeline', 'make the scenario of the dispatcher of the pipeline file')
    .option(
      '--rate <records>',
      'with --from-pipeline: records per second (default: the producer’s limit, or 1000)',
      number
    )
    .option('--instances <count>', 'with --from-pipeline: instances of the dispatcher (default 1)', number)
    .option('--partitions <count>', 'with --from-pipeline: partitions (default: those of the file)', number)
    .option('--calibrate <file>', 'take times from a measured run; alone, print what was fitted')
    .addOption(new Option('--mode <mode>', 'events per batch, or flows').choices(['auto', 'exact', 'fluid']))
    .option('--seed <number>', 'another seed', number)
    .addHelpText('after', EXAMPLES)
    .action(action(run))
}

async function run(options: SimulateOptions, name?: string): Promise<number> {
  const { simulate, withSettings } = await import('../../ops/index.ts')
  const calibration = await readCalibration(options)
  if (name === undefined && options.fromPipeline !== true) {
    if (calibration === undefined) throw new PipelineError('ERR_CLI_USAGE', 'name a scenario, or give --from-pipeline')
    process.stdout.write(options.json === true ? jsonLine(calibration) : await calibrationText(calibration))
    return EXIT.ok
  }
  const base = await readScenario(options, { name, calibration })
  const settings = await settingsOf(options, { base, calibration })
  const scenario = withSettings(base, settings)
  if (options.compare === true) return await compare(scenario, options)
  const result = simulate(scenario)
  const text = await import('../operations/simulation-text.ts')
  if (options.csv === true) process.stdout.write(text.csvOf(result))
  else if (options.json === true) process.stdout.write(jsonLine(result))
  else process.stdout.write(text.resultText(result, { columns: columns() }))
  return EXIT.ok
}

async function compare(scenario: SimulationScenario, options: SimulateOptions): Promise<number> {
  const { simulate, usualWhatIfs, withSettings } = await import('../../ops/index.ts')
  const { comparisonText } = await import('../operations/simulation-text.ts')
  const variants = [{ name: 'as given', set: {} }, ...scenario.whatIfs, ...usualWhatIfs(scenario)]
  const runs: ComparedRun[] = []
  for (const [index, { name, set }] of variants.entries()) {
    // Each may take seconds.
    if (process.stderr.isTTY) process.stderr.write(`\r${index + 1} of ${variants.length}`)
    runs.push({ name, set, summary: simulate(withSettings(scenario, set)).summary })
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const isClock = scenario.startsAt
  process.stdout.write(options.json === true ? jsonLine({ name: scenario.name, runs }) : comparisonText(runs, isClock))
  return EXIT.ok
}

async function readCalibration({ calibrate: path }: SimulateOptions): Promise<Calibration | undefined> {
  if (path === undefined) return undefined
  const { calibrate, readMeasuredRun } = await import('../../ops/index.ts')
  return calibrate(readMeasuredRun(await readText(path), path))
}

async function readText(path: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new PipelineError('ERR_CLI_INPUT', `cannot read ${path}: ${(error as Error).message}`, { cause: error })
  }
}

async function readScenario(
  options: SimulateOptions,
  { name, calibration }: { readonly name: string | undefined; readonly calibration: Calibration | undefined }
): Promise<SimulationScenario> {
  const { assumptionsOf, INCIDENTS, scenarioOfPipeline } = await import('../../ops/index.ts')
  if (name === undefined) {
    const { rate, instances, partitions } = options
    const pipeline = await loadPipeline(options)
    const assumed = {
      ...(rate === undefined ? {} : { recordsPerSecond: rate }),
      ...(instances === undefined ? {} : { instances }),
      ...(partitions === undefined ? {} : { partitions }),
      ...(calibration === undefined ? {} : { calibration })
    }
    const set = new Set((options.set ?? []).map(([path]) => path))
    const open = assumptionsOf(pipeline, assumed).filter(text => !set.has(/--set ([\w.]+)/.exec(text)?.[1] ?? ''))
    if (open.length > 0) process.stderr.write(`assumed, as neither measured nor said: ${open.join('; ')}\n`)
    return scenarioOfPipeline(pipeline, assumed)
  }
  const { loadSimulationFile, parseSimulation } = await import('../../config/index.ts')
  const incident = INCIDENTS[name]
  if (incident !== undefined) return parseSimulation(incident, { fileName: name, environment: process.env })
  if (/^[\w-]+$/.test(name) && !(await exists(name))) {
    const known = Object.keys(INCIDENTS).join(', ')
    throw new PipelineError(
      'ERR_CLI_INPUT',
      `there is no file ${name}, and no incident of that name; there are: ${known}`
    )
  }
  return await loadSimulationFile(name, process.env)
}

async function exists(path: string): Promise<boolean> {
  const { access } = await import('node:fs/promises')
  return await access(path).then(
    () => true,
    () => false
  )
}

/** Settings of the command line over those of a what-if over those of a calibration. */
async function settingsOf(
  options: SimulateOptions,
  { base, calibration }: { readonly base: SimulationScenario; readonly calibration: Calibration | undefined }
): Promise<ScenarioSettings> {
  const { calibratedSettings, usualWhatIfs } = await import('../../ops/index.ts')
  const variants = [...base.whatIfs, ...usualWhatIfs(base)]
  const whatIf = options.whatIf === undefined ? undefined : variants.find(({ name }) => name === options.whatIf)
  if (options.whatIf !== undefined && whatIf === undefined) {
    const known = variants.map(({ name }) => `"${name}"`).join(', ')
    throw new PipelineError('ERR_CLI_USAGE', `there is no what-if "${options.whatIf}"; there are: ${known}`)
  }
  return {
    ...(calibration === undefined ? {} : calibratedSettings(calibration)),
    ...whatIf?.set,
    ...(options.mode === undefined ? {} : { mode: options.mode }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...Object.fromEntries(await Promise.all((options.set ?? []).map(readSetting)))
  }
}

async function readSetting([path, text]: readonly [string, unknown]): Promise<[string, unknown]> {
  const { parseYamlValue } = await import('../../config/index.ts')
  return [path, parseYamlValue(String(text), `--set ${path}`)]
}

async function calibrationText(calibration: Calibration): Promise<string> {
  const { calibrationLines } = await import('../operations/simulation-text.ts')
  return calibrationLines(calibration)
}

function columns(): number {
  return Math.max(40, Math.min(160, process.stdout.columns ?? 80))
}

function collectSetting(
  text: string,
  before: readonly (readonly [string, unknown])[] = []
): readonly (readonly [string, unknown])[] {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Give a setting and its value: group.concurrency=4.')
  return [...before, [text.slice(0, at).trim(), text.slice(at + 1)]]
}

function number(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value
  throw new InvalidArgumentError('Give a number, 0 or more.')
}
