/** Order and single storage of appended records, whatever becomes of the answers. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Cluster } from '../../src/client/index.ts'
import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { TestAppender } from '../conformance/client-support.ts'
import { type Fate, type FateOf, type ProduceModel, startProduceModel } from './produce-model.ts'

const ok: Fate = { kind: 'ok' }
const refused = (errorCode: number, isAppended = false): Fate => ({ kind: 'refused', errorCode, isAppended })
const notLeader = 6
const timedOut = 7
const tooLarge = 10
const unauthorized = 29
const unknownProducer = 59

interface Setup {
  readonly model: ProduceModel
  readonly writer: TestAppender
  /** Appends one value at a time, so that each is a batch of its own as far as the appender lets it. */
  readonly append: (...values: readonly string[]) => Promise<void>
}

async function setUp(
  t: TestContext,
  fates: readonly Fate[] | FateOf,
  options: { partitionCount?: number; batchBytes?: number; isIdempotent?: boolean } = {}
): Promise<Setup> {
  const { partitionCount = 1, ...rest } = options
  let next = 0
  const fateOf: FateOf = typeof fates === 'function' ? fates : () => fates[next++] ?? ok
  const model = await startProduceModel(t, partitionCount, fateOf)
  const cluster = await Cluster.connect({ bootstrapServers: model.broker.bootstrapServers })
  t.after(() => cluster.close())
  const writer = new TestAppender(t, cluster, {
    batchBytes: 1, // Every record is a batch.
    lingerMs: 0,
    retryBackoffMs: 1,
    retryBackoffMaxMs: 5,
    ...rest
  })
  const append = (...values: readonly string[]): Promise<void> =>
    writer.append(...values.map(value => ({ topic: 't', key: Buffer.from('k'), value: Buffer.from(value) })))
  return { model, writer, append }
}

test('a batch whose answer was lost is sent again and stored once', async t => {
  const { model, writer, append } = await setUp(t, [ok, { kind: 'lost', isAppended: true }])
  await append('a', 'b', 'c', 'd')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c', 'd'])
  assert.deepEqual(
    writer.batches.map(({ baseOffset }) => baseOffset),
    [0n, 1n, 2n, 3n]
  )
})

test('after a batch was refused, those behind it wait until it is in', async t => {
  const { model, append } = await setUp(t, [ok, refused(notLeader), ok, refused(timedOut, true)])
  await append('a', 'b', 'c', 'd', 'e')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c', 'd', 'e'])
  assert.deepEqual(model.partitions[0]?.stamps, ['0:0-0', '0:1-1', '0:2-2', '0:3-3', '0:4-4'])
})

test('a batch that is given up leaves a gap, which ends with the next epoch and without a loss', async t => {
  const { model, writer, append } = await setUp(t, [ok, refused(unauthorized)])
  await append('a', 'b', 'c', 'd')
  assert.deepEqual(
    writer.failures.map(({ error }) => [error.code, error.kafkaCode]),
    [['ERR_CLIENT_KAFKA', 29]]
  )
  assert.deepEqual(
    writer.failures[0]?.records.map(({ value }) => value?.toString()),
    ['b']
  )
  assert.deepEqual(model.partitions[0]?.values, ['a', 'c', 'd'])
  assert.deepEqual(model.partitions[0]?.stamps, ['0:0-0', '1:0-0', '1:1-1'])
})

test('a producer that the broker has forgotten begins its sequences again', async t => {
  // Brokers before 2.5 refuse everything of a producer they do not know, whatever its sequence.
  const { model, append } = await setUp(t, [ok, refused(unknownProducer), refused(unknownProducer)])
  await append('a')
  model.partitions[0]?.forgetProducers()
  await append('b', 'c')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c'])
  assert.deepEqual(model.partitions[0]?.stamps, ['0:0-0', '1:0-0', '1:1-1'])
  assert.equal(model.producerIdCount(), 1)
})

test('an epoch that the broker refuses is left for another producer id', async t => {
  const { model, append } = await setUp(t, [ok, refused(47)])
  await append('a')
  await append('b', 'c')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c'])
  assert.deepEqual(model.partitions[0]?.stamps, ['0:0-0', '0:0-0', '0:1-1'])
  assert.equal(model.producerIdCount(), 2)
})

test('halves of a batch that was too large keep the sequences of the whole', async t => {
  const { model, append } = await setUp(t, [ok, refused(tooLarge), refused(tooLarge)], { batchBytes: 10_000 })
  await append('a')
  await append('b', 'c', 'd', 'e', 'f')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c', 'd', 'e', 'f'])
  assert.deepEqual(model.partitions[0]?.stamps, ['0:0-0', '0:1-2', '0:3-3', '0:4-5'])
})

test('without idempotence one batch is in flight at a time, so that order holds without sequences', async t => {
  const { model, append } = await setUp(t, [ok, refused(notLeader), ok, refused(notLeader)], { isIdempotent: false })
  await append('a', 'b', 'c', 'd')
  assert.deepEqual(model.partitions[0]?.values, ['a', 'b', 'c', 'd'])
  assert.deepEqual(model.partitions[0]?.stamps, ['-1:-1--1', '-1:-1--1', '-1:-1--1', '-1:-1--1'])
})

test('idempotence without acks of all replicas is refused', async t => {
  const model = await startProduceModel(t, 1, () => ok)
  const cluster = await Cluster.connect({ bootstrapServers: model.broker.bootstrapServers })
  t.after(() => cluster.close())
  assert.throws(() => new TestAppender(t, cluster, { acks: 'leader', isIdempotent: true }), {
    code: 'ERR_CLIENT_OPTIONS_INVALID'
  })
  assert.throws(() => new TestAppender(t, cluster, { inFlightMax: 6 }), { code: 'ERR_CLIENT_OPTIONS_INVALID' })
})

for (const offset of [0, 1, 2]) {
  const seed = Number(process.env['TEST_SEED'] ?? 7_000) + offset
  test(`whatever answers get lost, each record is stored once and in order (TEST_SEED=${seed})`, async t => {
    const random = new SeededRandom(seed)
    const fateOf: FateOf = ({ recordCount }) => {
      if (recordCount > 3) return refused(tooLarge)
      const roll = randomInt(random, 12)
      if (roll === 0) return { kind: 'lost', isAppended: true }
      if (roll === 1) return { kind: 'lost', isAppended: false }
      if (roll === 2) return refused(notLeader)
      return roll === 3 ? refused(timedOut, true) : ok
    }
    const { model, writer } = await setUp(t, fateOf, { partitionCount: 3, batchBytes: 150 })
    const values = Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(5, '0'))

    for (const value of values) {
      const key = Buffer.from(`key ${randomInt(random, 20)}`)
      while (!writer.appender.append({ topic: 't', key, value: Buffer.from(value) }, writer))
        await writer.appender.room()
      if (randomInt(random, 10) === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await writer.appender.flush()

    assert.deepEqual(writer.failures, [])
    const stored = model.partitions.flatMap(partition => partition.values)
    assert.equal(stored.length, new Set(stored).size, 'a record is stored twice')
    assert.deepEqual(new Set(stored), new Set(values))
    for (const { values: log } of model.partitions) {
      assert.deepEqual(
        log,
        log.toSorted((left, right) => Number(left) - Number(right))
      )
    }
    assert.equal(writer.deliveredCount, stored.length)
    assert.equal(writer.appender.bufferedBytes, 0)
  })
}
