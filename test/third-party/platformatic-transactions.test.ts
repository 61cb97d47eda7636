/**
 * @platformatic/kafka's transactional producer. It adds partitions by the
 * versions of AddPartitionsToTxn that are for brokers, and ends transactions by
 * the protocol before KIP-890.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Producer, stringSerializers } from '@platformatic/kafka'
import { createTopic, type Peer, type Topic } from '../conformance/support.ts'
import { read, untilRead } from '../conformance/transactions-support.ts'
import { clusterForTest } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'

type TextProducer = Producer<string, string, string, string>

async function setUp(t: TestContext): Promise<{ peer: Peer; topic: Topic }> {
  const cluster = await clusterForTest(t)
  const peer = { cluster, connection: await RawConnection.open(t, cluster) }
  return { peer, topic: await createTopic(peer) }
}

function producerOf(t: TestContext, { cluster }: Peer, transactionalId = cluster.uniqueName('txn')): TextProducer {
  const producer = new Producer({
    clientId: 'platformatic-test',
    bootstrapBrokers: cluster.bootstrapServers.split(','),
    serializers: stringSerializers,
    retries: 5,
    retryDelay: 50,
    idempotent: true,
    // Its own default, id 0 and epoch 0, claims to be the last owner and is fenced if that was another id.
    producerId: -1n,
    producerEpoch: -1,
    transactionalId
  })
  t.after(() => producer.close())
  return producer
}

async function sendIn(producer: TextProducer, topic: Topic, { value, isCommit }: { value: string; isCommit: boolean }) {
  const transaction = await producer.beginTransaction()
  await transaction.send({ messages: [{ topic: topic.name, key: 'key', value }] })
  if (isCommit) await transaction.commit()
  else await transaction.abort()
}

test('what @platformatic/kafka commits is read, what it aborts is not', async t => {
  const { peer, topic } = await setUp(t)
  const producer = producerOf(t, peer)
  for (let index = 0; index < 6; index++) {
    await sendIn(producer, topic, { value: `value ${index}`, isCommit: index % 2 === 0 })
  }
  await untilRead(peer, topic, { values: ['value 0', 'value 2', 'value 4'] })
  assert.equal((await read(peer, topic, { isCommitted: false })).values.length, 6)
})

test('an open transaction of @platformatic/kafka is aborted by the next producer of its id', async t => {
  const { peer, topic } = await setUp(t)
  const transactionalId = peer.cluster.uniqueName('txn')
  const old = producerOf(t, peer, transactionalId)
  const open = await old.beginTransaction()
  await open.send({ messages: [{ topic: topic.name, key: 'key', value: 'of the old one' }] })

  await sendIn(producerOf(t, peer, transactionalId), topic, { value: 'of the next one', isCommit: true })

  await untilRead(peer, topic, { values: ['of the next one'] })
  await assert.rejects(open.commit())
})
