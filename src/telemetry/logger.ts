/**
 * Structured logs: the contract every room logs through, and its pino backend.
 *
 * A log line has fields first and a short English message last. Neither holds
 * record values, keys or secrets.
 */

import { createRequire } from 'node:module'

import type { DestinationStream, Logger as PinoLogger } from 'pino'

const require = createRequire(import.meta.url)

/** Fields of one log line. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where a room writes its log lines. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A logger that adds the given fields to every line. */
  child(fields: LogFields): Logger
}

/** Log levels, from most to least lines. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** How a process logs. */
export interface LoggerOptions {
  /** Least level that is written. Default `info`. */
  readonly level?: LogLevel
  /** Where lines go. Default: standard error, so that standard output stays for results. */
  readonly destination?: DestinationStream
  /** Fields of every line, for example `{ role: 'broker' }`. */
  readonly fields?: LogFields
}

/** A logger that writes one JSON object a line. */
export function createLogger(options: LoggerOptions = {}): Logger {
  // Loaded when somebody logs: a broker in a test has a silent logger. The types are those of the module that is named.
  const { pino, stdTimeFunctions } = require('pino') as typeof import('pino')
  const logger: PinoLogger = pino(
    { level: options.level ?? 'info', base: options.fields ?? {}, timestamp: stdTimeFunctions.isoTime },
    options.destination ?? pino.destination({ dest: 2, sync: true })
  )
  return logger
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger
}
