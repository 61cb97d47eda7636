/**
 * Which traces are recorded: by a share at their beginning, and afterwards those that went wrong. Pure.
 *
 * The share is decided by the trace id alone (its last 56 bits, OpenTelemetry's "consistent probability sampling"), so
 * that every process and every collector that asks the same question of the same trace gets the same answer. The
 * threshold travels in `tracestate` as `ot=th:…`: with it a collector knows how many traces one of them stands for.
 *
 * Source: OpenTelemetry, "TraceState: Probability Sampling"; W3C Trace Context level 2, "Random Trace ID Flag".
 */

import { TokenBucket } from '../../core/index.ts'
import type { KeepReason } from './tracing.ts'

/** Which traces are recorded. */
export interface SamplingOptions {
  /** Share of the traces that begin here, 0 to 1. Default 0.01. */
  readonly ratio?: number
  /** Whether a trace that comes from elsewhere keeps its caller's decision. Default true. */
  readonly isParentBased?: boolean
  /** What makes a trace worth keeping although it was not sampled. Default: everything that there is. */
  readonly keep?: readonly KeepReason[]
  /** From how long on the first span of a trace is `slow`, in milliseconds. Default 5_000. */
  readonly slowMs?: number
  /** Most traces recorded in a second: so many of the sampled, and so many of those that are kept. Default 100. */
  readonly perSecondMax?: number
}

/** Default of `SamplingOptions.ratio`. */
export const SAMPLING_RATIO = 0.01
/** Default of `SamplingOptions.slowMs`. */
export const SLOW_MS = 5000
/** Default of `SamplingOptions.perSecondMax`. */
export const TRACES_PER_SECOND_MAX = 100

const ALL: readonly KeepReason[] = ['failed', 'retried', 'deadLettered', 'slow']
const BITS = 56n
/** Above every text of hexadecimal digits. */
const NEVER = 'g'

/** Least last 14 digits of a trace id that is sampled; above every text of digits if none is. */
export function thresholdOf(ratio: number): string {
  if (!(ratio > 0)) return NEVER
  const all = 1n << BITS
  // A number has 53 bits: a ratio of less than 2^-53 is none.
  const rejected = all - BigInt(Math.round(Math.min(1, ratio) * 2 ** 53)) * (all >> 53n)
  return rejected >= all ? NEVER : rejected.toString(16).padStart(14, '0')
}

/** Member `ot` of `tracestate` for a threshold; `undefined` where nothing is sampled. */
export function thresholdState(threshold: string): string | undefined {
  if (threshold === NEVER) return undefined
  return `ot=th:${threshold.replace(/0+$/, '') || '0'}`
}

/** Decides for one process. */
export class Sampling {
  readonly slowMs: number
  /** Member of `tracestate` for what this process has sampled by its share. */
  readonly state: string | undefined
  readonly isParentBased: boolean
  readonly #threshold: string
  readonly #keep: ReadonlySet<KeepReason>
  readonly #sampled: TokenBucket
  readonly #kept: TokenBucket

  constructor(options: SamplingOptions) {
    const perSecond = options.perSecondMax ?? TRACES_PER_SECOND_MAX
    this.slowMs = options.slowMs ?? SLOW_MS
    this.isParentBased = options.isParentBased ?? true
    this.#threshold = thresholdOf(options.ratio ?? SAMPLING_RATIO)
    this.state = thresholdState(this.#threshold)
    this.#keep = new Set(options.keep ?? ALL)
    this.#sampled = fullBucket(perSecond)
    this.#kept = fullBucket(perSecond)
  }

  /** Whether traces that were not sampled may be kept: without that there is nothing to remember of them. */
  get keepsAny(): boolean {
    return this.#keep.size > 0
  }

  /** Whether a trace is within the share. */
  isWithin(traceId: string): boolean {
    return traceId.slice(-14) >= this.#threshold
  }

  /** Whether a reason is one to keep a trace for. */
  isReason(reason: KeepReason): boolean {
    return this.#keep.has(reason)
  }

  /** Whether another sampled trace may be recorded now; takes its place. */
  maySample(nowMs: number): boolean {
    return take(this.#sampled, nowMs)
  }

  /** Whether another trace may be kept now; takes its place. */
  mayKeep(nowMs: number): boolean {
    return take(this.#kept, nowMs)
  }
}

/** One that may be used at once: the first traces of a process are those that people look for. */
function fullBucket(perSecond: number): TokenBucket {
  const bucket = new TokenBucket({ perSecond, burstMs: 1000 })
  bucket.giveBack(perSecond)
  return bucket
}

function take(bucket: TokenBucket, nowMs: number): boolean {
  if (bucket.waitMs(nowMs) > 0) return false
  bucket.reserve(1, nowMs)
  return true
}
