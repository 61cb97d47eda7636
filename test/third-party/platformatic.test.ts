/**
 * @platformatic/kafka, a client that starts above the oldest versions and uses
 * topic ids, against the embedded broker: producer, consumer groups, admin.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Admin, Consumer, type Message, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

type TextMessage = Message<string, string, string, string>
type TextConsumer = Consumer<string, string, string, string>

function base(cluster: TestCluster): { clientId: string; bootstrapBrokers: string[]; retries: number } {
  return { clientId: 'platformatic-test', bootstrapBrokers: cluster.bootstrapServers.split(','), retries: 3 }
}

function adminOf(t: TestContext, cluster: TestCluster): Admin {
  const admin = new Admin(base(cluster))
  t.after(() => admin.close())
  return admin
}

async function produce(
  cluster: TestCluster,
  topic: string,
  options: {
    count: number
    from?: number
    compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
    idempotent?: boolean
  }
): Promise<void> {
  const { count, from = 0, compression = 'none', idempotent = false } = options
  const producer = new Producer({ ...base(cluster), serializers: stringSerializers, idempotent, compression })
  try {
    const messages = Array.from({ length: count }, (_, index) => ({
      topic,
      key: `key-${(from + index) % 10}`,
      value: `value ${from + index}`,
      headers: { origin: 'test' }
    }))
    await producer.send({ messages, acks: -1 })
  } finally {
    await producer.close()
  }
}

function consumerOf(t: TestContext, cluster: TestCluster, groupId: string): TextConsumer {
  const consumer = new Consumer({
    ...base(cluster),
    groupId,
    deserializers: stringDeserializers,
    sessionTimeout: 10_000,
    heartbeatInterval: 100,
    rebalanceTimeout: 10_000,
    maxWaitTime: 100
  })
  t.after(() => consumer.close(true))
  return consumer
}

/** Reads `count` messages from where the group stands and commits them. */
async function read(consumer: TextConsumer, topic: string, count: number): Promise<TextMessage[]> {
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: false
  })
  const messages: TextMessage[] = []
  for await (const message of stream) {
    messages.push(message)
    await message.commit()
    if (messages.length === count) break
  }
  await stream.close()
  return messages
}

for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
  test(`@platformatic/kafka reads back what it produced with compression ${compression}`, async t => {
    const cluster = await clusterForTest(t)
    const topic = cluster.uniqueName()
    await adminOf(t, cluster).createTopics({ topics: [topic], partitions: 3 })
    await produce(cluster, topic, { count: 300, compression })
    const messages = await read(consumerOf(t, cluster, cluster.uniqueName('group')), topic, 300)
    assert.deepEqual(
      messages.map(message => Number(message.value.slice('value '.length))).toSorted((a, b) => a - b),
      Array.from({ length: 300 }, (_, index) => index)
    )
    assert.equal(messages[0]?.headers.get('origin'), 'test')
  })
}

test('an idempotent producer of @platformatic/kafka writes each record once', async t => {
  const cluster = await clusterForTest(t)
  const topic = cluster.uniqueName()
  const admin = adminOf(t, cluster)
  await admin.createTopics({ topics: [topic], partitions: 1 })
  await produce(cluster, topic, { count: 50, idempotent: true })
  await produce(cluster, topic, { count: 50, idempotent: true })
  const [listed] = await admin.listOffsets({
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
  })
  assert.equal(listed?.partitions[0]?.offset, 100n)
})

test('a group of @platformatic/kafka goes on after its committed offsets', async t => {
  const cluster = await clusterForTest(t)
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  const admin = adminOf(t, cluster)
  await admin.createTopics({ topics: [topic], partitions: 1 })
  await produce(cluster, topic, { count: 20 })
  const first = consumerOf(t, cluster, groupId)
  await read(first, topic, 20)
  await first.close(true)
  const [offsets] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
  assert.equal(offsets?.topics[0]?.partitions[0]?.committedOffset, 20n)

  await produce(cluster, topic, { count: 3, from: 20 })
  const rest = await read(consumerOf(t, cluster, groupId), topic, 3)
  assert.deepEqual(
    rest.map(message => message.value),
    ['value 20', 'value 21', 'value 22']
  )
})

test('two consumers of @platformatic/kafka share the partitions', async t => {
  const cluster = await clusterForTest(t)
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  const admin = adminOf(t, cluster)
  await admin.createTopics({ topics: [topic], partitions: 4 })
  const shares = (consumer: TextConsumer, count: number): Promise<void> =>
    new Promise(resolve => {
      consumer.on(
        'consumer:group:join',
        ({ assignments }: { assignments?: { topic: string; partitions: number[] }[] }) => {
          if (assignments?.find(each => each.topic === topic)?.partitions.length === count) resolve()
        }
      )
    })
  const first = consumerOf(t, cluster, groupId)
  const all = shares(first, 4)
  await first.consume({ topics: [topic], mode: 'earliest' })
  await all
  const second = consumerOf(t, cluster, groupId)
  const halves = Promise.all([shares(first, 2), shares(second, 2)])
  await second.consume({ topics: [topic], mode: 'earliest' })
  await halves
  const group = (await admin.describeGroups({ groups: [groupId] })).get(groupId)
  // Typed as upper case, but passed on as the broker writes it.
  assert.equal(String(group?.state), 'Stable')
  assert.equal(group?.members.size, 2)
})

