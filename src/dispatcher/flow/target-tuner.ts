/**
 * What is learnt from the answers of one target: how many invocations at once it takes, and how large a batch.
 *
 * Joins the two pure learners with their modes: off, only looked at (`dryRun`),
 * or obeyed (`on`). A change in a dry run is told to the log, so that the
 * numbers can be read before they rule.
 */

import type { Logger } from '../../telemetry/index.ts'
import { AdaptiveBatch } from './adaptive-batch.ts'
import { AdaptiveLimit, type LimitSample } from './adaptive-limit.ts'

/** Whether the number of invocations at once adapts itself. */
export type AdaptiveMode = 'off' | 'dryRun' | 'on'

/** Limits of what may be tuned. */
export interface TunerLimits {
  /** Most invocations at once. At least 1. */
  readonly concurrency: number
  readonly adaptiveConcurrency: { readonly mode: AdaptiveMode; readonly min: number }
  readonly batch: {
    readonly recordsMax: number
    readonly bytesMax: number
    readonly adaptive?: { readonly recordsMin: number; readonly latencyTargetMs: number } | undefined
  }
}

/** What was learnt as JSON can hold it. */
export interface TunerDescription {
  readonly mode: AdaptiveMode
  /** Invocations at once that hold now. */
  readonly limit: number
  readonly max: number
  /** What a dry run would allow; `null` if there is none. */
  readonly wouldBe: number | null
  /** Time of a batch by the time without a line at the target; `null` before it is known. */
  readonly latencyRatio: number | null
  readonly batchRecordsMax: number
}

/** Share by which a dry run's limit must change before the log is told. */
const TOLD_CHANGE = 0.2

/** Learns from a target's answers. */
export class TargetTuner {
  readonly #logger: Logger
  #limits: TunerLimits
  #concurrency: AdaptiveLimit | undefined
  #batch: AdaptiveBatch | undefined
  #toldLimit: number

  constructor(limits: TunerLimits, logger: Logger) {
    this.#logger = logger
    this.#limits = limits
    this.#toldLimit = limits.concurrency
    this.#concurrency = limitOf(limits)
    this.#batch = batchOf(limits)
  }

  /** Most invocations at once for now. */
  get concurrency(): number {
    const { mode } = this.#limits.adaptiveConcurrency
    return mode === 'on' && this.#concurrency !== undefined ? this.#concurrency.limit : this.#limits.concurrency
  }

  /** What would hold in a dry run or holds; `undefined` if it is off. */
  get adaptiveLimit(): number | undefined {
    return this.#concurrency?.limit
  }

  /** Most records of the next batch. */
  get recordsMax(): number {
    return this.#batch?.recordsMax ?? this.#limits.batch.recordsMax
  }

  /** Whether a throttled answer is dealt with by sending less, so that it says nothing of an outage. */
  get takesThrottles(): boolean {
    const { mode, min } = this.#limits.adaptiveConcurrency
    return mode === 'on' && this.#concurrency !== undefined && this.#concurrency.limit > min
  }

  /** Changes the limits; what was learnt stays as far as it fits into them. */
  configure(limits: TunerLimits): void {
    const isSameMode = limits.adaptiveConcurrency.mode === this.#limits.adaptiveConcurrency.mode
    const hadBatch = this.#batch !== undefined
    this.#limits = limits
    if (isSameMode) this.#concurrency?.configure(boundsOf(limits))
    else this.#concurrency = limitOf(limits)
    const { adaptive } = limits.batch
    if (adaptive !== undefined && hadBatch) this.#batch?.configure({ ...adaptive, recordsMax: limits.batch.recordsMax })
    else this.#batch = batchOf(limits)
  }

  /** The target has answered, and the time that it took says something about it. */
  answered(sample: LimitSample): void {
    this.#batch?.answered(sample)
    this.#concurrency?.answered(sample)
    this.#tell()
  }

  /** The target did not take an invocation: it throttled it, could not answer, or not in time. */
  refused(sample: LimitSample, isTimeout: boolean): void {
    if (isTimeout) this.#batch?.answered(sample, true)
    this.#concurrency?.refused(sample.sentMs, sample.answeredMs)
    this.#tell()
  }

  /** What was learnt. */
  describe(): TunerDescription {
    const { adaptiveConcurrency, concurrency } = this.#limits
    const ratio = this.#concurrency?.ratio
    return {
      mode: adaptiveConcurrency.mode,
      limit: this.concurrency,
      max: concurrency,
      wouldBe: adaptiveConcurrency.mode === 'dryRun' ? (this.#concurrency?.limit ?? null) : null,
      latencyRatio: ratio === undefined ? null : Math.round(ratio * 100) / 100,
      batchRecordsMax: this.recordsMax
    }
  }

  #tell(): void {
    if (this.#concurrency === undefined || this.#concurrency.isProbing) return
    const { limit } = this.#concurrency
    if (Math.abs(limit - this.#toldLimit) < Math.max(1, this.#toldLimit * TOLD_CHANGE)) return
    const { mode } = this.#limits.adaptiveConcurrency
    const fields = {
      from: this.#toldLimit,
      to: limit,
      max: this.#limits.concurrency,
      ratio: this.describe().latencyRatio
    }
    this.#toldLimit = limit
    if (mode === 'dryRun') this.#logger.info(fields, 'adaptive concurrency would change the limit (dry run)')
    else this.#logger.debug(fields, 'adaptive concurrency has changed the limit')
  }
}

function boundsOf({ concurrency, adaptiveConcurrency }: TunerLimits): { min: number; max: number; isDryRun: boolean } {
  const { mode, min } = adaptiveConcurrency
  return { min: Math.min(min, concurrency), max: concurrency, isDryRun: mode === 'dryRun' }
}

function limitOf(limits: TunerLimits): AdaptiveLimit | undefined {
  return limits.adaptiveConcurrency.mode === 'off' ? undefined : new AdaptiveLimit(boundsOf(limits))
}

function batchOf({ batch }: TunerLimits): AdaptiveBatch | undefined {
  return batch.adaptive === undefined
    ? undefined
    : new AdaptiveBatch({ ...batch.adaptive, recordsMax: batch.recordsMax })
}
