/** The bill of the pipeline as a page: what it costs now, what else there is, and which batch is right. */

import { z } from 'zod'

import type { CostConfig, PipelineConfig } from '../../config/index.ts'
import { billOf, compareCosts, type PriceList, type WorkloadOverrides } from '../../ops/index.ts'
import type { CostAnswer } from '../api/insight.ts'

const above0 = z.coerce.number().positive()

/** What the query may say instead of the pipeline file. */
export const costSchema = z.strictObject({
  recordsPerSecond: above0.max(1e9).optional(),
  recordBytes: above0.max(1e8).optional(),
  batch: above0.int().max(10_000).optional(),
  cluster: z.enum(['standard', 'express', 'serverless', 'self']).optional(),
  invoker: z.enum(['dispatcher', 'mapping', 'mappingProvisioned']).optional()
})

/** What it is made from. */
export interface CostFacts {
  readonly section: CostConfig
  readonly pipeline: PipelineConfig | undefined
  readonly prices: PriceList
  readonly asked: z.infer<typeof costSchema>
  /** What was measured, under what the reader asks for. */
  readonly measured: WorkloadOverrides
}

/**
 * Makes it.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` for a machine without a price.
 */
export function costView({ section, pipeline, prices, asked, measured }: CostFacts): CostAnswer {
  const { batch, cluster, ...rest } = asked
  const overrides: WorkloadOverrides = {
    ...measured,
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    ...(batch === undefined ? {} : { recordsMax: batch }),
    ...(cluster === undefined ? {} : { cluster: { kind: cluster } })
  }
  const { workload, report, advice } = billOf({ section, pipeline, overrides, prices })
  return {
    currency: 'USD',
    pricesOf: report.priceDate,
    region: report.region,
    load: {
      recordsPerSecond: workload.recordsPerSecond,
      recordBytes: workload.recordBytes,
      partitions: workload.partitions,
      cluster: workload.cluster.kind,
      invoker: workload.invoker,
      batch: workload.function.recordsMax,
      isMeasured: asked.recordsPerSecond === undefined && measured.recordsPerSecond !== undefined
    },
    monthly: report.monthly,
    perMillion: report.perMillion,
    lines: report.lines.map(({ area, item, quantity, unit, unitPrice, monthly }) => {
      return { area, item, quantity, unit, unitPrice, monthly }
    }),
    alternatives: compareCosts(workload, prices).map(each => ({
      cluster: each.cluster,
      invoker: each.invoker,
      monthly: each.report.monthly,
      perMillion: each.report.perMillion,
      difference: each.difference
    })),
    batchAdvice: advice.options.map(option => ({
      batchRecords: option.recordsMax,
      filledRecords: option.records,
      waitMs: option.waitMs,
      monthly: option.monthly,
      isAdvised: option === advice.best
    })),
    batchReason: advice.reason,
    assumptions: report.notes
  }
}
