/** Transactions of the client, in both protocols: what readers of committed records see, fencing, lost answers. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type GroupMetadata, TransactionalAppender, type TransactionalAppenderOptions } from '../../src/client/index.ts'
import { type PipelineError, PipelineError as Errors } from '../../src/core/index.ts'
import { type ClientPeer, clientForTest, TestMember, TestReader, Watch } from './client-support.ts'

const PROTOCOLS = [1, 2] as const

/** A transactional appender that ends with the test. */
async function appenderForTest(
  t: TestContext,
  peer: ClientPeer,
  options: Partial<TransactionalAppenderOptions> = {}
): Promise<TransactionalAppender> {
  const transactionalId = options.transactionalId ?? peer.server.uniqueName('txn')
  const appender = new TransactionalAppender({ cluster: peer.cluster, ...options, transactionalId })
  t.after(() => appender.close())
  await appender.start()
  return appender
}

function append(appender: TransactionalAppender, topic: string, ...values: readonly string[]): void {
  for (const value of values) {
    assert.ok(appender.append({ topic, key: Buffer.from(value), value: Buffer.from(value) }))
  }
}

/** The committed records of a topic once there are as many as expected, in no order. */
async function committed(
  t: TestContext,
  peer: ClientPeer,
  { topic, count }: { topic: string; count: number }
): Promise<string[]> {
  const reader = new TestReader(t, peer.cluster, { isReadCommitted: true, maxWaitMs: 50 })
  for (let partition = 0; partition < 3; partition += 1) reader.fetcher.add({ topic, partition, offset: 0n })
  await reader.watch.until(() => reader.records.length >= count)
  await reader.fetcher.close()
  return reader.records.map(record => record.value ?? '').sort()
}

async function rejection(promise: Promise<unknown>): Promise<PipelineError> {
  const error: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause
  )
  assert.ok(Errors.is(error), `not rejected with an error of ours: ${String(error)}`)
  return error
}

/** A member of a group that holds the only partition of a topic. */
async function memberOf(t: TestContext, peer: ClientPeer, topic: string): Promise<[TestMember, GroupMetadata]> {
  const groupId = peer.server.uniqueName('group')
  const member = new TestMember(t, { cluster: peer.cluster, groupId, topics: [topic] }, new Watch())
  await member.watch.until(() => member.held.has(0))
  return [member, { groupId, memberId: member.member.memberId, generation: member.member.generation }]
}

