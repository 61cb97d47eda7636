/** Transactions through the sockets of a broker that stops, dies and starts again on the same folder. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../../src/broker/index.ts'
import { deleteTopicsApi, offsetFetchApi, txnOffsetCommitApi } from '../../../src/protocol/index.ts'
import { createTopic, errorOf, type Peer, type Topic } from '../../conformance/support.ts'
import { init, PROTOCOLS, read, TransactionalProducer, untilRead } from '../../conformance/transactions-support.ts'
import { spawnBound } from '../../support/child-process.ts'
import { uniqueName } from '../../support/cluster.ts'
import { RawConnection } from '../../support/raw-connection.ts'

interface Running extends Peer {
  /** Stops it in good order, or kills it. */
  stop(): Promise<void>
}

/** A folder that is removed when all that was started on it has stopped. */
interface DataFolder {
  readonly path: string
  readonly stops: (() => Promise<void>)[]
}

async function dataFolder(t: TestContext): Promise<DataFolder> {
  const path = await mkdtemp(join(tmpdir(), 'comporta-txn-'))
  const stops: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const stop of stops) await stop()
    await rm(path, { recursive: true, force: true })
  })
  return { path, stops }
}

async function start(t: TestContext, folder: DataFolder, config: Record<string, string> = {}): Promise<Running> {
  const broker = await startBroker({ dataDir: folder.path, config })
  folder.stops.push(() => broker.close())
  const cluster = { bootstrapServers: broker.bootstrapServers, isEmbedded: true, uniqueName }
  return { cluster, connection: await RawConnection.open(t, cluster), stop: () => broker.close() }
}

/** A broker in a process of its own, which `stop` kills. */
async function startProcess(t: TestContext, folder: DataFolder): Promise<Running> {
  const program = join(import.meta.dirname, '../broker-process.ts')
  const child = spawnBound(process.execPath, [program, folder.path])
  const [line] = await once(child.stdout ?? child, 'data')
  const bootstrapServers = /"bootstrapServers":"([^"]+)"/.exec(String(line))?.[1] ?? ''
  const cluster = { bootstrapServers, isEmbedded: true, uniqueName }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }
  folder.stops.push(stop)
  return { cluster, connection: await RawConnection.open(t, cluster), stop }
}

async function commitOffset(producer: TransactionalProducer, topic: Topic, groupId: string): Promise<void> {
  const partitions = [{ partitionIndex: 0, committedOffset: 5n, committedMetadata: 'kept' }]
  const { transactionalId, identity, peer } = producer
  const message = { transactionalId, groupId, ...identity, topics: [{ name: topic.name, partitions }] }
  const stored = await peer.connection.request(txnOffsetCommitApi, { version: 5, message })
  assert.equal(errorOf(stored.topics[0]?.partitions[0]), 'NONE')
}

async function fetchOffset({ connection }: Peer, topic: Topic, groupId: string): Promise<string> {
  const groups = [{ groupId, topics: [{ name: topic.name, partitionIndexes: [0] }] }]
  const answer = await connection.request(offsetFetchApi, { version: 8, message: { groups, requireStable: true } })
  const partition = answer.groups[0]?.topics[0]?.partitions[0]
  return errorOf(partition) === 'NONE' ? `${partition?.committedOffset} ${partition?.metadata}` : errorOf(partition)
}

for (const [how, begin] of [
  ['stopped', start],
  ['killed', startProcess]
] as const) {
  test(`an open transaction goes on after the broker was ${how}: records, offsets and end`, async t => {
    const folder = await dataFolder(t)
    const first = await begin(t, folder)
    const topic = await createTopic(first)
    const before = await TransactionalProducer.start(first, PROTOCOLS.version2)
    await before.send({ topic }, 'one')
    await commitOffset(before, topic, 'group')
    await first.stop()

    const second = await start(t, folder)
    const after = TransactionalProducer.resume(second, before)
    assert.equal((await read(second, topic, { isCommitted: true })).lastStableOffset, 0n)
    assert.equal(await fetchOffset(second, topic, 'group'), 'UNSTABLE_OFFSET_COMMIT')
    await after.send({ topic }, 'two')
    await after.end(true)

    await untilRead(second, topic, { values: ['one', 'two'] })
    assert.equal(await fetchOffset(second, topic, 'group'), '5 kept')
    await second.stop()
    const third = await start(t, folder)
    assert.equal(await fetchOffset(third, topic, 'group'), '5 kept')
    assert.deepEqual((await read(third, topic, { isCommitted: true })).values, ['one', 'two'])
  })

  test(`what was aborted before the broker was ${how} stays aborted`, async t => {
    const folder = await dataFolder(t)
    const first = await begin(t, folder)
    const topic = await createTopic(first)
    const before = await TransactionalProducer.start(first, PROTOCOLS.version2)
    await before.send({ topic }, 'one')
    await commitOffset(before, topic, 'group')
    await before.end(false)
    await first.stop()

    const second = await start(t, folder)
    const after = TransactionalProducer.resume(second, before)
    await after.send({ topic }, 'two')
    await after.end(true)

    await untilRead(second, topic, { values: ['two'] })
    assert.equal(await fetchOffset(second, topic, 'group'), '-1 ')
  })
}

test('a transaction that outlives its timeout is aborted, its records and offsets with it', async t => {
  const config = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '20' }
  const peer = await start(t, await dataFolder(t), config)
  const topic = await createTopic(peer)
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2, { timeoutMs: 50 })
  await producer.send({ topic }, 'one')
  await commitOffset(producer, topic, 'group').catch(() => undefined)

  await untilRead(peer, topic, { values: [] })

  assert.equal((await read(peer, topic, { isCommitted: false })).values.length, 1)
  assert.equal(errorOf(await producer.sendOnce({ topic }, 'late')), 'INVALID_PRODUCER_EPOCH')
  assert.equal(await fetchOffset(peer, topic, 'group'), '-1 ')
})

test('a deleted topic does not hold up the transaction that wrote to it', async t => {
  const peer = await start(t, await dataFolder(t))
  const [gone, kept] = [await createTopic(peer), await createTopic(peer)]
  const producer = await TransactionalProducer.start(peer, PROTOCOLS.version2)
  await producer.send({ topic: gone }, 'one')
  await producer.send({ topic: kept }, 'two')
  const message = { topics: [{ name: gone.name }], timeoutMs: 5000 }
  const deleted = await peer.connection.request(deleteTopicsApi, { version: 6, message })
  assert.equal(errorOf(deleted.responses[0]), 'NONE')

  await producer.end(true)

  await untilRead(peer, kept, { values: ['two'] })
  assert.ok((await init(peer, producer.transactionalId)).producerEpoch > producer.identity.producerEpoch)
})
