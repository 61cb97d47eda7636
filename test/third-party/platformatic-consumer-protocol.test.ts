/** @platformatic/kafka with the consumer protocol of KIP-848: two consumers share a topic that the broker assigns. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { consumerGroupDescribeApi } from '../../src/protocol/index.ts'
import { clusterForTest } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'

const RECORD_COUNT = 60

test('two consumers of the consumer protocol read a topic together, and nothing is missing', async t => {
  const quick = { 'group.consumer.min.heartbeat.interval.ms': '100', 'group.consumer.heartbeat.interval.ms': '100' }
  const cluster = await clusterForTest(t, { brokerConfig: quick })
  const base = { clientId: 'platformatic-test', bootstrapBrokers: cluster.bootstrapServers.split(','), retries: 3 }
  const topic = cluster.uniqueName('topic')
  const groupId = cluster.uniqueName('group')
  const admin = new Admin(base)
  await admin.createTopics({ topics: [topic], partitions: 4, replicas: 1 })
  await admin.close()
  const consumers: { close(force: boolean): Promise<void> }[] = []
  // What was on its way from a partition that is given back may come twice: the client does not wait for it.
  const values = new Set<string>()
  const readers = new Set<number>()
  const { promise: all, resolve } = Promise.withResolvers<void>()
  const connection = await RawConnection.open(t, cluster)
  const memberCount = async (): Promise<number> => {
    const { groups } = await connection.request(consumerGroupDescribeApi, {
      version: 1,
      message: { groupIds: [groupId] }
    })
    return groups[0]?.groupState === 'Stable' ? groups[0].members.length : 0
  }
  for (let index = 1; index <= 2; index++) {
    const consumer = new Consumer({
      ...base,
      groupId,
      groupProtocol: 'consumer',
      deserializers: stringDeserializers,
      maxWaitTime: 100
    })
    consumers.push(consumer)
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: true })
    stream.on('data', message => {
      values.add(message.value)
      readers.add(index)
      if (values.size === RECORD_COUNT && readers.size === 2) resolve()
    })
  }
  const deadline = performance.now() + 20_000
  while ((await memberCount()) !== 2) assert.ok(performance.now() < deadline, 'two members are never stable')

  const producer = new Producer({ ...base, serializers: stringSerializers })
  const messages = Array.from({ length: RECORD_COUNT }, (_, index) => ({ topic, key: `${index}`, value: `v${index}` }))
  await producer.send({ messages, acks: -1 })
  await producer.close()
  await all
  for (const consumer of consumers) await consumer.close(true)

  assert.equal(readers.size, 2, 'both have read')
})
