/**
 * Heartbeats on their own timer: they go on while records are processed,
 * drained or committed, and stop only while a join is on its way, because the
 * coordinator counts a waiting join as a sign of life.
 */

import type { Clock, Timer } from '../core/index.ts'

/** What a heart needs. */
export interface HeartbeatOptions {
  readonly clock: Clock
  readonly intervalMs: number
  /** Wait after a failed heartbeat, in milliseconds; the session goes on running out meanwhile. */
  readonly retryMs: number
  /** Sends one heartbeat; resolves with whether the coordinator answered. Must not reject. */
  readonly beat: () => Promise<boolean>
}

/** Sends heartbeats between `start` and `stop`. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #timer: Timer | undefined
  /** Counts `start` and `stop`: an answer that comes later is of an earlier run. */
  #run = 0
  #isRunning = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Begins; the first heartbeat comes after one interval. Idempotent. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#run += 1
    this.#schedule(this.#options.intervalMs, this.#run)
  }

  /** Stops. Idempotent. */
  stop(): void {
    this.#isRunning = false
    this.#run += 1
    this.#timer?.cancel()
  }

  #schedule(delayMs: number, run: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => void this.#beat(run))
  }

  async #beat(run: number): Promise<void> {
    const isAnswered = await this.#options.beat()
    if (run !== this.#run) return
    const { intervalMs, retryMs } = this.#options
    this.#schedule(isAnswered ? intervalMs : Math.min(intervalMs, retryMs), run)
  }
}
