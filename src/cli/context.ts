/** What every command needs from the process it runs in: environment, terminal, log, pipeline file. */

import { createRequire } from 'node:module'
import { dirname } from 'node:path'

import type { KafkaConfig, PipelineCheck, PipelineConfig, TelemetryConfig } from '../config/index.ts'
import { PipelineError, systemClock } from '../core/index.ts'
import { createLogger, type Logger, type LogLevel } from '../telemetry/index.ts'
import { mappingFaults } from './esm-mappings.ts'
import { withAbsolutePaths } from './paths.ts'

/** Options that every command has. */
export interface CommonOptions {
  readonly file?: string
  readonly json?: boolean
  readonly logLevel?: string
  readonly metricsPort?: number
  readonly metricsHost?: string
}

/** `telemetry.logs` of the pipeline file. */
export type LogsConfig = TelemetryConfig['logs']

const logLevels: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent']

/** The log level asked for on the command line, by `COMPORTA_LOG_LEVEL`, or by the pipeline file. */
export function logLevelOf(options: CommonOptions, logs?: LogsConfig): LogLevel {
  const level = options.logLevel ?? process.env['COMPORTA_LOG_LEVEL'] ?? logs?.level ?? 'info'
  if (logLevels.includes(level)) return level as LogLevel
  throw new PipelineError('ERR_CLI_USAGE', `no such log level: ${level}; there are ${logLevels.join(', ')}`)
}

/**
 * A logger for this process: for people on a terminal, one JSON object a line otherwise.
 *
 * @param logs - `telemetry.logs` of the pipeline file, where one was read.
 */
export function loggerFor(role: string, options: CommonOptions, logs?: LogsConfig): Logger {
  const { rooms = {}, format = 'auto' } = logs ?? {}
  const common = { level: logLevelOf(options, logs), rooms, fields: { role } }
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  if (!isPretty) return createLogger(common)
  // Only a terminal needs it, and a broker is to be ready at once. The types are those of the module that is named.
  const { PinoPretty: pretty } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  const destination = pretty({
    destination: 2,
    sync: true,
    ignore: 'role',
    translateTime: 'SYS:HH:MM:ss',
    colorize: process.stderr.isTTY
  })
  return createLogger({ ...common, destination })
}

/** Path of the pipeline file: `--file`, `COMPORTA_FILE`, or `comporta.yaml` here. */
export function pipelinePath(options: CommonOptions): string {
  return options.file ?? process.env['COMPORTA_FILE'] ?? 'comporta.yaml'
}

/**
 * Reads and checks the pipeline file; its paths come out absolute. Certificates and secrets on this machine are looked
 * at, too: whatever part of the pipeline starts needs them.
 *
 * @param onWarning - Hears of certificates that are about to end.
 */
export async function loadPipeline(
  options: CommonOptions,
  checkMore?: PipelineCheck,
  onWarning: (text: string) => void = () => undefined
): Promise<PipelineConfig> {
  // Reads YAML and knows every setting: commands without a pipeline file do not wait for it.
  const { loadPipelineFile } = await import('../config/index.ts')
  const path = pipelinePath(options)
  const load = async (check?: PipelineCheck): Promise<PipelineConfig> =>
    withAbsolutePaths(await loadPipelineFile(path, process.env, check), dirname(path))
  const pipeline = await load(checkMore)
  const found = await Promise.all(
    clustersOf(pipeline).map(async ({ path, kafka }) => {
      const { checkCredentials } = await import('./certificates/offline-check.ts')
      const { problems, warnings } = await checkCredentials(kafka, { environment: process.env, clock: systemClock })
      for (const warning of warnings) onWarning(`${path.join('.')}.tls: ${warning}`)
      return problems.map(problem => ({ path: [...path, ...problem.path], reason: problem.reason }))
    })
  )
  const problems = [...found.flat(), ...(await mappingFaults(pipeline))]
  if (problems.length === 0) return pipeline
  // Once more, so that each is said at its line.
  return await load((_, report) => {
    for (const { path: place, reason } of problems) report(place, reason)
  })
}

/** Every cluster that somebody connects to with certificates or secrets, and where the file names it. */
function clustersOf({ kafka, producer }: PipelineConfig): Place[] {
  const sources = (producer?.sources ?? []).flatMap((source, index): Place[] => {
    if (source.type !== 'kafka' || source.cluster === undefined) return []
    return [{ path: ['producer', 'sources', index, 'cluster'], kafka: source.cluster }]
  })
  const all: Place[] = [{ path: ['kafka'], kafka }, ...sources]
  return all.filter(({ kafka: { tls, sasl } }) => typeof tls === 'object' || sasl !== undefined)
}

interface Place {
  readonly path: PropertyKey[]
  readonly kafka: KafkaConfig
}

/** A section of the pipeline file that a command cannot do without. */
export function needSection<K extends 'producer' | 'dispatcher' | 'lambda'>(
  pipeline: PipelineConfig,
  name: K,
  options: CommonOptions
): NonNullable<PipelineConfig[K]> {
  const section = pipeline[name]
  if (section !== undefined) return section
  const message = `${pipelinePath(options)} has no section "${name}:"; add it, see: comporta init --print`
  throw new PipelineError('ERR_CONFIG_INVALID', message)
}
