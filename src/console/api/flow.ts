/** `GET /api/flow`: the processes of the pipeline, and what holds records back in each. */

import type { Freshness, HealthLevel } from './common.ts'

/** A process of the pipeline that the console knows. */
export interface InstanceRow {
  readonly name: string
  readonly role: 'broker' | 'producer' | 'dispatcher' | 'lambda' | 'esm'
  readonly health: HealthLevel
  /** What `/health/ready` said, or why it said nothing. */
  readonly problem: string | null
  readonly startedAtMs: number | null
}

/** The way to one target. */
export interface RouteRow {
  readonly instance: string
  readonly groupId: string
  readonly target: string
  readonly breaker: 'closed' | 'open' | 'halfOpen' | null
  /** When an open breaker tries again; `null` = it is not open. */
  readonly breakerRetryInMs: number | null
  readonly failureRatio: number | null
  readonly concurrencyLimit: number | null
  readonly adaptiveLimit: number | null
  readonly inFlight: number
  readonly inFlightRecords: number | null
  readonly inFlightBytes: number | null
  readonly waiting: number
  readonly oldestWaitMs: number | null
  /** Limit of records per second; `null` = none. */
  readonly ratePerSecond: number | null
  /** What holds the first in line back, in the dispatcher's word; `null` = nobody waits. */
  readonly blockedBy: string | null
  /** Partitions that an operator has paused, `topic-3`. */
  readonly pausedPartitions: readonly string[]
}

/** A limit of a producer. */
export interface LimiterRow {
  readonly instance: string
  /** A topic, or `all`. */
  readonly limit: string
  readonly unit: 'records' | 'bytes'
  /** What it would let through at once; below 0 while it is owed. */
  readonly tokens: number
  readonly waiting: number
}

/** See the module. */
export interface Flow {
  readonly freshness: Freshness
  readonly instances: readonly InstanceRow[]
  readonly routes: readonly RouteRow[]
  readonly limiters: readonly LimiterRow[]
  /** Partitions that stand still, by reason. */
  readonly heldUp: readonly { readonly reason: string; readonly partitions: number }[]
}
