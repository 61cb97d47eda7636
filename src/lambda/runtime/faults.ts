/**
 * Trouble to rehearse with: slowness, failures, time-outs, throttles, crashes
 * and slow starts of a function, for a while or until they are taken back.
 * Pure: the clock and the random source are passed.
 */

import { PipelineError, type Random } from '../../core/index.ts'

/** A waiting time drawn anew for each invocation: half of them below `p50Ms`, one in a hundred above `p99Ms`. */
export interface LatencyDistribution {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** What to inject into a function. */
export interface Faults {
  /** Waiting time before the handler runs, in milliseconds. 0 to 900_000. Default 0. */
  readonly extraLatencyMs: number
  /** A waiting time that varies (log-normal), on top of `extraLatencyMs`. Default none. */
  readonly latency: LatencyDistribution | null
  /** Share of invocations that fail without running the handler, 0 to 1. Default 0. */
  readonly failureRatio: number
  /** Share of invocations that run into their time-out, 0 to 1. Default 0. */
  readonly timeoutRatio: number
  /** Share of invocations refused with 429, 0 to 1. Default 0. */
  readonly throttleRatio: number
  /** Share of invocations whose environment ends (`Runtime.ExitError`), 0 to 1. Default 0. */
  readonly crashRatio: number
  /** Waiting time before the handler of a new environment is loaded, in milliseconds. 0 to 900_000. Default 0. */
  readonly initLatencyMs: number
}

/** Faults as they are set: members left out stay as they are. */
export interface FaultsInput extends Partial<Faults> {
  /** How long they last, in milliseconds; then all faults of the function end. 1 to 86_400_000. Default: for good. */
  readonly forMs?: number
}

/** Faults as they stand. */
export interface FaultsStatus extends Faults {
  /** When they end by themselves, in epoch milliseconds. */
  readonly untilMs?: number
}

/** No trouble at all. */
export const NO_FAULTS: Faults = {
  extraLatencyMs: 0,
  latency: null,
  failureRatio: 0,
  timeoutRatio: 0,
  throttleRatio: 0,
  crashRatio: 0,
  initLatencyMs: 0
}

const MAXIMA: ReadonlyMap<string, number> = new Map([
  ['extraLatencyMs', 900_000],
  ['failureRatio', 1],
  ['timeoutRatio', 1],
  ['throttleRatio', 1],
  ['crashRatio', 1],
  ['initLatencyMs', 900_000],
  ['forMs', 86_400_000]
])

/** What happens to one invocation. */
export interface Injection {
  readonly kind: 'none' | 'failure' | 'timeout' | 'throttle' | 'crash'
  readonly extraLatencyMs: number
}

/** 99 % of a standard normal distribution lie below this. */
const Z_99 = 2.326_347_874

/** The faults of one function, which may end by themselves. */
export class FaultState {
  #faults: Faults = NO_FAULTS
  #untilMs: number | undefined

  /** Changes what the members name; a duration given earlier stays unless another is given. */
  set({ forMs, ...faults }: FaultsInput, nowMs: number): FaultsStatus {
    this.#faults = { ...this.at(nowMs), ...faults }
    if (forMs !== undefined) this.#untilMs = nowMs + forMs
    return this.status(nowMs)
  }

  /** Ends all faults. */
  clear(): void {
    this.#faults = NO_FAULTS
    this.#untilMs = undefined
  }

  status(nowMs: number): FaultsStatus {
    const faults = this.at(nowMs)
    return this.#untilMs === undefined ? faults : { ...faults, untilMs: this.#untilMs }
  }

  /** What is injected at this time. */
  at(nowMs: number): Faults {
    if (this.#untilMs !== undefined && nowMs >= this.#untilMs) this.clear()
    return this.#faults
  }

  /** Draws what happens to the next invocation. */
  draw(nowMs: number, random: Random): Injection {
    const faults = this.at(nowMs)
    if (faults === NO_FAULTS) return NOTHING
    const extraLatencyMs = faults.extraLatencyMs + (faults.latency === null ? 0 : drawLatency(faults.latency, random))
    const shares = [faults.throttleRatio, faults.crashRatio, faults.timeoutRatio, faults.failureRatio]
    // One draw each: two faults of 10 % hit 19 % of the invocations.
    const index = shares.findIndex(share => share > 0 && random.next() < share)
    return { kind: KINDS[index] ?? 'none', extraLatencyMs }
  }
}

const KINDS = ['throttle', 'crash', 'timeout', 'failure'] as const
const NOTHING: Injection = { kind: 'none', extraLatencyMs: 0 }

/** A log-normal value with these two quantiles, at most 900_000. */
function drawLatency({ p50Ms, p99Ms }: LatencyDistribution, random: Random): number {
  const sigma = Math.log(p99Ms / p50Ms) / Z_99
  // Box and Muller: 1 - next() is never 0.
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return Math.min(900_000, p50Ms * Math.exp(sigma * normal))
}

/**
 * Checks what somebody wants to inject.
 *
 * @throws PipelineError `ERR_LAMBDA_FAULTS_INVALID` that names the first member that cannot be.
 */
export function checkedFaults(given: unknown): FaultsInput {
  const members: [string, unknown][] = typeof given === 'object' && given !== null ? Object.entries(given) : []
  if (members.length === 0) throw new PipelineError('ERR_LAMBDA_FAULTS_INVALID', 'no fault is named')
  for (const [name, value] of members) {
    const problem = name === 'latency' ? latencyProblem(value) : numberProblem(name, value)
    if (problem !== undefined) throw new PipelineError('ERR_LAMBDA_FAULTS_INVALID', `${name}: ${problem}`)
  }
  return Object.fromEntries(members)
}

function numberProblem(name: string, value: unknown): string | undefined {
  const max = MAXIMA.get(name)
  if (max === undefined) return `is no fault; there are latency, ${[...MAXIMA.keys()].join(', ')}`
  const min = name === 'forMs' ? 1 : 0
  if (typeof value === 'number' && value >= min && value <= max) return undefined
  return `${String(value)} is not a number from ${min} to ${max}`
}

function latencyProblem(value: unknown): string | undefined {
  if (value === null) return undefined
  const { p50Ms, p99Ms, ...others } = (typeof value === 'object' ? value : {}) as Partial<Record<string, unknown>>
  const isOrdered = typeof p50Ms === 'number' && typeof p99Ms === 'number' && p50Ms > 0 && p99Ms >= p50Ms
  if (isOrdered && p99Ms <= 900_000 && Object.keys(others).length === 0) return undefined
  return 'give { p50Ms, p99Ms } with 0 < p50Ms <= p99Ms <= 900000, or null'
}
