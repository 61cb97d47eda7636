/**
 * Structured logs: the contract every room logs through, and its pino backend.
 *
 * A log line has fields first and a short English message last. Neither holds
 * record values, keys or secrets; what looks like a secret all the same is taken
 * out of the line (`logger-redaction.ts`).
 *
 * A logger with the field `room` belongs to a room and has that room's level,
 * and so have all that come from it.
 */

import { createRequire } from 'node:module'

import type { DestinationStream, Logger as PinoLogger } from 'pino'

import { redactLine } from './logger-redaction.ts'

const require = createRequire(import.meta.url)

/** Fields of one log line. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where a room writes its log lines. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A logger that adds the given fields to every line; `room` also chooses its level. */
  child(fields: LogFields): Logger
}

/** Log levels, from most to least lines. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** How a process logs. */
export interface LoggerOptions {
  /** Least level that is written. Default `info`. */
  readonly level?: LogLevel
  /** Levels of single rooms, instead of `level`. Default: none. */
  readonly rooms?: Readonly<Record<string, LogLevel>>
  /** Where lines go. Default: standard error, so that standard output stays for results. */
  readonly destination?: DestinationStream
  /** Fields of every line, for example `{ role: 'broker' }`. */
  readonly fields?: LogFields
}

/** A logger that writes one JSON object a line. */
export function createLogger(options: LoggerOptions = {}): Logger {
  // Loaded when somebody logs: a broker in a test has a silent logger. The types are those of the module that is named.
  const { pino, stdTimeFunctions } = require('pino') as typeof import('pino')
  const { rooms = {} } = options
  const logger: PinoLogger = pino(
    {
      level: options.level ?? 'info',
      base: options.fields ?? {},
      timestamp: stdTimeFunctions.isoTime,
      hooks: { streamWrite: redactLine },
      ...(Object.keys(rooms).length === 0 ? {} : { onChild: child => setRoomLevel(child, rooms) })
    },
    options.destination ?? pino.destination({ dest: 2, sync: true })
  )
  return logger
}

function setRoomLevel(child: PinoLogger, rooms: Readonly<Record<string, LogLevel>>): void {
  const { room } = child.bindings()
  const level = typeof room === 'string' && Object.hasOwn(rooms, room) ? rooms[room] : undefined
  if (level !== undefined) child.level = level
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger
}
