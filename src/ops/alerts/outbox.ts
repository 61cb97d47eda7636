/**
 * Delivers alerts without ever keeping the evaluation waiting.
 *
 * Each sender has a queue of its own, so that one that hangs does not hold back
 * another, and works it off in order: a resolution never overtakes its alert.
 * A message that fails is tried again with growing pauses, then dropped with a
 * log line and counted. Limits: `queueMax` messages for each sender (the oldest
 * makes room: the newest is nearer to the truth), `attemptsMax` tries,
 * `timeoutMs` for each.
 */

import { backoffMs, type Clock, isRetriable, messageOf, type Random, sleep } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { Alert } from './alert.ts'
import { type AlertMessage, messageOfAlert } from './message.ts'
import type { AlertSender } from './sender.ts'

/** How it is set up. */
export interface AlertOutboxOptions {
  readonly senders: readonly AlertSender[]
  /** Name of the pipeline, in every message. */
  readonly pipeline: string
  readonly clock: Clock
  readonly random: Random
  readonly logger?: Logger
  /** Default 1,000. */
  readonly queueMax?: number
  /** Default 6: with pauses up to a minute about two minutes. */
  readonly attemptsMax?: number
  /** Default 10_000. */
  readonly timeoutMs?: number
}

/** What became of alerts. */
export interface AlertCounts {
  readonly sent: number
  /** Given up, or pushed out of a full queue. */
  readonly dropped: number
  readonly waiting: number
}

interface Line {
  readonly sender: AlertSender
  readonly queue: AlertMessage[]
  isRunning: boolean
}

const backoff = { initialMs: 1_000, maxMs: 60_000 }

/** The outbox. */
export class AlertOutbox {
  readonly #options: Required<Omit<AlertOutboxOptions, 'logger' | 'senders'>>
  readonly #logger: Logger | undefined
  readonly #lines: readonly Line[]
  readonly #stop = new AbortController()
  #idle: PromiseWithResolvers<void> | undefined
  #sent = 0
  #dropped = 0

  constructor({ senders, logger, ...options }: AlertOutboxOptions) {
    this.#options = { queueMax: 1000, attemptsMax: 6, timeoutMs: 10_000, ...options }
    this.#logger = logger
    this.#lines = senders.map(sender => ({ sender, queue: [], isRunning: false }))
  }

  /** What became of what was put in. */
  counts(): AlertCounts {
    const waiting = this.#lines.reduce((sum, { queue }) => sum + queue.length, 0)
    return { sent: this.#sent, dropped: this.#dropped, waiting }
  }

  /** Takes alerts in, and returns at once. */
  put(alerts: readonly Alert[]): void {
    if (this.#stop.signal.aborted) return
    for (const alert of alerts) {
      const message = messageOfAlert(alert, this.#options.pipeline)
      for (const line of this.#lines) this.#enqueue(line, message)
    }
  }

  /** Resolves when nothing is waiting. */
  async settled(): Promise<void> {
    if (this.#lines.every(({ isRunning }) => !isRunning)) return
    this.#idle ??= Promise.withResolvers()
    await this.#idle.promise
  }

  /** Waits until all is delivered, at most `deadlineMs` milliseconds, and ends. What is left is dropped. */
  async close(deadlineMs = 5_000): Promise<void> {
    const cancel = new AbortController()
    await Promise.race([this.settled(), sleep(this.#options.clock, deadlineMs, cancel.signal)])
    cancel.abort()
    this.#stop.abort()
    await this.settled()
    for (const { sender } of this.#lines) sender.close()
  }

  #enqueue(line: Line, message: AlertMessage): void {
    if (!line.sender.severities.includes(message.severity)) return
    if (line.queue.length >= this.#options.queueMax) {
      line.queue.shift()
      this.#drop(line.sender, 'its queue is full')
    }
    line.queue.push(message)
    if (!line.isRunning) void this.#run(line)
  }

  /** Never rejects: each message is caught. */
  async #run(line: Line): Promise<void> {
    line.isRunning = true
    for (let message = line.queue.shift(); message !== undefined; message = line.queue.shift()) {
      await this.#deliver(line.sender, message)
    }
    line.isRunning = false
    if (this.#lines.some(({ isRunning }) => isRunning)) return
    this.#idle?.resolve()
    this.#idle = undefined
  }

  async #deliver(sender: AlertSender, message: AlertMessage): Promise<void> {
    const { clock, random, attemptsMax } = this.#options
    for (let attempt = 1; ; attempt += 1) {
      if (this.#stop.signal.aborted) return this.#drop(sender, 'the watch ended')
      try {
        await this.#try(sender, message)
        this.#sent += 1
        return
      } catch (error) {
        if (!isRetriable(error) || attempt >= attemptsMax) return this.#drop(sender, messageOf(error))
        this.#logger?.warn({ sender: sender.name, attempt, reason: messageOf(error) }, 'alert not delivered, again')
      }
      await sleep(clock, backoffMs(backoff, attempt, random), this.#stop.signal)
    }
  }

  async #try(sender: AlertSender, message: AlertMessage): Promise<void> {
    const { clock, timeoutMs } = this.#options
    const limit = new AbortController()
    const timer = clock.after(timeoutMs, () => limit.abort())
    try {
      await sender.send(message, AbortSignal.any([limit.signal, this.#stop.signal]))
    } finally {
      timer.cancel()
    }
  }

  #drop(sender: AlertSender, reason: string): void {
    this.#dropped += 1
    this.#logger?.error({ sender: sender.name, reason }, 'alert dropped')
  }
}
