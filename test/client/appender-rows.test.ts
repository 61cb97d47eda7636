/** Rows are appended, split and handed back as records would be. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import {
  type AppenderOptions,
  type AppendHeader,
  Cluster,
  type DeliveryListener,
  type FetchedChunk,
  type RecordRows,
  type RowPlace
} from '../../src/client/index.ts'
import { type Random, randomInt, SeededRandom } from '../../src/core/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { clientForTest, TestAppender, TestReader } from '../conformance/client-support.ts'
import { type Fate, type FateOf, startProduceModel } from './produce-model.ts'

const ok: Fate = { kind: 'ok' }
const refused = (errorCode: number, isAppended = false): Fate => ({ kind: 'refused', errorCode, isAppended })

/** Rows with these values, with a byte between them that belongs to none. */
function rowsOf(values: readonly string[]): RecordRows {
  const bytes = Buffer.from(values.map(value => `${value}\n`).join(''))
  const spans = new Uint32Array(values.length * 2)
  let at = 0
  for (const [row, value] of values.entries()) {
    spans[row * 2] = at
    at += Buffer.byteLength(value)
    spans[row * 2 + 1] = at
    at += 1
  }
  return { bytes, spans }
}

const noPlace = { headers: undefined, timestampMs: undefined, partition: undefined }

/** All that is stored of each record. */
function recordsOf(chunks: readonly FetchedChunk[]): unknown[] {
  const records: unknown[] = []
  const cursor = new RecordCursor()
  for (const { records: bytes } of chunks) {
    cursor.reset(bytes)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        const [key, value] = [cursor.key()?.toString('latin1'), cursor.value()?.toString('latin1')]
        records.push([cursor.offset(), cursor.timestampMs, key, value, cursor.headers()])
      }
    }
  }
  return records
}

async function appendRows(writer: TestAppender, place: RowPlace, rows: RecordRows): Promise<void> {
  for (let row = 0; row < rows.spans.length / 2; row += 1) {
    while (!writer.appender.appendRow(place, rows, row, writer)) await writer.appender.room()
  }
}

async function model(t: TestContext, fateOf: FateOf, options: Partial<AppenderOptions> & { partitionCount?: number }) {
  const { partitionCount = 1, ...rest } = options
  const produce = await startProduceModel(t, partitionCount, fateOf)
  const cluster = await Cluster.connect({ bootstrapServers: produce.broker.bootstrapServers })
  t.after(() => cluster.close())
  const writer = new TestAppender(t, cluster, { lingerMs: 0, retryBackoffMs: 1, retryBackoffMaxMs: 5, ...rest })
  return { produce, writer }
}

/** Records at random: keys, headers, timestamps and values of all sizes. */
function randomInput(random: Random): { place: RowPlace; value: string }[] {
  const header = (): AppendHeader => ({
    key: 'h'.repeat(randomInt(random, 200)),
    value: randomInt(random, 4) === 0 ? null : Buffer.alloc(randomInt(random, 300), 120)
  })
  return Array.from({ length: 400 }, (_, index) => {
    const headers = randomInt(random, 3) === 0 ? Array.from({ length: randomInt(random, 3) }, header) : undefined
    const key = randomInt(random, 5) === 0 ? Buffer.from('') : Buffer.from('k'.repeat(randomInt(random, 100)) + index)
    const timestampMs = 1_700_000_000_000 + randomInt(random, 1_000_000) - 500_000
    const value = `${index} ${'v'.repeat(randomInt(random, randomInt(random, 20) === 0 ? 20_000 : 300))}`
    return { place: { topic: '', key, headers, timestampMs, partition: undefined }, value }
  })
}

for (const compression of ['none', 'gzip', 'zstd', 'lz4'] as const) {
  const seed = Number(process.env['TEST_SEED'] ?? 81)
  test(`rows make the same log as records (${compression}, TEST_SEED=${seed})`, async t => {
    const { cluster, topic } = await clientForTest(t)
    const names = [await topic(5), await topic(5)] as const
    const writer = new TestAppender(t, cluster, { batchBytes: compression === 'none' ? 4_096 : 65_536, compression })
    const input = randomInput(new SeededRandom(seed))
    const rows = rowsOf(input.map(({ value }) => value))
    const reused: { -readonly [Name in keyof RowPlace]: RowPlace[Name] } = { topic: names[0], key: null, ...noPlace }
    for (const [row, { place, value }] of input.entries()) {
      Object.assign(reused, place, { topic: names[0] })
      assert.ok(writer.appender.appendRow(reused, rows, row, writer))
      const { key, headers, timestampMs = 0 } = place
      const more = headers === undefined ? {} : { headers }
      const record = { topic: names[1], key, value: Buffer.from(value), timestampMs, ...more }
      assert.ok(writer.appender.append(record, writer))
    }
    await writer.appender.flush()

    const reader = new TestReader(t, cluster)
    const partitions = [0, 1, 2, 3, 4]
    const of = (name: string): unknown => {
      const chunks = reader.chunks.filter(chunk => chunk.topic === name)
      return partitions.map(partition => recordsOf(chunks.filter(chunk => chunk.partition === partition)))
    }
    for (const topicName of names) {
      for (const partition of partitions) reader.fetcher.add({ topic: topicName, partition, offset: 0n })
    }
    await reader.watch.until(() => reader.records.length >= 2 * input.length)
    assert.deepEqual(of(names[0]), of(names[1]))
    assert.equal(reader.records.length, 2 * input.length)
    assert.equal(writer.appender.bufferedBytes, 0)
  })
}

