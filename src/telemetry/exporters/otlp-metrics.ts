/**
 * Sends metrics to an OpenTelemetry collector: OTLP over HTTP, protobuf, with OpenTelemetry's own exporter.
 *
 * Sums and histograms count from the start of the process (cumulative temporality). An export that fails is tried again
 * by the exporter as long as its time allows, then given up: the next one has newer numbers of the same series.
 */

import { createRequire } from 'node:module'

import type { HrTime } from '@opentelemetry/api'
import type { MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'

import { messageOf } from '../../core/index.ts'
import type { CollectedMetric, CollectedMetrics } from '../metrics/collected.ts'
import type { MetricsExporter } from './export-loop.ts'
import { httpAgents } from './http-agents.ts'

type ExporterModule = typeof import('@opentelemetry/exporter-metrics-otlp-proto')
type ResourcesModule = typeof import('@opentelemetry/resources')
type SdkModule = typeof import('@opentelemetry/sdk-metrics')

const require = createRequire(import.meta.url)

/** Where and how metrics are sent. */
export interface OtlpMetricsSettings {
  /** Full address, path included. */
  readonly endpoint: string
  /** Headers of each request. May hold secrets: they appear nowhere else. */
  readonly headers: Readonly<Record<string, string>>
  /** Longest time of one export, in milliseconds. */
  readonly timeoutMs: number
  readonly compression: 'none' | 'gzip'
}

/** Creates an exporter. OpenTelemetry is loaded here, and not before. */
export function createOtlpMetricsExporter(settings: OtlpMetricsSettings): MetricsExporter {
  // The types are those of the modules that are named.
  const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-proto') as ExporterModule
  const { resourceFromAttributes } = require('@opentelemetry/resources') as ResourcesModule
  const sdk = require('@opentelemetry/sdk-metrics') as SdkModule
  const agents = httpAgents()
  const exporter = new OTLPMetricExporter({
    // Ours, so that a request without an answer does not keep a process that has ended.
    httpAgentOptions: agents.create,
    url: settings.endpoint,
    headers: { ...settings.headers },
    timeoutMillis: settings.timeoutMs,
    // The values of OpenTelemetry's enumeration, which its package does not hand out.
    ...(settings.compression === 'gzip' ? { compression: 'gzip' as never } : {}),
    concurrencyLimit: 1
  })
  return {
    name: 'otlp',
    timeoutMs: settings.timeoutMs,
    send: collected =>
      new Promise<void>((resolve, reject) => {
        const resource = resourceFromAttributes({ ...collected.resource })
        exporter.export(resourceMetricsOf(collected, resource, sdk), ({ error }) => {
          if (error === undefined) resolve()
          else reject(new Error(messageOf(error), { cause: error }))
        })
      }),
    close: () => {
      // The last export has had its time. Destroyed first: shutting down waits for what is under way.
      agents.close()
      return exporter.shutdown()
    }
  }
}

/** The same in OpenTelemetry's own form. */
export function resourceMetricsOf(
  collected: CollectedMetrics,
  resource: ResourceMetrics['resource'],
  sdk: Pick<SdkModule, 'AggregationTemporality' | 'DataPointType'>
): ResourceMetrics {
  const times = { startTime: hrTime(collected.startMs), endTime: hrTime(collected.timeMs) }
  const metrics = collected.metrics.map(metric => dataOf(metric, times, sdk))
  return { resource, scopeMetrics: [{ scope: { name: 'comporta' }, metrics }] }
}

type Times = Readonly<Record<'startTime' | 'endTime', HrTime>>

function dataOf(
  { name, kind, unit, description, boundaries, points }: CollectedMetric,
  times: Times,
  { AggregationTemporality, DataPointType }: Pick<SdkModule, 'AggregationTemporality' | 'DataPointType'>
): MetricData {
  // 1 is a number with a fraction: all are sent as doubles.
  const descriptor = { name, unit, description, valueType: 1 }
  const base = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE }
  const numbers = (): { attributes: CollectedMetric['points'][number]['attributes']; value: number }[] =>
    points.map(({ attributes, value }) => ({ attributes, value }))
  switch (kind) {
    case 'gauge':
      return {
        ...base,
        dataPointType: DataPointType.GAUGE,
        dataPoints: numbers().map(point => ({ ...point, ...times }))
      }
    case 'counter':
    case 'upDownCounter':
      return {
        ...base,
        dataPointType: DataPointType.SUM,
        isMonotonic: kind === 'counter',
        dataPoints: numbers().map(point => ({ ...point, ...times }))
      }
    case 'histogram':
      return {
        ...base,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points.flatMap(({ attributes, histogram }) => {
          if (histogram === undefined) return []
          const { counts, ...value } = histogram
          return [
            { attributes, ...times, value: { ...value, buckets: { boundaries: [...boundaries], counts: [...counts] } } }
          ]
        })
      }
  }
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1_000_000)]
}
