/** `comporta up`: everything the pipeline file names, each part a process, restarted when it crashes. */

import type { Command } from 'commander'

import type { PipelineConfig } from '../../config/index.ts'
import { messageOf, systemClock } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, logLevelOf } from '../context.ts'
import { checkSchemas } from '../schema-check.ts'
import { enabledMappings } from '../esm-mappings.ts'
import { EXIT } from '../exit-codes.ts'
import { undoFolder } from '../operations/run-change.ts'
import { Keeper } from '../process/keeper.ts'
import { reloadOnHangup } from '../process/reload.ts'
import { onFirstSignal } from '../process/signals.ts'
import { createToken } from '../roles/console-token.ts'
import type { DispatcherRoleOptions } from '../roles/dispatcher.ts'
import type { RoleEndpointOptions } from '../roles/role-endpoint.ts'
import { connectCluster, dispatcherWithEndpoint, ensureTopics } from '../wiring.ts'
import type { CommandAction } from './action.ts'
import { endpointOptionsOf, metricsHostOption, parsePort } from './options.ts'
import { consolePart, instancesOf, portOf } from './up-console.ts'

const statusEveryMs = 10_000

interface UpOptions extends CommonOptions {
  /** False with --no-console. */
  readonly console?: boolean
}

/** Adds the command. */
export function addUp(program: Command, action: CommandAction): void {
  program
    .command('up')
    .summary('run the whole pipeline on this machine')
    .description(
      'Starts what the pipeline file names: the embedded broker (where kafka.bootstrapServers is "embedded"), the ' +
        'topics, the Lambda runtime, one dispatcher, the event source mappings, and the producer with its sources; ' +
        'and the web console, whose address it prints. Ctrl-C drains from source to sink. SIGHUP reads the file ' +
        'again: limits of the dispatcher may change while it runs.'
    )
    .option(
      '--metrics-port <number>',
      'serve GET /metrics of broker, Lambda runtime, dispatcher, producer and mappings on this port and the next four',
      parsePort
    )
    .option(...metricsHostOption)
    .option('--no-console', 'do not run the web console (as console.enabled: false)')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta init && comporta up\n  KAFKA_BOOTSTRAP=broker-1:9092 comporta up --file orders.yaml'
    )
    .action(action(up))
}

async function up(options: UpOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  await checkSchemas(pipeline, options)
  const logger = loggerFor('up', options, pipeline.telemetry.logs)
  const stop = new AbortController()
  onFirstSignal(logger, () => stop.abort())
  const keeper = new Keeper(logger, logLevelOf(options, pipeline.telemetry.logs), stop.signal)
  const run = runOf(pipeline, options, { keeper, logger })
  let isComplete = true
  try {
    await startParts(run)
    reloadOnHangup({
      load: async () => await loadPipeline(options),
      apply: again => {
        keeper.hangUp()
        return reconfigure(again, run)
      },
      logger
    })
    process.stdout.write(options.json === true ? `${JSON.stringify(addressesOf(run))}\n` : describeParts(run))
    const status = systemClock.every(statusEveryMs, () => logger.info(keeper.totals(), 'status'))
    await keeper.untilStopped()
    status.cancel()
  } finally {
    isComplete = await keeper.close(pipeline.dispatcher?.drainMs)
  }
  return isComplete ? EXIT.ok : EXIT.incomplete
}

/** What all steps of a start share. */
interface Run {
  readonly pipeline: PipelineConfig
  readonly keeper: Keeper
  readonly logger: Logger
  /** Token of orders to the parts, where a console may give some. */
  readonly controlToken: string | undefined
  readonly isMeasured: boolean
  /** Where the n-th part listens. */
  readonly endpoint: (index: number) => RoleEndpointOptions
  readonly undoFolder: string
}

function runOf(
  pipeline: PipelineConfig,
  options: UpOptions,
  { keeper, logger }: { readonly keeper: Keeper; readonly logger: Logger }
): Run {
  const hasConsole = options.console !== false && pipeline.console.enabled
  const controlToken = hasConsole ? createToken() : undefined
  const { metricsPort: first, metricsHost } = endpointOptionsOf(options, pipeline.telemetry)
  const isMeasured = first !== undefined
  const endpoint = (index: number): RoleEndpointOptions => {
    // The console asks every part; without metrics of one's own that is on loopback, at any free port.
    const { telemetry } = pipeline
    if (!isMeasured)
      return hasConsole ? { metricsPort: 0, metricsHost: '127.0.0.1', controlToken, telemetry } : { telemetry }
    const metricsPort = first === 0 ? 0 : first + index
    return { metricsPort, metricsHost, telemetry, ...(hasConsole ? { controlToken } : {}) }
  }
  return { pipeline, keeper, logger, controlToken, isMeasured, endpoint, undoFolder: undoFolder(options) }
}

