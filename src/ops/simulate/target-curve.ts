/** What the target is like at a time: its times, its failures, its concurrency, phases laid over each other. */

import { simulationSeconds } from '../../config/index.ts'
import type { Random } from '../../core/index.ts'
import type { SimulationScenario } from './simulation-types.ts'

/** The target at a time. */
export interface TargetState {
  readonly baseMs: number
  readonly perRecordMs: number
  /** Share of invocations that fail; 1 while it is down. */
  readonly errorRatio: number
  /** Most invocations at once; `Infinity` without a limit. */
  readonly concurrencyMax: number
}

interface Phase {
  readonly fromS: number
  readonly toS: number
  readonly rampS: number
  readonly rampOutS: number
  readonly addMs: number
  readonly factor: number
  readonly errorRatio: number
  readonly concurrencyMax: number | undefined
}

/** The target over time. */
export class TargetCurve {
  readonly #target: SimulationScenario['target']
  readonly #phases: readonly Phase[]
  readonly #breaks: readonly number[]
  #cached: { fromS: number; toS: number; state: TargetState } | undefined

  constructor({ target, startsAt }: SimulationScenario) {
    this.#target = target
    this.#phases = target.phases.map(phase => ({
      fromS: simulationSeconds(phase.from, startsAt),
      toS: phase.to === undefined ? Infinity : simulationSeconds(phase.to, startsAt),
      rampS: simulationSeconds(phase.ramp),
      rampOutS: simulationSeconds(phase.rampOut),
      addMs: phase.addMs,
      factor: phase.factor,
      errorRatio: phase.isDown ? 1 : phase.errorRatio,
      concurrencyMax: phase.concurrencyMax
    }))
    const breaks = this.#phases.flatMap(({ fromS, toS, rampS, rampOutS }) => [
      fromS,
      fromS + rampS,
      toS - rampOutS,
      toS
    ])
    this.#breaks = [...new Set(breaks)].filter(Number.isFinite).toSorted((a, b) => a - b)
  }

  /** The target at a time. */
  at(timeS: number): TargetState {
    const cached = this.#cached
    if (cached !== undefined && timeS >= cached.fromS && timeS < cached.toS) return cached.state
    const state = this.#stateAt(timeS)
    if (!this.isSloping(timeS)) this.#cached = { fromS: timeS, toS: this.nextBreak(timeS), state }
    return state
  }

  /** The next time at which something begins or ends; `Infinity` if nothing does. */
  nextBreak(timeS: number): number {
    return this.#breaks.find(atS => atS > timeS) ?? Infinity
  }

  /** Whether a phase sets in or fades at a time. */
  isSloping(timeS: number): boolean {
    return this.#phases.some(({ fromS, toS, rampS, rampOutS }) => {
      const isSettingIn = timeS >= fromS && timeS < fromS + rampS
      return isSettingIn || (timeS >= toS - rampOutS && timeS < toS)
    })
  }

  #stateAt(timeS: number): TargetState {
    let factor = 1
    let addMs = 0
    let soundRatio = 1
    let concurrencyMax = this.#target.concurrencyMax ?? Infinity
    for (const phase of this.#phases) {
      const weight = weightAt(phase, timeS)
      if (weight === 0) continue
      factor *= 1 + (phase.factor - 1) * weight
      addMs += phase.addMs * weight
      soundRatio *= 1 - phase.errorRatio * weight
      if (phase.concurrencyMax !== undefined) concurrencyMax = phase.concurrencyMax
    }
    return {
      baseMs: this.#target.baseMs * factor + addMs,
      perRecordMs: (this.#target.perRecordUs / 1000) * factor,
      errorRatio: 1 - soundRatio,
      concurrencyMax
    }
  }
}

function weightAt({ fromS, toS, rampS, rampOutS }: Phase, timeS: number): number {
  if (timeS < fromS || timeS >= toS) return 0
  if (timeS < fromS + rampS) return (timeS - fromS) / rampS
  return timeS >= toS - rampOutS ? (toS - timeS) / rampOutS : 1
}

/** Mean time of an invocation with so many records, in milliseconds. */
export function meanInvocationMs(state: TargetState, recordCount: number): number {
  return state.baseMs + state.perRecordMs * recordCount
}

/** One time, drawn around its mean. */
export function drawMs(meanMs: number, spread: SimulationScenario['target']['spread'], random: Random): number {
  if (spread === 'none') return meanMs
  if (spread === 'exponential') return -meanMs * Math.log(1 - random.next())
  // The log-normal with this mean and ratio of deviation to mean.
  const variance = Math.log(1 + spread.lognormal ** 2)
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return meanMs * Math.exp(normal * Math.sqrt(variance) - variance / 2)
}

/** Time that a batch keeps its instance busy, one batch after the other: its CPU, or its fetch if that takes longer. */
export function instanceSeconds({ group, topic }: SimulationScenario, recordCount: number): number {
  const cpuS = group.cpu.perBatchMs / 1000 + (recordCount * group.cpu.perRecordUs) / 1e6
  const { fetchBytesPerSecond } = group
  return fetchBytesPerSecond === undefined
    ? cpuS
    : Math.max(cpuS, (recordCount * topic.recordBytes) / fetchBytesPerSecond)
}

/** Most records of a batch: the limit of records, of bytes, and of the time that a batch may take. */
export function batchRecordsMax(scenario: SimulationScenario, state: TargetState): number {
  const { batch } = scenario.group
  const byBytes = Math.max(1, Math.floor(batch.bytesMax / scenario.topic.recordBytes))
  const most = Math.min(batch.recordsMax, byBytes)
  if (batch.latencyTargetMs === undefined || state.perRecordMs <= 0) return most
  return Math.min(most, Math.max(1, Math.floor((batch.latencyTargetMs - state.baseMs) / state.perRecordMs)))
}
