import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { ProducerIds } from '../../src/broker/producer-ids.ts'
import { startBroker } from '../../src/broker/index.ts'
import {
  apiVersionsApi,
  createTopicsApi,
  decodeResponse,
  describeConfigsApi,
  encodeRequest,
  fetchApi,
  findCoordinatorApi,
  metadataApi,
  produceApi,
  RecordBatchBuilder
} from '../../src/protocol/index.ts'
import { brokerFor, connectTo, RecordingLogger } from './support.ts'

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-test-'))
  t.after(() => fs.rm(folder, { recursive: true, force: true }))
  return folder
}

test('a port that is taken is refused by name', async t => {
  const { port } = await brokerFor(t)
  await assert.rejects(startBroker({ port }), {
    code: 'ERR_BROKER_LISTEN_FAILED',
    message: /EADDRINUSE.*choose another port/
  })
})

test('a data folder that is a file, or holds what cannot be read, is an error of the disk and no bug', async t => {
  const folder = await temporaryFolder(t)
  await fs.writeFile(path.join(folder, 'file'), '')
  await fs.mkdir(path.join(folder, 'data', 'comporta-quotas.json'), { recursive: true })

  const code = 'ERR_BROKER_DATA_DIR_FAILED'
  await assert.rejects(startBroker({ dataDir: path.join(folder, 'file') }), { code, message: /name a folder/ })
  await assert.rejects(startBroker({ dataDir: path.join(folder, 'data') }), { code, message: /EISDIR/ })
})

test('every wrong setting is named before anything starts', async () => {
  const config = { 'num.partitions': '0', 'auto.create.topics.enable': 'yes', 'fetch.max.bytes': 'many' }
  await assert.rejects(startBroker({ config }), (error: Error) => {
    assert.match(error.message, /num\.partitions.*at least 1/)
    assert.match(error.message, /auto\.create\.topics\.enable.*true or false/)
    assert.match(error.message, /fetch\.max\.bytes.*integer/)
    return 'code' in error && error.code === 'ERR_BROKER_INVALID_SETTING'
  })
  await assert.rejects(startBroker({ config: { 'log.retention.ms': 'soon' } }), { code: 'ERR_BROKER_INVALID_SETTING' })
})

test('what TypeScript would not let through is named before anything starts, too', async () => {
  const listeners = [{ name: 'SASL_PLAINTEXT' }]
  const wrong: [object, RegExp][] = [
    [{ port: '9092' }, /the port is "9092"/],
    [{ port: -1 }, /the port is -1/],
    [{ port: 65_536 }, /the port is 65536/],
    [{ listeners: [{ name: 'PLAINTEXT', port: 1.5 }] }, /the port is 1.5/],
    [{ config: { 'num.partitions': 3 } }, /num\.partitions is of type number: settings are text/],
    [{ listeners, plainUsers: { alice: undefined } }, /"alice" of PLAIN has no password/],
    [{ listeners: [{ ...listeners[0], sasl: { plainUsers: { bob: '' } } }] }, /"bob" of PLAIN has no password/]
  ]
  for (const [options, message] of wrong) {
    await assert.rejects(startBroker(options), { code: 'ERR_BROKER_INVALID_SETTING', message })
  }
})

test('a broker without a data folder leaves nothing behind', async () => {
  const broker = await startBroker()
  await fs.access(broker.dataDir)
  await broker.close()
  await broker.close()
  await assert.rejects(fs.access(broker.dataDir))
})

test('clients are told the advertised address', async t => {
  const broker = await brokerFor(t, { host: '0.0.0.0', advertisedHost: 'broker.example', advertisedPort: 9999 })
  assert.equal(broker.bootstrapServers, 'broker.example:9999')
  const connection = await connectTo(t, { ...broker, bootstrapServers: `127.0.0.1:${broker.port}` })
  const metadata = await connection.request(metadataApi, { version: 9, message: { topics: [] } })
  assert.deepEqual(
    metadata.brokers.map(({ nodeId, host, port }) => ({ nodeId, host, port })),
    [{ nodeId: 1, host: 'broker.example', port: 9999 }]
  )
})

test('a wildcard address is advertised as 127.0.0.1, which every client can resolve', async t => {
  const broker = await brokerFor(t, { host: '0.0.0.0' })
  assert.equal(broker.bootstrapServers, `127.0.0.1:${broker.port}`)
})

test('producer ids are never given twice, not even after a crash', async t => {
  const folder = await temporaryFolder(t)
  const given = new Set<bigint>()
  for (let start = 0; start < 3; start++) {
    const ids = await ProducerIds.open(folder) // the one before was not closed: there is nothing to close
    for (const id of await Promise.all(Array.from({ length: 1500 }, () => ids.next()))) given.add(id)
  }
  assert.equal(given.size, 4500)
})

