/** What every command needs from the process it runs in: environment, terminal, log, pipeline file. */

import { createRequire } from 'node:module'
import { dirname } from 'node:path'

import type { PipelineCheck, PipelineConfig } from '../config/index.ts'
import { PipelineError } from '../core/index.ts'
import { createLogger, type Logger, type LogLevel } from '../telemetry/index.ts'
import { withAbsolutePaths } from './paths.ts'

/** Options that every command has. */
export interface CommonOptions {
  readonly file?: string
  readonly json?: boolean
  readonly logLevel?: string
  readonly metricsPort?: number
}

const logLevels: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent']

/** The log level asked for on the command line or by `COMPORTA_LOG_LEVEL`. */
export function logLevelOf(options: CommonOptions): LogLevel {
  const level = options.logLevel ?? process.env['COMPORTA_LOG_LEVEL'] ?? 'info'
  if (logLevels.includes(level)) return level as LogLevel
  throw new PipelineError('ERR_CLI_USAGE', `no such log level: ${level}; there are ${logLevels.join(', ')}`)
}

/** A logger for this process: for people on a terminal, one JSON object a line otherwise. */
export function loggerFor(role: string, options: CommonOptions): Logger {
  const level = logLevelOf(options)
  if (!process.stderr.isTTY) return createLogger({ level, fields: { role } })
  // Only a terminal needs it, and a broker is to be ready at once. The types are those of the module that is named.
  const { PinoPretty: pretty } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  const destination = pretty({ destination: 2, sync: true, ignore: 'role', translateTime: 'SYS:HH:MM:ss' })
  return createLogger({ level, fields: { role }, destination })
}

/** Path of the pipeline file: `--file`, `COMPORTA_FILE`, or `comporta.yaml` here. */
export function pipelinePath(options: CommonOptions): string {
  return options.file ?? process.env['COMPORTA_FILE'] ?? 'comporta.yaml'
}

/** Reads and checks the pipeline file; its paths come out absolute. */
export async function loadPipeline(options: CommonOptions, checkMore?: PipelineCheck): Promise<PipelineConfig> {
  // Reads YAML and knows every setting: commands without a pipeline file do not wait for it.
  const { loadPipelineFile } = await import('../config/index.ts')
  const path = pipelinePath(options)
  return withAbsolutePaths(await loadPipelineFile(path, process.env, checkMore), dirname(path))
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