test('consumers of @platformatic/kafka share the partitions in the protocol of KIP-848', async t => {
  const cluster = await clusterForTest(t, {
    brokerConfig: {
      'group.consumer.min.heartbeat.interval.ms': '100',
      'group.consumer.heartbeat.interval.ms': '100'
    }
  })
  const topic = cluster.uniqueName()
  const groupId = cluster.uniqueName('group')
  const admin = adminOf(t, cluster)
  await admin.createTopics({ topics: [topic], partitions: 4 })
  await produce(cluster, topic, { count: 200 })
  const values: number[] = []
  const allCame = Promise.withResolvers<void>()
  const start = async (): Promise<TextConsumer> => {
    const consumer = new Consumer({
      ...base(cluster),
      groupId,
      groupProtocol: 'consumer',
      deserializers: stringDeserializers,
      maxWaitTime: 100
    })
    t.after(() => consumer.close(true))
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    stream.on('data', (message: TextMessage) => {
      values.push(Number(message.value.slice('value '.length)))
      if (new Set(values).size === 200) allCame.resolve()
    })
    return consumer
  }
  const ownedBy = (consumer: TextConsumer): number =>
    (consumer.assignments ?? []).reduce((sum, each) => sum + each.partitions.length, 0)

  const first = await start()
  await allCame.promise
  const second = await start()
  while (ownedBy(first) !== 2 || ownedBy(second) !== 2) await new Promise(resolve => setImmediate(resolve))
  const groups = await admin.listGroups({ types: ['consumer'] })

  assert.deepEqual(
    values.toSorted((left, right) => left - right),
    Array.from({ length: 200 }, (_, index) => index)
  )
  assert.ok([...groups.keys()].includes(groupId))
})

test('the admin client of @platformatic/kafka sees and changes topics, configs, offsets and log folders', async t => {
  const cluster = await clusterForTest(t)
  const topic = cluster.uniqueName()
  const admin = adminOf(t, cluster)
  const [created] = await admin.createTopics({
    topics: [topic],
    partitions: 2,
    configs: [{ name: 'retention.ms', value: '1000000' }]
  })
  assert.equal(created?.partitions, 2)
  assert.equal(created?.configuration['retention.ms'], '1000000')
  assert.ok((await admin.listTopics()).includes(topic))
  await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: [{ brokerIds: [1] }] }] })

  const resource = { resourceType: 2 as const, resourceName: topic }
  await admin.incrementalAlterConfigs({
    resources: [{ ...resource, configs: [{ name: 'cleanup.policy', configOperation: 2, value: 'compact' }] }]
  })
  const [described] = await admin.describeConfigs({
    resources: [{ ...resource, configurationKeys: ['cleanup.policy'] }]
  })
  assert.equal(described?.configs[0]?.value, 'delete,compact')

  await produce(cluster, topic, { count: 40 })
  const dirs = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0, 1] }] })
  const sizes = dirs[0]?.results[0]?.topics[0]?.partitions.map(partition => partition.partitionSize)
  assert.ok(sizes !== undefined && sizes.some(size => size > 0n))

  const group = cluster.uniqueName('group')
  await admin.alterConsumerGroupOffsets({
    groupId: group,
    topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 7n }] }]
  })
  const [offsets] = await admin.listConsumerGroupOffsets({ groups: [group] })
  assert.equal(offsets?.topics[0]?.partitions[0]?.committedOffset, 7n)
  await admin.deleteConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] })
  await admin.deleteTopics({ topics: [topic] })
  assert.ok(!(await admin.listTopics()).includes(topic))
})

test('@platformatic/kafka is told that ACLs are off', async t => {
  const cluster = await clusterForTest(t)
  const admin = adminOf(t, cluster)
  const filter = {
    resourceType: 1,
    resourceName: null,
    resourcePatternType: 1,
    principal: null,
    host: null,
    operation: 1,
    permissionType: 1
  } as const
  await assert.rejects(admin.describeAcls({ filter }), (error: unknown) => /SECURITY_DISABLED/.test(textsOf(error)))
})

/** The texts of an error and of all errors under it. */
function textsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const nested = error instanceof AggregateError ? error.errors.map(textsOf) : []
  const own = 'apiId' in error ? String(error.apiId) : ''
  return [error.message, own, ...nested, error.cause === undefined ? '' : textsOf(error.cause)].join('\n')
}
