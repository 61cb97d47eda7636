/**
 * A logger that writes a bounded number of warnings and lines of information:
 * what a client causes from outside must not fill the disk. `BURST` lines at
 * once, then `PER_SECOND_MAX`; the next one that is written says how many were
 * left out. Errors pass, and so does what only those see who ask for it.
 */

import type { Clock } from '../../core/index.ts'
import type { LogFields, Logger } from '../../telemetry/index.ts'

/** Lines that may come at once. */
export const BURST = 100
/** Lines per second beyond the burst. */
export const PER_SECOND_MAX = 10

/** Passes lines on to another logger. */
export class LimitedLogger implements Logger {
  readonly #logger: Logger
  readonly #clock: Clock
  #budget: number = BURST
  #refilledAtMs: number
  #leftOutCount = 0

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
    this.#refilledAtMs = clock.monotonicMs()
  }

  debug(fields: LogFields, message: string): void {
    this.#logger.debug(fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: LogFields, message: string): void {
    this.#logger.error(fields, message)
  }

  child(fields: LogFields): Logger {
    return new LimitedLogger(this.#logger.child(fields), this.#clock)
  }

  #write(level: 'info' | 'warn', fields: LogFields, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    this.#budget = Math.min(BURST, this.#budget + ((nowMs - this.#refilledAtMs) / 1000) * PER_SECOND_MAX)
    this.#refilledAtMs = nowMs
    if (this.#budget < 1) {
      this.#leftOutCount += 1
      return
    }
    this.#budget -= 1
    this.#logger[level](this.#leftOutCount === 0 ? fields : { ...fields, linesLeftOut: this.#leftOutCount }, message)
    this.#leftOutCount = 0
  }
}
