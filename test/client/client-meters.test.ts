/** What a client and a member count, under Kafka's names. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { ClientMeters, clientMetersOf } from '../../src/client/client-meters.ts'
import { Admin, Cluster, GroupMember } from '../../src/client/index.ts'
import { MemberMeter } from '../../src/client/member-meter.ts'
import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import { createMetrics, type Metrics, noopMeter } from '../../src/telemetry/index.ts'

interface Stage {
  readonly clock: VirtualClock
  readonly client: { clientId: string; meter: Metrics['meter']; clock: VirtualClock }
  /** Values of a metric, by their attributes as JSON. */
  readonly values: (name: string) => Promise<Record<string, number>>
}

function stage(t: TestContext): Stage {
  const clock = new VirtualClock()
  const metrics = createMetrics({ clock })
  t.after(() => metrics.close())
  return {
    clock,
    client: { clientId: 'c', meter: metrics.meter, clock },
    values: async name => {
      const { metrics: all } = await metrics.collect()
      const points = all.find(metric => metric.name === name)?.points ?? []
      return Object.fromEntries(points.map(({ attributes, value }) => [JSON.stringify(attributes), value]))
    }
  }
}

const batch = (topic: string, recordCount: number): Parameters<ClientMeters['sent']>[0] => ({
  topic,
  recordCount,
  accountedBytes: recordCount * 100,
  createdAtMs: 0
})

test('batches are counted by topic: sent, failed with their reason, and sent again', async t => {
  const { clock, client, values } = stage(t)
  const meters = new ClientMeters(client)
  meters.appends({ bufferBytes: 1000, bufferedBytes: 300 })
  meters.appends({ bufferBytes: 500, bufferedBytes: 900 })
  const answered = meters.requested(7, 30)
  await clock.advance(20)
  answered()
  meters.retried(batch('a', 30))
  meters.sent(batch('a', 30))
  meters.sent(batch('b', 5), new PipelineError('ERR_CLIENT_DELIVERY_TIMEOUT', 'late'))

  assert.deepEqual(await values('kafka.producer.record_send_total'), {
    '{"client-id":"c","topic":"a"}': 30,
    '{"client-id":"c","topic":"b"}': 5
  })
  assert.deepEqual(await values('kafka.producer.record_error_total'), {
    '{"client-id":"c","topic":"a"}': 0,
    '{"client-id":"c","topic":"b"}': 5
  })
  assert.deepEqual((await values('kafka.producer.record_retry_total'))['{"client-id":"c","topic":"a"}'], 30)
  // Thirty records within the first sample, which counts as gone by: one a second.
  assert.equal((await values('kafka.producer.record_send_rate'))['{"client-id":"c","topic":"a"}'], 1)
  assert.deepEqual(await values('kafka.producer.request_latency_avg'), { '{"client-id":"c","node-id":"node-7"}': 20 })
  assert.deepEqual(await values('kafka.producer.buffer_total_bytes'), { '{"client-id":"c"}': 1500 })
  assert.deepEqual(await values('kafka.producer.buffer_available_bytes'), { '{"client-id":"c"}': 700 })
  const sent = await values('messaging.client.sent.messages')
  const failed = Object.entries(sent).find(([attributes]) => attributes.includes('"error.type"'))
  assert.match(failed?.[0] ?? '', /"error\.type":"ERR_CLIENT_DELIVERY_TIMEOUT"/)
  assert.equal(failed?.[1], 5)
})

test('topics without end are counted together beyond a limit, in memory as in series', async t => {
  const { client, values } = stage(t)
  const meters = new ClientMeters(client)
  meters.appends({ bufferBytes: 1, bufferedBytes: 0 })
  for (let index = 0; index < 6000; index += 1) meters.sent(batch(`topic-${index}`, 1))

  const series = await values('kafka.producer.record_send_total')
  assert.equal(Object.keys(series).length, 2000)
  assert.equal(
    Object.values(series).reduce((sum, value) => sum + value, 0),
    6000
  )
})

test('where nobody collects there are no meters, and one client has one', t => {
  const { client } = stage(t)
  assert.equal(clientMetersOf({ ...client, meter: noopMeter }), undefined)
  assert.equal(clientMetersOf(client), clientMetersOf(client))
})

