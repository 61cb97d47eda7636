/** `comporta demo`: a finite run of the whole pipeline that proves itself. */

import { rmSync } from 'node:fs'

import { type Command, InvalidArgumentError, Option } from 'commander'

import { PipelineError } from '../../core/index.ts'
import { type CommonOptions, loggerFor } from '../context.ts'
import type { DemoRun } from '../demo/run.ts'
import { EXIT } from '../exit-codes.ts'
import type { CommandAction } from './action.ts'

interface DemoCommandOptions extends CommonOptions {
  readonly records: number
  readonly rate: number
  readonly brokers?: string
  readonly chaos?: 'kill-dispatcher'
  readonly exit?: boolean
  readonly keep?: boolean
}

const examples = `
Exit codes: 0 the audit holds, 1 it does not, 69 a part could not run.

Examples:
  comporta demo
  comporta demo --records 1000000
  comporta demo --chaos kill-dispatcher
  comporta demo --brokers 127.0.0.1:9092 --json`

/** Adds the command. */
export function addDemo(program: Command, action: CommandAction): void {
  program
    .command('demo')
    .summary('run the truck scenario and prove that nothing was lost')
    .description(
      'Trucks send events at a steady rate, then flat out: 2 producers, Kafka, 3 dispatchers, a Lambda function ' +
        'and 2 services, each a process. At the end an audit compares what was produced with what arrived.'
    )
    .option('--records <count>', 'events in all', parseCount, 260_000)
    .option('--rate <per second>', 'events a second of the steady phase, 0 to leave it out', parseRate, 13_000)
    .option('--brokers <host:port,…>', 'a Kafka cluster to use instead of the embedded broker')
    .addOption(new Option('--chaos <what>', 'harm the run').choices(['kill-dispatcher']))
    .option('--no-exit', 'keep running after the audit until Ctrl-C (the default on a terminal)')
    .option('--exit', 'end after the audit, also on a terminal')
    .option('--keep', 'keep the folder of logs and ledgers')
    .addHelpText('after', examples)
    .action(action(demo))
}

async function demo(options: DemoCommandOptions): Promise<number> {
  const [{ DemoRun }, { ProgressLine }, { formatReport }] = await Promise.all([
    import('../demo/run.ts'),
    import('../demo/progress.ts'),
    import('../demo/report.ts')
  ])
  const isJson = options.json === true
  const line = new ProgressLine(isJson ? process.stderr : process.stdout, options.logLevel === 'silent')
  const stop = new AbortController()
  process.on('SIGINT', () => stop.abort())
  process.on('SIGTERM', () => stop.abort())
  const logger = loggerFor('demo', { ...options, logLevel: options.logLevel ?? 'warn' })
  const run = new DemoRun(
    {
      records: options.records,
      rate: options.rate,
      brokers: options.brokers,
      chaos: options.chaos,
      logLevel: options.logLevel ?? 'warn',
      signal: stop.signal
    },
    logger,
    line
  )
  line.note(`comporta demo: ${options.records.toLocaleString('en-US')} events; logs and ledgers in ${run.dir}`)
  try {
    const report = await run.run()
    line.end()
    process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : `${formatReport(report)}\n`)
    const keepsRunning = options.exit === undefined ? process.stdout.isTTY && !isJson : !options.exit
    if (keepsRunning) await waitForStop(run, stop.signal)
    await run.stop()
    if (report.holds && options.keep !== true) rmSync(run.dir, { recursive: true, force: true })
    return report.holds ? EXIT.ok : EXIT.failed
  } catch (error) {
    line.end()
    await run.abandon()
    if (PipelineError.is(error, 'ERR_CORE_ABORTED') && stop.signal.aborted) {
      process.stderr.write(`comporta: ${error.message}\n`)
      return EXIT.interrupted
    }
    throw error
  }
}

async function waitForStop(run: DemoRun, signal: AbortSignal): Promise<void> {
  const { pipeline, lambda } = run.stack
  process.stdout.write(
    [
      'Still running, for you to look at; Ctrl-C stops it.',
      `  Kafka    kcat -b ${pipeline.kafka.bootstrapServers.join(',')} -L   (or any other client)`,
      `  Lambda   curl ${lambda.info['endpoint']}/2015-03-31/functions   (or the AWS SDK and CLI with this endpoint)`,
      `  logs     ${run.dir}/logs`,
      ''
    ].join('\n')
  )
  if (!signal.aborted) await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
}

function parseCount(text: string): number {
  const count = Number(text.replaceAll(/[_,]/g, ''))
  if (Number.isInteger(count) && count >= 1 && count <= 100_000_000) return count
  throw new InvalidArgumentError('A whole number from 1 to 100000000.')
}

function parseRate(text: string): number {
  const rate = Number(text)
  if (Number.isFinite(rate) && rate >= 0) return rate
  throw new InvalidArgumentError('A number of events per second, 0 or more.')
}
