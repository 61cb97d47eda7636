/** kafkajs's transactional producer, which speaks the protocol before KIP-890, and its reader of committed records. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import kafkajs, { type Kafka, type Producer } from 'kafkajs'
import { clusterForTest, type TestCluster } from '../support/cluster.ts'

const { Kafka: KafkaClient, logLevel, Partitioners } = kafkajs

interface Setup {
  readonly cluster: TestCluster
  readonly kafka: Kafka
  readonly topic: string
}

async function setUp(t: TestContext): Promise<Setup> {
  const cluster = await clusterForTest(t)
  const kafka = new KafkaClient({
    clientId: 'kafkajs-test',
    brokers: cluster.bootstrapServers.split(','),
    logLevel: logLevel.NOTHING
  })
  const topic = cluster.uniqueName()
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] })
  await admin.disconnect()
  return { cluster, kafka, topic }
}

async function producerOf(t: TestContext, { cluster, kafka }: Setup, transactionalId?: string): Promise<Producer> {
  const producer = kafka.producer({
    transactionalId: transactionalId ?? cluster.uniqueName('txn'),
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner
  })
  await producer.connect()
  t.after(() => producer.disconnect())
  return producer
}

/** Reads committed records until a value comes, and answers all values in the order of their partition. */
async function readUntil(t: TestContext, { cluster, kafka, topic }: Setup, last: string): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: cluster.uniqueName('group'), maxWaitTimeInMs: 100 })
  const values: string[] = []
  await consumer.connect()
  t.after(() => consumer.disconnect())
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    const run = consumer.run({
      eachMessage: ({ message }) => {
        const value = message.value?.toString() ?? ''
        if (value === last) resolve()
        else values.push(value)
        return Promise.resolve()
      }
    })
    run.catch(reject)
  })
  return values
}

test('kafkajs reads what it committed, and nothing of what it aborted', async t => {
  const setup = await setUp(t)
  const { topic } = setup
  const producer = await producerOf(t, setup)
  for (let index = 0; index < 6; index++) {
    const transaction = await producer.transaction()
    const kind = index % 2 === 0 ? 'committed' : 'aborted'
    // One key: one partition, so that the last record comes last.
    await transaction.send({ topic, messages: [{ key: 'key', value: `${kind} ${index}` }] })
    await transaction.send({ topic, messages: [{ key: 'key', value: `${kind} ${index} again` }] })
    if (kind === 'committed') await transaction.commit()
    else await transaction.abort()
  }
  await producer.send({ topic, messages: [{ key: 'key', value: 'last' }] })

  assert.deepEqual(
    await readUntil(t, setup, 'last'),
    [0, 2, 4].flatMap(index => [`committed ${index}`, `committed ${index} again`])
  )
})

test('kafkajs commits offsets with its transaction, or not at all', async t => {
  const setup = await setUp(t)
  const { cluster, kafka, topic } = setup
  const consumerGroupId = cluster.uniqueName('group')
  const commitOffset = async (offset: string, isCommit: boolean): Promise<void> => {
    // One producer each: kafkajs gives up when it meets its last transaction, which Apache Kafka may still be ending.
    const producer = await producerOf(t, setup)
    const transaction = await producer.transaction()
    const topics = [{ topic, partitions: [{ partition: 0, offset }] }]
    await transaction.sendOffsets({ consumerGroupId, topics })
    if (isCommit) await transaction.commit()
    else await transaction.abort()
  }
  const admin = kafka.admin()
  await admin.connect()
  t.after(() => admin.disconnect())

  await commitOffset('7', true)
  await commitOffset('9', false)

  const [fetched] = await admin.fetchOffsets({ groupId: consumerGroupId, topics: [topic] })
  assert.equal(fetched?.partitions.find(({ partition }) => partition === 0)?.offset, '7')
})

test('a kafkajs producer is fenced by the next one of its transactional id', async t => {
  const setup = await setUp(t)
  const { cluster, topic } = setup
  const transactionalId = cluster.uniqueName('txn')
  const old = await producerOf(t, setup, transactionalId)
  const open = await old.transaction()
  await open.send({ topic, messages: [{ key: 'key', value: 'of the old one' }] })
  const next = await producerOf(t, setup, transactionalId)
  const transaction = await next.transaction()
  await transaction.send({ topic, messages: [{ key: 'key', value: 'of the next one' }] })
  await transaction.commit()

  await assert.rejects(open.commit(), /epoch|fenced/i)
  await next.send({ topic, messages: [{ key: 'key', value: 'last' }] })
  assert.deepEqual(await readUntil(t, setup, 'last'), ['of the next one'])
})
