/** A logger that keeps its lines, for tests that read them. */

import type { Logger } from '../../../src/telemetry/index.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Keeps lines. */
export class LogLines implements Logger {
  readonly lines: { readonly level: Level; readonly text: string }[] = []

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message)
  }

  info(fields: object, message: string): void {
    this.#add('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#add('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#add('error', fields, message)
  }

  child(): Logger {
    return this
  }

  /** All lines of a level. */
  textOf(level: Level): string {
    return this.lines.flatMap(line => (line.level === level ? line.text : [])).join('\n')
  }

  #add(level: Level, fields: object, message: string): void {
    this.lines.push({ level, text: `${message} ${JSON.stringify(fields)}` })
  }
}
