/** A cluster client: bootstrap, metadata, leaders, coordinators. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from '../../src/client/index.ts'
import { ConnectionPool } from '../../src/client/connection-pool.ts'
import { MetadataCache } from '../../src/client/metadata-cache.ts'
import { findCoordinatorApi, heartbeatApi, metadataApi, ZERO_UUID } from '../../src/protocol/index.ts'
import { type FakeBroker, type SeenRequest, startFakeBroker } from './fake-broker.ts'

/** The metadata of a cluster of one broker with one topic. */
function answerMetadata(request: SeenRequest, broker: Pick<FakeBroker, 'host' | 'port'>, leaderId = 1): void {
  const partitions = [{ partitionIndex: 0, leaderId, leaderEpoch: 1, replicaNodes: [1], isrNodes: [1] }]
  request.answer(metadataApi, {
    clusterId: 'c',
    controllerId: 1,
    brokers: [{ nodeId: 1, host: broker.host, port: broker.port, rack: null }],
    topics: [{ name: 'there', topicId: ZERO_UUID, partitions }]
  })
}

test('bootstrap servers that cannot be reached are passed over', async t => {
  const broker: FakeBroker = await startFakeBroker(t, request => {
    if (request.apiKey !== metadataApi.key) return false
    answerMetadata(request, broker)
    return true
  })
  const cluster = await Cluster.connect({
    bootstrapServers: ['127.0.0.1:1', ...broker.bootstrapServers, '127.0.0.1:2']
  })
  t.after(() => cluster.close())
  assert.equal(await cluster.leaderOf('there', 0), 1)
  assert.equal(await cluster.partitionCount('there'), 1)
  assert.equal(cluster.clusterId, 'c')
})

test('when no bootstrap server can be reached within the request timeout, connecting fails', async () => {
  const options = { bootstrapServers: ['127.0.0.1:1'], requestTimeoutMs: 200, reconnectBackoffMs: 10 }
  await assert.rejects(Cluster.connect(options), { code: 'ERR_CLIENT_CONNECT_FAILED' })
})

for (const address of ['', 'host', 'host:0', 'host:99999', ':9092', 'http://host:9092']) {
  test(`"${address}" is no bootstrap server`, async () => {
    await assert.rejects(Cluster.connect({ bootstrapServers: [address] }), { code: 'ERR_CLIENT_OPTIONS_INVALID' })
  })
}

test('a client needs at least one bootstrap server', async () => {
  await assert.rejects(Cluster.connect({ bootstrapServers: [] }), { code: 'ERR_CLIENT_OPTIONS_INVALID' })
})

test('a coordinator is looked up once, waited for while there is none, and again after it was forgotten', async t => {
  let lookups = 0
  const broker: FakeBroker = await startFakeBroker(t, request => {
    if (request.apiKey === metadataApi.key) answerMetadata(request, broker)
    else if (request.apiKey === findCoordinatorApi.key) {
      lookups += 1
      const errorCode = lookups === 1 ? 15 : 0
      const coordinators = [{ key: 'g', nodeId: 1, host: broker.host, port: broker.port, errorCode }]
      request.answer(findCoordinatorApi, { coordinators })
    } else if (request.apiKey === heartbeatApi.key) request.answer(heartbeatApi, { errorCode: 0 })
    else return false
    return true
  })
  const cluster = await Cluster.connect({ bootstrapServers: broker.bootstrapServers })
  t.after(() => cluster.close())
  const to = { coordinator: 'group', key: 'g' } as const
  await cluster.send(heartbeatApi, { groupId: 'g', memberId: 'm' }, { to })
  await cluster.send(heartbeatApi, { groupId: 'g', memberId: 'm' }, { to })
  assert.equal(lookups, 2)
  cluster.forgetCoordinator('group', 'g')
  await cluster.send(heartbeatApi, { groupId: 'g', memberId: 'm' }, { to })
  assert.equal(lookups, 3)
})

test('lanes are connections of their own, and a closed client refuses everything', async t => {
  const broker: FakeBroker = await startFakeBroker(t, request => {
    if (request.apiKey !== metadataApi.key) return false
    answerMetadata(request, broker)
    return true
  })
  const cluster = await Cluster.connect({ bootstrapServers: broker.bootstrapServers })
  const before = broker.connectionCount()
  await cluster.send(metadataApi, {}, { to: { nodeId: 1 }, lane: cluster.newLane('a') })
  await cluster.send(metadataApi, {}, { to: { nodeId: 1 }, lane: cluster.newLane('a') })
  assert.equal(broker.connectionCount(), before + 2)
  await cluster.close()
  await assert.rejects(cluster.metadata(), { code: 'ERR_CLIENT_CLOSED' })
})

test('a leader of an older epoch does not replace a newer one, unless the topic is another one', () => {
  const cache = new MetadataCache()
  const topic = (topicId: string, leaderId: number, leaderEpoch: number): Parameters<MetadataCache['apply']>[0] => ({
    clusterId: null,
    controllerId: 1,
    brokers: [],
    topics: [
      {
        topic: 't',
        topicId,
        isInternal: false,
        errorCode: 0,
        partitions: [{ partition: 0, leaderId, leaderEpoch, replicas: [], inSyncReplicas: [], errorCode: 0 }]
      }
    ]
  })
  cache.apply(topic('a', 1, 5), 0)
  cache.apply(topic('a', 2, 4), 1)
  assert.equal(cache.leaderOf('t', 0), 1)
  cache.apply(topic('a', 3, 6), 2)
  assert.equal(cache.leaderOf('t', 0), 3)
  cache.apply(topic('b', 4, 0), 3)
  assert.equal(cache.leaderOf('t', 0), 4)
})

/**
 * Symptom: a batch was given up with ERR_CLIENT_CLOSED although nobody had closed anything.
 * Cause: metadata without the broker closed its idle connection just after it was handed out for that batch.
 * Reach: brokers that leave the metadata while they are written to, as in a rolling restart.
 */
test('a request on a connection that was retired meanwhile may be tried again', async t => {
  const broker = await startFakeBroker(t, () => false)
  const pool = new ConnectionPool({ bootstrapServers: broker.bootstrapServers })
  t.after(() => pool.close())
  const connection = await pool.get(broker, 'main')

  pool.retain([{ nodeId: 2, host: 'another', port: 9092, rack: null }])

  await assert.rejects(connection.send(metadataApi, {}), { code: 'ERR_CLIENT_DISCONNECTED', retriable: true })
})

test('a connection that is still being opened when its lane is closed does not stay', async t => {
  const broker = await startFakeBroker(t, () => false)
  const pool = new ConnectionPool({ bootstrapServers: broker.bootstrapServers, clientId: 'c' })
  t.after(() => pool.close())
  const opening = pool.get(broker, 'fetch-1')
  pool.closeLane('fetch-1')
  const connection = await opening
  await new Promise(setImmediate)
  assert.equal(connection.isOpen, false)
  assert.equal(pool.openCount, 0)
})
