/**
 * `GET /api/doctor` and `POST /api/doctor/run`, `GET /api/cost`, `GET /api/simulate` (where the sliders begin) and
 * `POST /api/simulate`.
 */

import type { Freshness, HealthLevel } from './common.ts'
import type { Reason } from './overview.ts'

/** `GET /api/doctor`: findings, worst first. `POST /api/doctor/run` looks again. */
export interface DoctorAnswer {
  /** `takenAtMs` is 0 before the first look is done. */
  readonly freshness: Freshness
  readonly isRunning: boolean
  readonly findings: readonly {
    readonly id: string
    readonly severity: 'ok' | 'info' | 'warn' | 'error' | 'unknown'
    readonly health: HealthLevel
    readonly title: string
    readonly reason: string
    readonly fix: string
    readonly evidence: readonly string[]
  }[]
}

/** `GET /api/cost?recordsPerSecond=&recordBytes=&batch=&cluster=&invoker=`: what the pipeline costs, and what else. */
export interface CostAnswer {
  readonly currency: 'USD'
  /** Day of the price list. */
  readonly pricesOf: string
  readonly region: string
  readonly load: {
    readonly recordsPerSecond: number
    readonly recordBytes: number
    readonly partitions: number
    readonly cluster: string
    readonly invoker: string
    /** Records of a batch at most. */
    readonly batch: number
    /** Whether the rate is the one that flows now, and not a number from the file. */
    readonly isMeasured: boolean
  }
  /** US dollars. */
  readonly monthly: number
  readonly perMillion: number
  readonly lines: readonly {
    readonly area: 'cluster' | 'storage' | 'transfer' | 'dispatcher' | 'function'
    readonly item: string
    readonly quantity: number
    readonly unit: string
    readonly unitPrice: number
    readonly monthly: number
  }[]
  readonly alternatives: readonly {
    readonly cluster: string
    readonly invoker: string
    readonly monthly: number
    readonly perMillion: number
    /** US dollars a month more (positive) or less. */
    readonly difference: number
  }[]
  readonly batchAdvice: readonly {
    readonly batchRecords: number
    /** Records in a batch on average. */
    readonly filledRecords: number
    readonly waitMs: number
    readonly monthly: number
    readonly isAdvised: boolean
  }[]
  readonly batchReason: string
  readonly assumptions: readonly string[]
}

/** `POST /api/simulate`: the sliders. Needs no right beyond `viewer`: nothing is changed. */
export interface SimulateRequest {
  readonly recordsPerSecond: number
  readonly partitions: number
  readonly instances: number
  /** Invocations at once of each instance. */
  readonly concurrency: number
  readonly batchRecords: number
  /** Time of an invocation. */
  readonly invokeMs: number
  /** Length of an outage of the target that begins after a minute; 0 = none. */
  readonly outageSeconds: number
  readonly durationSeconds: number
}

/** Answer of `POST /api/simulate`. */
export interface SimulateAnswer {
  readonly request: SimulateRequest
  readonly timesS: readonly number[]
  readonly lag: readonly number[]
  readonly lagSeconds: readonly number[]
  readonly arrival: readonly number[]
  readonly service: readonly number[]
  readonly peakLag: number
  readonly peakLagSeconds: number
  /** From the end of the outage until nothing is unread; `null` = not within the time. */
  readonly drainSeconds: number | null
  /** Records per second with full batches. */
  readonly capacityPerSecond: number
  /** Arrivals by capacity. */
  readonly utilisation: number
  /** Keys of texts with what goes into them. */
  readonly summary: readonly Reason[]
  /** How long the model ran, in milliseconds. */
  readonly tookMs: number
}
