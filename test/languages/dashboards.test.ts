/** Rules and dashboards as their readers take them: Prometheus' promtool, and CloudWatch as moto has it. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { stringify } from 'yaml'

import { SAMPLE } from '../../scripts/dashboards/generated-files.ts'
import { boardsOf, cloudFormationTemplate, genericBoards, prometheusRules } from '../../src/ops/index.ts'
import { runProcess } from '../support/child-process.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { MOTO_ENVIRONMENT, motoSkip, startMoto } from '../support/moto.ts'
import { findPromtool } from './promtool.ts'
import { pythonWithMoto } from './toolchains.ts'

const promtool = await findPromtool()
const skip = promtool === undefined ? 'there is no promtool, and no Debian to take it from' : false

function run(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(promtool ?? '', args, { encoding: 'utf8' })
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  return stdout
}

test('promtool reads every rule, and every query of every dashboard', { skip }, t => {
  const folder = temporaryFolder(t)
  const files = [SAMPLE, genericBoards()].map((settings, index) => {
    const file = join(folder, `rules-${index}.yaml`)
    writeFileSync(file, prometheusRules(settings))
    return file
  })
  const queries = boardsOf(SAMPLE).flatMap(({ rows }) =>
    rows.flatMap(({ panels }) => panels.flatMap(each => each.queries.map(({ expression }) => expression)))
  )
  const rules = queries.map((query, index) => ({
    record: `query:${index}`,
    expr: query.replaceAll('$__rate_interval', '5m')
  }))
  const panels = join(folder, 'panels.yaml')
  writeFileSync(panels, stringify({ groups: [{ name: 'panels', rules }] }))
  const said = run(['check', 'rules', ...files, panels])
  assert.match(said, new RegExp(`SUCCESS: ${queries.length} rules found`))
})

/** Series as promtool's tests write them, and the alerts that fire at a moment. */
interface AlertCase {
  readonly what: string
  readonly series: Readonly<Record<string, string>>
  /** Alerts that must fire, with their severity, at this time; all others of `silent` must not. */
  readonly at: string
  readonly firing?: readonly [string, 'page' | 'ticket']
  readonly silent?: string
  /** Of these alone, by a label. */
  readonly among?: string
}

const group = 'group="billing",instance="a",job="comporta"'
const alive = { [`comporta_dispatcher_partitions{${group}}`]: '1x1000' }

const CASES: readonly AlertCase[] = [
  {
    what: 'a breaker that has been open for five minutes',
    series: { [`comporta_dispatcher_breaker_open{${group},target="f"}`]: '1x100' },
    at: '5m30s',
    firing: ['ComportaBreakerOpen', 'page']
  },
  {
    what: 'a breaker that was open for two minutes',
    series: { [`comporta_dispatcher_breaker_open{${group},target="f"}`]: '1x4 0x100' },
    at: '10m',
    silent: 'ComportaBreakerOpen'
  },
  {
    what: 'the first dead letters of a counter that begins with them',
    series: { [`comporta_dispatcher_dead_letters_total{${group},class="Poison"}`]: '_x20 3x100' },
    at: '11m',
    firing: ['ComportaDeadLetters', 'ticket']
  },
  {
    what: 'dead letters of an hour ago',
    series: { [`comporta_dispatcher_dead_letters_total{${group},class="Poison"}`]: '3x200' },
    at: '60m',
    silent: 'ComportaDeadLetters'
  },
  {
    what: 'lag without progress',
    series: {
      [`comporta_dispatcher_topic_lag{${group},topic="orders"}`]: '100x200',
      [`comporta_dispatcher_records_total{${group},result="delivered"}`]: '5x200'
    },
    at: '25m',
    firing: ['ComportaNoProgress', 'page']
  },
  {
    what: 'lag of a dispatcher whose target has never taken a record: no counter is there yet',
    series: { [`comporta_dispatcher_topic_lag{${group},topic="orders"}`]: '100x200' },
    at: '25m',
    firing: ['ComportaNoProgress', 'page']
  },
  {
    what: 'lag with progress',
    series: {
      [`comporta_dispatcher_topic_lag{${group},topic="orders"}`]: '100x200',
      [`comporta_dispatcher_records_total{${group},result="delivered"}`]: '5+1x200'
    },
    at: '25m',
    silent: 'ComportaNoProgress'
  },
  {
    what: 'a standstill that nothing explains',
    series: { [`comporta_dispatcher_stood_still_ms{${group}}`]: '0x10 90000x100' },
    at: '7m',
    firing: ['ComportaStoodStill', 'page']
  },
  {
    what: 'four bad minutes within an hour of a 99.9 % objective',
    series: { [`comporta_dispatcher_topic_lag_seconds{${group},topic="orders"}`]: '5x112 90x8' },
    at: '60m',
    firing: ['ComportaBudgetBurns', 'page']
  },
  {
    what: 'bad minutes that are over for longer than the short window',
    series: { [`comporta_dispatcher_topic_lag_seconds{${group},topic="orders"}`]: '5x80 90x8 5x100' },
    at: '55m',
    silent: 'ComportaBudgetBurns',
    among: 'long="1h"'
  },
  {
    what: 'lag of a topic that nobody has promised anything of',
    series: { [`comporta_dispatcher_topic_lag_seconds{${group},topic="others"}`]: '900x200' },
    at: '60m',
    silent: 'ComportaBudgetBurns'
  },
  {
    what: 'unread records that retention deletes within six hours',
    series: { [`comporta_dispatcher_topic_lag_seconds{${group},topic="orders"}`]: '590000x100' },
    at: '5m',
    firing: ['ComportaRetentionHeadroom', 'page']
  },
  {
    what: 'a group with an objective whose lag is above the threshold of the others',
    series: { [`comporta_dispatcher_topic_lag{${group},topic="orders"}`]: '5000x100' },
    at: '20m',
    silent: 'ComportaLag'
  },
  {
    what: 'a member that rebalances twice a minute',
    series: { [`kafka_consumer_rebalance_total{${group},client_id="c"}`]: '0+1x100' },
    at: '25m',
    firing: ['ComportaRebalanceStorm', 'ticket']
  },
  {
    what: 'a rolling deployment',
    series: { [`kafka_consumer_rebalance_total{${group},client_id="c"}`]: '0x10 1 2 3 3x100' },
    at: '25m',
    silent: 'ComportaRebalanceStorm'
  },
  { what: 'no dispatcher at all', series: {}, at: '6m', firing: ['ComportaDispatchersGone', 'page'] },
  { what: 'a dispatcher', series: alive, at: '6m', silent: 'ComportaDispatchersGone' },
  {
    what: 'a process that cannot be scraped',
    series: { 'up{job="comporta-dispatch",instance="a"}': '0x20' },
    at: '4m',
    firing: ['ComportaProcessDown', 'page']
  },
  {
    what: 'a spill that takes nothing more',
    series: { 'comporta_producer_spill_blocked{job="comporta",instance="p"}': '1x20' },
    at: '2m',
    firing: ['ComportaSpillFull', 'page']
  },
  {
    what: 'a certificate that ends in a week',
    series: { 'comporta_kafka_certificate_expiry_seconds{job="c",instance="p",material="cert"}': '604800x200' },
    at: '61m',
    firing: ['ComportaCertificateExpires', 'ticket']
  },
  {
    what: 'a quota that makes connections rest for half of the time',
    series: { 'comporta_kafka_append_throttled_total{job="c",instance="p"}': '0+15000x100' },
    at: '20m',
    firing: ['ComportaThrottled', 'ticket']
  },
  {
    what: 'a producer without events',
    series: { 'comporta_producer_events_total{job="c",instance="p",outcome="delivered"}': '9x100' },
    at: '7m',
    firing: ['ComportaProducerSilent', 'ticket']
  }
]

