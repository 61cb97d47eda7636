/** What a report is written from. Everything may be missing: the report then says how to get it. */

import type { PipelineConfig } from '../../config/index.ts'
import type { BatchAdvice } from '../cost/batch.ts'
import type { CostAlternative } from '../cost/compare.ts'
import type { CostReport } from '../cost/model.ts'
import type { LagReport } from '../lag/lag-types.ts'
import type { ClusterScan } from '../scan/scan-types.ts'

/** A finding of `comporta doctor`. */
export interface ReportFinding {
  readonly severity: 'ok' | 'info' | 'warn' | 'error' | 'unknown'
  readonly title: string
  readonly reason: string
  readonly fix: string
}

/** The plan of one topic's partitions, as `comporta partitions plan` makes it. */
export interface ReportPartitionPlan {
  readonly topic: string
  readonly partitions: number
  readonly recommended: number
  /** Why so many, and so many consumers. */
  readonly answer: string
  /** Share of keys that another count would move, 0 to 1; `undefined` = not sampled. */
  readonly movedShare?: number | undefined
  /** The count for which that share holds. */
  readonly movedTo?: number | undefined
}

/** A rehearsed failure, as `comporta chaos` reports it. */
export interface ReportExperiment {
  readonly name: string
  readonly hypothesis: string
  readonly holds: boolean
  /** Longest time in which a partition was not served, in milliseconds. */
  readonly longestPauseMs?: number | undefined
  readonly recoveredMs?: number | undefined
  readonly duplicates?: number | undefined
  readonly lost?: number | undefined
  readonly rebalances?: number | undefined
}

/** What is known. */
export interface ReportFacts {
  readonly version: string
  readonly writtenAtMs: number
  readonly pipeline: PipelineConfig | undefined
  readonly scan?: ClusterScan
  /** Looks at the lag, oldest first. */
  readonly looks: readonly LagReport[]
  readonly findings?: readonly ReportFinding[]
  readonly plans: readonly ReportPartitionPlan[]
  readonly cost?: {
    readonly report: CostReport
    readonly advice: BatchAdvice
    readonly alternatives: readonly CostAlternative[]
  }
  readonly experiments: readonly ReportExperiment[]
  /** Why something that was asked for could not be had, one sentence each. */
  readonly gaps: readonly string[]
}
