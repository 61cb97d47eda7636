/** What the catalogue says of one metric, and what its parts share. */

/** How a metric behaves: a counter only grows, an upDownCounter is a sum that may shrink, a gauge is what it is now. */
export type MetricKind = 'counter' | 'upDownCounter' | 'gauge' | 'histogram'

/** Where a metric comes from. */
export type MetricRoom = 'producer' | 'dispatcher' | 'client' | 'lambda' | 'broker' | 'telemetry' | 'process'

/** One metric. */
export interface MetricEntry {
  readonly kind: MetricKind
  /** In UCUM; empty for Kafka's names, whose Java instrumentation has none either: Prometheus would append it. */
  readonly unit: string
  readonly room: MetricRoom
  /** What it says, one sentence. */
  readonly description: string
  /** Its attributes and their values, or what they are; empty where the name says it. */
  readonly attributes: Readonly<Record<string, string>>
  /** Upper bounds of the buckets of a histogram. */
  readonly boundaries?: readonly number[]
  /** One series for each partition: limited by `telemetry.metrics.partitionSeriesMax`. */
  readonly isPerPartition?: true
}

/** Buckets of durations in seconds, as the conventions advise them. Source: OpenTelemetry messaging metrics. */
export const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** Buckets of times that a backlog makes long: from 10 ms to a day. */
export const LONG_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400] as const

/** Buckets of durations in milliseconds. */
export const MILLISECONDS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000] as const

/** Buckets of counts. */
export const COUNTS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const

/** Buckets of sizes: from 256 bytes to 16 MiB, each four times the one before. */
export const SIZES = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216] as const
