/** `comporta up`: everything the pipeline file names, each part a process, restarted when it crashes. */

import type { Command } from 'commander'

import type { PipelineConfig } from '../../config/index.ts'
import { backoffMs, messageOf, PipelineError, sleep, systemClock, systemRandom } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, logLevelOf } from '../context.ts'
import { checkSchemas } from '../schema-check.ts'
import { enabledMappings } from '../esm-mappings.ts'
import { EXIT } from '../exit-codes.ts'
import { reloadOnHangup } from '../process/reload.ts'
import { onFirstSignal } from '../process/signals.ts'
import { type RoleProcess, type RoleSpec, Supervisor } from '../process/supervisor.ts'
import type { DispatcherRoleOptions } from '../roles/dispatcher.ts'
import { connectCluster, dispatcherWithEndpoint, ensureTopics } from '../wiring.ts'
import type { CommandAction } from './action.ts'
import { parsePort } from './options.ts'

const restartBackoff = { initialMs: 500, maxMs: 30_000 }
/** A process that has run this long counts as well again. */
const wellAfterMs = 60_000
const statusEveryMs = 10_000
const drainMs = 30_000

/** Adds the command. */
export function addUp(program: Command, action: CommandAction): void {
  program
    .command('up')
    .summary('run the whole pipeline on this machine')
    .description(
      'Starts what the pipeline file names: the embedded broker (where kafka.bootstrapServers is "embedded"), the ' +
        'topics, the Lambda runtime, one dispatcher, the event source mappings, and the producer with its sources. ' +
        'Ctrl-C drains from source to sink. SIGHUP reads the file again: limits of the dispatcher may change ' +
        'while it runs.'
    )
    .option(
      '--metrics-port <number>',
      'serve GET /metrics of broker, Lambda runtime, dispatcher, producer and mappings on this port and the next four',
      parsePort
    )
    .addHelpText(
      'after',
      '\nExamples:\n  comporta init && comporta up\n  KAFKA_BOOTSTRAP=broker-1:9092 comporta up --file orders.yaml'
    )
    .action(action(up))
}

async function up(options: CommonOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  await checkSchemas(pipeline, options)
  const logger = loggerFor('up', options)
  const stop = new AbortController()
  onFirstSignal(logger, () => stop.abort())
  const keeper = new Keeper(logger, logLevelOf(options), stop.signal)
  let isComplete = true
  try {
    await startParts(pipeline, keeper, { logger, metricsPort: options.metricsPort })
    reloadOnHangup({
      load: async () => await loadPipeline(options),
      apply: again => {
        keeper.hangUp()
        return reconfigure(again, keeper, options.metricsPort)
      },
      logger
    })
    process.stdout.write(options.json === true ? `${JSON.stringify(keeper.addresses())}\n` : describeParts(keeper))
    const status = systemClock.every(statusEveryMs, () => logger.info(keeper.totals(), 'status'))
    await keeper.untilStopped()
    status.cancel()
  } finally {
    isComplete = await keeper.close(pipeline.dispatcher?.drainMs)
  }
  return isComplete ? EXIT.ok : EXIT.incomplete
}

/** From sink to source, so that no part feeds one that is not there yet. */
async function startParts(
  pipeline: PipelineConfig,
  keeper: Keeper,
  { logger, metricsPort: firstPort }: { logger: Logger; metricsPort: number | undefined }
): Promise<void> {
  const { kafka } = pipeline
  const metricsPort = (index: number): number | undefined =>
    firstPort === undefined || firstPort === 0 ? firstPort : firstPort + index
  if (kafka.isEmbedded) {
    const { port, dataDir } = kafka.embedded
    await keeper.start({
      role: 'broker',
      name: 'broker',
      options: { port, dataDir, config: {}, metricsPort: metricsPort(0) }
    })
  }
  const cluster = await connectCluster(kafka, 'up', logger)
  try {
    const created = await ensureTopics(cluster, pipeline)
    if (created.length > 0) logger.info({ topics: created }, 'topics created')
  } finally {
    await cluster.close()
  }
  const lambda =
    pipeline.lambda?.runtime !== 'embedded'
      ? undefined
      : await keeper.start({
          role: 'lambda',
          name: 'lambda',
          options: { ...pipeline.lambda, metricsPort: metricsPort(1) }
        })
  const dispatcher = dispatcherOptions(pipeline, lambda?.info['endpoint'], metricsPort(2))
  if (dispatcher !== undefined) {
    await keeper.start({ role: 'dispatcher', name: 'dispatcher', options: dispatcher })
  }
  const mappings = enabledMappings(pipeline, lambda?.info['endpoint'])
  if (mappings.length > 0) {
    await keeper.start({ role: 'esm', name: 'esm', options: { kafka, mappings, metricsPort: metricsPort(4) } })
  }
  if (pipeline.producer !== undefined && pipeline.producer.sources.length > 0) {
    await keeper.start({
      role: 'producer',
      name: 'producer',
      options: { kafka, producer: pipeline.producer, metricsPort: metricsPort(3) }
    })
  }
}