test('a row that is refused comes back as a record, with its number and all that it was given', async t => {
  const { writer } = await model(t, () => refused(29), {})
  const rows = rowsOf(['first', 'second', 'third'])
  const headers = [{ key: 'trace', value: Buffer.from('1') }]
  const place = { topic: 't', key: Buffer.from('k'), headers, timestampMs: 1_700_000_000_123, partition: undefined }
  writer.appender.appendRow(place, rows, 2, writer)
  writer.appender.append({ topic: 't', key: null, value: Buffer.from('an object') }, writer)
  writer.appender.appendRow({ ...place, headers: undefined, key: null, partition: 0 }, rows, 1, writer)
  await writer.appender.flush()

  assert.deepEqual(
    writer.failures.flatMap(({ records }) => records),
    [
      {
        topic: 't',
        key: Buffer.from('k'),
        value: Buffer.from('third'),
        timestampMs: 1_700_000_000_123,
        row: 2,
        headers
      },
      { topic: 't', key: null, value: Buffer.from('an object') },
      { topic: 't', key: null, value: Buffer.from('second'), timestampMs: 1_700_000_000_123, row: 1, partition: 0 }
    ]
  )
})

test('rows of a topic that nobody knows come back as records, too', async t => {
  const { cluster } = await clientForTest(t, { requestTimeoutMs: 300 })
  const writer = new TestAppender(t, cluster, { deliveryTimeoutMs: 300 })
  writer.appender.appendRow({ topic: 'nowhere', key: null, ...noPlace }, rowsOf(['a', 'b']), 1, writer)
  await writer.appender.flush()
  assert.deepEqual(
    writer.failures.map(({ error, records }) => [
      error.code,
      records.map(({ value, row }) => [value?.toString(), row])
    ]),
    [['ERR_CLIENT_TOPIC_UNKNOWN', [['b', 1]]]]
  )
})

test('each listener hears of its own rows', async t => {
  const { writer } = await model(t, () => refused(29), { batchBytes: 10_000 })
  const heard: [string, (number | undefined)[]][] = []
  const listener = (name: string): DeliveryListener => ({
    delivered: () => assert.fail('nothing is delivered'),
    failed: (_, records) => heard.push([name, records.map(({ row }) => row)])
  })
  const [one, two] = [listener('one'), listener('two')]
  const rows = rowsOf(['a', 'b', 'c', 'd'])
  const place = { topic: 't', key: null, ...noPlace }
  for (const [row, who] of [one, one, two, one].entries()) writer.appender.appendRow(place, rows, row, who)
  await writer.appender.flush()
  assert.deepEqual(heard, [
    ['one', [0, 1, 3]],
    ['two', [2]]
  ])
})

test('what has no verdict can be looked at, in the order of its partition', async t => {
  let isHolding = false
  const { writer } = await model(t, () => (isHolding ? refused(6) : ok), { batchBytes: 1, retryBackoffMs: 60_000 })
  const place = { topic: 't', key: null, ...noPlace }
  await appendRows(writer, place, rowsOf(['known']))
  await writer.appender.flush()
  isHolding = true
  const rows = rowsOf(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  await appendRows(writer, place, rows)
  await new Promise(resolve => setImmediate(resolve))
  const outstanding = [...writer.appender.outstandingRecords()]
  assert.deepEqual(
    outstanding.map(({ record }) => [record.value?.toString(), record.row]),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((value, row) => [value, row])
  )
  assert.ok(outstanding.every(({ listener }) => listener === writer))
})

for (const offset of process.env['FUZZ'] === 'long' ? [0, 1, 2, 3] : [0, 1]) {
  const seed = Number(process.env['TEST_SEED'] ?? 9_100) + offset
  test(`whatever answers get lost, each row is stored once and in order (TEST_SEED=${seed})`, async t => {
    const random = new SeededRandom(seed)
    const fateOf: FateOf = ({ recordCount }) => {
      if (recordCount > 3) return refused(10)
      const roll = randomInt(random, 12)
      if (roll === 0) return { kind: 'lost', isAppended: true }
      if (roll === 1) return { kind: 'lost', isAppended: false }
      return roll === 2 ? refused(6) : ok
    }
    const compression = (['none', 'gzip', 'lz4', 'zstd'] as const)[offset] ?? 'none'
    // Batches of this size are compressed in threads, which end in any order.
    const [padding, batchBytes, count] = compression === 'zstd' ? [6_000, 20_000, 300] : [5, 150, 1_000]
    const { produce, writer } = await model(t, fateOf, { partitionCount: 3, batchBytes, compression })
    const values = Array.from({ length: count }, (_, index) => `${index}`.padStart(padding, '0'))
    const rows = rowsOf(values)
    for (const [row, value] of values.entries()) {
      const key = Buffer.from(`key ${randomInt(random, 20)}`)
      const append = (): boolean =>
        randomInt(random, 3) === 0
          ? writer.appender.append({ topic: 't', key, value: Buffer.from(value) }, writer)
          : writer.appender.appendRow({ topic: 't', key, ...noPlace }, rows, row, writer)
      while (!append()) await writer.appender.room()
      if (randomInt(random, 10) === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await writer.appender.flush()

    assert.deepEqual(writer.failures, [])
    const stored = produce.partitions.flatMap(partition => partition.values)
    assert.equal(stored.length, new Set(stored).size, 'a record is stored twice')
    assert.deepEqual(new Set(stored), new Set(values))
    for (const { values: log } of produce.partitions) {
      assert.deepEqual(
        log,
        log.toSorted((left, right) => Number(left) - Number(right))
      )
    }
    assert.equal(writer.deliveredCount, stored.length)
    assert.equal(writer.appender.bufferedBytes, 0)
  })
}
