/** `GET /api/doctor`, `GET /api/cost`, `POST /api/simulate`. */

import type { Freshness, HealthLevel } from './common.ts'

/** `GET /api/doctor`: findings, worst first. `POST /api/doctor/run` looks again. */
export interface DoctorAnswer {
  readonly freshness: Freshness
  readonly isRunning: boolean
  readonly findings: readonly {
    readonly id: string
    readonly severity: 'ok' | 'info' | 'warn' | 'error' | 'unknown'
    readonly health: HealthLevel
    readonly title: string
    readonly reason: string
    readonly fix: string
  }[]
}

/** `GET /api/cost?recordsPerSecond=&…`: what the pipeline costs, and its alternatives. */
export interface CostAnswer {
  readonly currency: 'USD'
  /** Of the price list. */
  readonly pricesOf: string
  readonly region: string
  readonly monthly: number
  readonly perMillion: number
  readonly lines: readonly { readonly what: string; readonly monthly: number; readonly detail: string }[]
  readonly alternatives: readonly { readonly name: string; readonly monthly: number; readonly perMillion: number }[]
  readonly batchAdvice: readonly {
    readonly batchRecords: number
    readonly monthly: number
    readonly isAdvised: boolean
  }[]
  readonly assumptions: readonly string[]
}

/** `POST /api/simulate`: the sliders. Needs no right beyond `viewer`: nothing is changed. */
export interface SimulateRequest {
  readonly recordsPerSecond: number
  readonly partitions: number
  readonly instances: number
  readonly concurrency: number
  readonly batchRecords: number
  readonly invokeMs: number
  /** Seconds of an outage of the target at the start; 0 = none. */
  readonly outageSeconds: number
  readonly durationSeconds: number
}

/** Answer of `POST /api/simulate`. */
export interface SimulateAnswer {
  readonly request: SimulateRequest
  readonly timesS: readonly number[]
  readonly lag: readonly number[]
  readonly arrival: readonly number[]
  readonly service: readonly number[]
  readonly peakLag: number
  /** `null` = it does not drain within the time. */
  readonly drainSeconds: number | null
  readonly utilisation: number
  readonly summary: readonly string[]
  readonly assumptions: readonly string[]
  /** How long the model ran, in milliseconds. */
  readonly tookMs: number
}
