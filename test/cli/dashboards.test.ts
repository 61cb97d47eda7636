/** Dashboards against what a running pipeline really says of itself, and the command that writes them. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { startBrokerRole } from '../../src/cli/roles/broker.ts'
import { startDispatcherRole } from '../../src/cli/roles/dispatcher.ts'
import { startEsmRole } from '../../src/cli/roles/esm.ts'
import { startLambdaRole } from '../../src/cli/roles/lambda.ts'
import { startProducerRole } from '../../src/cli/roles/producer.ts'
import type { RunningRole } from '../../src/cli/process/role.ts'
import { mappingSettings } from '../../src/cli/esm-mappings.ts'
import { parsePipeline } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { boardsOf, genericBoards } from '../../src/ops/index.ts'
import { ruleGroups } from '../../src/ops/boards/prometheus.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { hostedComporta, temporaryFolder } from '../support/comporta.ts'
import { namesIn, scrapedNames } from '../support/promql.ts'

const comporta = hostedComporta()

/** A function that cannot stand the second record, one that takes all, and events. */
function writeInputs(folder: string): void {
  writeFileSync(
    join(folder, 'f.mjs'),
    `export const handler = async event => {
  if (Object.values(event.records).flat().some(record => record.offset === 1)) throw new Error('poison')
}\n`
  )
  writeFileSync(join(folder, 'g.mjs'), 'export const handler = () => null\n')
  writeFileSync(join(folder, 'events.ndjson'), '{"id":1}\n{"id":"poison"}\nnot JSON\n')
}

/** A pipeline with a good, a malformed and a poisonous event: what comes in, what is put aside, what is delivered. */
async function runningPipeline(t: TestContext): Promise<readonly RunningRole[]> {
  const folder = temporaryFolder(t)
  const roles: RunningRole[] = []
  t.after(async () => {
    for (const role of roles.toReversed()) await role.drain(1000)
  })
  const started = async <Role extends RunningRole>(role: Promise<Role>): Promise<Role> => {
    const running = await role
    roles.push(running)
    return running
  }
  const metricsPort = 0
  const config = { 'group.initial.rebalance.delay.ms': '0' }
  const dataDir = join(folder, 'data')
  const broker = await started(startBrokerRole({ port: 0, dataDir, config, metricsPort }, silentLogger))
  writeInputs(folder)
  const text = `name: shop
kafka: { bootstrapServers: ['${broker.info['bootstrapServers']}'] }
topics: { a: {}, a-dead: {}, g-dead: {} }
producer:
  route: { topic: a }
  deadLetterTopic: a-dead
  rate: { recordsPerSecond: 1000 }
  spill: { dir: '${join(folder, 'spill')}' }
  whenAway: { mode: spill }
  sources: [{ type: file, path: '${join(folder, 'events.ndjson')}' }]
dispatcher:
  groupId: billing
  topics: [a]
  batch: { recordsMax: 1, ageMs: 10 }
  adaptiveConcurrency: { mode: on }
  retry: { attemptsMax: 2, initialMs: 10, maxMs: 20 }
  payload: { format: esm }
  target: { type: lambda, functionName: f, endpoint: 'http://127.0.0.1:1' }
  deadLetterTopic: g-dead
lambda:
  port: 0
  functions:
    f: { handler: '${join(folder, 'f.mjs')}' }
    g: { handler: '${join(folder, 'g.mjs')}' }
eventSourceMappings: [{ functionName: g, topic: a, batchingWindowMs: 0, groupId: copies }]
`
  const { kafka, dispatcher, producer, lambda, ...pipeline } = parsePipeline(text, { fileName: 'x', environment: {} })
  assert.ok(dispatcher !== undefined && producer !== undefined && lambda !== undefined)
  const runtime = await started(startLambdaRole({ ...lambda, metricsPort }, silentLogger))
  const endpoint = runtime.info['endpoint'] ?? ''
  const topics = { ...pipeline, kafka, producer, dispatcher, lambda }
  await started(startProducerRole({ kafka, producer, topics, metricsPort }, silentLogger))
  const target = { ...dispatcher.target, endpoint }
  const group = await started(
    startDispatcherRole(
      { kafka, dispatcher: { ...dispatcher, target } as typeof dispatcher, metricsPort },
      silentLogger
    )
  )
  const mappings = pipeline.eventSourceMappings.map(each => mappingSettings(each, endpoint))
  const copies = await started(startEsmRole({ kafka, mappings, metricsPort }, silentLogger))
  const isDone = (): boolean => {
    const { deadLettered, records } = group.status()
    return deadLettered === 1 && records === 1 && copies.status()['delivered'] === 2
  }
  while (!isDone()) await sleep(systemClock, 10)
  return roles
}

async function allReady(roles: readonly RunningRole[]): Promise<void> {
  const answers = await Promise.all(
    roles.map(async ({ info }) => {
      const { origin } = new URL(info['metrics'] ?? '')
      const [live, ready] = await Promise.all([fetch(`${origin}/health/live`), fetch(`${origin}/health/ready`)])
      const { reason } = (await ready.json()) as { reason: string }
      return [live.status, ready.status, reason]
    })
  )
  assert.deepEqual(answers, [
    [200, 200, 'the listener is open, disk writable'],
    [200, 200, 'invocations are taken'],
    [200, 200, 'events become safe as they come'],
    [200, 200, 'records are finished as they come'],
    [200, 200, 'records are finished as they come']
  ])
}

