/**
 * A logger that writes a bounded number of warnings: what a client causes from
 * outside must not fill the disk. `BURST` warnings at once, then
 * `PER_SECOND_MAX`; the next one that is written says how many were left out.
 * Other levels pass.
 */

import type { Clock } from '../../core/index.ts'
import type { LogFields, Logger } from '../../telemetry/index.ts'

/** Warnings that may come at once. */
export const BURST = 100
/** Warnings per second beyond the burst. */
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
    this.#logger.info(fields, message)
  }

  warn(fields: LogFields, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    this.#budget = Math.min(BURST, this.#budget + ((nowMs - this.#refilledAtMs) / 1000) * PER_SECOND_MAX)
    this.#refilledAtMs = nowMs
    if (this.#budget < 1) {
      this.#leftOutCount += 1
      return
    }
    this.#budget -= 1
    this.#logger.warn(this.#leftOutCount === 0 ? fields : { ...fields, linesLeftOut: this.#leftOutCount }, message)
    this.#leftOutCount = 0
  }

  error(fields: LogFields, message: string): void {
    this.#logger.error(fields, message)
  }

  child(fields: LogFields): Logger {
    return new LimitedLogger(this.#logger.child(fields), this.#clock)
  }
}