/** From sink to source, so that no part feeds one that is not there yet. */
async function startParts(run: Run): Promise<void> {
  const { pipeline, keeper, logger, endpoint } = run
  const { kafka } = pipeline
  if (kafka.isEmbedded) {
    const { port, dataDir } = kafka.embedded
    await keeper.start({ role: 'broker', name: 'broker', options: { port, dataDir, config: {}, ...endpoint(0) } })
  }
  // Beside the others: nothing waits for it but the line that says where it is.
  const console = startConsole(run)
  console.catch(() => undefined) // awaited below
  const cluster = await connectCluster(kafka, 'up', logger)
  try {
    const created = await ensureTopics(cluster, pipeline)
    if (created.length > 0) logger.info({ topics: created }, 'topics created')
  } finally {
    await cluster.close()
  }
  await startWorkers(run)
  await console
  await tellConsole(run)
}

async function startWorkers({ pipeline, keeper, endpoint }: Run): Promise<void> {
  const { kafka } = pipeline
  const lambda =
    pipeline.lambda?.runtime !== 'embedded'
      ? undefined
      : await keeper.start({ role: 'lambda', name: 'lambda', options: { ...pipeline.lambda, ...endpoint(1) } })
  const dispatcher = dispatcherOptions(pipeline, lambda?.info['endpoint'], endpoint(2))
  if (dispatcher !== undefined) {
    await keeper.start({ role: 'dispatcher', name: 'dispatcher', options: dispatcher })
  }
  const mappings = enabledMappings(pipeline, lambda?.info['endpoint'])
  if (mappings.length > 0) {
    await keeper.start({ role: 'esm', name: 'esm', options: { kafka, mappings, ...endpoint(4) } })
  }
  if (pipeline.producer !== undefined && pipeline.producer.sources.length > 0) {
    await keeper.start({
      role: 'producer',
      name: 'producer',
      options: { kafka, producer: pipeline.producer, ...endpoint(3) }
    })
  }
}

/** A port or setting that somebody has named must hold; for the rest the pipeline runs without a console. */
async function startConsole(run: Run): Promise<void> {
  if (run.controlToken === undefined) return
  const spec = consolePart(run)
  run.keeper.onStartedAgain(() => void tellConsole(run))
  const isNamed = run.pipeline.console.port !== undefined && run.pipeline.console.port !== 0
  if (isNamed || run.pipeline.console.tls !== undefined) await run.keeper.start(spec)
  else await run.keeper.startAside(spec)
}

/** Addresses of the parts, which are new when one was started again. */
async function tellConsole({ keeper, logger, controlToken }: Run): Promise<void> {
  if (controlToken === undefined) return
  const options = keeper.optionsOf('console')
  if (typeof options !== 'object' || options === null) return
  const instances = instancesOf(keeper.parts, controlToken)
  const lastPort = portOf(keeper.addresses()['console']?.['url'])
  try {
    await keeper.configure('console', { ...options, instances, lastPort })
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'the console does not know where the parts are')
  }
}

function dispatcherOptions(
  pipeline: PipelineConfig,
  lambdaEndpoint: string | undefined,
  endpoint: RoleEndpointOptions
): DispatcherRoleOptions | undefined {
  const dispatcher = dispatcherWithEndpoint(pipeline, lambdaEndpoint)
  return dispatcher === undefined ? undefined : { kafka: pipeline.kafka, dispatcher, ...endpoint }
}

/** Hands over what may change while running: limits of the dispatcher's flow. */
async function reconfigure(pipeline: PipelineConfig, { keeper, endpoint }: Run): Promise<readonly string[]> {
  const dispatcher = dispatcherOptions(pipeline, keeper.addresses()['lambda']?.['endpoint'], endpoint(2))
  return dispatcher === undefined ? [] : await keeper.configure('dispatcher', dispatcher)
}

/** Where the parts are; ports that only the console asks at are nobody's business. */
function addressesOf({ keeper, isMeasured }: Run): Record<string, Readonly<Record<string, string>>> {
  const all = Object.entries(keeper.addresses())
  if (isMeasured) return Object.fromEntries(all)
  const withoutMetrics = (info: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(info).filter(([fact]) => fact !== 'metrics'))
  return Object.fromEntries(all.map(([name, info]) => [name, withoutMetrics(info)]))
}

function describeParts(run: Run): string {
  const rows = Object.entries(addressesOf(run)).map(([name, info]) => {
    const facts = Object.values(info).filter(value => value !== '')
    return `  ${name.padEnd(12)} ${facts.join('  ')}`
  })
  return `running as process ${process.pid}; Ctrl-C drains and stops, SIGHUP reads the file again\n${rows.join('\n')}\n`
}
