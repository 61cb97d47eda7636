/**
 * Sends metrics somewhere, again and again, and never holds anybody up.
 *
 * One export is under way at most; when it takes longer than the interval, those that would begin meanwhile are left
 * out. Nothing is kept for later: sums count from the start, so the next export that arrives says it all. So a
 * destination that is away costs no memory, whatever the time.
 */

import { type Clock, messageOf, type Timer, within } from '../../core/index.ts'
import type { Logger } from '../logger.ts'
import type { CollectedMetrics } from '../metrics/collected.ts'

/** Where metrics go. */
export interface MetricsExporter {
  /** Name in logs and metrics. */
  readonly name: 'otlp' | 'emf'
  /** Longest time of one export, in milliseconds. */
  readonly timeoutMs: number
  /** Rejects if it did not arrive. */
  send(metrics: CollectedMetrics): Promise<void>
  close(): Promise<void>
}

/** What a loop is made from. */
export interface ExportLoopOptions {
  readonly exporter: MetricsExporter
  readonly intervalMs: number
  readonly collect: () => Promise<CollectedMetrics>
  /** Told of every export that has ended. */
  readonly onEnded: (outcome: 'ok' | 'failed') => void
  readonly clock: Clock
  readonly logger: Logger
}

/** Longest wait for the last export, in milliseconds: stopping must not wait for a collector that is away. */
const LAST_MS = 2000

/** Exports in an interval. */
export class ExportLoop {
  readonly #options: ExportLoopOptions
  readonly #timer: Timer
  #underWay: Promise<void> | undefined
  #isFailing = false
  #closed: Promise<void> | undefined

  constructor(options: ExportLoopOptions) {
    this.#options = options
    this.#timer = options.clock.every(options.intervalMs, () => void this.#begin()).unref()
  }

  /** Exports once more, for at most two seconds, and ends. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#timer.cancel()
    const { clock, exporter } = this.#options
    // What is under way may have begun long ago: the last word is one of its own.
    const last = (this.#underWay ?? Promise.resolve()).then(() => this.#begin())
    await within(clock, LAST_MS, last)
    await within(clock, LAST_MS, exporter.close())
  }

  /** Never rejects. */
  #begin(): Promise<void> {
    this.#underWay ??= this.#export().finally(() => {
      this.#underWay = undefined
    })
    return this.#underWay
  }

  async #export(): Promise<void> {
    const { exporter, collect, onEnded, clock } = this.#options
    try {
      const sent = collect().then(metrics => exporter.send(metrics).then(() => 'sent'))
      if ((await within(clock, exporter.timeoutMs, sent)) === undefined) throw new Error('not done in time')
      onEnded('ok')
      this.#changed(false)
    } catch (error) {
      onEnded('failed')
      this.#changed(true, messageOf(error))
    }
  }

  /** One line when exports begin to fail and one when they no longer do, not one for each. */
  #changed(isFailing: boolean, reason?: string): void {
    const { logger, exporter } = this.#options
    if (this.#isFailing === isFailing) return
    this.#isFailing = isFailing
    if (isFailing) logger.warn({ exporter: exporter.name, reason }, 'metrics cannot be exported: trying again')
    else logger.info({ exporter: exporter.name }, 'metrics are exported again')
  }
}
