/** `comporta chaos`: rehearsed failures with a verdict. */

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { type Command, InvalidArgumentError } from 'commander'

import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import type { ChaosReport } from '../../ops/index.ts'
import { type CommonOptions, loggerFor } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { duration } from '../operations/format.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import { onFirstSignal } from '../process/signals.ts'
import type { CommandAction } from './action.ts'
import { packageVersion } from '../package-version.ts'

interface RunOptions extends CommonOptions {
  readonly brokers?: string
  readonly rate: number
  readonly for: number
  readonly records: number
  readonly report?: string
  readonly keep?: string
}

/** Adds the command and those below it. */
export function addChaos(program: Command, action: CommandAction): void {
  const chaos = program
    .command('chaos')
    .summary('rehearse failures: harm a running pipeline and judge what becomes of it')
    .description(
      'Runs a pipeline of its own under load, harms it, and says whether what should hold has held: nothing lost, ' +
        'order kept, repeats bounded, and back to the steady state in time.'
    )
    .addHelpText('after', '\nExamples:\n  comporta chaos list\n  comporta chaos run kill-dispatcher')
  chaos
    .command('list')
    .summary('every experiment: what it does, what should hold, when it is given up')
    .addHelpText('after', '\nExamples:\n  comporta chaos list\n  comporta chaos list --json')
    .action(action(list))
  chaos
    .command('run')
    .argument('<experiments>', 'names from `comporta chaos list`, separated by commas, or all')
    .summary('run experiments, one after the other')
    .description(
      'On the embedded broker, or on the cluster of --brokers: there with topics and a group of its own, which are ' +
        'removed afterwards; nothing else is touched. Ctrl-C restores what was harmed and ends.'
    )
    .option('--brokers <host:port,…>', 'a Kafka cluster without TLS instead of the embedded broker')
    .option('--rate <per second>', 'events a second of the load', parseRate, 1000)
    .option('--for <seconds>', 'how long the steady state must hold before the harm, and after it', parseSeconds, 3)
    .option('--records <count>', 'events in all, at least: the load goes on until then', parseRecords, 0)
    .option('--report <file>', 'write the report as Markdown')
    .option('--keep <folder>', 'keep logs and ledgers there (always kept where an experiment does not hold)')
    .addHelpText('after', examples)
    .action(action(run))
}

const examples = `
Exit codes: 0 all that were run hold, 1 one does not or none was run, 69 a part could not run, 130 interrupted.

Examples:
  comporta chaos run kill-dispatcher,slow-target
  comporta chaos run all --report game-day.md
  comporta chaos run network-cut --brokers 127.0.0.1:9092 --rate 5000 --for 10 --json`

async function list(options: CommonOptions): Promise<number> {
  const { CHAOS_EXPERIMENTS, describeAbort, harmMs, STEADY_TEXT } = await import('../../ops/index.ts')
  if (options.json === true) {
    process.stdout.write(
      jsonLine({
        steadyState: STEADY_TEXT,
        experiments: CHAOS_EXPERIMENTS.map(each => ({ ...each, lastsMs: harmMs(each) }))
      })
    )
    return EXIT.ok
  }
  const lines = CHAOS_EXPERIMENTS.map(each => {
    return [
      each.name,
      `  does        ${each.summary}`,
      `  hypothesis  ${each.hypothesis}`,
      `  given up    ${describeAbort(each.abort)}`,
      `  duplicates  at most ${each.duplicatesMax}`,
      `  lasts       ${duration(harmMs(each) / 1000)} of harm and what it waits for`,
      `  recovers    within ${duration(each.recoverWithinMs / 1000)}`,
      ...(each.needs.isEmbeddedOnly === undefined ? [] : ['  where       embedded broker only']),
      ''
    ].join('\n')
  })
  process.stdout.write(`Steady state, before and after each: ${STEADY_TEXT}.\n\n${lines.join('\n')}`)
  return EXIT.ok
}

