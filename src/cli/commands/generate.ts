/** `comporta generate`: load from a scenario file, for proofs of concept and rehearsals. */

import { type Command, InvalidArgumentError } from 'commander'

import type { ScenarioConfig } from '../../config/index.ts'
import { type CommonOptions, loggerFor } from '../context.ts'
import { thousands } from '../demo/progress.ts'
import { EXIT } from '../exit-codes.ts'
import { onFirstSignal } from '../process/signals.ts'
import type { CommandAction } from './action.ts'
import { publish } from './publish.ts'

interface GenerateOptions extends CommonOptions {
  readonly records?: number
  readonly rate?: number
  readonly seed?: number
  readonly stdout?: boolean
  readonly dryRun?: boolean
}

/** Events per second of the users' example, where no scenario says otherwise. */
const RATE_DEFAULT = 13_000

/** Adds the command. */
export function addGenerate(program: Command, action: CommandAction): void {
  program
    .command('generate')
    .argument('[scenario]', 'scenario file; default: 20 codes and 1,000 trucks, 80/20, 13,000 events a second')
    .summary('publish generated events: a load for proofs of concept')
    .description(
      'Makes events of a fleet of trucks as a scenario file says (rate, workers, bursts, shares of codes and trucks, ' +
        'malformed events; the same for the same seed) and publishes them as the pipeline file says. Ends after ' +
        '--records, at the end of the last phase, or with Ctrl-C, and reports what became of them.'
    )
    .option('--records <count>', 'events to make, instead of what the scenario says', count)
    .option('--rate <count>', 'events per second with all workers, instead of what the scenario says', rate)
    .option('--seed <number>', 'seed, instead of what the scenario says', count)
    .option('--stdout', 'print the events instead of publishing them: one JSON object a line, malformed ones too')
    .option('--dry-run', 'say what the load would be, and make none')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta generate --records 100000\n  comporta generate load.yaml --dry-run\n' +
        '  comporta generate load.yaml --stdout | gzip > events.ndjson.gz'
    )
    .action(action(generate))
}

function count(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError('Give a whole number.')
}

function rate(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('Give a number above 0.')
}

async function generate(options: GenerateOptions, path?: string): Promise<number> {
  const scenario = await readScenario(options, path)
  if (options.dryRun === true) {
    const { foreseen } = await import('../load/foreseen.ts')
    const load = foreseen(scenario)
    process.stdout.write(options.json === true ? `${JSON.stringify(load)}\n` : `${load.lines.join('\n')}\n`)
    return EXIT.ok
  }
  if (options.stdout === true) return await print(options, scenario)
  const { name: _, ...load } = scenario
  return await publish(options, { type: 'generator', ...load })
}

async function readScenario(options: GenerateOptions, path?: string): Promise<ScenarioConfig> {
  const { loadScenarioFile, scenarioConfig } = await import('../../config/index.ts')
  const base: ScenarioConfig =
    path === undefined ? scenarioConfig({ recordsPerSecond: RATE_DEFAULT }) : await loadScenarioFile(path, process.env)
  return scenarioConfig({
    ...base,
    ...(options.records === undefined ? {} : { records: options.records }),
    ...(options.rate === undefined ? {} : { recordsPerSecond: options.rate }),
    ...(options.seed === undefined ? {} : { seed: options.seed })
  })
}

/** Writes the events to standard output, no faster than it is read. */
async function print(options: GenerateOptions, scenario: ScenarioConfig): Promise<number> {
  const { TruckSource } = await import('../../producer/index.ts')
  const { StreamIntake } = await import('../load/stream-intake.ts')
  const stop = new AbortController()
  onFirstSignal(loggerFor('generate', options), () => stop.abort())
  const intake = new StreamIntake(process.stdout)
  const { name: _, ...load } = scenario
  try {
    await new TruckSource(load).run(intake, stop.signal)
  } catch (error) {
    // `| head` ends the load, it does not fail it.
    if (!intake.hasLostReader) throw error
  }
  process.stderr.write(`made ${thousands(intake.eventCount)} events\n`)
  return EXIT.ok
}
