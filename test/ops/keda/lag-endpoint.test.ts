import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'

import { PipelineError, VirtualClock } from '../../../src/core/index.ts'
import { answerOf, type EndpointState } from '../../../src/ops/keda/lag-endpoint.ts'
import { startLagServer } from '../../../src/ops/keda/lag-server.ts'
import { groupLag, lagReport, partitionLag } from '../slo/lag-reports.ts'

const NOW_MS = 1_900_000_000_000

/** Two partitions, 40 and 2 behind. */
const billing = groupLag({
  lagRecords: 42n,
  lagSeconds: 12.5,
  status: 'ERR',
  memberCount: 2,
  arrivalRate: 100,
  serviceRate: 50,
  partitions: [
    partitionLag({ committed: 960n, lagRecords: 40n, lagSeconds: 12.5, status: 'STALL', owner: 'a' }),
    partitionLag({ partition: 1, committed: 998n, lagRecords: 2n, lagSeconds: 0.5 })
  ]
})

function state(change: Partial<EndpointState> = {}): EndpointState {
  const report = lagReport(NOW_MS, billing)
  return { report, ageMs: 500, ageMsMax: 60_000, cluster: 'shop', previous: new Map(), seriesMax: 1000, ...change }
}

function get(target: string, change: Partial<EndpointState> = {}): { status: number; body: Record<string, unknown> } {
  const { status, body } = answerOf(target, state(change))
  // Checked by every test that looks into it: an object.
  return { status, body: JSON.parse(body) as Record<string, unknown> }
}

test('KEDA’s metrics-api scaler gets seconds, records and replicas as numbers', () => {
  const { status, body } = get('/keda/billing?lagThreshold=10')
  assert.equal(status, 200)
  // 42 ÷ 10 = 4 whole thresholds are more than 2 partitions: capped at 20, 2 replicas.
  assert.deepEqual(body, {
    group: 'billing',
    lagRecords: 42,
    lagSeconds: 12.5,
    arrivalRate: 100,
    serviceRate: 50,
    members: 2,
    kedaMetric: 20,
    kedaReplicas: 2,
    kedaReason: 'lag 20 ÷ 10 = 2, capped at the number of partitions',
    isActive: true,
    drainReplicas: 2,
    partitions: 2
  })
})

test('the drain-time formula: (100/s + 42 ÷ 1 s) ÷ 25/s each = 6, at most the partitions', () => {
  const many = groupLag({
    ...billing,
    partitions: Array.from({ length: 9 }, (_, partition) => partitionLag({ partition }))
  })
  const report = lagReport(NOW_MS, many)
  assert.equal(get('/keda/billing?drainSeconds=1', { report }).body['drainReplicas'], 6)
  assert.equal(get('/keda/billing?drainSeconds=1').body['drainReplicas'], 2)
})

test('what is not known is null, never 0: the autoscaler then keeps its replicas', () => {
  const dark = groupLag({ lagSeconds: undefined, arrivalRate: undefined, lagRecords: 9n })
  const { body } = get('/keda/billing', { report: lagReport(NOW_MS, dark) })
  assert.equal(body['lagSeconds'], null)
  assert.equal(body['drainReplicas'], null)
})

test('an old look, none at all, or a group that cannot be read is no answer', () => {
  assert.equal(get('/keda/billing', { ageMs: 60_001 }).status, 503)
  assert.equal(get('/keda/billing', { report: undefined }).status, 503)
  const hidden = groupLag({ problem: 'GROUP_AUTHORIZATION_FAILED', partitions: [] })
  const { status, body } = get('/keda/billing', { report: lagReport(NOW_MS, hidden) })
  assert.equal(status, 503)
  assert.match(String(body['error']), /GROUP_AUTHORIZATION_FAILED/)
  assert.equal(get('/healthz', { report: undefined }).status, 503)
  assert.equal(get('/healthz').status, 200)
})

test('a misspelled option, or one that KEDA refuses, is refused', () => {
  for (const query of [
    'lagTreshold=5',
    'lagThreshold=',
    'allowIdleConsumers=yes',
    'limitToPartitionsWithLag=true',
    'offsetResetPolicy=none'
  ]) {
    assert.equal(get(`/keda/billing?${query}`).status, 400, query)
  }
  assert.equal(get('/keda/%zz').status, 400)
  assert.equal(get('/keda/other').status, 404)
  assert.equal(get('/').status, 404)
})