function dispatcherOptions(
  pipeline: PipelineConfig,
  lambdaEndpoint: string | undefined,
  metricsPort: number | undefined
): DispatcherRoleOptions | undefined {
  const dispatcher = dispatcherWithEndpoint(pipeline, lambdaEndpoint)
  return dispatcher === undefined ? undefined : { kafka: pipeline.kafka, dispatcher, metricsPort }
}

/** Hands over what may change while running: limits of the dispatcher's flow. */
async function reconfigure(
  pipeline: PipelineConfig,
  keeper: Keeper,
  firstPort: number | undefined
): Promise<readonly string[]> {
  const metricsPort = firstPort === undefined || firstPort === 0 ? firstPort : firstPort + 2
  const dispatcher = dispatcherOptions(pipeline, keeper.addresses()['lambda']?.['endpoint'], metricsPort)
  return dispatcher === undefined ? [] : await keeper.configure('dispatcher', dispatcher)
}

/** Keeps parts running: one that crashes is started again, after a pause that grows. */
class Keeper {
  readonly #supervisor: Supervisor
  readonly #logger: Logger
  readonly #signal: AbortSignal
  readonly #specs = new Map<string, RoleSpec>()
  readonly #parts = new Map<string, RoleProcess>()
  readonly #crashes = new Map<string, { count: number; atMs: number }>()

  constructor(logger: Logger, logLevel: string, signal: AbortSignal) {
    this.#logger = logger
    this.#signal = signal
    this.#supervisor = new Supervisor({ logLevel, onCrash: (name, error) => void this.#restart(name, error) })
  }

  async start(spec: RoleSpec): Promise<RoleProcess> {
    const part = await this.#supervisor.start(spec)
    this.#specs.set(spec.name, spec)
    this.#parts.set(spec.name, part)
    return part
  }

  /** Hands options over; a part that crashes later is started with them. */
  async configure(name: string, options: unknown): Promise<readonly string[]> {
    const part = this.#parts.get(name)
    const spec = this.#specs.get(name)
    if (part === undefined || spec === undefined) return []
    const settings = await part.configure(options)
    this.#specs.set(name, { ...spec, options })
    return settings
  }

  /** Has every part look at its certificates and secrets. */
  hangUp(): void {
    for (const part of this.#parts.values()) if (part.isRunning) process.kill(part.pid, 'SIGHUP')
  }

  addresses(): Record<string, Readonly<Record<string, string>>> {
    return Object.fromEntries([...this.#parts].map(([name, part]) => [name, part.info]))
  }

  totals(): Record<string, unknown> {
    return Object.fromEntries([...this.#parts].map(([name, part]) => [name, part.status]))
  }

  async untilStopped(): Promise<void> {
    if (!this.#signal.aborted) {
      await new Promise<void>(resolve => this.#signal.addEventListener('abort', () => resolve(), { once: true }))
    }
  }

  /** Stops from source to sink, the reverse of the start, and says whether every part has finished what it had. */
  async close(dispatcherMs: number = drainMs): Promise<boolean> {
    const unfinished: string[] = []
    for (const part of [...this.#parts.values()].toReversed()) {
      if (!(await part.drain(part.role === 'dispatcher' ? dispatcherMs : drainMs))) unfinished.push(part.name)
    }
    await this.#supervisor.close()
    if (unfinished.length === 0) return true
    this.#logger.warn({ parts: unfinished }, 'stopped, but not all was finished in time: some of it will be done again')
    return false
  }

  async #restart(name: string, error: PipelineError): Promise<void> {
    const spec = this.#specs.get(name)
    if (spec === undefined || this.#signal.aborted) return
    const nowMs = systemClock.monotonicMs()
    const before = this.#crashes.get(name)
    const count = before === undefined || nowMs - before.atMs > wellAfterMs ? 1 : before.count + 1
    this.#crashes.set(name, { count, atMs: nowMs })
    const waitMs = backoffMs(restartBackoff, count, systemRandom)
    this.#logger.error(
      { part: name, crashes: count, waitMs, error: error.message },
      'a part has crashed; starting it again'
    )
    if (!(await sleep(systemClock, waitMs, this.#signal))) return
    try {
      // The broker keeps its port and its data, so the other parts find it again by themselves.
      await this.start(spec)
    } catch (again) {
      await this.#restart(name, again instanceof PipelineError ? again : crashOf(again))
    }
  }
}

function crashOf(error: unknown): PipelineError {
  return new PipelineError('ERR_CLI_ROLE_FAILED', messageOf(error), { cause: error })
}

function describeParts(keeper: Keeper): string {
  const rows = Object.entries(keeper.addresses()).map(([name, info]) => {
    const facts = Object.values(info).filter(value => value !== '')
    return `  ${name.padEnd(12)} ${facts.join('  ')}`
  })
  return `running as process ${process.pid}; Ctrl-C drains and stops, SIGHUP reads the file again\n${rows.join('\n')}\n`
}
