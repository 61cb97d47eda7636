/** What a pipeline costs, for the commands that say it: its price list, its bill, and the batch that is right. */

import type { CostConfig, PipelineConfig } from '../../config/index.ts'
import type { BatchAdvice, CostReport, CostWorkload, PriceList, WorkloadOverrides } from '../../ops/index.ts'
import { readInput } from '../properties.ts'

/** What is priced. */
export interface BillRequest {
  readonly section: CostConfig
  readonly pipeline: PipelineConfig | undefined
  /** Flags, and what was measured. */
  readonly overrides: WorkloadOverrides
  /** Price file in place of the section's. */
  readonly pricesPath?: string | undefined
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
 * @throws PipelineError `ERR_OPS_PRICES_INVALID`, `ERR_CLI_INPUT` of the price file; `ERR_OPS_NOT_FOUND` for a machine
 *   without a price.
 */
export async function billOf({ section, pipeline, overrides, pricesPath }: BillRequest): Promise<Bill> {
  const { adviseBatch, PRICES, priceWorkload, readPriceList, workloadOf } = await import('../../ops/index.ts')
  const path = pricesPath ?? section.prices
  const prices = path === undefined ? PRICES : readPriceList(readInput(path), path)
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
