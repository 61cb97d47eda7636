/**
 * Metrics as lines of CloudWatch's embedded metric format: a log agent that ships the lines makes metrics of them.
 *
 * One line for each set of attributes, with all metrics that have it; attributes are dimensions, and `service.name` is
 * one. CloudWatch adds up itself, so counters and histograms are what has come since the export before. A histogram is
 * the middle of each bucket with the number of values in it, as AWS's own libraries write it. CloudWatch is paid by the
 * series: those by partition are not written.
 *
 * Limits, all of CloudWatch: 100 metrics of a line, 30 dimensions (others are members without being dimensions), 1024
 * characters of a value. Source: CloudWatch "Embedded metric format specification"; aws-embedded-metrics.
 */

import type { Attributes } from '@opentelemetry/api'

import { METRIC_CATALOGUE, type MetricName } from '../catalogue.ts'
import {
  type CollectedMetric,
  type CollectedMetrics,
  type HistogramValue,
  type MetricPoint
} from '../metrics/collected.ts'
import { contentOf } from '../metrics/series.ts'
import type { MetricsExporter } from './export-loop.ts'

/** Where lines go. */
export interface EmfSettings {
  readonly namespace: string
  /** Takes lines, each with its end. Rejects if they cannot be written. */
  readonly write: (lines: string) => Promise<void>
}

const METRICS_MAX = 100
const DIMENSIONS_MAX = 30
const VALUE_CHARACTERS_MAX = 1024
/** Longest time of one export, in milliseconds. */
const TIMEOUT_MS = 10_000

const UNITS: ReadonlyMap<string, string> = new Map([
  ['s', 'Seconds'],
  ['ms', 'Milliseconds'],
  ['By', 'Bytes']
])

interface Definition {
  readonly Name: string
  readonly Unit: string
}

interface Told {
  readonly definition: Definition
  readonly value: number | object
}

/** Creates an exporter. */
export function createEmfExporter({ namespace, write }: EmfSettings): MetricsExporter {
  const lines = new EmfLines(namespace)
  return {
    name: 'emf',
    timeoutMs: TIMEOUT_MS,
    send: async metrics => {
      const text = lines.write(metrics)
      if (text !== '') await write(text)
      lines.written()
    },
    close: () => Promise.resolve()
  }
}

/** Writes lines, and knows what the lines before have told: those that were written, and not lost on their way. */
export class EmfLines {
  readonly #namespace: string
  /** What was told of sums and histograms, by metric and attributes. As many as there are series. */
  #told = new Map<string, number | HistogramValue>()
  /** The same with the latest lines, which may not arrive. */
  #telling = this.#told

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /** All lines of a moment; empty if there is nothing to tell. */
  write({ metrics, resource, timeMs }: CollectedMetrics): string {
    const told = new Map<string, number | HistogramValue>()
    const bySet = new Map<string, { readonly attributes: Attributes; readonly metrics: Told[] }>()
    for (const metric of metrics) {
      if (isPerPartition(metric.name)) continue
      for (const point of metric.points) {
        const content = contentOf(point.attributes)
        const value = this.#valueOf(metric, point, { key: `${metric.name}|${content}`, told })
        if (value === undefined) continue
        const set = bySet.get(content) ?? { attributes: point.attributes, metrics: [] }
        bySet.set(content, set)
        set.metrics.push({ definition: { Name: metric.name, Unit: unitOf(metric.unit) }, value })
      }
    }
    // Series that are gone are forgotten.
    this.#telling = told
    const lines: string[] = []
    for (const { attributes, metrics: all } of bySet.values()) {
      for (let first = 0; first < all.length; first += METRICS_MAX) {
        lines.push(this.#line({ attributes, resource, timeMs }, all.slice(first, first + METRICS_MAX)))
      }
    }
    return lines.join('')
  }

  /** The latest lines have arrived: what they told is not told again. Without this the next ones tell it, too. */
  written(): void {
    this.#told = this.#telling
  }

  #valueOf(
    { kind, boundaries }: CollectedMetric,
    { value, histogram }: MetricPoint,
    { key, told }: { readonly key: string; readonly told: Map<string, number | HistogramValue> }
  ): number | object | undefined {
    if (kind === 'gauge' || kind === 'upDownCounter') return value
    const before = this.#told.get(key)
    if (histogram === undefined) {
      told.set(key, value)
      return Math.max(0, value - (typeof before === 'number' ? before : 0))
    }
    told.set(key, histogram)
    return distribution(histogram, typeof before === 'object' ? before : undefined, boundaries)
  }

  #line(
    { attributes, resource, timeMs }: { attributes: Attributes } & Pick<CollectedMetrics, 'resource' | 'timeMs'>,
    metrics: readonly Told[]
  ): string {
    const { 'service.name': service, ...others } = resource
    const identity = { ...(service === undefined ? {} : { 'service.name': service }), ...attributes }
    const members = Object.entries(identity).map(([name, value]) => [name, text(value)] as const)
    const directive = {
      Namespace: this.#namespace,
      Dimensions: [members.slice(0, DIMENSIONS_MAX).map(([name]) => name)],
      Metrics: metrics.map(({ definition }) => definition)
    }
    const line = {
      ...others,
      ...Object.fromEntries(members),
      ...Object.fromEntries(metrics.map(({ definition, value }) => [definition.Name, value])),
      _aws: { Timestamp: timeMs, CloudWatchMetrics: [directive] }
    }
    return `${JSON.stringify(line)}\n`
  }
}

/** Values that came since, as the middles of their buckets, within the smallest and the largest there ever was. */
function distribution(
  now: HistogramValue,
  before: HistogramValue | undefined,
  boundaries: readonly number[]
): object | undefined {
  const values: number[] = []
  const counts: number[] = []
  for (const [index, count] of now.counts.entries()) {
    const added = count - (before?.counts[index] ?? 0)
    if (added <= 0) continue
    const low = Math.max(boundaries[index - 1] ?? now.min, now.min)
    const high = Math.min(boundaries[index] ?? now.max, now.max)
    values.push((low + high) / 2)
    counts.push(added)
  }
  if (values.length === 0) return undefined
  return {
    Values: values,
    Counts: counts,
    Min: values[0],
    Max: values.at(-1),
    Count: now.count - (before?.count ?? 0),
    Sum: now.sum - (before?.sum ?? 0)
  }
}

function unitOf(unit: string): string {
  return UNITS.get(unit) ?? (unit.startsWith('{') ? 'Count' : 'None')
}

/** A value of a dimension: text, not empty, without signs that control. */
function text(value: Attributes[string]): string {
  const plain = typeof value === 'string' ? value : JSON.stringify(value ?? null)
  const shown = plain
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '?')
    .slice(0, VALUE_CHARACTERS_MAX)
    .trim()
  return shown === '' ? '-' : shown
}

function isPerPartition(name: string): boolean {
  return Object.hasOwn(METRIC_CATALOGUE, name) && METRIC_CATALOGUE[name as MetricName].isPerPartition === true
}