test('a damaged file of producer ids is not guessed at', async t => {
  const folder = await temporaryFolder(t)
  await fs.writeFile(path.join(folder, 'producer-ids'), 'garbage\n')
  await assert.rejects(startBroker({ dataDir: folder }), { code: 'ERR_BROKER_DATA_DAMAGED' })
  await fs.rm(path.join(folder, 'producer-ids'))
  const broker = await startBroker({ dataDir: folder }) // the refused start gave the folder back
  await broker.close()
})

test('a request with acks=0 that fails closes the connection, which is all that client can be told', async t => {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, { logger })
  const connection = await connectTo(t, broker)
  const topicData = [{ name: 'missing', partitionData: [{ index: 0, records: Buffer.alloc(100) }] }]
  connection.sendOnly(produceApi, { version: 7, message: { acks: 0, timeoutMs: 1000, topicData } })
  await connection.closed()
  await logger.until('warn', 'ERR_BROKER_REQUEST_REFUSED')
})

test('the fault hook closes, delays and fails requests of its choice', async t => {
  const seen: string[] = []
  const broker = await brokerFor(t, {
    onRequest: ({ apiName, clientId, apiVersion }) => {
      seen.push(`${apiName} ${apiVersion} ${clientId}`)
      if (apiName === 'Metadata') return 'close'
      if (apiName === 'FindCoordinator') return { errorCode: 15 }
      return apiName === 'ApiVersions' ? { delayMs: 1 } : undefined
    }
  })
  const connection = await connectTo(t, broker)
  assert.equal((await connection.request(apiVersionsApi, { version: 0, message: {} })).errorCode, 0)
  const found = await connection.request(findCoordinatorApi, { version: 4, message: { coordinatorKeys: ['g'] } })
  assert.equal(found.coordinators[0]?.errorCode, 15)
  connection.sendOnly(metadataApi, { version: 4, message: { topics: [] } })
  await connection.closed()
  assert.deepEqual(seen, ['ApiVersions 0 conformance', 'FindCoordinator 4 conformance', 'Metadata 4 conformance'])
})

test('DescribeConfigs of the broker lists every setting with its source', async t => {
  const broker = await brokerFor(t, { config: { 'num.partitions': '3' } })
  const connection = await connectTo(t, broker)
  const resources = [{ resourceType: 4, resourceName: '1', configurationKeys: null }]
  const { results } = await connection.request(describeConfigsApi, { version: 4, message: { resources } })
  const configs = new Map(results[0]?.configs.map(config => [config.name, config]))
  assert.equal(configs.get('num.partitions')?.value, '3')
  assert.equal(configs.get('num.partitions')?.configSource, 4)
  assert.equal(configs.get('auto.create.topics.enable')?.configSource, 5)
  assert.equal(configs.get('message.max.bytes')?.value, '1048588')
  assert.equal(configs.get('node.id')?.value, '1')
  assert.match(configs.get('advertised.listeners')?.value ?? '', new RegExp(`:${broker.port}$`))
})

test('auto-created topics take num.partitions, and nothing is created when that is off', async t => {
  const on = await brokerFor(t, { config: { 'num.partitions': '3' } })
  const connection = await connectTo(t, on)
  const message = { topics: [{ name: 'made' }], allowAutoTopicCreation: true }
  const made = await connection.request(metadataApi, { version: 4, message })
  assert.equal(made.topics[0]?.partitions.length, 3)

  const off = await brokerFor(t, { config: { 'auto.create.topics.enable': 'false' } })
  const other = await connectTo(t, off)
  assert.equal((await other.request(metadataApi, { version: 4, message })).topics[0]?.errorCode, 3)
})

test('a topic and its configuration are there after a restart', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await startBroker({ dataDir })
  const connection = await connectTo(t, first)
  const configs = [{ name: 'retention.ms', value: '12345' }]
  const topics = [{ name: 't', numPartitions: 2, replicationFactor: 1, configs }]
  const created = await connection.request(createTopicsApi, { version: 7, message: { topics, timeoutMs: 1000 } })
  await first.close()

  const second = await startBroker({ dataDir })
  t.after(() => second.close())
  assert.equal(second.clusterId, first.clusterId)
  const again = await connectTo(t, second)
  const metadata = await again.request(metadataApi, { version: 12, message: { topics: [{ name: 't' }] } })
  assert.equal(metadata.topics[0]?.topicId, created.topics[0]?.topicId)
  assert.equal(metadata.topics[0]?.partitions.length, 2)
  const resources = [{ resourceType: 2, resourceName: 't', configurationKeys: ['retention.ms'] }]
  const described = await again.request(describeConfigsApi, { version: 4, message: { resources } })
  assert.equal(described.results[0]?.configs[0]?.value, '12345')
})

