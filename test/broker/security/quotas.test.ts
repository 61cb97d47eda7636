/** Quotas: the arithmetic of Kafka's windows by hand, which quota holds, and what clients feel of it. */

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { limitFor, type QuotaEntity } from '../../../src/broker/security/quotas/quota-entities.ts'
import { identityOf } from '../../../src/broker/security/quotas/quota-entities.ts'
import { CLIENTS_MAX, Quotas } from '../../../src/broker/security/quotas/quotas.ts'
import { ENTITY_COUNT_MAX, QuotaStore } from '../../../src/broker/security/quotas/quota-store.ts'
import { SampledRate, TokenBucket } from '../../../src/broker/security/quotas/sampled-rate.ts'
import { PipelineError, VirtualClock } from '../../../src/core/index.ts'
import { alterClientQuotasApi, describeClientQuotasApi, metadataApi, produceApi } from '../../../src/protocol/index.ts'
import { batchOf } from '../../conformance/support.ts'
import { brokerFor, connectTo } from '../support.ts'

const windows = { count: 11, windowMs: 1000 }

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-quotas-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a first burst is spread over ten windows: 10 s for a rate, and the wait is what is missing to it', () => {
  const rate = new SampledRate(windows)
  rate.record(20_000, 5_000)

  assert.equal(rate.perSecond(5_000), 2_000) // 20,000 in 10 s
  assert.equal(rate.throttleMs(2_000, 5_000), 0)
  assert.equal(rate.throttleMs(1_000, 5_000), 10_000) // at 1,000 per second, 20,000 take 20 s: 10 more
  assert.equal(rate.throttleMs(500, 5_000), 30_000)
})

test('a rate is what came in the windows over the time they span, and forgets what is older than all of them', () => {
  const rate = new SampledRate(windows)
  for (let second = 0; second < 20; second++) rate.record(100, second * 1000)

  // 11 windows are kept, the oldest from second 9: half a second into the last, 10.5 s hold 1,100.
  assert.equal(rate.perSecond(19_500), 1_100 / 10.5)
  rate.record(50, 40_000)
  assert.equal(rate.perSecond(40_000), 5)
})

test('what is taken back is as if it had never come', () => {
  const rate = new SampledRate(windows)
  rate.record(100, 1_000)
  rate.record(900, 1_500)
  rate.record(-900, 1_500)
  assert.equal(rate.perSecond(1_500), 100 / 10.5)
})

test('a bucket holds all windows, may be overdrawn once and fills at its rate', () => {
  const bucket = new TokenBucket(windows)
  assert.equal(bucket.throttleMs(2, 0), 0)
  bucket.take(22, 2, 0) // 11 windows of 2: it is empty now, and owes nothing
  assert.equal(bucket.throttleMs(2, 0), 0)
  bucket.take(10, 2, 0)
  assert.equal(bucket.throttleMs(2, 0), 5_000) // 10 at 2 per second
  assert.equal(bucket.throttleMs(2, 4_000), 1_000)
  assert.equal(bucket.throttleMs(2, 5_000), 0)
  bucket.take(22, 2, 1_000_000) // it never holds more
  assert.equal(bucket.throttleMs(2, 1_000_000), 0)
  bucket.take(1, 2, 1_000_000)
  assert.equal(bucket.throttleMs(2, 1_000_000), 500)
})

test('the most specific quota holds, one kind of quota apart from the other', () => {
  // In the order of Kafka's documentation.
  const entities: QuotaEntity[] = [
    { user: 'u', clientId: 'c' },
    { user: 'u', clientId: null },
    { user: 'u' },
    { user: null, clientId: 'c' },
    { user: null, clientId: null },
    { user: null },
    { clientId: 'c' },
    { clientId: null }
  ]
  const client = { user: 'u', clientId: 'c' }
  for (let from = 0; from < entities.length; from++) {
    const table = new Map(
      entities.slice(from).map((entity, index) => [identityOf(entity), new Map([['producer_byte_rate', from + index]])])
    )
    assert.equal(limitFor(table, 'producer_byte_rate', client)?.value, from)
    assert.equal(limitFor(table, 'consumer_byte_rate', client), undefined)
  }
  const table = new Map([
    [identityOf({ user: 'u' }), new Map([['producer_byte_rate', 1]])],
    [identityOf({ clientId: 'c' }), new Map([['consumer_byte_rate', 2]])]
  ])
  assert.equal(limitFor(table, 'producer_byte_rate', client)?.value, 1)
  assert.equal(limitFor(table, 'consumer_byte_rate', client)?.value, 2)
  assert.equal(limitFor(table, 'producer_byte_rate', { user: 'v', clientId: 'c' }), undefined)
})

