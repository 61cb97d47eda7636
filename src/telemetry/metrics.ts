/**
 * Metrics: OpenTelemetry's `Meter` is the contract; this file gives the meter of
 * a process and its Prometheus text.
 *
 * Instruments are created once and recorded per batch, never per record.
 *
 * OpenTelemetry is 250 files, a third of the time in which a broker starts: it
 * is loaded when metrics are collected, and nothing of it before.
 */

import { createRequire } from 'node:module'

import type { Meter, ObservableCounter } from '@opentelemetry/api'

export type { Attributes, Counter, Gauge, Histogram, Meter, ObservableGauge, UpDownCounter } from '@opentelemetry/api'

type ExporterModule = typeof import('@opentelemetry/exporter-prometheus')
type SdkModule = typeof import('@opentelemetry/sdk-metrics')

const require = createRequire(import.meta.url)
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

/** The metrics of one process. */
export interface Metrics {
  /** Creates instruments. */
  readonly meter: Meter
  /** All current values in Prometheus' text format. */
  prometheusText(): Promise<string>
  /** Stops collection. Idempotent. */
  close(): Promise<void>
}

/** Starts collecting metrics in this process; serving the text over HTTP is the caller's business. */
export function createMetrics(): Metrics {
  // The types are those of the modules that are named.
  const { PrometheusExporter, PrometheusSerializer } = require('@opentelemetry/exporter-prometheus') as ExporterModule
  const { MeterProvider } = require('@opentelemetry/sdk-metrics') as SdkModule
  const exporter = new PrometheusExporter({ preventServerStart: true })
  const provider = new MeterProvider({ readers: [exporter] })
  const serializer = new PrometheusSerializer()
  let isClosed = false
  return {
    meter: provider.getMeter('comporta'),
    prometheusText: async () => serializer.serialize((await exporter.collect()).resourceMetrics),
    close: async () => {
      if (isClosed) return
      isClosed = true
      await provider.shutdown()
    }
  }
}
