/** The client while its broker goes away and comes back: nothing is lost, nothing is stored twice, order holds. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { inOrder, TestAppender, TestMember, TestReader, Watch } from '../conformance/client-support.ts'

interface Restartable {
  readonly cluster: Cluster
  readonly admin: Admin
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
}

/** A broker that can be stopped and started again on the same port with the same data. */
async function restartableForTest(t: TestContext): Promise<Restartable> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-client-'))
  const config = { 'group.initial.rebalance.delay.ms': '0' }
  let broker: Broker | undefined = await startBroker({ dataDir, config })
  const { port, bootstrapServers } = broker
  const stop = async (): Promise<void> => {
    await broker?.close()
    broker = undefined
  }
  const cluster = await Cluster.connect({ bootstrapServers: [bootstrapServers], requestTimeoutMs: 5_000 })
  t.after(async () => {
    await cluster.close()
    await stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const start = async (): Promise<void> => {
    broker = await startBroker({ dataDir, port, config })
  }
  return { cluster, admin: new Admin(cluster), stop, start }
}

test('records appended over three restarts of the broker are each stored once and in order', async t => {
  const { cluster, admin, stop, start } = await restartableForTest(t)
  await admin.createTopics([{ topic: 'steady', partitionCount: 2 }])
  const writer = new TestAppender(t, cluster, { batchBytes: 2_000, retryBackoffMs: 10, retryBackoffMaxMs: 50 })
  const reader = new TestReader(t, cluster, { maxWaitMs: 50, retryBackoffMs: 10, retryBackoffMaxMs: 50 })
  for (const partition of [0, 1]) reader.fetcher.add({ topic: 'steady', partition, offset: 0n })
  const values = Array.from({ length: 3_000 }, (_, index) => `${index}`.padStart(6, '0'))

  const halfway = [700, 1_500, 2_300]
  for (const [index, value] of values.entries()) {
    const record = { topic: 'steady', key: Buffer.from(`key-${index % 7}`), value: Buffer.from(value) }
    while (!writer.appender.append(record, writer)) await writer.appender.room()
    if (index % 50 === 0) await new Promise(resolve => setImmediate(resolve))
    if (!halfway.includes(index)) continue
    await stop()
    await start()
  }
  await writer.appender.flush()
  await reader.watch.until(() => reader.records.length >= values.length)

  assert.deepEqual(writer.failures, [])
  assert.deepEqual(inOrder(reader.records.map(({ value }) => value ?? '')), values)
  for (const partition of [0, 1]) {
    const read = reader.of(partition).map(({ value }) => value ?? '')
    assert.deepEqual(read, inOrder(read), `partition ${partition} is out of order`)
  }
})

test('a group member outlives a restart of its coordinator, and its commits count', async t => {
  const { cluster, admin, stop, start } = await restartableForTest(t)
  await admin.createTopics([{ topic: 'steady', partitionCount: 2 }])
  const watch = new Watch()
  const member = new TestMember(t, { cluster, groupId: 'steady', topics: ['steady'] }, watch)
  await watch.until(() => member.held.size === 2)

  await stop()
  const commit = member.member.commitOffsets([{ topic: 'steady', partition: 1, offset: 12n, metadata: 'twelve' }])
  await start()
  await commit
  const [offset] = await admin.fetchGroupOffsets('steady', [{ topic: 'steady', partition: 1 }])

  assert.deepEqual([offset?.offset, offset?.metadata], [12n, 'twelve'])
  await member.member.close()
  assert.deepEqual(member.failures, [])
})

test('what cannot be delivered in time fails with its records and frees the buffer', async t => {
  const { cluster, admin, stop } = await restartableForTest(t)
  await admin.createTopics([{ topic: 'steady', partitionCount: 1 }])
  await cluster.topic('steady')
  const writer = new TestAppender(t, cluster, { deliveryTimeoutMs: 300, retryBackoffMs: 10, retryBackoffMaxMs: 20 })
  await stop()

  const record = { topic: 'steady', key: null, value: Buffer.from('v') }
  await writer.append(record, record)

  assert.deepEqual(
    writer.failures.map(({ error, records }) => [error.code, records.length]),
    [['ERR_CLIENT_DELIVERY_TIMEOUT', 2]]
  )
  assert.equal(writer.appender.bufferedBytes, 0)
})

test('closing an appender fails what its deadline leaves over', async t => {
  const { cluster, admin, stop } = await restartableForTest(t)
  await admin.createTopics([{ topic: 'steady', partitionCount: 1 }])
  await cluster.topic('steady')
  const writer = new TestAppender(t, cluster)
  await stop()

  writer.appender.append({ topic: 'steady', key: null, value: Buffer.from('v') }, writer)
  await writer.appender.close(100)

  assert.equal(writer.failures[0]?.error.code, 'ERR_CLIENT_DELIVERY_TIMEOUT')
})
