/** What `describe()` and the metrics tell of a broker that clients have used. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Broker } from '../../../src/broker/index.ts'
import {
  fetchApi,
  findCoordinatorApi,
  initProducerIdApi,
  metadataApi,
  offsetCommitApi,
  produceApi
} from '../../../src/protocol/index.ts'
import { createMetrics } from '../../../src/telemetry/index.ts'
import { batchOf } from '../../conformance/support.ts'
import { brokerFor, connectTo } from '../support.ts'

/** Three records and one refused batch into `orders`, one committed offset, one transactional id, one fetch. */
async function use(t: TestContext, broker: Broker): Promise<void> {
  const connection = await connectTo(t, broker)
  await connection.request(metadataApi, { version: 9, message: { topics: [{ name: 'orders' }] } })
  const damaged = batchOf(['damaged'])
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1)
  for (const records of [batchOf(['a', 'b', 'c']), damaged]) {
    const topicData = [{ name: 'orders', partitionData: [{ index: 0, records }] }]
    await connection.request(produceApi, { version: 9, message: { acks: -1, timeoutMs: 1000, topicData } })
  }
  const partitions = [{ partitionIndex: 0, committedOffset: 2n, committedMetadata: 'here' }]
  const commit = { groupId: 'readers', generationIdOrMemberEpoch: -1, topics: [{ name: 'orders', partitions }] }
  await connection.request(findCoordinatorApi, { version: 2, message: { key: 'readers' } })
  await connection.request(offsetCommitApi, { version: 7, message: commit })
  const asked = { transactionalId: 'tx', transactionTimeoutMs: 1000, producerId: -1n, producerEpoch: -1 }
  await connection.request(findCoordinatorApi, { version: 2, message: { key: 'tx', keyType: 1 } })
  await connection.request(initProducerIdApi, { version: 4, message: asked })
  const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1_000_000 }] }]
  await connection.request(fetchApi, { version: 12, message: { maxWaitMs: 0, maxBytes: 1_000_000, topics } })
}

test('describe tells topics, groups and transactions as they are now', async t => {
  const broker = await brokerFor(t)
  await use(t, broker)

  const { topics, groups, transactions } = broker.describe()
  const orders = topics.find(({ name }) => name === 'orders')
  assert.equal(orders?.partitions.length, 1)
  const { logStartOffset, highWatermark, lastStableOffset, openTransactionCount } = orders.partitions[0] ?? {}
  assert.deepEqual([logStartOffset, highWatermark, lastStableOffset, openTransactionCount], [0n, 3n, 3n, 0])
  assert.deepEqual(groups, [
    {
      groupId: 'readers',
      type: 'classic',
      state: 'Empty',
      memberIds: [],
      offsets: [{ topic: 'orders', partition: 0, offset: 2n, metadata: 'here' }]
    }
  ])
  assert.deepEqual(
    transactions.map(({ transactionalId, state, partitions }) => ({ transactionalId, state, partitions })),
    [{ transactionalId: 'tx', state: 'Empty', partitions: [] }]
  )
})

test('metrics have the names that the JMX exporter gives those of Kafka', async t => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const broker = await brokerFor(t, { meter: metrics.meter })
  await use(t, broker)

  const lines = (await metrics.prometheusText()).split('\n').filter(line => !line.startsWith('#'))
  const value = (start: string): number => {
    const found = lines.filter(line => line.startsWith(start))
    assert.equal(found.length, 1, `${start}: ${found.join(' | ')}`)
    return Number(/} (\S+)/.exec(found[0] ?? '')?.[1] ?? / (\S+)/.exec(found[0] ?? '')?.[1])
  }
  const topic = 'topic="orders"'
  assert.equal(value(`kafka_server_brokertopicmetrics_messagesin_total{${topic}`), 3)
  assert.equal(value(`kafka_server_brokertopicmetrics_totalproducerequests_total{${topic}`), 2)
  assert.equal(value(`kafka_server_brokertopicmetrics_failedproducerequests_total{${topic}`), 1)
  assert.equal(value('kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total'), 1)
  assert.equal(value(`kafka_log_log_logendoffset{${topic},partition="0"`), 3)
  assert.equal(value('kafka_network_requestmetrics_requests_total{request="Produce",version="9"'), 2)
  assert.equal(value('kafka_network_requestmetrics_totaltimems_count{request="Fetch"'), 1)
  assert.equal(value('kafka_log_logcleanermanager_uncleanable_partitions_count'), 0)
  assert.equal(value('kafka_coordinator_group_groupmetadatamanager_numoffsets'), 1)
  assert.equal(value('kafka_server_socket_server_metrics_connection_count{listener="PLAINTEXT"'), 1)
  const bytes = batchOf(['a', 'b', 'c']).length
  assert.equal(value(`kafka_server_brokertopicmetrics_bytesin_total{${topic}`), bytes)
  assert.equal(value(`kafka_server_brokertopicmetrics_bytesout_total{${topic}`), bytes)
})
