/**
 * What a mapping counts. The totals have the names of AWS's metrics for event source mappings in camelCase.
 *
 * Source: Lambda developer guide, "Event source mapping metrics" (`EventCount` group).
 */

import { counterOf, gaugeOf, histogramOf, type Meter } from '../../telemetry/index.ts'

/** Totals since the start. */
export interface MappingTotals {
  /** Records read. */
  polledEventCount: number
  /** Of these, left out by the filter criteria. */
  filteredOutEventCount: number
  /** Records in invocations, repeats included. */
  invokedEventCount: number
  /** Of these, in invocations that failed. */
  failedInvokeEventCount: number
  /** Records that the function has processed. */
  deliveredEventCount: number
  /** Records given up, with or without a destination. */
  droppedEventCount: number
  /** Of these, taken by the on-failure destination. */
  onFailureDestinationDeliveredEventCount: number
  invocations: number
  functionErrors: number
  throttles: number
}

/** How an invocation ended. */
export type InvocationResult = 'ok' | 'partial' | 'failed' | 'throttled' | 'unavailable'

/** Counters and gauges of one mapping. */
export interface MappingMeters {
  readonly totals: MappingTotals
  records(result: 'delivered' | 'filtered' | 'destination' | 'dropped', count: number): void
  invoked(result: InvocationResult, recordCount: number, durationMs: number): void
  /** Records between what is committed and the end. */
  lag(records: number): void
  pollers(count: number): void
}

/** Creates the instruments. */
export function mappingMeters(meter: Meter, mapping: string): MappingMeters {
  const records = counterOf(meter, 'comporta.lambda.esm.records')
  const duration = histogramOf(meter, 'comporta.lambda.esm.invoke.duration')
  const lag = gaugeOf(meter, 'comporta.lambda.esm.lag')
  const pollers = gaugeOf(meter, 'comporta.lambda.esm.pollers')
  const totals: MappingTotals = {
    polledEventCount: 0,
    filteredOutEventCount: 0,
    invokedEventCount: 0,
    failedInvokeEventCount: 0,
    deliveredEventCount: 0,
    droppedEventCount: 0,
    onFailureDestinationDeliveredEventCount: 0,
    invocations: 0,
    functionErrors: 0,
    throttles: 0
  }
  return {
    totals,
    records: (result, count) => {
      if (count === 0) return
      records.add(count, { mapping, result })
      if (result === 'delivered') totals.deliveredEventCount += count
      if (result === 'filtered') totals.filteredOutEventCount += count
      if (result === 'dropped' || result === 'destination') totals.droppedEventCount += count
      if (result === 'destination') totals.onFailureDestinationDeliveredEventCount += count
    },
    invoked: (result, recordCount, durationMs) => {
      duration.record(durationMs, { mapping, result })
      totals.invocations += 1
      totals.invokedEventCount += recordCount
      if (result !== 'ok' && result !== 'partial') totals.failedInvokeEventCount += recordCount
      if (result === 'failed') totals.functionErrors += 1
      if (result === 'throttled') totals.throttles += 1
    },
    lag: count => lag.record(count, { mapping }),
    pollers: count => pollers.record(count, { mapping })
  }
}
