/**
 * How many invocations at once a target takes before they only queue there.
 *
 * A gradient limiter (after Envoy's gradient controller and Netflix' gradient
 * limit): while a batch takes as long as it does when little is sent, the limit
 * grows; when batches take longer in proportion to what is sent, they wait for
 * one another inside the target, and the limit shrinks towards what works there.
 *
 * ```
 * ratio = median of (time of a batch / base time of batches of its size)
 * limit = load · min(1, TOLERANCE / ratio) + √limit
 * ```
 *
 * - *Size.* Time depends on the number of records, so base times are kept per
 *   power of two of it; a size not seen yet starts from its nearest neighbour.
 * - *Base* times come from windows of little load: the first ones, and a short
 *   look at half the limit now and then. Any lower time lowers them at once.
 * - *A target that got slower by itself* drives the limit to its minimum, where
 *   nothing queues: what is measured there twice becomes the new base.
 * - *Unused limits* teach nothing about growth: what was sent while fewer were
 *   under way than allowed can only lower base times.
 * - *Refusals* (429, throttles, time-outs) lower the limit by a fifth, once for
 *   all that was sent before; near the level that was refused it grows by ones.
 *
 * In a dry run the limit does not bind, so `load` is what was really under way:
 * the same formula then gives the limit by Little's law.
 *
 * Pure: time is passed in. One sample costs a few additions; one window sorts at most 64 numbers.
 */

import { AdaptiveBases, sizeClassOf } from './adaptive-bases.ts'

/** Limits of the limiter. */
export interface AdaptiveLimitOptions {
  /** Lowest limit. At least 1. */
  readonly min: number
  /** Highest limit. */
  readonly max: number
  /** Whether its limit is only looked at: then it does not begin at the minimum, and it cannot probe. */
  readonly isDryRun: boolean
}

/** One invocation that was answered. */
export interface LimitSample {
  readonly sentMs: number
  readonly answeredMs: number
  readonly records: number
  /** Invocations under way when it was sent, itself included. */
  readonly inFlight: number
}

/** Time that may be taken beyond the base before it counts as queueing: chance and jitter. */
const TOLERANCE = 1.25
/** What a refusal leaves of the limit. */
const BACKOFF_RATIO = 0.8
/** Fewest and most samples of a window. */
const SAMPLES_MIN = 5
const SAMPLES_MAX = 64
/** Time between two looks at half the limit, in milliseconds, and how long a refusal is remembered. */
const PROBE_EVERY_MS = 30_000
/** Windows in a row at the lowest limit after which their time is the new base. */
const LOW_WINDOWS_MAX = 2

/** Finds the limit of one target. */
export class AdaptiveLimit {
  #options: AdaptiveLimitOptions
  readonly #bases = new AdaptiveBases()
  #limit: number
  #ratios: number[] = []
  #loadSum = 0
  #windowStartMs = 0
  /** Least time of a sample of the window: a window lasts as long as an invocation at least. */
  #sampleMsMin = Number.POSITIVE_INFINITY
  #droppedMs = Number.NEGATIVE_INFINITY
  #refusedLimit = Number.POSITIVE_INFINITY
  #lowWindows = 0
  #probedMs: number | undefined
  #isProbing = false
  #lastRatio: number | undefined

  constructor(options: AdaptiveLimitOptions) {
    this.#options = options
    this.#limit = options.isDryRun ? options.max : options.min
  }

