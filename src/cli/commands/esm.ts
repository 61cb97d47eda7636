/** `comporta esm`: AWS's event source mappings for Kafka, on this machine. */

import { readFile } from 'node:fs/promises'

import type { Command } from 'commander'

import type { PipelineConfig } from '../../config/index.ts'
import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import type { MappingStatus } from '../../lambda/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, pipelinePath } from '../context.ts'
import { enabledMappings, type MappingSettings, runtimeEndpointOf } from '../esm-mappings.ts'
import { runAlone } from '../process/role.ts'
import type { RunningMappings } from '../roles/esm.ts'
import type { CommandAction } from './action.ts'
import { endpointOptionsOf, metricsHostOption, metricsPortOption, parsePort } from './options.ts'
import { collect } from '../operations/collect.ts'

interface EsmOptions extends CommonOptions {
  readonly mapping?: readonly string[]
  readonly brokers?: string
  readonly endpoint?: string
  readonly function?: string
  readonly onFailureEndpoint?: string
  readonly once?: boolean
  readonly port?: number
}

const STATUS_EVERY_MS = 10_000
const DRAIN_MS = 30_000

const EXAMPLES = `
Exit codes: 0 ended in good order, 69 Kafka cannot be reached, 75 some records will come again,
78 a setting that AWS would refuse; the message names it and its line.

Examples:
  comporta esm
  comporta esm --mapping mapping.json --endpoint http://127.0.0.1:9001
  comporta esm --mapping mapping.json --brokers 127.0.0.1:9092 --function orders --once --json
  comporta esm --port 9002
  aws lambda create-event-source-mapping --endpoint-url http://127.0.0.1:9002 --cli-input-json file://mapping.json
  comporta esm --mapping mapping.json --on-failure-endpoint http://127.0.0.1:4566`

/** Adds the command. */
export function addEsm(program: Command, action: CommandAction): void {
  program
    .command('esm')
    .summary('run AWS’s event source mappings on this machine')
    .description(
      'Invokes functions from topics as AWS’s event source mapping for Kafka does: batches, filters, retries, ' +
        'bisection, partial answers, on-failure destinations. The mappings are those of the pipeline file, or of ' +
        'files for "aws lambda create-event-source-mapping --cli-input-json". The function may be in the embedded ' +
        'runtime, in AWS’s runtime interface emulator, or in AWS. Ctrl-C lets invocations under way end and commits.'
    )
    .option(
      '--mapping <file>',
      'a mapping in AWS’s own JSON instead of those of the pipeline file; may be given again',
      collect
    )
    .option('--brokers <list>', 'host:port, comma separated, instead of kafka: of the pipeline file')
    .option(
      '--endpoint <url>',
      'address of the Invoke API (default: the embedded runtime of the pipeline file, else AWS)'
    )
    .option('--function <name>', 'invoke this function, whatever the mapping says')
    .option('--on-failure-endpoint <url>', 'address of SQS, SNS and S3, for emulators (default: AWS)')
    .option(
      '--port <number>',
      'serve AWS’s API for event source mappings on this port of 127.0.0.1, 0 for any',
      parsePort
    )
    .option('--once', 'end once all is done that the topics hold at the start')
    .option(...metricsPortOption)
    .option(...metricsHostOption)
    .addHelpText('after', EXAMPLES)
    .action(action(esm))
}