test('a rebalance counts once however often it is heard of, takes its time, and may fail', async t => {
  const { clock, client, values } = stage(t)
  const meter = new MemberMeter({ client, groupId: 'g', clock, heldCount: () => 3, seenMs: () => 0 })
  const key = '{"client-id":"c","group":"g"}'
  assert.equal((await values('kafka.consumer.last_rebalance_seconds_ago'))[key], -1)

  meter.rebalanceBegan()
  await clock.advance(400)
  meter.rebalanceBegan()
  await clock.advance(100)
  meter.rebalanceSucceeded()
  meter.rebalanceSucceeded()
  meter.rebalanceBegan()
  meter.rebalanceFailed()
  meter.rebalanceFailed()
  await clock.advance(2000)

  assert.equal((await values('kafka.consumer.rebalance_total'))[key], 1)
  assert.equal((await values('kafka.consumer.rebalance_latency_avg'))[key], 500)
  assert.equal((await values('kafka.consumer.failed_rebalance_total'))[key], 1)
  assert.equal((await values('kafka.consumer.last_rebalance_seconds_ago'))[key], 2)
  // One in the first half minute: 120 an hour.
  assert.equal((await values('kafka.consumer.rebalance_rate_per_hour'))[key], 120)
  assert.equal((await values('kafka.consumer.assigned_partitions'))[key], 3)
  meter.close()
  assert.deepEqual(await values('kafka.consumer.rebalance_total'), {})
})

test('a commit that is refused or throws has its error, and throws it on', async t => {
  const { clock, client, values } = stage(t)
  const meter = new MemberMeter({ client, groupId: 'g', clock, heldCount: () => 0, seenMs: () => 0 })
  await meter.commit(
    () => Promise.resolve(27),
    code => `KAFKA_${code}`
  )
  const lost = new PipelineError('ERR_CLIENT_DISCONNECTED', 'gone')
  await assert.rejects(
    meter.commit(
      () => Promise.reject(lost),
      () => undefined
    ),
    lost
  )
  const errors = Object.keys(await values('messaging.client.operation.duration')).map(
    attributes => (JSON.parse(attributes) as Record<string, string>)['error.type']
  )
  assert.deepEqual(errors, ['KAFKA_27', 'ERR_CLIENT_DISCONNECTED'])
  assert.equal((await values('kafka.consumer.commit_total'))['{"client-id":"c","group":"g"}'], 2)
})

test('a member by the consumer protocol counts its rebalances, what it gives back and its heartbeats', async t => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const broker = await startBroker({})
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], meter: metrics.meter })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 4 }])
  const revoked = Promise.withResolvers<void>()
  const member = (onAssigned: () => void): GroupMember => {
    const listener = {
      assigned: onAssigned,
      revoked: () => Promise.resolve(revoked.resolve()),
      lost: () => undefined,
      failed: (error: Error) => assert.fail(error)
    }
    const options = {
      cluster,
      groupId: 'g',
      topics: ['t'],
      groupProtocol: 'consumer',
      heartbeatIntervalMs: 100
    } as const
    return new GroupMember({ ...options, listener })
  }
  const assigned = Promise.withResolvers<void>()
  const first = member(() => assigned.resolve())
  first.start()
  await assigned.promise
  const taken = Promise.withResolvers<void>()
  const second = member(() => taken.resolve())
  second.start()
  await Promise.all([revoked.promise, taken.promise])
  await second.close()

  const { metrics: all } = await metrics.collect()
  const valueOf = (name: string): number | undefined => all.find(metric => metric.name === name)?.points[0]?.value
  await first.close()

  assert.ok((valueOf('kafka.consumer.rebalance_total') ?? 0) >= 2)
  assert.ok((valueOf('kafka.consumer.rebalance_latency_max') ?? 0) > 0)
  assert.ok((valueOf('kafka.consumer.last_rebalance_seconds_ago') ?? -1) >= 0)
  assert.ok((valueOf('kafka.consumer.last_heartbeat_seconds_ago') ?? -1) >= 0)
  assert.ok((valueOf('kafka.consumer.partition_revoked_latency_max') ?? -1) >= 0)
  assert.equal(valueOf('kafka.consumer.failed_rebalance_total'), 0)
})
