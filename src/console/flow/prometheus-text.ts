/** Reads Prometheus' text format, as much of it as our own processes write: names, labels, values. Pure. */

import type { MetricSample } from './instance-types.ts'

/** Samples of one page at most: a page that has more is cut. */
const SAMPLES_MAX = 50_000
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/**
 * The samples of a page. Lines that are not understood are left out.
 *
 * @param isWanted - Which names are kept. Default: all.
 */
export function readPrometheusText(text: string, isWanted: (name: string) => boolean = () => true): MetricSample[] {
  const samples: MetricSample[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, labels = '', value = ''] = LINE.exec(line) ?? []
    if (name === undefined || !isWanted(name)) continue
    samples.push({ name, labels: labelsOf(labels), value: numberOf(value) })
    if (samples.length === SAMPLES_MAX) break
  }
  return samples
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.replaceAll(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
  }
  return labels
}

function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}