async function run(options: RunOptions, names: string): Promise<number> {
  const [{ chaosMarkdown, experimentsNamed }, { runChaos }] = await Promise.all([
    import('../../ops/index.ts'),
    import('../chaos/run.ts')
  ])
  const experiments = experimentsNamed(names.split(',').map(name => name.trim()))
  const logger = loggerFor('chaos', { ...options, logLevel: options.logLevel ?? 'warn' })
  const stop = new AbortController()
  onFirstSignal(logger, () => stop.abort())
  const isQuiet = options.logLevel === 'silent'
  const say = (text: string): void => void (isQuiet || process.stderr.write(`${text}\n`))
  const startedAtMs = systemClock.now()
  const reports = await runChaos({
    experiments,
    brokers: options.brokers,
    ratePerSecond: options.rate,
    steadyMs: options.for * 1000,
    recordsMin: options.records,
    logLevel: options.logLevel ?? 'info',
    logger,
    signal: stop.signal,
    ...(options.keep === undefined ? {} : { keepIn: resolve(options.keep) }),
    onStart: (experiment, dir) => say(`${experiment.name}: ${experiment.summary}\n  logs and ledgers: ${dir}`),
    onEvent: ({ atMs, text }) => say(`${String(atMs).padStart(8)} ms  ${text.split('\n')[0] ?? ''}`),
    onReport: ({ experiment, verdict, reasons }) => say(`${experiment}: ${[verdict, ...reasons].join('; ')}\n`)
  })
  const context = { cluster: options.brokers ?? 'embedded broker', startedAtMs, version: packageVersion() }
  if (options.report !== undefined) writeReport(options.report, chaosMarkdown(reports, context))
  process.stdout.write(options.json === true ? jsonLine({ ...context, reports }) : textOf(reports))
  if (stop.signal.aborted) return EXIT.interrupted
  const verdicts = new Set(reports.map(({ verdict }) => verdict))
  // Where all were skipped, nothing was seen to hold.
  if (!verdicts.delete('holds')) return EXIT.failed
  verdicts.delete('skipped')
  return verdicts.size === 0 ? EXIT.ok : EXIT.failed
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new PipelineError('ERR_CLI_OUTPUT', `the report cannot be written: ${messageOf(error)}`, { cause: error })
  }
}

function textOf(reports: readonly ChaosReport[]): string {
  const seconds = (ms: number | undefined): string => (ms === undefined ? '–' : `${(ms / 1000).toFixed(1)} s`)
  return tableOf<ChaosReport>(
    [
      { title: 'experiment', text: each => each.experiment },
      { title: 'verdict', text: each => each.verdict },
      { title: 'recovered', text: each => seconds(each.recoveredMs), align: 'right' },
      { title: 'longest pause', text: each => seconds(each.longestPause?.ms), align: 'right' },
      { title: 'lag at most', text: each => String(each.lagMax), align: 'right' },
      { title: 'rebalances', text: each => String(each.rebalances), align: 'right' },
      { title: 'duplicates', text: each => `${each.duplicates ?? '–'} of ${each.duplicatesMax}`, align: 'right' },
      { title: 'dead letters', text: each => String(each.deadLetters ?? '–'), align: 'right' },
      { title: 'why', text: each => each.reasons[0]?.split('\n')[0]?.slice(0, 120) ?? '' }
    ],
    reports
  )
}

function parseRate(text: string): number {
  const rate = Number(text)
  if (Number.isFinite(rate) && rate >= 10 && rate <= 1_000_000) return rate
  throw new InvalidArgumentError('Events per second: 10 to 1000000.')
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (Number.isFinite(seconds) && seconds >= 1 && seconds <= 86_400) return seconds
  throw new InvalidArgumentError('Seconds: 1 to 86400.')
}

function parseRecords(text: string): number {
  const count = Number(text.replaceAll(/[_,]/g, ''))
  if (Number.isInteger(count) && count >= 0 && count <= 100_000_000) return count
  throw new InvalidArgumentError('A whole number from 0 to 100000000.')
}
