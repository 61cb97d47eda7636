/**
 * Log lines that must be seen but would repeat with every batch: the same message at most once in 30 s.
 */

import type { Clock } from '../core/index.ts'
import type { LogFields, Logger } from '../telemetry/index.ts'

const QUIET_MS = 30_000

/** An error log that does not repeat itself. */
export class LoudLog {
  readonly #logger: Logger
  readonly #clock: Clock
  #lastMessage = ''
  #lastMs = 0

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  /** Logs an error unless the same message was logged a moment ago. */
  error(fields: LogFields, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    if (message === this.#lastMessage && nowMs - this.#lastMs < QUIET_MS) return
    this.#lastMessage = message
    this.#lastMs = nowMs
    this.#logger.error(fields, message)
  }
}
