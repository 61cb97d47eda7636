/** Reads from PromQL text which series it asks for and by which labels it groups: enough to hold queries to a list. */

/** What a query names. */
export interface QueryNames {
  /** Every selector: the name of a series, and the labels of its matchers. */
  readonly selectors: readonly { readonly name: string; readonly labels: readonly string[] }[]
  /** Labels of `by (…)`, `on (…)` and `without (…)`. */
  readonly grouped: readonly string[]
}

const WORDS = new Set(
  (
    'sum max min avg count topk by on without unless and or bool group_left group_right rate increase deriv resets ' +
    'absent histogram_quantile avg_over_time sum_over_time count_over_time clamp_min vector'
  ).split(' ')
)

/** Reads one query. */
export function namesIn(query: string): QueryNames {
  // Texts in quotes may hold anything.
  const bare = query.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  const grouped: string[] = []
  const rest = bare.replaceAll(/\b(?:by|on|without)\s*\(([^)]*)\)/g, (_, list: string) => {
    grouped.push(...list.split(',').map(each => each.trim()))
    return ' '
  })
  const selectors: { name: string; labels: string[] }[] = []
  // A window (`[5m]`, `offset 5m`) is no name.
  for (const [, name = '', matchers = ''] of rest
    .replaceAll(/\[[^\]]*\]|\boffset \w+/g, '')
    .matchAll(/([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?/g)) {
    if (WORDS.has(name)) continue
    const labels = matchers.split(',').map(each => /^\s*(\w+)/.exec(each)?.[1] ?? '')
    selectors.push({ name, labels: labels.filter(label => label !== '') })
  }
  return { selectors, grouped: grouped.filter(label => label !== '') }
}

/** Names and labels of a page of metrics in Prometheus' text format; families without series have no labels. */
export function scrapedNames(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  const of = (name: string): Set<string> => {
    const labels = found.get(name) ?? new Set<string>()
    found.set(name, labels)
    return labels
  }
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (type !== null) {
      const [, name = '', kind] = type
      for (const part of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) of(`${name}${part}`)
    }
    const series = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+/.exec(line)
    if (series === null) continue
    const [, name = '', labels = ''] = series
    for (const [, label = ''] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) of(name).add(label)
  }
  return found
}