test('a broker that stops answers what it has begun, and lets go of what only waits', async t => {
  const broker = await brokerFor(t)
  const [producer, fetcher] = [await connectTo(t, broker), await connectTo(t, broker)]
  const topics = [{ name: 't', numPartitions: 1, replicationFactor: 1 }]
  await producer.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 1000 } })
  const partitions = [{ partition: 0, partitionMaxBytes: 1000 }]
  const fetch = { maxWaitMs: 60_000, minBytes: 1, maxBytes: 1000, topics: [{ topic: 't', partitions }] }
  fetcher.sendOnly(fetchApi, { version: 4, message: fetch })
  const builder = new RecordBatchBuilder()
  builder.tryAppend(1_700_000_000_000, null, Buffer.from('last words'))
  const topicData = [{ name: 't', partitionData: [{ index: 0, records: builder.build() }] }]
  // The answer to the first says that the second is in the broker too: both lie in one chunk.
  const produce = encodeRequest(
    produceApi,
    7,
    { correlationId: 1, clientId: null },
    { acks: -1, timeoutMs: 1000, topicData }
  )
  producer.send(Buffer.concat([...produce, ...produce]))
  await producer.frame()
  await broker.close()
  assert.equal(
    decodeResponse(produceApi, 7, await producer.frame()).message.responses[0]?.partitionResponses[0]?.errorCode,
    0
  )
  await producer.closed()
  await fetcher.closed()
})

test('acks=all to a topic that wants two replicas is refused, acks=1 is taken', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  const configs = [{ name: 'min.insync.replicas', value: '2' }]
  const topics = [{ name: 't', numPartitions: 1, replicationFactor: 1, configs }]
  await connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 1000 } })
  const produce = async (acks: number): Promise<number | undefined> => {
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1_700_000_000_000, null, Buffer.from('x'))
    const topicData = [{ name: 't', partitionData: [{ index: 0, records: builder.build() }] }]
    const answer = await connection.request(produceApi, { version: 7, message: { acks, timeoutMs: 1000, topicData } })
    return answer.responses[0]?.partitionResponses[0]?.errorCode
  }
  assert.equal(await produce(-1), 19)
  assert.equal(await produce(1), 0)
})

test('a replication factor is taken only by a broker that was told to, with a warning for each topic', async t => {
  const topics = [{ name: 'three', numPartitions: 1, replicationFactor: 3 }]
  const message = { timeoutMs: 1000, topics }
  const strict = await connectTo(t, await brokerFor(t))
  const refused = await strict.request(createTopicsApi, { version: 7, message })
  assert.equal(refused.topics[0]?.errorCode, 38)

  const logger = new RecordingLogger()
  const config = { 'min.insync.replicas': '2' }
  const lenient = await connectTo(t, await brokerFor(t, { acceptReplicationFactor: true, logger, config }))
  const created = await lenient.request(createTopicsApi, { version: 7, message })
  assert.deepEqual([created.topics[0]?.errorCode, created.topics[0]?.replicationFactor], [0, 1])
  const warnings = logger.lines.filter(({ level, message: text }) => level === 'warn' && text.includes('one copy'))
  assert.deepEqual(
    warnings.map(({ fields }) => fields),
    [{ topic: 'three', replicationFactor: 3 }]
  )
  const builder = new RecordBatchBuilder({})
  builder.tryAppend(Date.now(), null, Buffer.from('value'))
  const topicData = [{ name: 'three', partitionData: [{ index: 0, records: builder.build({}) }] }]
  const produced = await lenient.request(produceApi, { version: 9, message: { acks: -1, timeoutMs: 1000, topicData } })
  assert.equal(produced.responses[0]?.partitionResponses[0]?.errorCode, 0)
})

test('a setting that has no effect is named, for it may be misspelt', async t => {
  const logger = new RecordingLogger()
  const config = {
    'log.retenton.hours': '1',
    'num.network.threads': '3',
    'log.retention.hours': '1',
    'ssl.client.auth': 'none'
  }
  await brokerFor(t, { logger, config })
  const warnings = logger.lines.filter(({ level, message }) => level === 'warn' && message.includes('without effect'))
  assert.deepEqual(
    warnings.map(({ fields }) => fields),
    [{ settings: ['log.retenton.hours', 'num.network.threads'] }]
  )
})
