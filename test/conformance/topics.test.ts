/** Topics: creating, growing, configuring, emptying and deleting them, and the names of what goes wrong. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createPartitionsApi,
  createTopicsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeConfigsApi,
  incrementalAlterConfigsApi,
  listOffsetsApi,
  metadataApi
} from '../../src/protocol/index.ts'
import { batchOf, connectForTest, createTopic, errorOf, type Peer, produce } from './support.ts'

interface NewTopic {
  readonly name: string
  readonly numPartitions?: number
  readonly replicationFactor?: number
  readonly configs?: { name: string; value: string }[]
}

async function create({ connection }: Peer, topic: NewTopic): Promise<string> {
  const response = await connection.request(createTopicsApi, {
    version: 7,
    message: { topics: [{ numPartitions: 1, replicationFactor: 1, ...topic }], timeoutMs: 10_000 }
  })
  return errorOf(response.topics[0])
}

test('a topic that cannot be is refused by the name of the reason', async t => {
  const peer = await connectForTest(t)
  const name = peer.cluster.uniqueName('topic')

  assert.equal(await create(peer, { name }), 'NONE')
  assert.equal(await create(peer, { name }), 'TOPIC_ALREADY_EXISTS')
  assert.equal(await create(peer, { name: 'not/a name' }), 'INVALID_TOPIC_EXCEPTION')
  assert.equal(await create(peer, { name: 'x'.repeat(250) }), 'INVALID_TOPIC_EXCEPTION')
  assert.equal(await create(peer, { name: '..' }), 'INVALID_TOPIC_EXCEPTION')
  const other = peer.cluster.uniqueName('topic')
  assert.equal(await create(peer, { name: other, numPartitions: 0 }), 'INVALID_PARTITIONS')
  assert.equal(await create(peer, { name: other, replicationFactor: 3 }), 'INVALID_REPLICATION_FACTOR')
  const configs = [{ name: 'retention.ms', value: 'soon' }]
  assert.equal(await create(peer, { name: other, configs }), 'INVALID_CONFIG')
  assert.equal(await create(peer, { name: other, configs: [{ name: 'no.such', value: '1' }] }), 'INVALID_CONFIG')
})

test('a topic that is only validated does not exist afterwards', async t => {
  const peer = await connectForTest(t)
  const name = peer.cluster.uniqueName('topic')
  const topics = [{ name, numPartitions: 1, replicationFactor: 1 }]

  const validated = await peer.connection.request(createTopicsApi, {
    version: 7,
    message: { topics, timeoutMs: 10_000, validateOnly: true }
  })

  assert.equal(errorOf(validated.topics[0]), 'NONE')
  assert.equal(await create(peer, { name }), 'NONE')
})

test('a topic grows, never shrinks, and its id changes when it is made again', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { partitions: 2 })
  const grow = async (count: number): Promise<string> => {
    const message = { topics: [{ name: topic.name, count, assignments: null }], timeoutMs: 10_000 }
    const { results } = await peer.connection.request(createPartitionsApi, { version: 3, message })
    return errorOf(results[0])
  }
  const remove = async (): Promise<string> => {
    const message = { topics: [{ name: topic.name }], timeoutMs: 10_000 }
    const { responses } = await peer.connection.request(deleteTopicsApi, { version: 6, message })
    return errorOf(responses[0])
  }

  assert.equal(await grow(5), 'NONE')
  assert.equal(await grow(5), 'INVALID_PARTITIONS')
  assert.equal(await grow(3), 'INVALID_PARTITIONS')
  assert.equal(await remove(), 'NONE')
  assert.equal(await remove(), 'UNKNOWN_TOPIC_OR_PARTITION')
  const message = { topics: [{ name: topic.name, numPartitions: 1, replicationFactor: 1 }], timeoutMs: 10_000 }
  const again = await peer.connection.request(createTopicsApi, { version: 7, message })
  assert.equal(errorOf(again.topics[0]), 'NONE')
  assert.notEqual(again.topics[0]?.topicId, topic.id)
})

test('every version of Metadata describes the topic alike', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer, { partitions: 3 })

  for (let version = 0; version <= 13; version++) {
    const metadata = await peer.connection.request(metadataApi, {
      version,
      message: { topics: [{ name: topic.name }], allowAutoTopicCreation: version < 4 }
    })
    const [described] = metadata.topics
    assert.equal(errorOf(described), 'NONE', `version ${version}`)
    const partitions = described?.partitions ?? []
    const rows = partitions.map(each => [each.partitionIndex, each.leaderId, each.replicaNodes, each.isrNodes])
    const nodeId = metadata.brokers[0]?.nodeId ?? -1
    assert.deepEqual(
      rows.toSorted((a, b) => Number(a[0]) - Number(b[0])),
      [0, 1, 2].map(partition => [partition, nodeId, [nodeId], [nodeId]])
    )
    assert.equal(`${metadata.brokers[0]?.host}:${metadata.brokers[0]?.port}`, peer.cluster.bootstrapServers)
  }
})

test('an unknown topic is made by a metadata request that allows it, and only then', async t => {
  const peer = await connectForTest(t)
  const name = peer.cluster.uniqueName('auto')
  const ask = async (allowAutoTopicCreation: boolean): Promise<string> => {
    const message = { topics: [{ name }], allowAutoTopicCreation }
    const metadata = await peer.connection.request(metadataApi, { version: 12, message })
    return errorOf(metadata.topics[0])
  }

  assert.equal(await ask(false), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(await ask(false), 'UNKNOWN_TOPIC_OR_PARTITION')
  let answer = await ask(true)
  const deadline = performance.now() + 15_000
  while (answer !== 'NONE' && performance.now() < deadline) answer = await ask(false)
  assert.equal(answer, 'NONE')
})

test('a setting of a topic is changed, shown with where it comes from, and given back to its default', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  const resource = { resourceType: 2, resourceName: topic.name }
  const alter = async (configOperation: number, value: string | null): Promise<string> => {
    const configs = [{ name: 'retention.ms', configOperation, value }]
    const message = { resources: [{ ...resource, configs }] }
    const { responses } = await peer.connection.request(incrementalAlterConfigsApi, { version: 1, message })
    return errorOf(responses[0])
  }
  const show = async (): Promise<[string | null | undefined, number | undefined]> => {
    const message = { resources: [{ ...resource, configurationKeys: ['retention.ms'] }] }
    const { results } = await peer.connection.request(describeConfigsApi, { version: 4, message })
    const config = results[0]?.configs.find(each => each.name === 'retention.ms')
    return [config?.value, config?.configSource]
  }

  // Sources: 1 set on the topic, 5 Kafka's default. Operations: 0 set, 1 delete.
  assert.deepEqual(await show(), ['604800000', 5])
  assert.equal(await alter(0, '1000'), 'NONE')
  assert.deepEqual(await show(), ['1000', 1])
  assert.equal(await alter(0, 'soon'), 'INVALID_CONFIG')
  assert.deepEqual(await show(), ['1000', 1])
  assert.equal(await alter(1, null), 'NONE')
  assert.deepEqual(await show(), ['604800000', 5])
})

test('deleting records moves the start of the log, never past its end', async t => {
  const peer = await connectForTest(t)
  const topic = await createTopic(peer)
  for (const value of ['a', 'b', 'c']) await produce(peer, topic.name, batchOf([value]))
  const deleteBelow = async (offset: bigint): Promise<[string, bigint | undefined]> => {
    const topics = [{ name: topic.name, partitions: [{ partitionIndex: 0, offset }] }]
    const response = await peer.connection.request(deleteRecordsApi, {
      version: 2,
      message: { topics, timeoutMs: 5_000 }
    })
    const partition = response.topics[0]?.partitions[0]
    return [errorOf(partition), partition?.lowWatermark]
  }

  assert.deepEqual(await deleteBelow(2n), ['NONE', 2n])
  assert.deepEqual(await deleteBelow(4n), ['OFFSET_OUT_OF_RANGE', -1n])
  const partitions = [{ partitionIndex: 0, timestamp: -2n }]
  const message = { replicaId: -1, topics: [{ name: topic.name, partitions }] }
  const listed = await peer.connection.request(listOffsetsApi, { version: 7, message })
  assert.equal(listed.topics[0]?.partitions[0]?.offset, 2n)
  assert.deepEqual(await deleteBelow(-1n), ['NONE', 3n])
})
