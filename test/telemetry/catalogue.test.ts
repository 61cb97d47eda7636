/** The catalogue of metrics against what a pipeline at work really tells. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { startLambdaRuntime } from '../../src/lambda/index.ts'
import { startProducer, streamSource } from '../../src/producer/index.ts'
import type { Target, TargetBatch } from '../../src/targets/index.ts'
import {
  type CollectedMetric,
  createMetrics,
  METRIC_CATALOGUE,
  type MetricName,
  type Metrics
} from '../../src/telemetry/index.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const TOPIC = 'orders'
const RECORDS = 40

/** A broker, a producer and a dispatcher that have done some work, with all metrics. */
async function work(t: TestContext): Promise<Metrics> {
  const metrics = createMetrics()
  const { meter } = metrics
  const broker = await startBroker({
    meter,
    config: { 'group.initial.rebalance.delay.ms': '0', 'group.min.session.timeout.ms': '1000' }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], meter, clientId: 'me' })
  t.after(() => cluster.close())
  const topics = [TOPIC, `${TOPIC}-dead`].map(name => ({ topic: name, partitionCount: 2, replicationFactor: 1 }))
  await new Admin(cluster).createTopics(topics)
  const config = producerConfig({ route: { topic: TOPIC }, deadLetterTopic: `${TOPIC}-dead` })
  const producer = await startProducer({ config, cluster, meter })
  t.after(() => producer.close())
  const lines = Array.from({ length: RECORDS }, (_, index) => JSON.stringify({ id: `k${index}`, codigo: 300 }))
  await producer.run(streamSource(Readable.from([Buffer.from(lines.join('\n'))])))
  let count = 0
  const done = Promise.withResolvers<void>()
  const target: Target = {
    name: 'test',
    timeoutMs: 5000,
    bodyBytesMax: 1_000_000,
    invoke: (batch: TargetBatch) => {
      count += batch.recordCount
      if (count >= RECORDS) done.resolve()
      return Promise.resolve({ kind: 'ok' as const })
    },
    close: () => Promise.resolve()
  }
  const dispatcher = await startDispatcher({
    config: dispatcherConfig({ topic: TOPIC, groupId: 'g' }),
    cluster,
    target,
    meter
  })
  t.after(() => dispatcher.close())
  const lambda = await startLambdaRuntime({ functions: { f: { handler: 'not-there.handler' } }, meter, port: 0 })
  t.after(() => lambda.close())
  await done.promise
  // A partition without records has no lag to tell.
  const isCommitted = (): boolean =>
    dispatcher.status().partitions.some(({ committed }) => committed === BigInt(RECORDS))
  while (!isCommitted()) await new Promise(resolve => setTimeout(resolve, 5))
  return metrics
}

test('what a pipeline at work tells is in the catalogue, with its kind, unit, words and attributes', async t => {
  const metrics = await work(t)
  const { metrics: all } = await metrics.collect()

  for (const { name, kind, unit, description, points } of all) {
    const entry = METRIC_CATALOGUE[name as MetricName] as (typeof METRIC_CATALOGUE)[MetricName] | undefined
    assert.ok(entry !== undefined, `${name} is not in the catalogue`)
    assert.deepEqual(
      { name, kind, unit, description },
      { name, kind: entry.kind, unit: entry.unit, description: entry.description }
    )
    for (const { attributes } of points) {
      for (const key of Object.keys(attributes)) assert.ok(key in entry.attributes, `${name} has ${key}`)
    }
  }
  const find = (name: MetricName): CollectedMetric | undefined => all.find(metric => metric.name === name)
  const sum = (name: MetricName): number => (find(name)?.points ?? []).reduce((total, { value }) => total + value, 0)
  assert.equal(sum('messaging.client.sent.messages'), RECORDS)
  assert.equal(sum('messaging.client.consumed.messages'), RECORDS)
  assert.equal(sum('kafka.producer.record_send_total'), RECORDS)
  assert.equal(sum('kafka.consumer.records_consumed_total'), RECORDS)
  assert.equal(sum('kafka.consumer.records_lag'), 0)
  assert.equal(sum('comporta.dispatcher.lag_seconds'), 0)
  assert.equal(sum('kafka.consumer.assigned_partitions'), 2)
  assert.equal(sum('kafka.producer.record_error_total'), 0)
  assert.ok(sum('kafka.consumer.rebalance_total') >= 1)
  assert.ok(sum('kafka.consumer.commit_total') >= 1)
  assert.ok(sum('kafka.consumer.fetch_total') >= 1)
  assert.ok(sum('kafka.consumer.bytes_consumed_total') > RECORDS * 20)
  assert.ok(sum('kafka.producer.request_latency_avg') > 0)
  const operations = find('messaging.client.operation.duration')?.points.map(
    ({ attributes }) => attributes['messaging.operation.name']
  )
  for (const operation of ['send', 'poll', 'commit']) assert.ok(operations?.includes(operation), operation)
  assert.deepEqual(find('messaging.process.duration')?.points[0]?.attributes, {
    'messaging.system': 'kafka',
    'messaging.consumer.group.name': 'g',
    'messaging.destination.name': TOPIC,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process'
  })
})

test('every metric of the catalogue is made somewhere, and none is made without it', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).filter(file => !file.startsWith('src/telemetry/catalogue'))
  const texts = files.map(file => [file, readFileSync(`${root}/${file}`, 'utf8')] as const)
  for (const name of Object.keys(METRIC_CATALOGUE)) {
    assert.ok(
      texts.some(([, text]) => text.includes(`'${name}'`)),
      `nobody makes ${name}`
    )
  }
  const makers = /\.create(?:Counter|UpDownCounter|Histogram|Gauge|Observable(?:Counter|UpDownCounter|Gauge))\(/
  for (const [file, text] of texts) {
    assert.ok(file.startsWith('src/telemetry/') || !makers.test(text), `${file} makes a metric by itself`)
  }
})
