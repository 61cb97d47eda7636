/**
 * Writes the tables of docs/reference/metrics.md from the catalogue of metrics, so that the page cannot drift from the
 * code. What stands outside of the marked parts is written by hand and stays.
 *
 * Run it with `npm run docs:metrics`; with `--check` it only says whether the page is current.
 */

import { readFileSync, writeFileSync } from 'node:fs'

import { METRIC_CATALOGUE, type MetricEntry, type MetricName, prometheusName } from '../src/telemetry/index.ts'

const PAGE = new URL('../docs/reference/metrics.md', import.meta.url)

/** The tables, by the names of their marks. */
const TABLES: Readonly<Record<string, (name: string) => boolean>> = {
  messaging: name => name.startsWith('messaging.'),
  'kafka-producer': name => name.startsWith('kafka.producer.'),
  'kafka-consumer': name => name.startsWith('kafka.consumer.'),
  producer: name => name.startsWith('comporta.producer.'),
  dispatcher: name => name.startsWith('comporta.dispatcher.'),
  connections: name => name.startsWith('comporta.kafka.'),
  lambda: name => name.startsWith('comporta.lambda.'),
  broker: name => name.startsWith('kafka_'),
  own: name => /^(?:comporta\.telemetry|process|v8js|nodejs)\./.test(name)
}

function attributesOf({ attributes, isPerPartition }: MetricEntry): string {
  const parts = Object.entries(attributes).map(([name, values]) => (values === '' ? name : `${name} (${values})`))
  return parts.join('; ') + (isPerPartition === true ? ' ¹' : '')
}

function row(name: MetricName): string {
  const entry = METRIC_CATALOGUE[name]
  const unit = entry.unit === '' || entry.unit === '1' ? '' : `, ${entry.unit}`
  const cells = [`\`${name}\``, `\`${prometheusName(name)}\``, `${entry.kind}${unit}`, attributesOf(entry)]
  return `| ${[...cells, entry.description].map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function isName(name: string): name is MetricName {
  return Object.hasOwn(METRIC_CATALOGUE, name)
}

function table(mark: string): string {
  const isPart = TABLES[mark]
  if (isPart === undefined) throw new Error(`docs/reference/metrics.md: there is no table ${mark}`)
  const names = Object.keys(METRIC_CATALOGUE).filter(isName).filter(isPart)
  const head = '| metric | in Prometheus | kind | attributes | meaning |\n| --- | --- | --- | --- | --- |'
  return [head, ...names.map(row)].join('\n')
}

const before = readFileSync(PAGE, 'utf8')
const marks = new Set<string>()
const after = before.replaceAll(/<!-- metrics: ([a-z-]+) -->\n[^]*?\n<!-- \/metrics -->/g, (_, mark: string) => {
  marks.add(mark)
  return `<!-- metrics: ${mark} -->\n\n${table(mark)}\n\n<!-- /metrics -->`
})
const missing = Object.keys(TABLES).filter(mark => !marks.has(mark))
if (missing.length > 0) throw new Error(`docs/reference/metrics.md has no mark for ${missing.join(', ')}`)
if (process.argv.includes('--check')) {
  if (after !== before) {
    process.stderr.write('docs/reference/metrics.md is not current: npm run docs:metrics\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(PAGE, after)
}
