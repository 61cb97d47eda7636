/** The same workload on other clusters and with other invokers, the cheapest first. */

import { type CostReport, priceWorkload } from './model.ts'
import type { PriceList } from './prices.ts'
import type { ClusterKind, CostWorkload, Invoker } from './workload-types.ts'

/** One way to run a workload. */
export interface CostAlternative {
  readonly cluster: ClusterKind
  readonly invoker: Invoker
  readonly report: CostReport
  /** US dollars a month more (positive) or less than the workload as it is. */
  readonly difference: number
}

const clusters = ['standard', 'express', 'serverless'] as const
const invokers = ['dispatcher', 'mapping', 'mappingProvisioned'] as const

/** Prices every combination that AWS offers. */
export function compareCosts(workload: CostWorkload, prices: PriceList): CostAlternative[] {
  const { monthly } = priceWorkload(workload, prices)
  const kinds: readonly ClusterKind[] = workload.cluster.kind === 'self' ? ['self'] : clusters
  const alternatives = kinds.flatMap(kind =>
    invokers.map(invoker => {
      // Sizes that were chosen for one kind of broker say nothing of another.
      const cluster = kind === workload.cluster.kind ? workload.cluster : { kind }
      const report = priceWorkload({ ...workload, cluster, invoker }, prices)
      return { cluster: kind, invoker, report, difference: report.monthly - monthly }
    })
  )
  return alternatives.sort((left, right) => left.report.monthly - right.report.monthly)
}
