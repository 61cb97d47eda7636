/** What is read of all metrics at one moment: the form that every exporter takes. */

import type { Attributes } from '@opentelemetry/api'

import type { MetricKind } from '../catalogue.ts'

/** What a histogram has counted since the start. */
export interface HistogramValue {
  readonly count: number
  readonly sum: number
  /** Smallest and largest of what was recorded; both 0 before the first. */
  readonly min: number
  readonly max: number
  /** One more than there are boundaries: the last is of what is above all of them. Not cumulative. */
  readonly counts: readonly number[]
}

/** One series at one moment. */
export interface MetricPoint {
  /** The same object for the same series of counters and histograms: what is made from it can be kept by it. */
  readonly attributes: Attributes
  /** Counters and upDownCounters: the sum since the start. */
  readonly value: number
  /** Instead of the value, for histograms. */
  readonly histogram?: HistogramValue
}

/** One metric at one moment. */
export interface CollectedMetric {
  readonly name: string
  readonly kind: MetricKind
  readonly unit: string
  readonly description: string
  /** Upper bounds of the buckets; empty unless it is a histogram. */
  readonly boundaries: readonly number[]
  /** Never empty. */
  readonly points: readonly MetricPoint[]
}

/** All metrics at one moment. */
export interface CollectedMetrics {
  /** Who tells: attributes of the process. */
  readonly resource: Readonly<Record<string, string>>
  /** When counting began, in milliseconds since the epoch. */
  readonly startMs: number
  /** When this was read. */
  readonly timeMs: number
  readonly metrics: readonly CollectedMetric[]
}

/** The attributes of what is counted together because there are too many series. Source: OpenTelemetry metrics SDK. */
export const OVERFLOW: Attributes = Object.freeze({ 'otel.metric.overflow': true })