async function quotasFor(
  t: TestContext,
  rows: readonly [QuotaEntity, Record<string, number>][]
): Promise<{ quotas: Quotas; clock: VirtualClock }> {
  const clock = new VirtualClock()
  const quotas = await Quotas.open({ dataDir: await folderFor(t), clock, windows, mutationWindows: windows })
  await quotas.store.change(rows.map(([entity, values]) => ({ entity, values: new Map(Object.entries(values)) })))
  return { quotas, clock }
}

const alice = { principal: 'User:alice', clientId: 'one' }

test('client ids of a user share its quota, each under a default has its own', async t => {
  const { quotas } = await quotasFor(t, [
    [{ user: 'alice' }, { producer_byte_rate: 100 }],
    [{ clientId: null }, { producer_byte_rate: 100 }]
  ])
  assert.equal(quotas.produced(alice, 1_000), 0)
  assert.ok(quotas.produced({ ...alice, clientId: 'two' }, 1_000) > 0)
  const bob = { principal: 'User:bob', clientId: 'one' }
  assert.equal(quotas.produced(bob, 1_000), 0)
  assert.ok(quotas.produced({ principal: 'User:carol', clientId: 'one' }, 1_000) > 0)
  assert.equal(quotas.produced({ ...bob, clientId: 'two' }, 1_000), 0)
})

test('a fetch that is too large is not counted, and no fetch is to be larger than ten windows', async t => {
  const { quotas, clock } = await quotasFor(t, [[{ user: 'alice' }, { consumer_byte_rate: 100 }]])
  assert.equal(quotas.fetchBytesMax(alice), 1_000)
  assert.equal(quotas.fetchBytesMax({ ...alice, principal: 'User:bob' }), Number.MAX_SAFE_INTEGER)
  assert.equal(quotas.fetched(alice, 1_000), 0)
  assert.equal(quotas.fetched(alice, 1_000), 10_000)
  assert.equal(quotas.fetched(alice, 500), 5_000)
  await clock.advance(11_000)
  assert.equal(quotas.fetched(alice, 500), 0)
})

test('the time of requests is counted in percent of one thread, and throttles for one window at most', async t => {
  const { quotas } = await quotasFor(t, [[{ user: 'alice' }, { request_percentage: 10 }]])
  // 10 % over 10 s are 1,000 ms.
  assert.equal(quotas.worked(alice, 1_000), 0)
  assert.equal(quotas.worked(alice, 50), 500)
  assert.equal(quotas.worked(alice, 5_000), 1_000)
})

test('a strict client is refused while it owes, a lenient one is told to wait', async t => {
  const { quotas, clock } = await quotasFor(t, [[{ user: 'alice' }, { controller_mutation_rate: 1 }]])
  const strict = quotas.mutationsOf(alice, true)
  assert.equal(strict.pay(16), true) // 11 are there, 5 are owed
  assert.equal(strict.throttleMs, 0)
  assert.equal(strict.pay(1), false)
  assert.equal(strict.throttleMs, 5_000)
  const lenient = quotas.mutationsOf(alice, false)
  assert.equal(lenient.pay(1), true)
  assert.equal(lenient.throttleMs, 6_000)
  await clock.advance(6_000)
  assert.equal(quotas.mutationsOf(alice, true).pay(1), true)
})

test('the quota of an address holds however it was written, the default for all others', async t => {
  const { quotas } = await quotasFor(t, [
    [{ ip: '0:0:0:0:0:0:0:1' }, { connection_creation_rate: 1 }],
    [{ ip: null }, { connection_creation_rate: 2 }]
  ])
  const admitted = (ip: string): number => {
    let count = 0
    while (quotas.connected(ip) === 0) count += 1
    return count
  }
  assert.deepEqual([admitted('::1'), admitted('10.0.0.1'), admitted('10.0.0.2')], [10, 20, 20])
})

test('a quota counts from the moment it is set, changed or removed', async t => {
  const { quotas } = await quotasFor(t, [[{ user: 'alice' }, { producer_byte_rate: 100 }]])
  const change = (value: number | null): Promise<boolean> =>
    quotas.store.change([{ entity: { user: 'alice' }, values: new Map([['producer_byte_rate', value]]) }])
  assert.equal(quotas.produced(alice, 2_000), 10_000)
  await change(1_000)
  assert.equal(quotas.produced(alice, 0), 0)
  await change(null)
  assert.equal(quotas.isActive, false)
  assert.equal(quotas.produced(alice, 1_000_000_000), 0)
})

