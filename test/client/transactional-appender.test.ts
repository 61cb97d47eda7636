/** A transactional appender whose requests or answers get lost: what it says of a transaction is what became of it. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type Broker, type Fault, startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster, Fetcher, TransactionalAppender } from '../../src/client/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { KAFKA_ERRORS, RecordCursor } from '../../src/protocol/index.ts'

const lost: readonly Fault[] = ['close', 'closeAfter']
const refused: readonly Fault[] = [
  { errorCode: KAFKA_ERRORS.NOT_COORDINATOR.code },
  { errorCode: KAFKA_ERRORS.CONCURRENT_TRANSACTIONS.code }
]
const FAULTS: Readonly<Record<1 | 2, Readonly<Record<string, readonly Fault[]>>>> = {
  1: { InitProducerId: lost, AddPartitionsToTxn: [...lost, ...refused], Produce: lost, EndTxn: [...lost, ...refused] },
  2: { InitProducerId: refused, Produce: lost, EndTxn: [...lost, ...refused] }
}

async function world(t: TestContext): Promise<{ broker: Broker; cluster: Cluster }> {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  return { broker, cluster }
}

/** The committed values of a topic of one partition, up to a last one. */
async function committed(cluster: Cluster, topic: string, last: string): Promise<string[]> {
  const values: string[] = []
  await new Promise<void>((resolve, reject) => {
    const fetcher = new Fetcher({
      cluster,
      isReadCommitted: true,
      maxWaitMs: 20,
      onPartitionError: ({ error }) => reject(error),
      onRecords: ({ records }) => {
        const cursor = new RecordCursor()
        cursor.reset(records)
        while (cursor.nextBatch()) while (cursor.nextRecord()) values.push(cursor.value()?.toString() ?? '')
        if (values.includes(last)) void fetcher.close().then(resolve)
      }
    })
    fetcher.add({ topic, partition: 0, offset: 0n })
    fetcher.start()
  })
  return values
}

for (const protocolMax of [1, 2] as const) {
  test(`protocol ${protocolMax}: a request or an answer that is lost changes nothing`, { timeout: 60_000 }, async t => {
    const { broker, cluster } = await world(t)
    for (const [api, faults] of Object.entries(FAULTS[protocolMax])) {
      for (const fault of faults) {
        const name = `${api}-${typeof fault === 'object' ? JSON.stringify(fault).replaceAll(/\W+/g, '-') : fault}`
        const topic = `t-${name}`
        await new Admin(cluster).createTopics([{ topic, partitionCount: 1 }])
        const rule = broker.faults.inject({ api, fault, nth: 2, times: 2 })
        const appender = new TransactionalAppender({ cluster, transactionalId: name, protocolMax, retryBackoffMs: 1 })
        await appender.start()
        for (const value of ['a', 'b', 'aborted', 'c', 'd']) {
          appender.begin()
          appender.append({ topic, key: null, value: Buffer.from(value) })
          if (value === 'aborted') await appender.abortTransaction()
          else await appender.commitTransaction()
        }
        await appender.close()
        rule.remove()
        assert.deepEqual(await committed(cluster, topic, 'd'), ['a', 'b', 'c', 'd'], name)
      }
    }
  })

  test(`protocol ${protocolMax}: a commit under way when the appender is closed is unknown, not failed`, async t => {
    const { broker, cluster } = await world(t)
    await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
    const appender = new TransactionalAppender({ cluster, transactionalId: 'x', protocolMax })
    await appender.start()
    appender.begin()
    appender.append({ topic: 't', key: null, value: Buffer.from('a') })
    const rule = broker.faults.inject({ api: 'EndTxn', fault: 'dropAnswer' })
    const committing = appender.commitTransaction().catch((error: unknown) => error)
    await rule.untilApplied()
    await appender.close()
    const error = await committing

    assert.equal(PipelineError.is(error) ? error.code : error, 'ERR_CLIENT_TRANSACTION_UNKNOWN')
    assert.deepEqual(await committed(cluster, 't', 'a'), ['a'])
  })

  test(`protocol ${protocolMax}: a commit whose answer is lost before somebody takes over is unknown`, async t => {
    const { broker, cluster } = await world(t)
    await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
    const options = { cluster, transactionalId: 'x', protocolMax, retryBackoffMs: 50 }
    const appender = new TransactionalAppender(options)
    await appender.start()
    appender.begin()
    appender.append({ topic: 't', key: null, value: Buffer.from('a') })
    const rule = broker.faults.inject({ api: 'EndTxn', fault: 'closeAfter' })
    const committing = appender.commitTransaction().catch((error: unknown) => error)
    await rule.untilApplied()
    const thief = new TransactionalAppender(options)
    await thief.start()
    const error = await committing
    await thief.close()
    await appender.close()

    // The retry may have been quicker than the thief; then the coordinator has said that it is committed.
    if (error !== undefined) {
      assert.ok(
        PipelineError.is(error, 'ERR_CLIENT_TRANSACTION_UNKNOWN'),
        PipelineError.is(error) ? error.code : 'no error of ours'
      )
      assert.equal(appender.phase, 'fatal')
    }
    assert.deepEqual(await committed(cluster, 't', 'a'), ['a'])
  })
}

test('a transaction that is open for too long is aborted by the cluster, and the appender says so', async t => {
  const broker = await startBroker({
    config: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '50' }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const options = { cluster, transactionalId: 'slow', transactionTimeoutMs: 100, lingerMs: 0 }
  const appender = new TransactionalAppender(options)
  await appender.start()
  appender.begin()
  const delivered = new Promise<void>((resolve, reject) => {
    appender.append({ topic: 't', key: null, value: Buffer.from('a') }, { delivered: () => resolve(), failed: reject })
  })
  await delivered
  const admin = new Admin(cluster)
  const stableEnd = async (): Promise<bigint | undefined> => {
    const [listed] = await admin.listOffsets([{ topic: 't', partition: 0, at: 'latest' }], { isReadCommitted: true })
    return listed?.offset
  }
  // The marker of the abort lets readers of committed records past.
  while ((await stableEnd()) === 0n);
  await assert.rejects(appender.commitTransaction(), { code: 'ERR_CLIENT_PRODUCER_FENCED' })
  await appender.close()

  const next = new TransactionalAppender(options)
  await next.start()
  next.begin()
  next.append({ topic: 't', key: null, value: Buffer.from('b') })
  await next.commitTransaction()
  await next.close()
  assert.deepEqual(await committed(cluster, 't', 'b'), ['b'])
})

test('an abort does not wait for offsets that a group does not take', { timeout: 20_000 }, async t => {
  const { broker, cluster } = await world(t)
  const appender = new TransactionalAppender({ cluster, transactionalId: 'x', retryBackoffMs: 1 })
  t.after(() => appender.close())
  await appender.start()
  appender.begin()
  const rule = broker.faults.inject({ api: 'TxnOffsetCommit', fault: { error: 'REBALANCE_IN_PROGRESS' } })
  const group = { groupId: 'g', memberId: 'm', generation: 1, groupInstanceId: undefined }
  const sent = appender.sendOffsets([{ topic: 't', partition: 0, offset: 1n }], group)
  const refused = assert.rejects(sent, { code: 'ERR_CLIENT_TRANSACTION_FAILED' })
  await rule.untilApplied()
  // The transaction may stay open for a minute, and so long the offsets would be tried again.
  await appender.abortTransaction()
  await refused
  assert.equal(appender.phase, 'ready')
})