async function esm(options: EsmOptions): Promise<number> {
  const logger = loggerFor('esm', options)
  const pipeline = await pipelineOf(options)
  const given =
    options.mapping === undefined ? enabledMappings(pipeline) : await readMappings(options, pipeline, logger)
  const mappings = given.map(each => ({
    ...each,
    functionName: options.function ?? each.functionName,
    endpoint: options.endpoint ?? each.endpoint,
    destinationEndpoint: options.onFailureEndpoint ?? each.destinationEndpoint
  }))
  if (mappings.length === 0 && options.port === undefined) {
    const message = `${pipelinePath(options)} has no eventSourceMappings that are enabled; add some, or use --mapping`
    throw new PipelineError('ERR_CONFIG_INVALID', message)
  }
  const { startEsmRole } = await import('../roles/esm.ts')
  const made = {
    endpoint: options.endpoint ?? runtimeEndpointOf(pipeline),
    destinationEndpoint: options.onFailureEndpoint
  }
  const api = options.port === undefined ? undefined : { port: options.port, made }
  const settings = { kafka: pipeline.kafka, mappings, api, ...endpointOptionsOf(options, pipeline.telemetry) }
  const role = await startEsmRole(settings, logger)
  return await runUntilEnd(role, options, logger)
}

async function runUntilEnd(role: RunningMappings, options: EsmOptions, logger: Logger): Promise<number> {
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const caughtUp = options.once === true ? { ...role, finished: role.caughtUp() } : role
  const ended = runAlone(caughtUp, logger, DRAIN_MS)
  if (options.json !== true) process.stdout.write(greetingOf(role))
  else if (options.once !== true) process.stdout.write(`${JSON.stringify(role.info)}\n`)
  const status = systemClock.every(STATUS_EVERY_MS, () => logger.info({ ...role.status() }, 'status'))
  try {
    return await ended
  } finally {
    status.cancel()
    const mappings = role.describe()
    process.stdout.write(options.json === true ? `${JSON.stringify({ mappings })}\n` : summaryOf(mappings))
  }
}

function greetingOf({ info }: RunningMappings): string {
  const { mappings = '', api } = info
  const parts = [mappings === '' ? [] : [`mapping ${mappings}`], api === undefined ? [] : [`serving the API on ${api}`]]
  return `${parts.flat().join(', ')} (process ${process.pid}). Ctrl-C drains\n`
}

function summaryOf(mappings: readonly MappingStatus[]): string {
  const line = ({ topic, functionName, totals }: MappingStatus): string =>
    `${topic} → ${functionName}: ${totals.deliveredEventCount} records delivered, ` +
    `${totals.filteredOutEventCount} filtered out, ${totals.droppedEventCount} given up; ` +
    `${totals.invocations} invocations, ${totals.functionErrors} function errors, ${totals.throttles} throttles\n`
  return mappings.map(line).join('')
}

/** The pipeline file, or what takes its place where only brokers are known. */
async function pipelineOf(options: EsmOptions): Promise<PipelineConfig> {
  if (options.brokers === undefined) return await loadPipeline(options)
  const { parsePipeline } = await import('../../config/index.ts')
  const bootstrapServers = options.brokers.split(',').map(each => each.trim())
  const text = JSON.stringify({ name: 'esm', kafka: { bootstrapServers } })
  const alone = parsePipeline(text, { fileName: '--brokers', environment: {} })
  if (options.mapping !== undefined) return alone
  return { ...(await loadPipeline(options)), kafka: alone.kafka }
}

async function readMappings(
  { mapping: paths = [] }: EsmOptions,
  pipeline: PipelineConfig,
  logger: Logger
): Promise<MappingSettings[]> {
  const { mappingOptionsOf } = await import('../../lambda/index.ts')
  const endpoint = runtimeEndpointOf(pipeline)
  const mappings: MappingSettings[] = []
  for (const path of paths) {
    const { options, isEnabled, warnings } = mappingOptionsOf(await readJson(path), path)
    for (const warning of warnings) logger.warn({ mapping: path }, warning)
    if (isEnabled) mappings.push({ ...options, endpoint })
    else logger.warn({ mapping: path }, 'Enabled is false: this mapping does not run')
  }
  return mappings
}

async function readJson(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new PipelineError('ERR_CONFIG_UNREADABLE', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new PipelineError('ERR_LAMBDA_MAPPING_INVALID', `${path} is not JSON: ${messageOf(error)}`, { cause: error })
  }
}
