/**
 * How many events a worker owes at a time: rate, ramp-up, phases of workers, bursts.
 *
 * A curve is the integral of the rate over the time since the start; the source
 * asks when the next events are due. Pure: the caller gives the time.
 *
 * Invariants: what is due never shrinks; who falls behind makes up for at most
 * `CATCH_UP_MS` of it, so that a pause of Kafka is not followed by a flood.
 */

/** Some workers for some time. */
export interface WorkerPhase {
  readonly count: number
  /** Milliseconds. Default: until the end. */
  readonly forMs?: number | undefined
}

/** A higher rate at the end of every period. */
export interface Bursts {
  readonly everyMs: number
  readonly forMs: number
  /** By how much the rate is multiplied. */
  readonly factor: number
}

/** What a load is made of. */
export interface LoadOptions {
  /** Events per second of all workers of the largest phase together. */
  readonly recordsPerSecond: number
  /** Time over which the rate grows evenly from a fifth to the whole, in milliseconds. */
  readonly rampUpMs: number
  readonly phases: readonly WorkerPhase[]
  readonly bursts: Bursts | undefined
}

/** Share of the rate at the start of a ramp-up. */
const RAMP_START = 0.2
/** What is behind by more is not made up for. */
const CATCH_UP_MS = 200
/** Halvings of an interval: enough for microseconds in centuries. */
const HALVINGS = 64

/** The most workers of any phase. */
export function workersOf(phases: readonly WorkerPhase[]): number {
  return Math.max(1, ...phases.map(({ count }) => count))
}

/** What one worker owes. */
export class LoadCurve {
  readonly #perMs: number
  readonly #rampUpMs: number
  readonly #bursts: Bursts | undefined
  /** When this worker is at work: starts and ends, in milliseconds. */
  readonly #spans: { readonly fromMs: number; readonly toMs: number }[] = []

  /** @param worker - Index from 0: it works in the phases that have more workers than that. */
  constructor(options: LoadOptions, worker: number) {
    this.#perMs = options.recordsPerSecond / workersOf(options.phases) / 1000
    this.#rampUpMs = options.rampUpMs
    this.#bursts = options.bursts
    let fromMs = 0
    for (const { count, forMs = Number.POSITIVE_INFINITY } of options.phases) {
      const toMs = fromMs + forMs
      if (worker < count) this.#spans.push({ fromMs, toMs })
      fromMs = toMs
    }
  }

  /** Events due from the start until then. */
  dueAt(elapsedMs: number): number {
    let due = 0
    for (const { fromMs, toMs } of this.#spans) {
      if (elapsedMs <= fromMs) break
      due += this.#earned(Math.min(elapsedMs, toMs)) - this.#earned(fromMs)
    }
    return due
  }

  /** The first moment at which so many events are due; infinite if they never are. */
  timeOf(count: number): number {
    let before = 0
    for (const { fromMs, toMs } of this.#spans) {
      const whole = this.#earned(toMs) - this.#earned(fromMs)
      if (before + whole >= count) return this.#search(fromMs, toMs, count - before + this.#earned(fromMs))
      before += whole
    }
    return Number.POSITIVE_INFINITY
  }

  /** Finds when the integral of the rate reaches a value. */
  #search(fromMs: number, toMs: number, wanted: number): number {
    let low = fromMs
    let high = toMs
    if (high === Number.POSITIVE_INFINITY) {
      high = low + 1000
      while (this.#earned(high) < wanted) high *= 2
    }
    for (let step = 0; step < HALVINGS && high - low > 0.001; step += 1) {
      const middle = (low + high) / 2
      if (this.#earned(middle) < wanted) low = middle
      else high = middle
    }
    return high
  }

  /** The integral of the rate of a worker that is always at work. */
  #earned(elapsedMs: number): number {
    if (elapsedMs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return this.#perMs * (elapsedMs - this.#rampLoss(elapsedMs) + this.#burstGain(elapsedMs))
  }

  /** Full-rate time that the ramp-up has cost until then. */
  #rampLoss(elapsedMs: number): number {
    const ramp = this.#rampUpMs
    if (ramp === 0) return 0
    const inRamp = Math.min(elapsedMs, ramp)
    return (1 - RAMP_START) * (inRamp - (inRamp * inRamp) / (2 * ramp))
  }

  /** Full-rate time that bursts have added until then. */
  #burstGain(elapsedMs: number): number {
    if (this.#bursts === undefined) return 0
    const { everyMs, forMs, factor } = this.#bursts
    const whole = Math.floor(elapsedMs / everyMs)
    const part = Math.max(0, elapsedMs - whole * everyMs - (everyMs - forMs))
    return (factor - 1) * (whole * forMs + part)
  }
}

/** Follows one worker along its curve. */
export class Pacer {
  readonly #curve: LoadCurve
  #startMs: number | undefined
  #madeCount = 0

  constructor(curve: LoadCurve) {
    this.#curve = curve
  }

  /**
   * Takes the next events.
   *
   * @param nowMs - Monotonic time in milliseconds; the first call starts the load.
   * @returns Milliseconds to wait before they are due, 0 if they are; infinite if they never are.
   */
  take(count: number, nowMs: number): number {
    this.#startMs ??= nowMs
    const elapsedMs = nowMs - this.#startMs
    const missed = this.#curve.dueAt(Math.max(0, elapsedMs - CATCH_UP_MS))
    this.#madeCount = Math.max(this.#madeCount, missed) + count
    return Math.max(0, this.#curve.timeOf(this.#madeCount) - elapsedMs)
  }
}
