/**
 * kafkajs, a client that no longer changes and speaks the oldest versions still
 * allowed, against the embedded broker: producer, consumer groups, admin.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import kafkajs, { type Admin, type Consumer, type Kafka, type KafkaMessage } from 'kafkajs'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

const { Kafka: KafkaClient, CompressionTypes, logLevel, Partitioners, ConfigResourceTypes } = kafkajs

function clientOf(cluster: TestCluster): Kafka {
  return new KafkaClient({
    clientId: 'kafkajs-test',
    brokers: cluster.bootstrapServers.split(','),
    logLevel: logLevel.NOTHING,
    retry: { retries: 5 }
  })
}

/** A consumer that notices a rebalance soon: its fetches, which hold up its heartbeats, wait for 100 ms only. */
function consumerOf(kafka: Kafka, groupId: string): Consumer {
  return kafka.consumer({ groupId, heartbeatInterval: 100, sessionTimeout: 10_000, maxWaitTimeInMs: 100 })
}

async function adminOf(t: TestContext, kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  return admin
}

async function produce(
  kafka: Kafka,
  topic: string,
  options: { count: number; compression?: number; from?: number }
): Promise<void> {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    const from = options.from ?? 0
    const messages = Array.from({ length: options.count }, (_, index) => ({
      key: `key-${(from + index) % 10}`,
      value: `value ${from + index}`,
      headers: { origin: 'test' }
    }))
    const compression = options.compression ?? CompressionTypes.None
    await producer.send({ topic, messages, acks: -1, compression })
  } finally {
    await producer.disconnect()
  }
}

interface Collected {
  readonly messages: KafkaMessage[]
  /** Resolves when so many messages have come in sum. */
  until(count: number): Promise<void>
}

/** Runs a consumer from the beginning and collects what comes. */
async function collect(t: TestContext, consumer: Consumer, topic: string): Promise<Collected> {
  const messages: KafkaMessage[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  await consumer.connect()
  t.after(() => consumer.disconnect())
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: ({ message }) => {
      messages.push(message)
      for (const each of waiting) if (messages.length >= each.count) each.resolve()
      return Promise.resolve()
    }
  })
  const until = (count: number): Promise<void> =>
    messages.length >= count ? Promise.resolve() : new Promise(resolve => waiting.push({ count, resolve }))
  return { messages, until }
}

for (const name of ['None', 'GZIP'] as const) {
  test(`kafkajs reads back what it produced with compression ${name}, in order per key`, async t => {
    const cluster = await clusterForTest(t)
    const kafka = clientOf(cluster)
    const topic = cluster.uniqueName()
    const admin = await adminOf(t, kafka)
    await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] })
    await produce(kafka, topic, { count: 500, compression: CompressionTypes[name] })
    const collected = await collect(t, consumerOf(kafka, cluster.uniqueName('group')), topic)
    await collected.until(500)
    assert.equal(collected.messages.length, 500)
    assert.equal(collected.messages[0]?.headers?.['origin']?.toString(), 'test')
    for (let key = 0; key < 10; key++) {
      const values = collected.messages
        .filter(message => message.key?.toString() === `key-${key}`)
        .map(message => Number(message.value?.toString().slice('value '.length)))
      assert.deepEqual(
        values,
        Array.from({ length: 50 }, (_, index) => key + index * 10)
      )
    }
  })
}

test('a second kafkajs consumer takes over half of the partitions, and gives them back when it leaves', async t => {
  const cluster = await clusterForTest(t)
  const kafka = clientOf(cluster)
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  const admin = await adminOf(t, kafka)
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })
  const assigned = (consumer: Consumer, count: number): Promise<void> =>
    new Promise(resolve => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        if ((payload.memberAssignment[topic]?.length ?? 0) === count) resolve()
      })
    })
  const first = consumerOf(kafka, groupId)
  const firstHasAll = assigned(first, 4)
  await collect(t, first, topic)
  await firstHasAll

  const firstHasHalf = assigned(first, 2)
  const second = consumerOf(kafka, groupId)
  const secondHasHalf = assigned(second, 2)
  await collect(t, second, topic)
  await Promise.all([firstHasHalf, secondHasHalf])
  const described = await admin.describeGroups([groupId])
  assert.equal(described.groups[0]?.state, 'Stable')
  assert.equal(described.groups[0]?.members.length, 2)

  const firstHasAllAgain = assigned(first, 4)
  await second.disconnect()
  await firstHasAllAgain
})

