/**
 * Metrics in Prometheus' text format, version 0.0.4, with the names that OpenTelemetry's rules give them: dots become
 * underscores, counters end in `_total`. Attributes of the process are in `target_info`.
 *
 * A page is written again and again from mostly the same series: their labels are written once and kept for as long as
 * the series is there.
 *
 * Source: Prometheus "Exposition formats"; OpenTelemetry "Prometheus and OpenMetrics compatibility".
 */

import type { Attributes } from '@opentelemetry/api'

import type { CollectedMetric, CollectedMetrics, MetricPoint } from '../metrics/collected.ts'

/** What goes with the text over HTTP. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const TYPES = { counter: 'counter', upDownCounter: 'gauge', gauge: 'gauge', histogram: 'histogram' } as const

/** Writes pages. */
export class PrometheusText {
  readonly #labels = new WeakMap<Attributes, string>()

  /** One page. */
  write({ resource, metrics }: CollectedMetrics): string {
    const pieces: string[] = []
    if (Object.keys(resource).length > 0) {
      pieces.push(head('target_info', 'Target metadata', 'gauge'), `target_info{${labelsOf(resource)}} 1\n`)
    }
    for (const metric of metrics) this.#metric(metric, pieces)
    return pieces.length === 0 ? '# no registered metrics\n' : pieces.join('')
  }

  #metric(metric: CollectedMetric, pieces: string[]): void {
    const name = nameOf(metric)
    pieces.push(head(name, metric.description, TYPES[metric.kind]))
    for (const point of metric.points) {
      const labels = this.#labelsOf(point.attributes)
      if (point.histogram === undefined) pieces.push(line(name, labels, point.value))
      else histogram({ name, labels, boundaries: metric.boundaries }, point, pieces)
    }
  }

  #labelsOf(attributes: Attributes): string {
    const known = this.#labels.get(attributes)
    if (known !== undefined) return known
    const labels = labelsOf(attributes)
    this.#labels.set(attributes, labels)
    return labels
  }
}

interface Buckets {
  readonly name: string
  readonly labels: string
  readonly boundaries: readonly number[]
}

function histogram({ name, labels, boundaries }: Buckets, { histogram: value }: MetricPoint, pieces: string[]): void {
  if (value === undefined) return
  const before = labels === '' ? '' : `${labels},`
  let count = 0
  for (const [index, boundary] of boundaries.entries()) {
    count += value.counts[index] ?? 0
    pieces.push(`${name}_bucket{${before}le="${boundary}"} ${count}\n`)
  }
  pieces.push(`${name}_bucket{${before}le="+Inf"} ${value.count}\n`)
  pieces.push(line(`${name}_sum`, labels, value.sum), line(`${name}_count`, labels, value.count))
}

function head(name: string, description: string, type: string): string {
  const help = description.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `# HELP ${name} ${help === '' ? 'description missing' : help}\n# TYPE ${name} ${type}\n`
}

function line(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`
}

function nameOf({ name, kind }: CollectedMetric): string {
  const plain = plainName(name)
  return kind === 'counter' && !plain.endsWith('_total') ? `${plain}_total` : plain
}

function plainName(name: string): string {
  const plain = name.replaceAll(/[^a-zA-Z0-9_]/g, '_').replaceAll(/_{2,}/g, '_')
  return /^[0-9]/.test(plain) ? `_${plain}` : plain
}

/** Two names that are one in Prometheus would make a page that it refuses: their values are joined. */
function labelsOf(attributes: Attributes): string {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(attributes)) {
    const label = plainName(name)
    const text = typeof value === 'string' ? value : JSON.stringify(value ?? null)
    const other = labels.get(label)
    labels.set(label, other === undefined ? text : `${other};${text}`)
  }
  return [...labels].map(([name, text]) => `${name}="${escaped(text)}"`).join(',')
}

/** A lone surrogate is not UTF-8: one would make the whole page unreadable. */
function escaped(text: string): string {
  return text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}
