/**
 * Queries by the catalogue's names: PromQL text that cannot name a metric or a label that does not exist.
 *
 * Labels that Prometheus itself adds (`job`, `instance`) and `le` of histograms are allowed on every metric. A matcher
 * whose value begins with `=~`, `!~` or `!=` is of that kind, all others ask for the value itself.
 */

import { invariant } from '../../core/index.ts'
import { METRIC_CATALOGUE, type MetricName, prometheusName } from '../../telemetry/index.ts'

/** Labels by their names in Prometheus. */
export type Matchers = Readonly<Record<string, string>>

/** Series of a histogram. */
export type HistogramSeries = '_bucket' | '_sum' | '_count'

/** Labels that every scraped series has. */
export const SCRAPE_LABELS: readonly string[] = ['job', 'instance']

/** The name of an attribute as a label. */
export function labelName(attribute: string): string {
  return attribute.replaceAll(/[^a-zA-Z0-9_]/g, '_')
}

/** Labels that series of a metric have, of those of the catalogue. */
export function labelsOf(name: MetricName): string[] {
  return Object.keys(METRIC_CATALOGUE[name].attributes).map(labelName)
}

/** Text in double quotes, as PromQL reads it. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}

/** A pattern that matches exactly one of some texts. */
export function anyOf(texts: readonly string[]): string {
  return `=~${texts.map(text => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')}`
}

/** A selector: `comporta_dispatcher_records_total{group="billing"}`. */
export function series(name: MetricName, matchers: Matchers = {}, part: HistogramSeries | '' = ''): string {
  invariant((METRIC_CATALOGUE[name].kind === 'histogram') === (part !== ''), `${name}: series of another kind`)
  const known = [...labelsOf(name), ...SCRAPE_LABELS]
  const texts = Object.entries(matchers).map(([label, value]) => {
    invariant(known.includes(label), `${name} has no label ${label}`)
    const [, operator = '=', text = value] = /^(=~|!~|!=)([\s\S]*)$/.exec(value) ?? []
    return `${label}${operator}${quoted(text)}`
  })
  const selected = texts.length === 0 ? '' : `{${texts.join(',')}}`
  return `${prometheusName(name)}${part}${selected}`
}

/** Growth per second of a counter. */
export function rate(selector: string, window: string): string {
  return `rate(${selector}[${window}])`
}

/** Growth of a counter within a window. */
export function increase(selector: string, window: string): string {
  return `increase(${selector}[${window}])`
}

/**
 * Growth of a counter within a window, by labels, for counters that should stay where they are.
 *
 * `increase` sees nothing of a series that begins with its first event, since there is no 0 before it: what was not
 * there a window ago has grown by all that it has.
 */
export function grown(labels: readonly string[], selector: string, window: string): string {
  return by('sum', labels, `(${selector} unless ${selector} offset ${window}) or ${increase(selector, window)}`)
}

/** An aggregate by labels; without labels of everything. */
export function by(aggregate: 'sum' | 'max' | 'min' | 'avg' | 'count', labels: readonly string[], of: string): string {
  return labels.length === 0 ? `${aggregate}(${of})` : `${aggregate} by (${labels.join(', ')}) (${of})`
}

/** A quantile of a histogram; `of.by` are labels beside `le`. */
export function quantile(
  share: number,
  name: MetricName,
  of: { readonly matchers?: Matchers; readonly by?: readonly string[]; readonly window: string }
): string {
  const buckets = by('sum', ['le', ...(of.by ?? [])], rate(series(name, of.matchers, '_bucket'), of.window))
  return `histogram_quantile(${share}, ${buckets})`
}