  /** Most invocations at once for now. A whole number. */
  get limit(): number {
    const { min } = this.#options
    const whole = Math.max(min, Math.round(this.#limit))
    return this.#isProbing ? Math.max(min, Math.ceil(whole / 2)) : whole
  }

  /** Median time of the latest window by the base time; `undefined` before there is one. */
  get ratio(): number | undefined {
    return this.#lastRatio
  }

  /** Whether it looks at half its limit for the moment. */
  get isProbing(): boolean {
    return this.#isProbing
  }

  /** Changes the bounds while it runs. */
  configure(options: AdaptiveLimitOptions): void {
    this.#options = options
    this.#isProbing = false
    this.#limit = clamp(this.#limit, options.min, options.max)
  }

  /** Learns from an invocation that was answered. */
  answered(sample: LimitSample): void {
    if (sample.sentMs < this.#windowStartMs) return
    if (sample.records <= 0) return
    const sizeClass = sizeClassOf(sample.records)
    const ms = Math.max(0.01, sample.answeredMs - sample.sentMs)
    const { limit } = this
    // Half of what is allowed is too little to say anything about the limit, but it shows how fast the target can be.
    const isUnused = !this.#options.isDryRun && sample.inFlight * 2 <= limit && limit > 1
    if (isUnused) return this.#bases.sawUnloaded(sizeClass, ms)
    this.#ratios.push(ms / this.#bases.of(sizeClass, ms))
    this.#bases.note(sizeClass, ms)
    this.#loadSum += sample.inFlight
    this.#sampleMsMin = Math.min(this.#sampleMsMin, ms)
    const samplesWanted = Math.min(SAMPLES_MAX, Math.max(SAMPLES_MIN, limit))
    const isOver = this.#ratios.length >= samplesWanted
    if (isOver && sample.answeredMs - this.#windowStartMs >= this.#sampleMsMin) this.#closeWindow(sample.answeredMs)
    else if (this.#ratios.length > 4 * SAMPLES_MAX) this.#ratios.splice(0, SAMPLES_MAX)
  }

  /** The target did not take an invocation: it throttled it, or did not answer in time. */
  refused(sentMs: number, nowMs: number): void {
    // What was under way together is refused together, and says one thing.
    if (sentMs < this.#droppedMs) return
    this.#droppedMs = nowMs
    this.#refusedLimit = this.#limit
    this.#limit = clamp(this.#limit * BACKOFF_RATIO, this.#options.min, this.#options.max)
    this.#isProbing = false
    this.#startWindow(nowMs)
  }

  #closeWindow(nowMs: number): void {
    const { isDryRun } = this.#options
    const ratio = median(this.#ratios)
    const load = isDryRun ? this.#loadSum / this.#ratios.length : this.#limit
    const before = this.#lastRatio ?? ratio
    this.#lastRatio = ratio
    if (this.#isProbing) {
      // No faster at half the limit: nothing queues, these are the times of the target itself, be they longer than
      // before. If it is faster there, what is between is a line, and only lower times may be believed.
      if (ratio > before * 0.85) this.#bases.adopt()
      else this.#bases.lower()
      this.#isProbing = false
    } else {
      this.#bases.lower()
      this.#adjust(ratio, load, nowMs)
    }
    this.#startWindow(nowMs)
  }

  #adjust(ratio: number, load: number, nowMs: number): void {
    const { min, max, isDryRun } = this.#options
    const gradient = Math.min(1, TOLERANCE / ratio)
    const isNearRefusal = nowMs - this.#droppedMs < PROBE_EVERY_MS && this.#limit >= this.#refusedLimit * BACKOFF_RATIO
    const room = isNearRefusal ? 0.5 : Math.sqrt(this.#limit)
    const wanted = load * gradient + (gradient < 1 && isNearRefusal ? 0 : room)
    // Half way at most in one window when it shrinks: one bad window is not the end.
    this.#limit = clamp(Math.max(wanted, this.#limit / 2), min, max)
    if (isDryRun) return
    const isAtBottom = this.limit <= Math.max(min, 2) && ratio > TOLERANCE
    this.#lowWindows = isAtBottom ? this.#lowWindows + 1 : 0
    if (this.#lowWindows > LOW_WINDOWS_MAX) {
      this.#bases.adopt()
      this.#lowWindows = 0
    }
    this.#probedMs ??= nowMs
    if (nowMs - this.#probedMs < PROBE_EVERY_MS || this.limit <= Math.max(2, min)) return
    this.#probedMs = nowMs
    this.#isProbing = true
  }

  #startWindow(nowMs: number): void {
    this.#ratios = []
    this.#bases.startWindow()
    this.#loadSum = 0
    this.#sampleMsMin = Number.POSITIVE_INFINITY
    this.#windowStartMs = nowMs
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 1
}