test('excludePersistentLag goes by the look before', () => {
  const previous = new Map([['billing', new Map([['orders/0', 960n]])]])
  const { body } = get('/keda/billing?excludePersistentLag=true', { previous })
  assert.equal(body['kedaMetric'], 2)
  assert.equal(body['isActive'], true)
})

test('Burrow’s paths: clusters, consumers, status with what is ill, lag with all', () => {
  assert.deepEqual(get('/v3/kafka').body['clusters'], ['shop'])
  assert.deepEqual(get('/v3/kafka/shop/consumer').body['consumers'], ['billing'])
  const status = get('/v3/kafka/shop/consumer/billing/status').body
  assert.equal(status['error'], false)
  assert.deepEqual(status['request'], { url: '/v3/kafka/shop/consumer/billing/status', host: 'comporta' })
  const ill = {
    topic: 'orders',
    partition: 0,
    owner: 'a',
    client_id: '',
    status: 'STALL',
    start: null,
    end: { offset: 960, timestamp: NOW_MS, observedAt: NOW_MS, lag: 40 },
    current_lag: 40,
    complete: 1
  }
  assert.deepEqual(status['status'], {
    cluster: 'shop',
    group: 'billing',
    status: 'ERR',
    complete: 1,
    partitions: [ill],
    partition_count: 2,
    maxlag: ill,
    totallag: 42
  })
  const lag = get('/v3/kafka/shop/consumer/billing/lag').body['status'] as { partitions: unknown[] }
  assert.equal(lag.partitions.length, 2)
  assert.equal(get('/v3/kafka/shop/consumer/nobody/lag').status, 404)
  assert.equal(get('/v3/kafka/other/consumer').status, 404)
  assert.equal(answerOf('/burrow/admin', state()).body, 'GOOD')
})

test('metrics carry the names of kafka-lag-exporter and Burrow, labels escaped', () => {
  const { body } = answerOf('/metrics', state({ cluster: 'a"b\\c' }))
  const label = 'a\\"b\\\\c'
  assert.ok(body.includes(`kafka_consumergroup_group_max_lag_seconds{cluster_name="${label}",group="billing"} 12.5\n`))
  assert.ok(body.includes(`kafka_consumergroup_group_sum_lag{cluster_name="${label}",group="billing"} 42\n`))
  assert.ok(body.includes(`burrow_kafka_consumer_status{cluster="${label}",consumer_group="billing"} 3\n`))
  assert.ok(body.includes('topic="orders",partition="1"} 0.5\n'))
  assert.equal(body.split('# TYPE kafka_consumergroup_group_lag gauge').length, 2, 'each name is declared once')
})

test('metrics are cut at their limit, partitions before groups', () => {
  const { body } = answerOf('/metrics', state({ seriesMax: 6 }))
  const lines = body.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  assert.equal(lines.length, 6)
  assert.equal(lines.filter(line => line.includes('partition=')).length, 0)
})

test('the server takes GET and HEAD on loopback, and serves the newest look', async t => {
  const server = await startLagServer({ clock: new VirtualClock(0), port: 0, cluster: 'shop' })
  t.after(() => server.close())
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  assert.equal((await fetch(`${server.url}/keda/billing`)).status, 503)
  server.update(lagReport(NOW_MS, billing))
  const answer = await fetch(`${server.url}/keda/billing`)
  assert.equal(answer.status, 200)
  assert.equal(((await answer.json()) as { lagRecords: number }).lagRecords, 42)
  assert.equal((await fetch(`${server.url}/metrics`, { method: 'HEAD' })).status, 200)
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const refused = await fetch(`${server.url}/metrics`, { method, body: 'x'.repeat(100_000) })
    assert.equal(refused.status, 405, method)
    await refused.body?.cancel()
  }
  const large = await fetch(`${server.url}/${'x'.repeat(20_000)}`).catch(() => ({ status: 431 }))
  assert.equal(large.status, 431)
})

test('a port that is taken is said with its address', async t => {
  const first = await startLagServer({ clock: new VirtualClock(0), port: 0, cluster: 'shop' })
  t.after(() => first.close())
  const port = Number(new URL(first.url).port)
  const second = startLagServer({ clock: new VirtualClock(0), port, cluster: 'shop' })
  await assert.rejects(
    second,
    error => PipelineError.is(error, 'ERR_OPS_LISTEN') && error.message.includes(`127.0.0.1:${port}`)
  )
})

test('closing does not wait for a client that keeps its connection', async () => {
  const server = await startLagServer({ clock: new VirtualClock(0), port: 0, cluster: 'shop' })
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  await new Promise(resolve => socket.once('connect', resolve))
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => undefined)
  await server.close()
  await closed
})
