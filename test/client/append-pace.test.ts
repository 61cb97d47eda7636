/** When batches go out: linger, and the rests that brokers ask for. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, type AppenderOptions, Cluster } from '../../src/client/index.ts'
import { AppendLine, AppendLines } from '../../src/client/append-line.ts'
import { Linger } from '../../src/client/append-linger.ts'
import { randomInt, SeededRandom, turn, VirtualClock } from '../../src/core/index.ts'
import { alterClientQuotasApi, produceApi } from '../../src/protocol/index.ts'
import { TestAppender } from '../conformance/client-support.ts'
import { type FateOf, startProduceModel } from './produce-model.ts'

/** Sends batches of one size at a rate for a second. */
function load(linger: Linger, from: { readonly startMs: number; readonly bytesPerMs: number }): number[] {
  const lingers: number[] = []
  for (let ms = 1; ms <= 1_000; ms += 1) {
    linger.sent(from.bytesPerMs, from.startMs + ms)
    lingers.push(linger.currentMs)
  }
  return lingers
}

test('a fixed linger waits its time, whatever the load', () => {
  const linger = new Linger(20)
  load(linger, { startMs: 0, bytesPerMs: 100_000 })
  assert.equal(linger.currentMs, 20)
})

test('an adaptive linger is 0 with little to do, 5 ms under load, and follows the load within 100 ms', () => {
  const linger = new Linger('adaptive')
  assert.equal(linger.currentMs, 0)
  // 13,000 records/s of 200 bytes are 2,600 bytes/ms.
  assert.deepEqual(new Set(load(linger, { startMs: 0, bytesPerMs: 2_600 })), new Set([0]))
  assert.deepEqual(new Set(load(linger, { startMs: 1_000, bytesPerMs: 100_000 }).slice(100)), new Set([5]))
  assert.deepEqual(new Set(load(linger, { startMs: 2_000, bytesPerMs: 2_600 }).slice(100)), new Set([0]))
  assert.deepEqual(new Set(load(linger, { startMs: 3_000, bytesPerMs: 12_500 }).slice(100)), new Set([3]))
})

const lingerSeed = Number(process.env['TEST_SEED'] ?? 51)
test(`an adaptive linger stays between 0 and 5 ms, whatever comes (TEST_SEED=${lingerSeed})`, () => {
  const random = new SeededRandom(lingerSeed)
  const linger = new Linger('adaptive')
  let nowMs = 0
  for (let round = 0; round < 20_000; round += 1) {
    nowMs += randomInt(random, 5) === 0 ? randomInt(random, 10_000) : random.next()
    linger.sent(randomInt(random, 1_000_000), nowMs)
    assert.ok([0, 1, 2, 3, 4, 5].includes(linger.currentMs), `${linger.currentMs}`)
  }
})

test('a partition always uses the same connection to its leader, and partitions are spread', () => {
  const lines = new AppendLines(['a', 'b'])
  assert.equal(lines.of(-1, 0), undefined)
  assert.equal(lines.of(7, 4), lines.of(7, 4))
  assert.notEqual(lines.of(7, 4), lines.of(8, 4))
  assert.deepEqual(
    [0, 1, 2, 3].map(partition => lines.of(7, partition)?.lane),
    ['a', 'b', 'a', 'b']
  )
})

test('throttle times of one connection do not add up where they overlap', () => {
  const line = new AppendLine(1, 'a')
  assert.equal(line.throttle(300, 1_000), 300)
  assert.equal(line.throttle(100, 1_050), 0)
  assert.equal(line.throttle(300, 1_100), 100)
  assert.equal(line.restUntilMs, 1_400)
})

test('requests leave a connection in the order in which they took their turns, whichever is ready first', async () => {
  const line = new AppendLine(1, 'a')
  const left: string[] = []
  const turns = ['first', 'second', 'third'].map(name => ({ name, turn: line.takeTurn() }))
  const leave = async ({ name, turn }: (typeof turns)[number]): Promise<void> => {
    await turn.before
    left.push(name)
    turn.done()
    turn.done()
  }
  await Promise.all(turns.toReversed().map(leave))
  assert.deepEqual(left, ['first', 'second', 'third'])
  assert.equal(line.hasTurns, false)
})

const options: Partial<AppenderOptions> = { batchBytes: 1, lingerMs: 0 }

test('while a broker throttles a connection, nothing is sent on it; then everything is, in order', async t => {
  let isThrottling = true
  const fateOf: FateOf = () => (isThrottling ? { kind: 'ok', throttleTimeMs: 5_000 } : { kind: 'ok' })
  const model = await startProduceModel(t, 2, fateOf)
  const clock = new VirtualClock()
  const cluster = await Cluster.connect({ bootstrapServers: model.broker.bootstrapServers })
  t.after(() => cluster.close())
  const writer = new TestAppender(t, cluster, { ...options, clock, connectionsPerBroker: 2 })
  const append = (value: string, partition: number): void => {
    assert.ok(writer.appender.append({ topic: 't', key: null, value: Buffer.from(value), partition }, writer))
  }
  const produceCount = (): number => model.broker.requests.filter(({ apiKey }) => apiKey === produceApi.key).length
  append('first', 0)
  await writer.appender.flush()
  assert.equal(writer.appender.throttledMs, 5_000)

  isThrottling = false
  for (const value of ['second', 'third']) append(value, 0)
  append('elsewhere', 1) // The other connection does not rest.
  while (writer.deliveredCount < 2) await turn()
  await clock.advance(4_999)
  for (let round = 0; round < 50; round += 1) await turn()
  assert.equal(produceCount(), 2)
  await clock.advance(2)
  await writer.appender.flush()
  assert.deepEqual(
    model.partitions.map(({ values }) => values),
    [['first', 'second', 'third'], ['elsewhere']]
  )
})

test('the quota of a broker slows an appender down and loses nothing', { timeout: 30_000 }, async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'slowed' })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 't', partitionCount: 1 }])
  const entity = [{ entityType: 'client-id', entityName: 'slowed' }]
  const ops = [{ key: 'producer_byte_rate', value: 100_000, remove: false }]
  await cluster.send(alterClientQuotasApi, { entries: [{ entity, ops }], validateOnly: false }, { to: 'controller' })
  const writer = new TestAppender(t, cluster, { batchBytes: 60_000 })
  const value = Buffer.alloc(10_000, 'x')
  await writer.append(...Array.from({ length: 112 }, () => ({ topic: 't', key: null, value })))
  assert.equal(writer.deliveredCount, 112)
  assert.ok(writer.appender.throttledMs > 0, 'the appender was throttled')
})

test('options of the pace that cannot be are refused', async t => {
  const broker = await startBroker()
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  for (const wrong of [{ connectionsPerBroker: 0 }, { connectionsPerBroker: 9 }, { lingerMs: -1 }] as const) {
    assert.throws(() => new Appender({ cluster, ...wrong }), { code: 'ERR_CLIENT_OPTIONS_INVALID' })
  }
})
