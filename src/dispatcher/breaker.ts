/**
 * Circuit breaker of one target: tells a sick target from bad records.
 *
 * Only answers that say "not now" (`unavailable`) count; a target that refuses
 * a record is well. After `failuresMax` of them in a row the breaker opens: no
 * batch is sent until the pause is over, then one batch alone probes the
 * target. Its answer closes the breaker or opens it again, for twice as long, up
 * to `openMaxMs`. Pure: time is passed in.
 *
 * ```
 * closed -- failuresMax in a row --> open -- pause over --> halfOpen -- probe well --> closed
 *                                     ^-------------------- probe failed ----'
 * ```
 */

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
  readonly openMaxMs?: number
}

/** Longest pause that a target may ask for, in milliseconds. */
const RETRY_AFTER_MAX_MS = 300_000

const SEND: BreakerPermit = { kind: 'send' }
const PROBE: BreakerPermit = { kind: 'probe' }

/** Breaker of one target. */
export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failures = 0
  #openings = 0
  #openUntilMs = 0

  constructor(options: BreakerOptions) {
    this.#options = options
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

  /** The target has answered, whatever it said of the records. */
  succeeded(isProbe: boolean): void {
    this.#failures = 0
    // A straggler sent before the breaker opened says nothing about now: only the probe closes it.
    if (this.#state === 'closed' || !isProbe) return
    this.#state = 'closed'
    this.#openings = 0
  }

  /** The target was not able to answer. */
  failed(isProbe: boolean, nowMs: number, retryAfterMs = 0): void {
    this.#failures += 1
    const opens = this.#state === 'closed' ? this.#failures >= this.#options.failuresMax : isProbe
    if (!opens) return
    const longest = this.#options.openMaxMs ?? this.#options.openMs * 12
    const pauseMs = Math.min(longest, this.#options.openMs * 2 ** Math.min(30, this.#openings))
    this.#state = 'open'
    this.#openings += 1
    this.#openUntilMs = nowMs + Math.max(pauseMs, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS))
  }

  /** The probe was given up without an answer (its partition was taken away): the next batch probes instead. */
  released(nowMs: number): void {
    if (this.#state !== 'halfOpen') return
    this.#state = 'open'
    this.#openUntilMs = nowMs
  }
}
