/** Transactions of both protocols: what is committed is read, what is aborted is not, and the fenced stay out. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectForTest, createTopic, errorOf } from './support.ts'
import {
  init,
  initOnce,
  lastStableOffset,
  PROTOCOLS,
  read,
  TransactionalProducer,
  untilRead
} from './transactions-support.ts'

for (const [name, protocol] of Object.entries(PROTOCOLS)) {
  test(`${name}: a committed transaction is read as a whole once it is committed, not before`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer, { partitions: 2 })
    const producer = await TransactionalProducer.start(peer, protocol)

    await producer.send({ topic }, 'a')
    await producer.send({ topic, partition: 1 }, 'b')
    const before = await read(peer, topic, { isCommitted: true })
    const dirty = await read(peer, topic, { isCommitted: false })
    await producer.end(true)

    assert.deepEqual(before, { values: [], lastStableOffset: 0n, highWatermark: 1n })
    assert.deepEqual(dirty.values, ['a'])
    const after = await untilRead(peer, topic, { partition: 0, values: ['a'] })
    await untilRead(peer, topic, { partition: 1, values: ['b'] })
    assert.equal(after.highWatermark, 2n, 'the marker takes an offset')
    assert.equal(await lastStableOffset(peer, topic), 2n)
  })

  test(`${name}: an aborted transaction is never read, and does not hide its neighbours`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const first = await TransactionalProducer.start(peer, protocol)
    const second = await TransactionalProducer.start(peer, protocol)

    await first.send({ topic }, 'aborted 1')
    await second.send({ topic }, 'committed 1')
    await first.send({ topic }, 'aborted 2')
    await second.end(true)
    await first.end(false)
    await first.send({ topic }, 'committed 2')
    await first.end(true)

    await untilRead(peer, topic, { values: ['committed 1', 'committed 2'] })
    const dirty = await read(peer, topic, { isCommitted: false })
    assert.deepEqual(dirty.values, ['aborted 1', 'committed 1', 'aborted 2', 'committed 2'])
  })

  test(`${name}: whoever takes over a transactional id aborts the open transaction and fences its owner`, async t => {
    const peer = await connectForTest(t)
    const topic = await createTopic(peer)
    const old = await TransactionalProducer.start(peer, protocol)
    await old.send({ topic }, 'of the old one')

    const first = await initOnce(peer, old.transactionalId)
    const identity = await init(peer, old.transactionalId)

    assert.equal(errorOf(first), 'CONCURRENT_TRANSACTIONS')
    assert.equal(identity.producerId, old.identity.producerId)
    assert.equal(identity.producerEpoch, old.identity.producerEpoch + 2)
    await untilRead(peer, topic, { values: [] })
    assert.equal(errorOf(await old.sendOnce({ topic }, 'late')), 'INVALID_PRODUCER_EPOCH')
    assert.equal(errorOf(await old.endOnce(true)), 'PRODUCER_FENCED')
    assert.equal(await old.add({ topic }), 'PRODUCER_FENCED')
  })
}