test('alerts come when they should, and do not when they should not, as promtool evaluates them', { skip }, t => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'rules.yaml'), prometheusRules(SAMPLE))
  const tests = CASES.map(({ what, series, at, firing, silent = '', among = '' }) => {
    const [name = silent, severity] = firing ?? []
    const urgency = severity === undefined ? '' : `severity="${severity}",`
    const alerts = `ALERTS{alertstate="firing",alertname="${name}",${urgency}${among}}`
    return {
      name: what,
      interval: '30s',
      input_series: Object.entries(series).map(([each, values]) => ({ series: each, values })),
      promql_expr_test: [
        {
          expr: `count by (alertname, severity) (${alerts}) > bool 0`,
          eval_time: at,
          exp_samples:
            firing === undefined ? [] : [{ labels: `{alertname="${name}",severity="${severity}"}`, value: 1 }]
        }
      ]
    }
  })
  const file = join(folder, 'tests.yaml')
  writeFileSync(file, stringify({ rule_files: ['rules.yaml'], evaluation_interval: '30s', tests }))
  assert.match(run(['test', 'rules', file]), /SUCCESS/)
})

interface PutAlarms {
  readonly alarms: readonly {
    readonly AlarmName: string
    readonly AlarmActions: readonly string[]
    readonly Metrics?: readonly { readonly Expression?: string }[]
  }[]
  readonly dashboards: readonly string[]
  readonly widgets: readonly { readonly properties: { readonly region: string } }[]
}

test('CloudWatch takes every alarm of the template, and the dashboard', { skip: motoSkip }, async t => {
  const moto = await startMoto(t)
  const template = cloudFormationTemplate(SAMPLE, { namespace: 'comporta', mskBrokers: 3 })
  const { stdout } = await runProcess(
    await pythonWithMoto(),
    [join(import.meta.dirname, 'python/stack.py'), moto.endpoint],
    { stdin: template, environment: MOTO_ENVIRONMENT }
  )
  const { alarms, dashboards, widgets } = JSON.parse(stdout) as PutAlarms
  const { Resources } = JSON.parse(template) as { Resources: object }
  // All but the dashboard.
  assert.equal(alarms.length, Object.keys(Resources).length - 1)
  const actionsOf = (name: string): readonly string[] | undefined =>
    alarms.find(({ AlarmName }) => AlarmName === `shop-${name}`)?.AlarmActions
  assert.deepEqual(actionsOf('MskOfflinePartitions'), ['arn:aws:sns:eu-west-1:123456789012:oncall'])
  // The topic of tickets is empty.
  assert.deepEqual(actionsOf('MskBroker1Cpu'), [])
  const queries = alarms.flatMap(({ Metrics = [] }) => Metrics.map(({ Expression = '' }) => Expression))
  assert.ok(queries.includes('user + system') && !queries.some(query => query.includes('${')))
  assert.deepEqual(dashboards, ['shop-orders'])
  assert.ok(widgets.length >= 12 && widgets.every(({ properties }) => properties.region === 'eu-west-1'))
})
