/**
 * Metrics: OpenTelemetry's `Meter` is the contract; this file gives the meter of
 * a process, its Prometheus text, and what it exports.
 *
 * Instruments are created once and recorded per batch, never per record. The
 * numbers are kept by a meter of our own (`metrics/collecting-meter.ts`), once,
 * however many exporters read them.
 *
 * OpenTelemetry's exporters are hundreds of files: they are loaded when metrics
 * are sent to a collector, and nothing of them before.
 */

import type { Meter, ObservableCounter } from '@opentelemetry/api'

import { type Clock, systemClock } from '../core/index.ts'
import { createEmfExporter, type EmfSettings } from './exporters/emf.ts'
import { ExportLoop, type MetricsExporter } from './exporters/export-loop.ts'
import { createOtlpMetricsExporter, type OtlpMetricsSettings } from './exporters/otlp-metrics.ts'
import { PrometheusText } from './exporters/prometheus-text.ts'
import { counterOf, observedGaugeOf } from './instruments.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { CollectedMetrics } from './metrics/collected.ts'
import { CollectingMeter } from './metrics/collecting-meter.ts'

export type { Attributes, Counter, Gauge, Histogram, Meter, ObservableGauge, UpDownCounter } from '@opentelemetry/api'

const nothing = (): void => undefined
const noopInstrument = { add: nothing, record: nothing }
const noopObservable: ObservableCounter = { addCallback: nothing, removeCallback: nothing }

/** A meter whose instruments record nothing. */
export const noopMeter: Meter = {
  createGauge: () => noopInstrument,
  createHistogram: () => noopInstrument,
  createCounter: () => noopInstrument,
  createUpDownCounter: () => noopInstrument,
  createObservableGauge: () => noopObservable,
  createObservableCounter: () => noopObservable,
  createObservableUpDownCounter: () => noopObservable,
  addBatchObservableCallback: nothing,
  removeBatchObservableCallback: nothing
}

/** What the metrics of a process are made from. */
export interface MetricsOptions {
  /** Attributes of the process, such as `service.name`. Default none. */
  readonly resource?: Readonly<Record<string, string>>
  /** Most attribute sets of one metric; the rest is counted together. At least 2. Default 2_000. */
  readonly seriesMax?: number
  /** Most series of a metric that has one for each partition; 0 for none. Default 1_000. */
  readonly partitionSeriesMax?: number
  /** Sends metrics to a collector, each `intervalMs` milliseconds. Default: no. */
  readonly otlp?: OtlpMetricsSettings & { readonly intervalMs: number }
  /** Writes metrics for CloudWatch, each `intervalMs` milliseconds. Default: no. */
  readonly emf?: EmfSettings & { readonly intervalMs: number }
  readonly clock?: Clock
  readonly logger?: Logger
}

/** The metrics of one process. */
export interface Metrics {
  /** Creates instruments. */
  readonly meter: Meter
  /** All current values. */
  collect(): Promise<CollectedMetrics>
  /** All current values in Prometheus' text format. */
  prometheusText(): Promise<string>
  /** Exports once more, for two seconds at most, and stops. Idempotent. */
  close(): Promise<void>
}

/** Starts collecting metrics in this process; serving the text over HTTP is the caller's business. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const { clock = systemClock, logger = silentLogger, otlp, emf } = options
  const { resource = {}, seriesMax = 2000, partitionSeriesMax = 1000 } = options
  const meter = new CollectingMeter({ resource, seriesMax, partitionSeriesMax, clock, logger })
  observedGaugeOf(meter, 'comporta.telemetry.overflows').addCallback(result => result.observe(meter.overflowCount))
  const text = new PrometheusText()
  const loops: ExportLoop[] = []
  const start = (exporter: MetricsExporter, intervalMs: number): void => {
    const exports = counterOf(meter, 'comporta.telemetry.exports')
    const onEnded = (outcome: 'ok' | 'failed'): void => exports.add(1, { exporter: exporter.name, outcome })
    const collect = (): Promise<CollectedMetrics> => meter.collect()
    loops.push(new ExportLoop({ exporter, intervalMs, collect, onEnded, clock, logger }))
  }
  if (otlp !== undefined) start(createOtlpMetricsExporter(otlp), otlp.intervalMs)
  if (emf !== undefined) start(createEmfExporter(emf), emf.intervalMs)
  return {
    meter,
    collect: () => meter.collect(),
    prometheusText: async () => text.write(await meter.collect()),
    close: async () => {
      await Promise.all(loops.map(loop => loop.close()))
    }
  }
}
