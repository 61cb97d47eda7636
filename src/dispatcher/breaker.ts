/**
 * Circuit breaker of one target: tells a sick target from bad records.
 *
 * Only answers that say "not now" (`unavailable`) count; a target that refuses
 * a record is well. After `failuresMax` of them in a row, or when their share of
 * a window reaches `failureRatio`, the breaker opens: no batch is sent until the
 * pause is over, then one batch alone probes the target. Its answer closes the
 * breaker or opens it again, for twice as long, up to `openMaxMs`. Pure: time is
 * passed in.
 *
 * ```
 * closed -- too many failures --> open -- pause over --> halfOpen -- probe well --> closed
 *                                  ^-------------------- probe failed ----'
 * ```
 *
 * It belongs to the target: partitions that come or go while it is open change
 * nothing about it.
 */

import { FailureWindow } from './flow/failure-window.ts'

/** What a breaker is doing. */
export type BreakerState = 'closed' | 'open' | 'halfOpen'

/** Whether a batch may be sent now. */
export type BreakerPermit =
  | { readonly kind: 'send' }
  /** This batch decides for all: report what became of it with `succeeded`, `failed` or `released`. */
  | { readonly kind: 'probe' }
  /** Not before this time; `undefined` = when the probe has its answer. */
  | { readonly kind: 'wait'; readonly untilMs: number | undefined }

/** Limits of a breaker. */
export interface BreakerOptions {
  /** Failures in a row that open it. At least 1. */
  readonly failuresMax: number
  /** First pause, in milliseconds. */
  readonly openMs: number
  /**
   * Longest pause, in milliseconds. Default twelve times `openMs`. A target's own `Retry-After` may ask for more, up to
   * five minutes: what it says may be nonsense, and only a probe finds out that it is back.
   */
  readonly openMaxMs?: number | undefined
  /**
   * Share of failures in the window that opens it too, above 0 to 1. Default: only failures in a row count. It finds a
   * target that fails half of the time, which hardly ever fails often enough in a row.
   */
  readonly failureRatio?: number | undefined
  /** Length of the window, in milliseconds. Default 30_000. */
  readonly windowMs?: number | undefined
  /** Invocations that the window must have before its share counts. Default 20. */
  readonly samplesMin?: number | undefined
}

/** A breaker as JSON can hold it. */
export interface BreakerDescription {
  readonly state: BreakerState
  /** Failures in a row. */
  readonly failures: number
  /** Share of failures in the window; `null` if it is not asked for. */
  readonly failureRatio: number | null
  /** Pause left, in milliseconds; 0 unless it is open. */
  readonly openForMs: number
}

/** Longest pause that a target may ask for, in milliseconds. */
const RETRY_AFTER_MAX_MS = 300_000

/** Length of the window unless said otherwise, in milliseconds. */
const WINDOW_MS = 30_000
/** Invocations that a window must have unless said otherwise. */
const SAMPLES_MIN = 20

const SEND: BreakerPermit = { kind: 'send' }
const PROBE: BreakerPermit = { kind: 'probe' }

/** Breaker of one target. */
export class Breaker {
  #options: BreakerOptions
  #window: FailureWindow | undefined
  #state: BreakerState = 'closed'
  #failures = 0
  #openings = 0
  #openUntilMs = 0

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#window = windowOf(options)
  }

  /** Changes the limits; its state stays, and a pause that has begun is as long as it was. */
  configure(options: BreakerOptions): void {
    const isSameWindow = options.windowMs === this.#options.windowMs
    const isSameRatio = options.failureRatio === this.#options.failureRatio
    this.#options = options
    if (!isSameWindow || !isSameRatio) this.#window = windowOf(options)
  }

  /** What the breaker is doing. */
  get state(): BreakerState {
    return this.#state
  }

  /** Asks for leave to send one batch. */
  permit(nowMs: number): BreakerPermit {
    if (this.#state === 'closed') return SEND
    if (this.#state === 'halfOpen') return { kind: 'wait', untilMs: undefined }
    if (nowMs < this.#openUntilMs) return { kind: 'wait', untilMs: this.#openUntilMs }
    this.#state = 'halfOpen'
    return PROBE
  }

  /**
   * The target has answered, whatever it said of the records.
   *
   * @param nowMs - Only needed if `failureRatio` is set.
   */
  succeeded(isProbe: boolean, nowMs = 0): void {
    this.#failures = 0
    if (this.#state === 'closed') this.#window?.add(false, nowMs)
    // A straggler sent before the breaker opened says nothing about now: only the probe closes it.
    if (this.#state === 'closed' || !isProbe) return
    this.#state = 'closed'
    this.#openings = 0
  }

  /** The target was not able to answer. */
  failed(isProbe: boolean, nowMs: number, retryAfterMs = 0): void {
    this.#failures += 1
    if (this.#state === 'closed') this.#window?.add(true, nowMs)
    const opens = this.#state === 'closed' ? this.#isTooMuch() : isProbe
    if (!opens) return
    this.#window?.clear()
    const longest = this.#options.openMaxMs ?? this.#options.openMs * 12
    const pauseMs = Math.min(longest, this.#options.openMs * 2 ** Math.min(30, this.#openings))
    this.#state = 'open'
    this.#openings += 1
    this.#openUntilMs = nowMs + Math.max(pauseMs, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS))
  }

  /** What it is doing, in full. */
  describe(nowMs: number): BreakerDescription {
    const ratio = this.#window?.failureRatio
    return {
      state: this.#state,
      failures: this.#failures,
      failureRatio: ratio === undefined ? null : Math.round(ratio * 1000) / 1000,
      openForMs: this.#state === 'open' ? Math.max(0, Math.ceil(this.#openUntilMs - nowMs)) : 0
    }
  }

  #isTooMuch(): boolean {
    if (this.#failures >= this.#options.failuresMax) return true
    const { failureRatio, samplesMin = SAMPLES_MIN } = this.#options
    if (failureRatio === undefined || this.#window === undefined) return false
    return this.#window.totalCount >= samplesMin && this.#window.failureRatio >= failureRatio
  }

  /** The probe was given up without an answer (its partition was taken away): the next batch probes instead. */
  released(nowMs: number): void {
    if (this.#state !== 'halfOpen') return
    this.#state = 'open'
    this.#openUntilMs = nowMs
  }
}

function windowOf({ failureRatio, windowMs }: BreakerOptions): FailureWindow | undefined {
  return failureRatio === undefined ? undefined : new FailureWindow(windowMs ?? WINDOW_MS)
}