test('a kafkajs group goes on after its committed offsets, and its offsets can be read and reset', async t => {
  const cluster = await clusterForTest(t)
  const kafka = clientOf(cluster)
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  const admin = await adminOf(t, kafka)
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  await produce(kafka, topic, { count: 100 })
  const first = consumerOf(kafka, groupId)
  await (await collect(t, first, topic)).until(100)
  await first.disconnect()
  const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.equal(offsets[0]?.partitions[0]?.offset, '100')

  await produce(kafka, topic, { count: 5, from: 100 })
  const second = consumerOf(kafka, groupId)
  const rest = await collect(t, second, topic)
  await rest.until(5)
  assert.equal(rest.messages[0]?.offset, '100')
  await second.disconnect()

  await admin.resetOffsets({ groupId, topic, earliest: true })
  const again = await collect(t, consumerOf(kafka, groupId), topic)
  await again.until(105)
  assert.equal(again.messages[0]?.offset, '0')
})

test('the kafkajs admin client sees and changes topics, configs, partitions, offsets and groups', async t => {
  const cluster = await clusterForTest(t)
  const kafka = clientOf(cluster)
  const admin = await adminOf(t, kafka)
  const topic = cluster.uniqueName()
  const configEntries = [{ name: 'retention.ms', value: '3600000' }]
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries }] }), true)
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), false)
  assert.ok((await admin.listTopics()).includes(topic))
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.equal(metadata.topics[0]?.partitions.length, 5)

  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const described = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] })
  const retention = described.resources[0]?.configEntries.find(entry => entry.configName === 'retention.ms')
  assert.equal(retention?.configValue, '3600000')
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }]
  })
  const changed = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ ...resource, configNames: ['retention.ms'] }]
  })
  assert.deepEqual(
    changed.resources[0]?.configEntries.map(entry => entry.configValue),
    ['7200000']
  )

  await produce(kafka, topic, { count: 50 })
  const ends = await admin.fetchTopicOffsets(topic)
  assert.equal(
    ends.reduce((sum, each) => sum + Number(each.high), 0),
    50
  )
  const full = ends.find(each => Number(each.high) > 0)
  assert.ok(full)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: full.partition, offset: full.high }] })
  const after = (await admin.fetchTopicOffsets(topic)).find(each => each.partition === full.partition)
  assert.equal(after?.low, full.high)

  const cluster0 = await admin.describeCluster()
  assert.equal(cluster0.brokers.length, 1)
  await admin.deleteTopics({ topics: [topic] })
  assert.ok(!(await admin.listTopics()).includes(topic))
})

test('kafkajs is told why it cannot delete a group in use, and can when the group is empty', async t => {
  const cluster = await clusterForTest(t)
  const kafka = clientOf(cluster)
  const admin = await adminOf(t, kafka)
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  await produce(kafka, topic, { count: 1 })
  const consumer = consumerOf(kafka, groupId)
  await (await collect(t, consumer, topic)).until(1)
  assert.ok(
    (await admin.listGroups()).groups.some(group => group.groupId === groupId && group.protocolType === 'consumer')
  )
  await assert.rejects(admin.deleteGroups([groupId]), { name: 'KafkaJSDeleteGroupsError' })
  await consumer.disconnect()
  const [deleted] = await admin.deleteGroups([groupId])
  assert.equal(deleted?.errorCode ?? 0, 0)
  assert.ok(!(await admin.listGroups()).groups.some(group => group.groupId === groupId))
})

test('a kafkajs idempotent producer writes each record once', async t => {
  const cluster = await clusterForTest(t)
  const kafka = clientOf(cluster)
  const topic = cluster.uniqueName()
  const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  t.after(() => producer.disconnect())
  for (let round = 0; round < 20; round++) {
    await producer.send({
      topic,
      messages: Array.from({ length: 10 }, (_, index) => ({ value: `${round * 10 + index}` }))
    })
  }
  const admin = await adminOf(t, kafka)
  const ends = await admin.fetchTopicOffsets(topic)
  assert.equal(
    ends.reduce((sum, each) => sum + Number(each.high), 0),
    200
  )
})
