/**
 * What moves records: two engines behind one interface, `exact` and `fluid`.
 *
 * The control side (members, rebalances, scaling, retention) changes who owns a
 * partition and what is paused, then says `changed`; the data side moves records
 * until the next such time.
 */

import type { Random } from '../../core/index.ts'
import type { RunStats } from './run-stats.ts'
import type { SimulationScenario } from './simulation-types.ts'
import type { TargetCurve } from './target-curve.ts'
import type { TopicLog } from './topic-log.ts'

/** Who owns what. Written by the control side, read by the engines. */
export interface Ownership {
  /** Instance of each partition; -1 if none. */
  owners: Int32Array
  /** 1 where a rebalance holds a partition. */
  paused: Uint8Array
  /** Instances ever started. */
  instanceCount: number
}

/** What an engine is made of. */
export interface PlaneParts {
  readonly scenario: SimulationScenario
  readonly log: TopicLog
  readonly target: TargetCurve
  readonly ownership: Ownership
  readonly stats: RunStats
  readonly random: Random
}

/** An engine. */
export interface DataPlane {
  /** Steps so far. */
  readonly steps: number
  /** Moves records up to a time. */
  advance(toS: number): void
  /** Owners, pauses or partitions have changed. */
  changed(nowS: number): void
  /** Offset up to which a partition is done. */
  doneOf(partition: number): number
  /** Records of a partition that are there and not done. */
  lagOf(partition: number, nowS: number): number
  /** Drops what is under way for a partition: it comes again. */
  abandon(partition: number, nowS: number): void
  /** Goes on at a later offset; says how many records were left out. */
  jump(partition: number, offset: number): number
  /** Batches of an instance at the target. */
  inFlightOf(instance: number): number
}
