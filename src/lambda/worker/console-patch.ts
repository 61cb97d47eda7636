/**
 * `console` as Lambda's Node.js runtime has it: one entry per call, with time,
 * request id and level in front (text), or as one JSON object (`JSON`), and
 * nothing below the log level. What is written to standard output directly is
 * left as it is. Source: AWS's Lambda Node.js runtime interface client 3.3
 * (`LogPatch.js`).
 */

import { format } from 'node:util'

import type { Clock } from '../../core/index.ts'
import { asError, formattedError } from './error-payload.ts'

/** Takes one entry. `prefixLength` is what of the text is Lambda's own. */
export type LogEntry = (text: string, level: string, prefixLength: number) => void

/** What the console needs of its worker. */
export interface ConsoleOptions {
  readonly console: Console
  /** Environment of the function: `AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL`. */
  readonly environment: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly requestId: () => string | undefined
  readonly write: LogEntry
}

/** How the runtime around the handler logs: through the console, so that the log level holds for it as well. */
export interface RuntimeLog {
  /** Logs an error of the handler in the words of Lambda. */
  error(what: string, error: unknown): void
  warn(text: string): void
}

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const
const METHODS = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', log: 'INFO', warn: 'WARN', error: 'ERROR' } as const

/** Replaces the methods of the console. @returns How the runtime around the handler logs in this format. */
export function patchConsole({ console, environment, clock, requestId, write }: ConsoleOptions): RuntimeLog {
  const isJson = environment['AWS_LAMBDA_LOG_FORMAT']?.toUpperCase() === 'JSON'
  const lowest = LEVELS.findIndex(level => level === environment['AWS_LAMBDA_LOG_LEVEL']?.toUpperCase())
  const log = (level: string, params: readonly unknown[]): void => {
    const time = new Date(clock.now()).toISOString()
    if (isJson) return write(`${jsonEntry({ time, level, requestId: requestId() }, params)}\n`, level, 0)
    const prefix = `${time}\t${requestId()}\t${level}\t`
    write(`${prefix}${format(...params)}\n`, level, prefix.length)
  }
  const patched: Record<string, (...params: unknown[]) => void> = {}
  for (const [method, level] of Object.entries(METHODS)) {
    const isLogged = LEVELS.indexOf(level) >= lowest
    patched[method] = isLogged ? (...params) => log(level, params) : () => undefined
  }
  patched['fatal'] = (...params) => log('FATAL', params)
  Object.assign(console, patched)
  return {
    error: (what, error) => {
      if (isJson) console.error(asError(error))
      else console.error(what, formattedError(asError(error)))
    },
    warn: text => console.warn(text)
  }
}

interface EntryHead {
  readonly time: string
  readonly level: string
  readonly requestId: string | undefined
}

function jsonEntry({ time, level, requestId }: EntryHead, params: readonly unknown[]): string {
  const head = { timestamp: time, level, requestId }
  if (params.length === 1) {
    try {
      return JSON.stringify({ ...head, message: params[0] }, errorReplacer)
    } catch {
      return JSON.stringify({ ...head, message: format(params[0]) })
    }
  }
  const message = format(...params)
  const error = params.find(each => each instanceof Error)
  return JSON.stringify({ ...head, message, ...(error === undefined ? {} : errorMembers(error, [])) })
}

function errorReplacer(_key: string, value: unknown): unknown {
  return value instanceof Error ? Object.assign(errorMembers(value, value.stack), value) : value
}

function errorMembers(error: Error, withoutStack: unknown): Record<string, unknown> {
  const stackTrace = typeof error.stack === 'string' ? error.stack.split('\n') : withoutStack
  return { errorType: constructorName(error), errorMessage: error.message, stackTrace }
}

function constructorName(error: Error): string {
  // Boundary: whoever threw it may have taken the constructor away.
  const { constructor: made } = error as { readonly constructor?: { readonly name?: string } }
  return made?.name ?? 'UnknownError'
}
