/** What one run of the append benchmark cost. */

import { startUsage, type Usage } from '../../drain/usage.ts'
import type { Latencies } from './pace.ts'

/** One run. */
export interface AppendUsage extends Usage {
  /** From the hand-over to the acknowledgement, in milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

/** Starts to measure; the function it gives prints the result as a line of JSON. */
export function startAppendUsage(latencies: Latencies): (records: number) => void {
  return startUsage(() => ({ latencyMs: latencies.summary() }))
}
