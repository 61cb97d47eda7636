/** The console as a logger: what is written is in the function's log. Warnings and errors only. */

import type { LogFields, Logger } from '../../telemetry/index.ts'

/** What a console has of it. */
export interface ConsoleLike {
  warn(message: string, fields: LogFields): void
  error(message: string, fields: LogFields): void
}

/** A logger that writes to a console, with these fields in every line. */
export function consoleLogger(output: ConsoleLike, fields: LogFields = {}): Logger {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: (more, message) => output.warn(message, { ...fields, ...more }),
    error: (more, message) => output.error(message, { ...fields, ...more }),
    child: more => consoleLogger(output, { ...fields, ...more })
  }
}
