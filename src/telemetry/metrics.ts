/**
 * Metrics: OpenTelemetry's `Meter` is the contract; this file gives the meter of
 * a process and its Prometheus text.
 *
 * Instruments are created once and recorded per batch, never per record.
 */

import { createNoopMeter, type Meter } from '@opentelemetry/api'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'

export type { Attributes, Counter, Gauge, Histogram, Meter, ObservableGauge, UpDownCounter } from '@opentelemetry/api'

/** A meter whose instruments record nothing. */
export const noopMeter: Meter = createNoopMeter()

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
