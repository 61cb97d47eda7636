/**
 * A rate line with a clock: those who wait are promises, one timer wakes them.
 *
 * The timer looks again when it fires: one that fires early lets nobody pass too
 * early, one that fires late finds the tokens of the time in between.
 */

import type { Clock, Timer } from '../../core/index.ts'
import { RateLine, type RateLimits, type RateWaiter } from './rate-line.ts'

/** Shortest sleep, in milliseconds: what timers can do. */
const SLEEP_MIN_MS = 1
/** Longest sleep, in milliseconds: timers cannot sleep for months. */
const SLEEP_MAX_MS = 60_000

/** A limit that can be waited for. */
export class PacedLine {
  readonly line: RateLine
  readonly #clock: Clock
  readonly #wakers = new Map<RateWaiter, (hasPassed: boolean) => void>()
  #timer: Timer | undefined
  #waitedMs = 0
  #waitCount = 0

  constructor(limits: RateLimits, clock: Clock) {
    this.line = new RateLine(limits)
    this.#clock = clock
  }

  /** Sum of all waits, in milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  /** How often somebody had to wait. */
  get waitCount(): number {
    return this.#waitCount
  }

  /** Takes tokens if they are there and nobody is in line. */
  tryTake(records: number, bytes: number): boolean {
    return this.line.tryTake(records, bytes, this.#clock.monotonicMs())
  }

  /** See `RateLine.hasRoomFor`. */
  hasRoomFor(records: number, bytes: number): boolean {
    return this.line.hasRoomFor(records, bytes, this.#clock.monotonicMs())
  }

  /** See `RateLine.tryOwe`. */
  tryOwe(records: number, bytes: number): boolean {
    return this.line.tryOwe(records, bytes, this.#clock.monotonicMs())
  }

  /** Records and bytes saved up; infinite without such a limit. */
  tokens(): { readonly records: number; readonly bytes: number } {
    const nowMs = this.#clock.monotonicMs()
    const { line } = this
    return { records: line.recordTokens(nowMs) ?? Infinity, bytes: line.byteTokens(nowMs) ?? Infinity }
  }

  /**
   * Takes tokens, and waits for its turn if need be.
   *
   * @returns `false` if the signal ended the wait: nothing was taken.
   */
  async take(waiter: RateWaiter, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    const startedMs = this.#clock.monotonicMs()
    if (this.line.tryTake(waiter.records, waiter.bytes, startedMs)) return true
    this.#waitCount += 1
    const hasPassed = await new Promise<boolean>(resolve => {
      const onAbort = (): void => {
        this.#wakers.delete(waiter)
        this.line.leave(waiter, this.#clock.monotonicMs())
        resolve(false)
        this.look()
      }
      this.#wakers.set(waiter, passed => {
        signal.removeEventListener('abort', onAbort)
        resolve(passed)
      })
      signal.addEventListener('abort', onAbort, { once: true })
      this.line.join(waiter, startedMs)
      this.look()
    })
    this.#waitedMs += this.#clock.monotonicMs() - startedMs
    return hasPassed
  }

  /** Returns tokens that were taken and not used. */
  giveBack(records: number, bytes: number): void {
    if (records === 0 && bytes === 0) return
    this.line.giveBack(records, bytes)
    this.look()
  }

  /** Changes this instance's share of the limit, 0 to 1. */
  setShare(share: number): void {
    this.line.setShare(share, this.#clock.monotonicMs())
    this.look()
  }

  /** See `RateLine.waitMsFor`. */
  waitMsFor(records: number, bytes: number): number {
    return this.line.waitMsFor(records, bytes, this.#clock.monotonicMs())
  }

  /** Lets pass who may, and sets the timer for the next. Harmless at any time. */
  look(): void {
    const nowMs = this.#clock.monotonicMs()
    for (let passed = this.line.pass(nowMs); passed !== undefined; passed = this.line.pass(nowMs)) {
      const wake = this.#wakers.get(passed)
      this.#wakers.delete(passed)
      wake?.(true)
    }
    this.#timer?.cancel()
    this.#timer = undefined
    const waitMs = this.line.nextMs(nowMs)
    // With a share of 0 only a new share changes anything.
    if (waitMs === undefined || waitMs === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.after(Math.min(SLEEP_MAX_MS, Math.max(SLEEP_MIN_MS, waitMs)), () => this.look())
  }
}
