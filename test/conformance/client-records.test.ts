/** Raw append and raw fetch, against the embedded broker and against Apache Kafka. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientForTest, inOrder, TestAppender, TestReader } from './client-support.ts'

// murmur2 of Kafka's own tests (`UtilsTest.testMurmur2`), without the sign bit, modulo 5.
const javaPartitionOf5 = {
  '21': 0, // -973932308
  foobar: 1, // -790332482
  'a-little-bit-long-string': 2, // -985981536
  'a-little-bit-longer-string': 4, // -1486304829
  abc: 2 // 479470107
}

test('records come back as they were appended: key, value, headers and null values, in order', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const writer = new TestAppender(t, cluster)
  const reader = new TestReader(t, cluster)

  await writer.append(
    { topic: name, key: Buffer.from('k1'), value: Buffer.from('v1'), timestampMs: 1_700_000_000_000 },
    { topic: name, key: null, value: Buffer.from(''), headers: [{ key: 'h', value: Buffer.from('x') }] },
    { topic: name, key: Buffer.from('k2'), value: null, headers: [{ key: 'none', value: null }] }
  )
  reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length === 3)

  assert.deepEqual(reader.records, [
    { partition: 0, offset: 0n, key: 'k1', value: 'v1', headers: [] },
    { partition: 0, offset: 1n, key: null, value: '', headers: [{ key: 'h', value: 'x' }] },
    { partition: 0, offset: 2n, key: 'k2', value: null, headers: [{ key: 'none', value: null }] }
  ])
  assert.deepEqual(reader.chunks.at(-1)?.nextOffset, 3n)
  assert.deepEqual(reader.chunks.at(-1)?.highWatermark, 3n)
})

test('keys land where the Java client puts them', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(5)
  const writer = new TestAppender(t, cluster)
  const reader = new TestReader(t, cluster)

  const keys = Object.keys(javaPartitionOf5)
  await writer.append(...keys.map(key => ({ topic: name, key: Buffer.from(key), value: Buffer.from(key) })))
  for (const partition of [0, 1, 2, 3, 4]) reader.fetcher.add({ topic: name, partition, offset: 0n })
  await reader.watch.until(() => reader.records.length === keys.length)

  const found = Object.fromEntries(reader.records.map(({ key, partition }) => [key ?? '', partition]))
  assert.deepEqual(found, javaPartitionOf5)
})

test('many records without a key are spread over all partitions, each stored once and in order', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(4)
  const writer = new TestAppender(t, cluster, { batchBytes: 4_096, bufferBytes: 65_536, lingerMs: 1 })
  const reader = new TestReader(t, cluster, { partitionBytesMax: 10_000 })

  const values = Array.from({ length: 5_000 }, (_, index) => `${index}`.padStart(100, '.'))
  await writer.append(...values.map(value => ({ topic: name, key: null, value: Buffer.from(value) })))
  assert.equal(writer.deliveredCount, values.length)
  for (const partition of [0, 1, 2, 3]) reader.fetcher.add({ topic: name, partition, offset: 0n })
  await reader.watch.until(() => reader.records.length >= values.length)

  assert.deepEqual(inOrder(reader.records.map(({ value }) => value ?? '')), values)
  for (const partition of [0, 1, 2, 3]) {
    const read = reader.of(partition)
    // About 130 choices, of which a partition whose batches wait gets fewer (KIP-794).
    assert.ok(read.length > 100, `partition ${partition} has ${read.length} records`)
    assert.deepEqual(
      read.map(({ value }) => value),
      inOrder(read.map(({ value }) => value ?? ''))
    )
    assert.deepEqual(
      read.map(({ offset }) => offset),
      read.map((_, index) => BigInt(index))
    )
  }
})

for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
  test(`batches compressed with ${compression} are stored and read`, async t => {
    const { cluster, topic } = await clientForTest(t)
    const name = await topic(1)
    const writer = new TestAppender(t, cluster, { compression })
    const reader = new TestReader(t, cluster)

    const values = Array.from({ length: 200 }, (_, index) => `value ${index} `.repeat(5))
    await writer.append(...values.map(value => ({ topic: name, key: null, value: Buffer.from(value) })))
    reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
    await reader.watch.until(() => reader.records.length === 200)

    assert.deepEqual(
      reader.records.map(({ value }) => value),
      values
    )
  })
}

test('a batch that the broker finds too large is split; a record that is too large alone fails alone', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1, { 'max.message.bytes': '2000' })
  const writer = new TestAppender(t, cluster, { lingerMs: 20 })
  const reader = new TestReader(t, cluster)

  const values = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(300, '.'))
  values[17] = 'x'.repeat(5_000)
  await writer.append(...values.map(value => ({ topic: name, key: Buffer.from('k'), value: Buffer.from(value) })))
  reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length === 39)

  assert.deepEqual(
    reader.records.map(({ value }) => value),
    values.filter((_, index) => index !== 17)
  )
  assert.deepEqual(
    writer.failures.map(({ error }) => error.code),
    ['ERR_CLIENT_RECORD_TOO_LARGE']
  )
  assert.deepEqual(
    writer.failures[0]?.records.map(({ value }) => value?.toString()),
    [values[17]]
  )
})

test('acks of the leader only, and none at all, deliver as well', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const reader = new TestReader(t, cluster)
  reader.fetcher.add({ topic: name, partition: 0, offset: 0n })

  const leader = new TestAppender(t, cluster, { acks: 'leader' })
  await leader.append({ topic: name, key: null, value: Buffer.from('leader') })
  const nobody = new TestAppender(t, cluster, { acks: 'none' })
  await nobody.append({ topic: name, key: null, value: Buffer.from('none') })
  await reader.watch.until(() => reader.records.length === 2)

  assert.deepEqual(leader.batches, [{ topic: name, partition: 0, baseOffset: 0n, recordCount: 1 }])
  assert.deepEqual(nobody.batches, [{ topic: name, partition: 0, baseOffset: -1n, recordCount: 1 }])
})

test('records for a topic that does not exist fail with its name after one request timeout', async t => {
  const { cluster, server } = await clientForTest(t, { requestTimeoutMs: 500 })
  const writer = new TestAppender(t, cluster)
  const name = server.uniqueName('missing')

  await writer.append({ topic: name, key: null, value: Buffer.from('v') })

  assert.equal(writer.failures[0]?.error.code, 'ERR_CLIENT_TOPIC_UNKNOWN')
  assert.match(writer.failures[0]?.error.message ?? '', new RegExp(name))
  assert.equal(writer.appender.bufferedBytes, 0)
})

test('every listener hears once per batch how many of its records were in it', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const heard: string[] = []
  const listener = (who: string): { delivered: (batch: { recordCount: number }) => void; failed: () => void } => ({
    delivered: batch => void heard.push(`${who} ${batch.recordCount}`),
    failed: () => void heard.push(`${who} failed`)
  })
  const { appender } = new TestAppender(t, cluster, { lingerMs: 1_000 })
  const [first, second] = [listener('first'), listener('second')]

  const record = { topic: name, key: null, value: Buffer.from('v') }
  for (const who of [first, second, second, first]) appender.append(record, who)
  await appender.flush()

  assert.deepEqual(heard, ['first 2', 'second 2'])
})

test('a read that starts within a batch hands out the whole batch and says from where to read', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const writer = new TestAppender(t, cluster, { lingerMs: 1_000 })
  const reader = new TestReader(t, cluster)

  await writer.append(...['a', 'b', 'c', 'd'].map(text => ({ topic: name, key: null, value: Buffer.from(text) })))
  assert.equal(writer.batches.length, 1)
  reader.fetcher.add({ topic: name, partition: 0, offset: 2n })
  await reader.watch.until(() => reader.records.length === 2)

  assert.deepEqual(
    reader.records.map(({ offset, value }) => [offset, value]),
    [
      [2n, 'c'],
      [3n, 'd']
    ]
  )
  assert.deepEqual([reader.chunks[0]?.fromOffset, reader.chunks[0]?.nextOffset], [2n, 4n])
})

test('an offset beyond the end of the log is reported once and not tried again', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(2)
  const reader = new TestReader(t, cluster)
  const writer = new TestAppender(t, cluster)

  reader.fetcher.add({ topic: name, partition: 0, offset: 77n })
  // A partition that was just created may have to be asked for more than once.
  const final = (): typeof reader.errors => reader.errors.filter(({ willRetry }) => !willRetry)
  await reader.watch.until(() => final().length > 0)
  // Something else goes on meanwhile on the same connection.
  reader.fetcher.add({ topic: name, partition: 1, offset: 0n })
  const key = Buffer.from('abc') // Partition 1 of 2: its murmur2 is odd.
  await writer.append({ topic: name, key, value: Buffer.from('v') })
  await reader.watch.until(() => reader.records.length === 1)

  const [failure] = final()
  assert.equal(failure?.error.code, 'ERR_CLIENT_OFFSET_OUT_OF_RANGE')
  assert.deepEqual([failure?.partition, failure?.offset], [0, 77n])
  assert.equal(final().length, 1)
})

test('nothing of a paused partition is handed out; after resume it goes on without a gap', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const writer = new TestAppender(t, cluster, { batchBytes: 1_000 })
  const reader = new TestReader(t, cluster, { partitionBytesMax: 2_000, maxBytes: 2_000 })
  let isPaused = false
  reader.onChunk = () => {
    assert.equal(isPaused, false, 'a chunk came while the partition was paused')
    reader.fetcher.pause(name, 0)
    isPaused = true
    setImmediate(() => {
      isPaused = false
      reader.fetcher.resume(name, 0)
    })
  }

  const values = Array.from({ length: 300 }, (_, index) => `${index}`.padStart(100, '.'))
  await writer.append(...values.map(value => ({ topic: name, key: null, value: Buffer.from(value) })))
  reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
  await reader.watch.until(() => reader.records.length >= 300)

  assert.deepEqual(
    reader.records.map(({ value }) => value),
    values
  )
  assert.ok(reader.chunks.length > 5, `${reader.chunks.length} chunks`)
})

test('a partition that is removed and added again is read from the new offset only', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const writer = new TestAppender(t, cluster)
  await writer.append(...['a', 'b', 'c'].map(text => ({ topic: name, key: null, value: Buffer.from(text) })))
  const reader = new TestReader(t, cluster, { maxWaitMs: 50 })

  // Many times in a row: answers to earlier additions are on their way while later ones are made.
  for (let round = 0; round < 30; round++) {
    reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
    if (round % 3 === 0) await new Promise(resolve => setImmediate(resolve))
    reader.fetcher.remove(name, 0)
    reader.records.length = 0
  }
  reader.fetcher.add({ topic: name, partition: 0, offset: 1n })
  await reader.watch.until(() => reader.records.length >= 2)

  assert.deepEqual(
    reader.records.map(({ value }) => value),
    ['b', 'c']
  )
})

test('reading goes on when partitions are added to a topic and to the fetcher', async t => {
  const { cluster, topic, admin } = await clientForTest(t)
  const name = await topic(1)
  const reader = new TestReader(t, cluster)
  const writer = new TestAppender(t, cluster)
  const key = Buffer.from('a-little-bit-long-string') // Its murmur2 without the sign bit, modulo 3, is 2.
  reader.fetcher.add({ topic: name, partition: 0, offset: 0n })
  await writer.append({ topic: name, key, value: Buffer.from('before') })

  const [grown] = await admin.createPartitions([{ topic: name, partitionCount: 3 }])
  assert.equal(grown?.errorCode, 0)
  // Brokers learn of new partitions one after the other.
  while ((await cluster.metadata([name])).topics[0]?.partitions.length !== 3);
  for (const partition of [1, 2]) reader.fetcher.add({ topic: name, partition, offset: 0n })
  await writer.append({ topic: name, key, value: Buffer.from('after') })
  await reader.watch.until(() => reader.records.length === 2)

  const partitions = Object.fromEntries(reader.records.map(({ partition, value }) => [value ?? '', partition]))
  assert.deepEqual(partitions, { before: 0, after: 2 })
})

test('an appender that is closed takes nothing more, and what it took has its verdict', async t => {
  const { cluster, topic } = await clientForTest(t)
  const name = await topic(1)
  const writer = new TestAppender(t, cluster, { lingerMs: 60_000 })

  writer.appender.append({ topic: name, key: null, value: Buffer.from('v') }, writer)
  await writer.appender.close()

  assert.equal(writer.deliveredCount, 1)
  assert.throws(() => writer.appender.append({ topic: name, key: null, value: null }, writer), {
    code: 'ERR_CLIENT_CLOSED'
  })
})
