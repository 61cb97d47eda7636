/** Dashboards, rules and alarms: names that exist, forms that their readers take, thresholds from their sources. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { parse } from 'yaml'

import { genericFiles, SAMPLE, withAlerts } from '../../../scripts/dashboards/generated-files.ts'
import {
  alertsByName,
  boardsOf,
  cloudFormationTemplate,
  genericBoards,
  grafanaDashboard,
  pipelineBoards,
  prometheusRules,
  runbookAnchor
} from '../../../src/ops/index.ts'
import { parsePipeline } from '../../../src/config/index.ts'
import { labelName, series } from '../../../src/ops/boards/query.ts'
import { ruleGroups } from '../../../src/ops/boards/prometheus.ts'
import { METRIC_CATALOGUE, type MetricName, prometheusName } from '../../../src/telemetry/index.ts'
import { namesIn } from '../../support/promql.ts'

const root = join(import.meta.dirname, '../../..')

/** Labels of every series that Prometheus may have of us, by name. */
function knownSeries(): Map<string, readonly string[]> {
  const known = new Map<string, readonly string[]>([['up', []]])
  for (const [name, { kind, attributes }] of Object.entries(METRIC_CATALOGUE)) {
    const labels = Object.keys(attributes).map(labelName)
    // The catalogue's own names are its keys.
    const plain = prometheusName(name as MetricName)
    if (kind !== 'histogram') known.set(plain, labels)
    else for (const part of ['_bucket', '_sum', '_count']) known.set(`${plain}${part}`, [...labels, 'le'])
  }
  for (const { records } of ruleGroups(SAMPLE)) {
    for (const { name, labels = {} } of records) known.set(name, Object.keys(labels))
  }
  return known
}

interface Grafana {
  readonly uid: string
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
  readonly panels: readonly {
    readonly id: number
    readonly type: string
    readonly title: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[]
  }[]
}

function dashboards(): Grafana[] {
  // Its own output, in the form that the assertions below look at.
  return boardsOf(SAMPLE).map(board => JSON.parse(grafanaDashboard(board, SAMPLE)) as Grafana)
}

function checkQuery(query: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const { selectors, grouped } = namesIn(query)
  const everywhere = ['job', 'instance']
  const problems = selectors.flatMap(({ name, labels }) => {
    const has = known.get(name)
    if (has === undefined) return /^\d|^scalar$/.test(name) ? [] : [`${name} is no metric: ${query}`]
    return labels.filter(label => ![...has, ...everywhere].includes(label)).map(label => `${name} has no ${label}`)
  })
  const all = [...selectors.flatMap(({ name }) => known.get(name) ?? []), ...everywhere]
  return [...problems, ...grouped.filter(label => !all.includes(label)).map(label => `no ${label} in ${query}`)]
}

test('every metric and every label in a dashboard is in the catalogue', () => {
  const known = knownSeries()
  const problems = dashboards().flatMap(({ panels, templating }) => [
    ...panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => checkQuery(expr, known))),
    ...templating.list.flatMap(({ definition }) => {
      const [, name = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition ?? '') ?? []
      const has = [...(known.get(name) ?? []), 'job']
      return definition === undefined || (known.has(name) && has.includes(label)) ? [] : [definition]
    })
  ])
  assert.deepEqual(problems, [])
})

test('a query with a name or a label that is not there is found', () => {
  const known = knownSeries()
  assert.equal(checkQuery('sum by (group) (comporta_dispatcher_records{group="x"})', known).length, 2)
  assert.equal(checkQuery('sum by (tier) (comporta_dispatcher_records_total{class="x"})', known).length, 2)
})

