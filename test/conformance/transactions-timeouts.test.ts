/**
 * Transactions that nobody ends. Apache Kafka looks for them every ten seconds,
 * so these take that long there; the embedded broker is told to look more often.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clusterForTest } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { createTopic, errorOf, type Peer, type Topic } from './support.ts'
import {
  init,
  initOnce,
  PROTOCOLS,
  read,
  retried,
  TransactionalProducer,
  type Protocol
} from './transactions-support.ts'

const abortTimeoutMs = 30_000

async function connect(t: TestContext): Promise<Peer> {
  const brokerConfig = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '20' }
  const cluster = await clusterForTest(t, { brokerConfig })
  return { cluster, connection: await RawConnection.open(t, cluster) }
}

/** A producer whose transaction has been aborted because it took too long. */
async function timedOut(peer: Peer, topic: Topic, protocol: Protocol): Promise<TransactionalProducer> {
  const producer = await TransactionalProducer.start(peer, protocol, { timeoutMs: 100 })
  await producer.send({ topic }, 'forgotten')
  const deadline = performance.now() + abortTimeoutMs
  while ((await read(peer, topic, { isCommitted: true })).lastStableOffset < 2n) {
    assert.ok(performance.now() < deadline, 'the transaction is still open')
  }
  return producer
}

test('with KIP-890 the owner of a transaction that timed out may abort it and go on', async t => {
  const peer = await connect(t)
  const topic = await createTopic(peer)
  const producer = await timedOut(peer, topic, PROTOCOLS.version2)
  const { producerId, producerEpoch } = producer.identity

  assert.equal(errorOf(await producer.sendOnce({ topic }, 'late')), 'INVALID_PRODUCER_EPOCH')
  const committed = await retried(() => producer.endOnce(true), errorOf)
  const aborted = await retried(() => producer.endOnce(false), errorOf)

  assert.equal(errorOf(committed), 'INVALID_TXN_STATE')
  assert.deepEqual([errorOf(aborted), aborted.producerId], ['NONE', producerId])
  assert.equal(aborted.producerEpoch, producerEpoch + 1)
  await producer.end(false)
  await producer.send({ topic }, 'again')
  await producer.end(true)
})

test('before KIP-890 the owner of a transaction that timed out is fenced', async t => {
  const peer = await connect(t)
  const topic = await createTopic(peer)
  const producer = await timedOut(peer, topic, PROTOCOLS.version1)
  const { identity, transactionalId } = producer

  assert.equal(await producer.add({ topic }), 'PRODUCER_FENCED')
  assert.equal(errorOf(await producer.endOnce(false)), 'PRODUCER_FENCED')
  assert.equal(errorOf(await producer.sendOnce({ topic }, 'late', { version: 9 })), 'INVALID_PRODUCER_EPOCH')
  const again = await initOnce(peer, transactionalId, { expected: identity })
  assert.equal(errorOf(again), 'NONE', 'it may ask for the epoch after that of the abort')
  const next = await init(peer, transactionalId)
  assert.equal(next.producerEpoch, identity.producerEpoch + 2)
})
