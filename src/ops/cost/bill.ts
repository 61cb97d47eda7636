/** What a pipeline costs: its bill, and the batch that is right, from one price list. */

import type { CostConfig, PipelineConfig } from '../../config/index.ts'
import { adviseBatch, type BatchAdvice } from './batch.ts'
import { type CostReport, priceWorkload } from './model.ts'
import type { PriceList } from './prices.ts'
import { workloadOf, type WorkloadOverrides } from './workload.ts'
import type { CostWorkload } from './workload-types.ts'

/** What is priced. */
export interface BillRequest {
  readonly section: CostConfig
  readonly pipeline: PipelineConfig | undefined
  /** What stands above the file: flags, sliders, and what was measured. */
  readonly overrides: WorkloadOverrides
  readonly prices: PriceList
}

/** The bill, and what it was made from. */
export interface Bill {
  readonly workload: CostWorkload
  readonly prices: PriceList
  readonly report: CostReport
  readonly advice: BatchAdvice
}

/** Lambda's longest timeout, in milliseconds. Source: Lambda quotas. */
const TIMEOUT_MAX_MS = 900_000

/**
 * Makes the bill.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` for a machine without a price.
 */
export function billOf({ section, pipeline, overrides, prices }: BillRequest): Bill {
  const workload = workloadOf(section, pipeline, overrides)
  const limits = { waitMaxMs: section.waitMaxMs, timeoutMs: timeoutOf(pipeline) }
  return { workload, prices, report: priceWorkload(workload, prices), advice: adviseBatch(workload, prices, limits) }
}

/** Longest time of an invocation, in milliseconds. */
function timeoutOf(pipeline: PipelineConfig | undefined): number {
  const target = pipeline?.dispatcher?.target
  if (target?.type !== 'lambda') return TIMEOUT_MAX_MS
  return pipeline?.lambda?.functions[target.functionName]?.timeoutMs ?? TIMEOUT_MAX_MS
}
