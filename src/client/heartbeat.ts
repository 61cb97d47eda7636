/**
 * Heartbeats on their own timer: they go on while records are processed,
 * drained or committed.
 *
 * A heartbeat is also how a member learns that it is somebody's turn, so while
 * a group changes hands, its pace is the time that a partition stands still.
 * After every change the next heartbeats come quickly, then more and more
 * slowly, in proportion to the time that has passed: a hand-over waits for a
 * sixteenth of the time since the change at most, and a change costs a group
 * some tens of heartbeats per member, not a higher rate for ever.
 */

import type { Clock, Timer } from '../core/index.ts'

/** Shortest time between two heartbeats, in milliseconds. */
const quickMs = 40
/** Share of the time since the last change that the next heartbeat may wait. */
const patienceRatio = 1 / 16

/** The wait before the next heartbeat, when nothing has changed for so long. All in milliseconds. */
export function heartbeatDelayMs(sinceChangeMs: number, intervalMs: number): number {
  return Math.min(intervalMs, Math.max(quickMs, sinceChangeMs * patienceRatio))
}

/** What a heart needs. */
export interface HeartbeatOptions {
  readonly clock: Clock
  /** Longest time between two heartbeats, in milliseconds. */
  readonly intervalMs: number
  /** Wait after a failed heartbeat, in milliseconds; the session goes on running out meanwhile. */
  readonly retryMs: number
  /** Sends one heartbeat; resolves with whether the coordinator answered. Must not reject. One at a time. */
  readonly beat: () => Promise<boolean>
}

/** Sends heartbeats between `start` and `stop`. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #intervalMs: number
  #timer: Timer | undefined
  #changedAtMs = Number.NEGATIVE_INFINITY
  #isRunning = false
  #isDue = false
  #isBeating = false
  #settled: (() => void)[] = []

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Takes the coordinator's interval over, if it is shorter than our own. */
  limit(intervalMs: number): void {
    if (intervalMs > 0) this.#intervalMs = Math.min(this.#options.intervalMs, intervalMs)
  }

  /** Begins, with quick heartbeats at first. Idempotent. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.attend()
  }

  /** Something has changed in the group: more may follow soon. */
  attend(): void {
    this.#changedAtMs = this.#options.clock.monotonicMs()
    if (this.#isRunning && !this.#isBeating) this.#schedule(this.#delayMs())
  }

  /** There is something to say or to ask: beats at once, or right after the heartbeat that is under way. */
  hurry(): void {
    if (!this.#isRunning) return
    if (this.#isBeating) this.#isDue = true
    else void this.#beat()
  }

  /** Stops. Idempotent. */
  stop(): void {
    this.#isRunning = false
    this.#isDue = false
    this.#timer?.cancel()
  }

  /** Resolves when no heartbeat is under way. */
  settled(): Promise<void> {
    if (!this.#isBeating) return Promise.resolve()
    return new Promise(resolve => this.#settled.push(resolve))
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(delayMs, () => void this.#beat())
  }

  #delayMs(): number {
    return heartbeatDelayMs(this.#options.clock.monotonicMs() - this.#changedAtMs, this.#intervalMs)
  }

  async #beat(): Promise<void> {
    // A heartbeat of before the last `stop` may still be under way: its end schedules the next one.
    if (this.#isBeating) return
    this.#isBeating = true
    this.#timer?.cancel()
    let isAnswered: boolean
    do {
      this.#isDue = false
      isAnswered = await this.#options.beat()
    } while (isAnswered && this.#isDue && this.#isRunning)
    this.#isBeating = false
    for (const settle of this.#settled.splice(0)) settle()
    if (!this.#isRunning) return
    // What was due is due after the wait: a coordinator that cannot be reached must not be asked in a loop.
    this.#schedule(isAnswered ? this.#delayMs() : Math.min(this.#intervalMs, this.#options.retryMs))
  }
}