test('more clients than are remembered are counted all the same, one after the other', async t => {
  const { quotas } = await quotasFor(t, [[{ clientId: null }, { producer_byte_rate: 10 }]])
  for (let each = 0; each < CLIENTS_MAX + 10; each++)
    assert.equal(quotas.produced({ principal: 'User:a', clientId: `c${each}` }, 100), 0)
  assert.ok(quotas.produced({ principal: 'User:a', clientId: `c${CLIENTS_MAX + 9}` }, 100) > 0)
})

test('quotas are there again after a restart; a damaged file keeps the broker from starting', async t => {
  const dataDir = await folderFor(t)
  const store = await QuotaStore.open(dataDir)
  const rows = [
    { entity: { user: null, clientId: 'c' }, values: new Map([['request_percentage', 2.5]]) },
    { entity: { ip: '10.0.0.1' }, values: new Map([['connection_creation_rate', 3]]) }
  ]
  await store.change(rows)
  assert.deepEqual((await QuotaStore.open(dataDir)).rows, rows)
  for (const damage of ['', '{"version":1,"quotas":[{"entity":{},"values":{}}]}', '{"version":2,"quotas":[]}']) {
    await writeFile(join(dataDir, 'comporta-quotas.json'), damage)
    await assert.rejects(QuotaStore.open(dataDir), error => PipelineError.is(error, 'ERR_BROKER_DATA_DAMAGED'))
  }
})

test('more entities than there may be are refused together', async t => {
  const store = await QuotaStore.open(await folderFor(t))
  const values = new Map([['producer_byte_rate', 1]])
  const many = Array.from({ length: ENTITY_COUNT_MAX + 1 }, (_, index) => ({ entity: { user: `u${index}` }, values }))
  assert.equal(await store.change(many), false)
  assert.equal(store.rows.length, 0)
})

test('without acks a producer above its quota is only read no more', async t => {
  const clock = new VirtualClock()
  const broker = await brokerFor(t, { clock })
  const admin = await connectTo(t, broker)
  const entity = [{ entityType: 'client-id', entityName: 'conformance' }]
  const ops = [{ key: 'producer_byte_rate', value: 1000, remove: false }]
  await admin.request(alterClientQuotasApi, { version: 1, message: { entries: [{ entity, ops }] } })
  await admin.request(metadataApi, {
    version: 9,
    message: { topics: [{ name: 'quick' }], allowAutoTopicCreation: true }
  })
  const producer = await connectTo(t, broker)
  const partitionData = [{ index: 0, records: batchOf(['x'.repeat(20_000)], { timestampMs: clock.now() }) }]
  const message = { acks: 0, timeoutMs: 5000, topicData: [{ name: 'quick', partitionData }] }
  producer.sendOnly(produceApi, { version: 9, message })
  let isAnswered = false
  const answered = producer
    .request(metadataApi, { version: 9, message: { topics: [] } })
    .then(() => (isAnswered = true))
  // Other connections go on; twice, so that the producer's requests have certainly been seen.
  for (let each = 0; each < 5; each++) await admin.request(describeClientQuotasApi, { version: 1, message: {} })
  assert.equal(isAnswered, false)

  await clock.advance(60_000)

  assert.equal(await answered, true)
})

test('an address that connects too often is kept waiting and then closed', async t => {
  const clock = new VirtualClock()
  const broker = await brokerFor(t, { clock })
  const admin = await connectTo(t, broker)
  const entity = [{ entityType: 'ip', entityName: '127.0.0.3' }]
  const ops = [{ key: 'connection_creation_rate', value: 1, remove: false }]
  await admin.request(alterClientQuotasApi, { version: 1, message: { entries: [{ entity, ops }] } })
  const connect = async (localAddress: string): Promise<net.Socket> => {
    const socket = net.connect({ port: broker.port, host: '127.0.0.1', localAddress })
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  // Ten windows of one per second are ten at once.
  for (let each = 0; each < 10; each++) await connect('127.0.0.3')
  const eleventh = await connect('127.0.0.3')
  const closed = once(eleventh, 'close')
  eleventh.resume()
  await connect('127.0.0.4')
  await clock.advance(10_000)
  await closed
})