const LOOKS_MAX = 100

async function scrape(roles: readonly RunningRole[]): Promise<ReturnType<typeof scrapedNames>> {
  const pages = await Promise.all(roles.map(async ({ info }) => await (await fetch(info['metrics'] ?? '')).text()))
  return scrapedNames(pages.join('\n'))
}

/** What there is only with settings that this pipeline does not have, after a trouble, or every few seconds. */
const NOT_HERE = [
  'comporta_dispatcher_held_up',
  'comporta_dispatcher_parked_total',
  'comporta_dispatcher_transactions_total',
  'comporta_kafka_append_throttled_total',
  'comporta_lambda_esm_lag',
  'comporta_lambda_throttles_total',
  'comporta_producer_source_dropped_total',
  'comporta_producer_source_problems',
  'comporta_producer_source_retries_total',
  'kafka_consumer_partition_revoked_latency_max',
  'kafka_server_brokertopicmetrics_failedproducerequests_total',
  'kafka_server_socket_server_metrics_failed_authentication_total',
  'comporta_kafka_certificate_expiry_seconds',
  'comporta_kafka_credentials_reloads_total',
  'comporta_kafka_token_expiry_seconds',
  'comporta_kafka_token_refreshes_total',
  'comporta_telemetry_exports_total',
  'comporta_producer_heaviest_share',
  // Prometheus' own.
  'up'
]

test('a running pipeline tells every series of the dashboards, and all its roles are ready', async t => {
  const roles = await runningPipeline(t)
  await allReady(roles)
  const settings = genericBoards()
  const queries = [
    ...boardsOf(settings).flatMap(({ rows }) =>
      rows.flatMap(({ panels }) => panels.flatMap(each => each.queries.map(({ expression }) => expression)))
    ),
    ...ruleGroups(settings).flatMap(({ alerts }) => alerts.map(({ expression }) => expression))
  ]
  const asked = queries.flatMap(query => namesIn(query).selectors).filter(({ name }) => !name.startsWith('comporta:'))
  const names = [...new Set(asked.map(({ name }) => name))]
  let scraped = await scrape(roles)
  // The last commit may still be on its way.
  for (
    let look = 0;
    look < LOOKS_MAX && names.some(name => !scraped.has(name) && !NOT_HERE.includes(name));
    look += 1
  ) {
    await sleep(systemClock, 20)
    scraped = await scrape(roles)
  }
  const missing = names.filter(name => !scraped.has(name))
  assert.deepEqual(missing.toSorted(), NOT_HERE.filter(name => missing.includes(name)).toSorted())
  const wrong = asked.flatMap(({ name, labels }) => {
    const has = scraped.get(name)
    // A family without series yet has no labels to look at.
    if (has === undefined || has.size === 0) return []
    return labels.filter(label => !has.has(label) && label !== 'job').map(label => `${name} has no ${label}`)
  })
  assert.deepEqual(wrong, [])
})

test('the command writes files for each kind, for the pipeline file or for any', async t => {
  const cwd = temporaryFolder(t)
  const target = '{ type: http, url: "http://127.0.0.1:1/" }'
  writeFileSync(
    join(cwd, 'comporta.yaml'),
    `name: shop
kafka: { bootstrapServers: ["127.0.0.1:1"] }
dispatcher: { groupId: billing, topics: [a], target: ${target}, deadLetterTopic: d }
operations: { slo: [{ group: billing, lagSeconds: 30 }] }
`
  )
  const [grafana, rules, alarms] = await Promise.all([
    comporta(['dashboards', 'grafana', '--out', 'g', '--json'], { cwd }),
    comporta(['dashboards', 'prometheus', '--runbook-url', 'https://wiki/runbook'], { cwd }),
    comporta(['dashboards', 'cloudwatch', '--generic', '--msk-brokers', '0'], { cwd })
  ])
  assert.equal(grafana.exitCode, 0, grafana.stderr)
  assert.deepEqual(readdirSync(join(cwd, 'g')).toSorted(), [
    'shop-broker.json',
    'shop-dispatcher.json',
    'shop-lag.json',
    'shop-lambda.json',
    'shop-overview.json',
    'shop-producer.json'
  ])
  assert.match(readFileSync(join(cwd, 'g/shop-lag.json'), 'utf8'), /"title": "Comporta shop: lag and objectives"/)
  assert.match(rules.stdout, /slo: billing ≤ 30 s/)
  assert.match(rules.stdout, /https:\/\/wiki\/runbook#comportabudgetburns/)
  assert.doesNotMatch(alarms.stdout, /MskBroker|billing/)
})

test('kinds that there are not, and files that do not fit on one screen, are refused with what to do', async t => {
  const cwd = temporaryFolder(t)
  const [kind, screen, job, brokers] = await Promise.all([
    comporta(['dashboards', 'datadog'], { cwd }),
    comporta(['dashboards', 'grafana'], { cwd }),
    comporta(['dashboards', 'prometheus', '--job', '('], { cwd }),
    comporta(['dashboards', 'cloudwatch', '--msk-brokers', '-1'], { cwd })
  ])
  assert.deepEqual([kind.exitCode, screen.exitCode, job.exitCode, brokers.exitCode], [64, 64, 64, 64])
  assert.match(kind.stderr, /there are grafana, prometheus, cloudwatch/)
  assert.match(screen.stderr, /name a folder with --out/)
})