test('every label in a legend is one that the query keeps', () => {
  const problems = boardsOf(SAMPLE).flatMap(({ rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap(({ queries }) =>
        queries.flatMap(({ expression, legend = '' }) => {
          const { grouped, selectors } = namesIn(expression)
          const isKept = (label: string): boolean =>
            grouped.length > 0
              ? grouped.includes(label)
              : selectors.some(({ name }) => (knownSeries().get(name) ?? []).includes(label)) ||
                ['job', 'instance'].includes(label)
          return [...legend.matchAll(/\{\{(\w+)\}\}/g)].flatMap(([, label = '']) =>
            isKept(label) ? [] : [`${legend}: ${expression}`]
          )
        })
      )
    )
  )
  assert.deepEqual(problems, [])
})

test('every metric and every label in a rule is in the catalogue, and alerts name labels that they keep', () => {
  const known = knownSeries()
  const problems = [SAMPLE, genericBoards()].flatMap(settings =>
    ruleGroups(settings).flatMap(({ records, alerts }) => [
      ...records.flatMap(({ expression }) => checkQuery(expression, known)),
      ...alerts.flatMap(({ name, expression, summary, description, labels = {} }) => {
        const { grouped, selectors } = namesIn(expression)
        const own =
          grouped.length > 0 ? grouped : selectors.flatMap(each => [...(known.get(each.name) ?? []), 'instance'])
        const used = [...`${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
        const lost = used.filter(label => !own.includes(label) && !(label in labels))
        return [...checkQuery(expression, known), ...lost.map(label => `${name} has no ${label}`)]
      })
    ])
  )
  assert.deepEqual(problems, [])
})

test('a query cannot be made of a label that a metric does not have', () => {
  assert.throws(() => series('comporta.dispatcher.lag', { tier: '1' }), { code: 'ERR_CORE_INVARIANT' })
  assert.throws(() => series('comporta.dispatcher.invoke.duration', {}), { code: 'ERR_CORE_INVARIANT' })
  assert.equal(
    series('comporta.dispatcher.dead_letters', { group: 'a"b\\', class: '!=x' }),
    'comporta_dispatcher_dead_letters_total{group="a\\"b\\\\",class!="x"}'
  )
})

test('a dashboard has what Grafana needs: ids of its own, panels that do not overlap, variables that are there', () => {
  const all = dashboards()
  assert.equal(new Set(all.map(({ uid }) => uid)).size, all.length)
  for (const { uid, panels, templating } of all) {
    assert.ok(uid.length <= 40, uid)
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const variables = new Set(templating.list.map(({ name }) => name))
    const taken = new Set<string>()
    for (const { title, gridPos, targets = [], type } of panels) {
      assert.ok(['row', 'timeseries', 'stat', 'heatmap', 'state-timeline'].includes(type))
      const { x, y, w, h } = gridPos
      assert.ok(x + w <= 24, title)
      for (let column = x; column < x + w; column += 1) {
        for (let row = y; row < y + h; row += 1) {
          assert.ok(!taken.has(`${column}/${row}`), `${uid}: ${title} lies over another panel`)
          taken.add(`${column}/${row}`)
        }
      }
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length)
      for (const [, name = ''] of targets.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)])) {
        assert.ok(variables.has(name) || name === '__rate_interval', `${title} asks for $${name}`)
      }
    }
  }
})

interface RuleFile {
  readonly groups: readonly {
    readonly name: string
    readonly rules: readonly {
      readonly alert?: string
      readonly record?: string
      readonly expr: string
      readonly labels?: Readonly<Record<string, string>>
      readonly annotations?: Readonly<Record<string, string>>
    }[]
  }[]
}

test('every alert says how urgent it is, what it is, and where its section in the runbook is', async () => {
  const runbook = await readFile(join(root, 'docs/guides/runbook.md'), 'utf8')
  const headings = new Set([...runbook.matchAll(/^### (\w+)$/gm)].map(([, name = '']) => runbookAnchor(name)))
  const { groups } = parse(prometheusRules(SAMPLE)) as RuleFile
  const alerts = groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert !== undefined))
  assert.ok(alerts.length > 25)
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels?.['severity'] ?? '', /^(?:page|ticket)$/, alert)
    assert.ok((annotations?.['summary'] ?? '') !== '' && (annotations?.['description'] ?? '') !== '', alert)
    const anchor = (annotations?.['runbook_url'] ?? '').split('#')[1] ?? ''
    assert.ok(headings.has(anchor), `${alert}: no section #${anchor}`)
  }
})

test('objectives burn at the rates of the workbook’s table, and thresholds are those of the pipeline file', () => {
  const { groups } = parse(prometheusRules(SAMPLE)) as RuleFile
  const burning = groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert === 'ComportaBudgetBurns'))
  const slo = '{slo="billing[orders] ≤ 60 s"}'
  assert.deepEqual(
    burning.map(({ expr, labels }) => [labels?.['severity'], expr]),
    [
      ['page', `comporta:burn:rate1h${slo} >= 14.4 and comporta:burn:rate5m${slo} >= 14.4`],
      ['page', `comporta:burn:rate6h${slo} >= 6 and comporta:burn:rate30m${slo} >= 6`],
      ['ticket', `comporta:burn:rate1d${slo} >= 3 and comporta:burn:rate2h${slo} >= 3`],
      ['ticket', `comporta:burn:rate3d${slo} >= 1 and comporta:burn:rate6h${slo} >= 1`]
    ]
  )
  // Half of 5 minutes in samples of 30 s; 1 - 0.999 without the digits of binary fractions.
  const record = groups.flatMap(({ rules }) => rules).find(each => each.record === 'comporta:burn:rate5m')
  const bad = `comporta:lag_bad:bool${slo}[5m]`
  assert.equal(record?.expr, `sum_over_time(${bad}) / clamp_min(count_over_time(${bad}), 5) / 0.001`)
})

test('a pipeline file gives groups, retention, objectives and thresholds', () => {
  const text = `name: shop
kafka: { bootstrapServers: ["127.0.0.1:1"] }
topics:
  a: { config: { retention.ms: 3600000 } }
  b: { config: { retention.ms: -1 } }
dispatcher:
  groupId: billing
  topics: [a, b, c]
  target: { type: http, url: "http://127.0.0.1:1/" }
  deadLetterTopic: d
operations: { health: { lagRecords: 5 }, slo: [{ group: billing, lagSeconds: 30 }] }
`
  const settings = pipelineBoards(parsePipeline(text, { fileName: 'test', environment: {} }))
  assert.deepEqual(
    [settings.name, settings.groups, settings.health.lagRecords, settings.objectives[0]?.lagSeconds],
    ['shop', ['billing'], 5, 30]
  )
  const retention = alertsOf(settings, 'ComportaRetentionHeadroom')
  // One hour: its half is left. -1 is for ever. Kafka keeps records for 7 days: 6 hours before.
  const lag = (topic: string): string => `comporta_dispatcher_topic_lag_seconds{group=~"billing",topic="${topic}"}`
  assert.deepEqual(retention, [
    `max by (group, topic) (${lag('a')}) > 1800`,
    `max by (group, topic) (${lag('c')}) > ${(7 * 24 - 6) * 3600}`
  ])
  assert.match(alertsOf(settings, 'ComportaLag')[0] ?? '', /> 5 unless on \(group\) comporta:objective:lag_seconds$/)
})

function alertsOf(settings: typeof SAMPLE, name: string): string[] {
  const all = ruleGroups(settings).flatMap(({ alerts }) => alerts)
  return all.filter(each => each.name === name).map(({ expression }) => expression)
}

interface Template {
  readonly Parameters: Readonly<Record<string, unknown>>
  readonly Conditions: Readonly<Record<string, unknown>>
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties: Record<string, unknown> }>>
}

test('a template names only parameters and conditions that it has, and alarms as CloudFormation takes them', () => {
  const text = cloudFormationTemplate(SAMPLE, { namespace: 'comporta', mskBrokers: 3 })
  assert.ok(Buffer.byteLength(text) < 1_000_000) // CloudFormation's limit for a template in S3
  const { Parameters, Conditions, Resources } = JSON.parse(text) as Template
  const names = [...text.matchAll(/"Ref": "([^"]+)"|\$\{([\w:]+)\}/g)].map(([, ref, sub]) => ref ?? sub ?? '')
  for (const name of names) assert.ok(name in Parameters || name.startsWith('AWS::'), name)
  for (const [, name = ''] of text.matchAll(/"Fn::If": \[\s*"(\w+)"/g)) assert.ok(name in Conditions, name)
  const ids = Object.keys(Resources)
  assert.ok(ids.length <= 500 && ids.every(id => /^[A-Za-z0-9]{1,255}$/.test(id)))
  // Two of the cluster, seven of each broker, one of the objective's topic.
  assert.equal(ids.filter(id => id.startsWith('Msk')).length, 2 + 7 * 3 + 1)
})

test('alarms of MSK have the thresholds that AWS recommends', () => {
  const { Resources } = JSON.parse(
    cloudFormationTemplate(genericBoards(), { namespace: 'x', mskBrokers: 1 })
  ) as Template
  const limits = Object.entries(Resources).map(([id, { Properties }]) => [id, Properties['Threshold']])
  const msk = limits.filter(([id]) => String(id).startsWith('Msk'))
  assert.deepEqual(Object.fromEntries(msk), {
    MskOfflinePartitions: 0,
    MskNoController: 1,
    MskBroker1Disk: 85,
    MskBroker1UnderReplicated: 0,
    MskBroker1UnderMinIsr: 1,
    MskBroker1HandlersBusy: 0.3,
    MskBroker1Heap: 60,
    MskBroker1ConnectionRate: 80,
    MskBroker1Cpu: 60
  })
})

type Queries = readonly { readonly Expression: { readonly 'Fn::Sub': string } }[]

test('alarms on the pipeline ask for the dimensions that the exporter writes', () => {
  const { Resources } = JSON.parse(cloudFormationTemplate(SAMPLE, { namespace: 'shop', mskBrokers: 0 })) as Template
  const metrics = Resources['ComportaBreakerOpen']?.Properties['Metrics'] as Queries | undefined
  const query = metrics?.[0]
  assert.equal(
    query?.Expression['Fn::Sub'],
    `SELECT MAX("comporta.dispatcher.breaker_open") FROM SCHEMA("\${Namespace}", "service.name", "group", "target") ` +
      `WHERE "group" = 'billing'`
  )
})

test('the templates and the runbook of the repository are what the generator makes now', async () => {
  for (const { path, content } of genericFiles()) {
    assert.equal(await readFile(join(root, path), 'utf8'), content, `${path}: run npm run docs:dashboards`)
  }
  const runbook = await readFile(join(root, 'docs/guides/runbook.md'), 'utf8')
  assert.equal(runbook, withAlerts(runbook), 'run npm run docs:dashboards')
  assert.equal(new Set(alertsByName(SAMPLE).map(({ name }) => name)).size, alertsByName(SAMPLE).length)
})