for (const protocolMax of PROTOCOLS) {
  const name = `protocol ${protocolMax}`

  test(`${name}: what was committed is read, what was aborted is not`, { timeout: 30_000 }, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(3)
    const appender = await appenderForTest(t, peer, { protocolMax })
    for (const round of ['a', 'b', 'c', 'd', 'e']) {
      appender.begin()
      append(appender, topic, `${round}1`, `${round}2`, `${round}3`, `${round}4`)
      if (round === 'b' || round === 'd') await appender.abortTransaction()
      else await appender.commitTransaction()
    }

    const expected = ['a', 'c', 'e'].flatMap(round => [1, 2, 3, 4].map(index => `${round}${index}`))
    assert.deepEqual(await committed(t, peer, { topic, count: expected.length }), expected)
    assert.equal(appender.phase, 'ready')
  })

  test(`${name}: an empty transaction ends without the coordinator`, { timeout: 30_000 }, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(3)
    const appender = await appenderForTest(t, peer, { protocolMax })
    appender.begin()
    await appender.commitTransaction()
    appender.begin()
    await appender.abortTransaction()
    appender.begin()
    append(appender, topic, 'x')
    await appender.commitTransaction()
    assert.deepEqual(await committed(t, peer, { topic, count: 1 }), ['x'])
  })

  test(`${name}: offsets count with the commit, not with the abort`, { timeout: 30_000 }, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(1)
    const [, group] = await memberOf(t, peer, topic)
    const appender = await appenderForTest(t, peer, { protocolMax })
    const offsetOf = async (): Promise<string> => {
      const [found] = await peer.admin.fetchGroupOffsets(group.groupId, [{ topic, partition: 0 }])
      return `${found?.offset} ${found?.metadata}`
    }
    appender.begin()
    await appender.sendOffsets([{ topic, partition: 0, offset: 7n, metadata: 'seven' }], group)
    await appender.abortTransaction()
    assert.equal(await offsetOf(), '-1 ')

    appender.begin()
    append(appender, topic, 'x')
    await appender.sendOffsets([{ topic, partition: 0, offset: 7n, metadata: 'seven' }], group)
    await appender.commitTransaction()
    // The markers of a commit follow its answer: whoever reads offsets waits for them.
    for (let found = await offsetOf(); found !== '7 seven'; found = await offsetOf()) assert.equal(found, '-1 ')
  })

  test(`${name}: offsets of a member that is gone fail the transaction, the next one is free`, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(1)
    const [, group] = await memberOf(t, peer, topic)
    const appender = await appenderForTest(t, peer, { protocolMax })
    const stale = [
      { ...group, generation: group.generation + 7 },
      { ...group, memberId: 'nobody' },
      { ...group, generation: -1, memberId: '' }
    ]
    for (const wrong of stale) {
      appender.begin()
      append(appender, topic, 'x')
      const error = await rejection(appender.sendOffsets([{ topic, partition: 0, offset: 7n }], wrong))
      assert.equal(error.code, 'ERR_CLIENT_TRANSACTION_FAILED')
      assert.ok(Errors.is(error.cause, 'ERR_CLIENT_GENERATION_STALE'))
      const refused = await rejection(appender.commitTransaction())
      assert.equal(refused.code, 'ERR_CLIENT_TRANSACTION_FAILED')
      await appender.abortTransaction()
    }
    appender.begin()
    append(appender, topic, 'y')
    await appender.sendOffsets([{ topic, partition: 0, offset: 8n }], group)
    await appender.commitTransaction()
  })

  test(`${name}: who takes an id over ends the open transaction and fences its owner`, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(3)
    const transactionalId = peer.server.uniqueName('txn')
    const first = await appenderForTest(t, peer, { protocolMax, transactionalId })
    first.begin()
    append(first, topic, 'lost')
    const second = await appenderForTest(t, peer, { protocolMax, transactionalId })

    const failed = await rejection(first.commitTransaction())
    const fenced = failed.code === 'ERR_CLIENT_TRANSACTION_FAILED' ? await rejection(first.abortTransaction()) : failed
    assert.equal(fenced.code, 'ERR_CLIENT_PRODUCER_FENCED')
    assert.equal(first.phase, 'fatal')
    assert.throws(() => first.begin(), { code: 'ERR_CLIENT_PRODUCER_FENCED' })

    second.begin()
    append(second, topic, 'kept')
    await second.commitTransaction()
    assert.deepEqual(await committed(t, peer, { topic, count: 1 }), ['kept'])
  })

  test(`${name}: a record that is too large fails its transaction only`, { timeout: 30_000 }, async t => {
    const peer = await clientForTest(t)
    const topic = await peer.topic(3, { 'max.message.bytes': '2000' })
    const appender = await appenderForTest(t, peer, { protocolMax })
    appender.begin()
    append(appender, topic, 'small')
    appender.append({ topic, key: null, value: Buffer.alloc(5000) })
    const error = await rejection(appender.commitTransaction())
    assert.equal(error.code, 'ERR_CLIENT_TRANSACTION_FAILED')
    assert.ok(Errors.is(error.cause, 'ERR_CLIENT_RECORD_TOO_LARGE'))
    await appender.abortTransaction()
    appender.begin()
    append(appender, topic, 'other')
    await appender.commitTransaction()
    assert.deepEqual(await committed(t, peer, { topic, count: 1 }), ['other'])
  })
}

test('a group that reads committed records and starts at the latest starts before an open transaction', async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const appender = await appenderForTest(t, peer)
  for (const value of ['a', 'b']) {
    appender.begin()
    const delivered = new Promise<void>((resolve, reject) => {
      const listener = { delivered: () => resolve(), failed: reject }
      appender.append({ topic, key: null, value: Buffer.from(value) }, listener)
    })
    await delivered
    if (value === 'a') await appender.commitTransaction()
  }
  const options = { cluster: peer.cluster, topics: [topic], autoOffsetReset: 'latest' } as const
  for (const isReadCommitted of [true, false]) {
    const groupId = peer.server.uniqueName('group')
    const member = new TestMember(t, { ...options, groupId, isReadCommitted }, new Watch())
    await member.watch.until(() => member.held.has(0))
    // 0 is the record of the first transaction, 1 its marker, 2 the record of the open one.
    assert.equal(member.held.get(0)?.offset, isReadCommitted ? 2n : 3n)
    await member.member.close()
  }
  await appender.abortTransaction()
})

test('what the state does not allow is refused', { timeout: 30_000 }, async t => {
  const peer = await clientForTest(t)
  const topic = await peer.topic(1)
  const idle = new TransactionalAppender({ cluster: peer.cluster, transactionalId: 'idle' })
  t.after(() => idle.close())
  assert.throws(() => idle.begin(), { code: 'ERR_CLIENT_TRANSACTION_STATE' })
  const appender = await appenderForTest(t, peer)
  assert.throws(() => append(appender, topic, 'x'), { code: 'ERR_CLIENT_TRANSACTION_STATE' })
  await assert.rejects(appender.commitTransaction(), { code: 'ERR_CLIENT_TRANSACTION_STATE' })
  appender.begin()
  assert.throws(() => appender.begin(), { code: 'ERR_CLIENT_TRANSACTION_STATE' })
  await appender.close()
  await assert.rejects(appender.commitTransaction(), { code: 'ERR_CLIENT_CLOSED' })
  assert.throws(() => new TransactionalAppender({ cluster: peer.cluster, transactionalId: '' }), {
    code: 'ERR_CLIENT_OPTIONS_INVALID'
  })
})
