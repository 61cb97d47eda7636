/** Fault rules: which requests they hit, and what happens to those, seen from a client's side of the socket. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../../../src/core/index.ts'
import type { Broker, FaultRule } from '../../../src/broker/index.ts'
import { fetchApi, kafkaErrorName, metadataApi, produceApi } from '../../../src/protocol/index.ts'
import type { RawConnection } from '../../support/raw-connection.ts'
import { batchOf } from '../../conformance/support.ts'
import { brokerFor, connectTo } from '../support.ts'

async function touch(connection: RawConnection, topic: string): Promise<void> {
  await connection.request(metadataApi, { version: 9, message: { topics: [{ name: topic }] } })
}

async function produce(connection: RawConnection, topic: string): Promise<string> {
  const partitionData = [{ index: 0, records: batchOf(['value']) }]
  const message = { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, partitionData }] }
  const response = await connection.request(produceApi, { version: 9, message })
  return kafkaErrorName(response.responses[0]?.partitionResponses[0]?.errorCode ?? -1)
}

async function recordCount(connection: RawConnection, topic: string): Promise<bigint> {
  const topics = [{ topic, partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 }] }]
  const response = await connection.request(fetchApi, { version: 12, message: { maxWaitMs: 0, topics } })
  return response.responses[0]?.partitions[0]?.highWatermark ?? -1n
}

test('the second and third produce to one topic fail, the rest pass', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  for (const topic of ['orders', 'other']) await touch(connection, topic)
  const rule: FaultRule = { api: 'Produce', topic: 'orders', nth: 2, times: 2, fault: { error: 'NOT_ENOUGH_REPLICAS' } }
  const injection = broker.faults.inject(rule)

  assert.equal(await produce(connection, 'orders'), 'NONE')
  assert.equal(await produce(connection, 'other'), 'NONE') // counts for nothing
  assert.equal(await produce(connection, 'orders'), 'NOT_ENOUGH_REPLICAS')
  assert.equal(await produce(connection, 'orders'), 'NOT_ENOUGH_REPLICAS')
  assert.equal(await produce(connection, 'orders'), 'NONE')
  assert.deepEqual([injection.matched, injection.applied], [4, 2])
  assert.equal(await recordCount(connection, 'orders'), 2n)
})

test('a topic is recognised by its id where a request has no name', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await touch(connection, 'orders')
  const described = await connection.request(metadataApi, { version: 12, message: { topics: [{ name: 'orders' }] } })
  const topicId = described.topics[0]?.topicId ?? ''
  broker.faults.inject({ api: 'Fetch', topic: /^ord/g, fault: { error: 'KAFKA_STORAGE_ERROR' }, times: Infinity })

  const topics = [{ topicId, partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 }] }]
  for (let time = 0; time < 2; time++) {
    const response = await connection.request(fetchApi, { version: 16, message: { maxWaitMs: 0, topics } })
    const code = response.errorCode === 0 ? response.responses[0]?.partitions[0]?.errorCode : response.errorCode
    assert.equal(kafkaErrorName(code ?? -1), 'KAFKA_STORAGE_ERROR')
  }
})

test('a lost answer is not a lost request: the records are there, the client does not know', async t => {
  const broker = await brokerFor(t)
  const other = await connectTo(t, broker)
  await touch(other, 'orders')
  for (const fault of ['closeAfter', 'close'] as const) {
    const connection = await connectTo(t, broker)
    broker.faults.inject({ api: 'Produce', fault })
    await assert.rejects(produce(connection, 'orders'), /closed the connection/)
  }
  assert.equal(await recordCount(other, 'orders'), 1n) // of the one that was closed after it
})

test('a dropped answer leaves the connection open and the client waiting', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  await touch(connection, 'orders')
  const lost = broker.faults.inject({ api: 0, fault: 'dropAnswer' })
  const never = broker.faults.inject({ api: 'Produce', nth: 2, fault: 'drop' })
  const partitionData = [{ index: 0, records: batchOf(['value']) }]
  const message = { acks: -1, timeoutMs: 1000, topicData: [{ name: 'orders', partitionData }] }
  for (let time = 0; time < 2; time++) connection.sendOnly(produceApi, { version: 9, message })
  await Promise.all([lost.untilApplied(), never.untilApplied()])

  // The next answer on the connection is that of the next request: the two before it have none.
  assert.equal(await recordCount(connection, 'orders'), 1n)
})

test('a delayed request runs when the clock of the broker says so', async t => {
  const clock = new VirtualClock(Date.now()) // producers stamp their records with real time
  const broker = await brokerFor(t, { clock })
  const connection = await connectTo(t, broker)
  await touch(connection, 'orders')
  const injection = broker.faults.inject({ api: 'Produce', fault: { delayMs: 60_000 } })

  let answer = 'none yet'
  const produced = produce(connection, 'orders').then(error => (answer = error))
  await injection.untilApplied()
  await clock.advance(59_999)
  assert.equal(answer, 'none yet')
  await clock.advance(1)
  assert.equal(await produced, 'NONE')
})

test('a rule hits one client only, and ends when it is removed', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker) // as client `conformance`
  const mine = broker.faults.inject({ api: 'Metadata', clientId: 'conformance', times: Infinity, fault: 'close' })
  const others = broker.faults.inject({ api: 'Metadata', clientId: /^else/, times: Infinity, fault: 'close' })

  await assert.rejects(touch(connection, 'orders'))
  mine.remove()
  await touch(await connectTo(t, broker), 'orders')
  assert.deepEqual([mine.applied, others.matched], [1, 0])
  broker.faults.inject({ api: 'Metadata', fault: 'close' })
  broker.faults.clear()
  await touch(await connectTo(t, broker), 'orders')
})

test('a rule that cannot be is refused before anything waits for it', async t => {
  const { faults }: Broker = await brokerFor(t)
  const wrong: [Partial<FaultRule>, RegExp][] = [
    [{ api: 'Produced' }, /no API "Produced"/],
    [{ api: 999 }, /no API 999/],
    [{ nth: 0 }, /nth is 0/],
    [{ times: 1.5 }, /times is 1.5/],
    [{ fault: { delayMs: -1 } }, /delayMs is -1/],
    // What JavaScript lets through.
    [{ fault: 'explode' as 'close' }, /the fault is "explode"/],
    [{ fault: {} as 'close' }, /the fault is \{\}/]
  ]
  for (const [part, message] of wrong) {
    assert.throws(() => faults.inject({ api: 'Produce', fault: 'close', ...part }), {
      code: 'ERR_BROKER_INVALID_FAULT',
      message
    })
  }
})
