import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt } from '../../../src/core/index.ts'
import { readBatchHeader, RecordCursor } from '../../../src/protocol/index.ts'
import {
  appended,
  batchOf,
  batchOfCount,
  openLog,
  readAll,
  seededRandom,
  START_MS,
  temporaryFolder
} from './support.ts'

test('offsets follow the order of the appends, however many are under way at once', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })

  const results = await Promise.all([3, 1, 5, 2].map(count => log.append(batchOfCount(count))))

  assert.deepEqual(
    results.map(result => appended(result).baseOffset),
    [0n, 3n, 4n, 9n]
  )
  assert.equal(log.highWatermark, 11n)
})

test('the high watermark does not move before the bytes are written', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })

  const pending = log.append(batchOfCount(3))

  assert.equal(log.highWatermark, 0n)
  assert.equal((await log.read(0n, 1000)).records.length, 0)
  await pending
  assert.equal(log.highWatermark, 3n)
})

test('a batch is stored as it was produced, but for base offset and leader epoch', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t), wasCleanStop: false })
  await log.append(batchOfCount(4))
  const sent = batchOf(
    [
      { key: 'a', value: 'b', timestampMs: START_MS + 5 },
      { key: null, value: null }
    ],
    {
      compression: 'gzip'
    }
  )
  const copy = Buffer.from(sent)

  await log.append(sent)

  const { records } = await log.read(4n, 10_000)
  assert.equal(records.readBigInt64BE(0), 4n)
  assert.equal(records.readInt32BE(12), 0)
  assert.deepEqual(records.subarray(16), copy.subarray(16))
})

test('a read gives whole batches, the first being the one that contains the offset', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  for (let count = 0; count < 5; count++) await log.append(batchOfCount(10, 'x'.repeat(20)))
  const batchBytes = (await log.read(0n, 1)).records.length

  const { records } = await log.read(27n, batchBytes * 2 + batchBytes - 1)

  assert.equal(readBatchHeader(records, 0).baseOffset, 20n)
  assert.equal(records.length, batchBytes * 2)
})

test('the first batch comes even if it is larger than the limit, unless the caller has enough already', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.append(batchOfCount(100, 'x'.repeat(100)))
  await log.append(batchOfCount(1))

  const first = await log.read(50n, 10)

  assert.equal(readBatchHeader(first.records, 0).sizeBytes, first.records.length)
  assert.equal((await log.read(50n, 10, { minOneBatch: false })).records.length, 0)
  assert.equal((await log.read(50n, first.records.length, { minOneBatch: false })).records.length, first.records.length)
})

test('reading below the log start or above its end is out of range, at its end it is empty', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.append(batchOfCount(10))
  await log.deleteRecords(4n)

  assert.equal((await log.read(3n, 100)).errorCode, 1)
  assert.equal((await log.read(11n, 100)).errorCode, 1)
  assert.equal((await log.read(-1n, 100)).errorCode, 1)
  assert.deepEqual(await log.read(10n, 100), {
    errorCode: 0,
    records: Buffer.alloc(0),
    highWatermark: 10n,
    lastStableOffset: 10n,
    logStartOffset: 4n,
    abortedTransactions: []
  })
})

test('a new segment begins before the batch that would make the old one too large', async t => {
  const batchBytes = batchOfCount(1, 'x'.repeat(100)).length
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentBytes: batchBytes * 3 } })

  await Promise.all(Array.from({ length: 7 }, () => log.append(batchOfCount(1, 'x'.repeat(100)))))

  assert.equal(log.segmentCount, 3)
  assert.deepEqual(
    (await readAll(log)).map(([offset]) => offset),
    [0n, 1n, 2n, 3n, 4n, 5n, 6n]
  )
})

test('a new segment begins when the first record of the old one is older than segment.ms', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentMs: 1000 } })

  for (const timestampMs of [START_MS, START_MS + 1000, START_MS + 1001, START_MS + 1500]) {
    await log.append(batchOf([{ timestampMs }]))
  }

  assert.equal(log.segmentCount, 2)
})

test('a new segment begins when the offset index is full', async t => {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, config: { segmentIndexBytes: 16, indexIntervalBytes: 0 } })

  for (let count = 0; count < 9; count++) await log.append(batchOfCount(1))

  assert.equal(log.segmentCount, 3)
  assert.equal((await readAll(log)).length, 9)
})

test('every offset is found through index and headers, for random batches and read sizes', async t => {
  const random = seededRandom(t)
  const log = await openLog(t, {
    folder: await temporaryFolder(t),
    config: { segmentBytes: 20_000, indexIntervalBytes: randomInt(random, 3000) }
  })
  const expected: [bigint, string][] = []
  for (let index = 0; index < 120; index++) {
    const count = 1 + randomInt(random, 12)
    const value = `${index}-`.padEnd(randomInt(random, 400), 'y')
    const { baseOffset } = appended(await log.append(batchOfCount(count, value)))
    for (let at = 0; at < count; at++) expected.push([baseOffset + BigInt(at), value])
  }

  for (let probe = 0; probe < 100; probe++) {
    const from = randomInt(random, expected.length)
    const read = await log.read(BigInt(from), 1 + randomInt(random, 5000))
    const cursor = new RecordCursor()
    cursor.reset(read.records)
    cursor.nextBatch()
    const { baseOffset, header } = cursor
    assert.ok(baseOffset <= BigInt(from) && BigInt(from) <= baseOffset + BigInt(header.lastOffsetDelta))
  }
  assert.deepEqual(await readAll(log, 0n, 1 + randomInt(random, 9000)), expected)
})

test('with LogAppendTime records get the time of the broker and a right checksum', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { timestampType: 'LogAppendTime' } })

  const result = appended(await log.append(batchOf([{ timestampMs: 5 }, { timestampMs: 9 }])))

  const cursor = new RecordCursor() // checks the checksum
  cursor.reset((await log.read(0n, 1000)).records)
  cursor.nextBatch()
  cursor.nextRecord()
  assert.equal(cursor.timestampMs, START_MS)
  assert.equal(result.logAppendTimeMs, BigInt(START_MS))
})

test('a retry of a batch gets the offset of the original, also while that is still being written', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  const stamp = { producerId: 5n, producerEpoch: 0, baseSequence: 0 }
  await log.append(batchOfCount(2))

  const [original, early] = await Promise.all([
    log.append(batchOfCount(3, 'v', stamp)),
    log.append(batchOfCount(3, 'v', stamp))
  ])
  const late = await log.append(batchOfCount(3, 'v', stamp))

  assert.deepEqual(
    [original, early, late].map(result => appended(result).baseOffset),
    [2n, 2n, 2n]
  )
  assert.deepEqual(
    [original, early, late].map(result => appended(result).isDuplicate),
    [false, true, true]
  )
  assert.equal(log.highWatermark, 5n)
})

test('sequence gaps are refused with 45 and old epochs with 47', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.append(batchOfCount(3, 'v', { producerId: 5n, producerEpoch: 1, baseSequence: 0 }))

  const gap = await log.append(batchOfCount(1, 'v', { producerId: 5n, producerEpoch: 1, baseSequence: 4 }))
  const old = await log.append(batchOfCount(1, 'v', { producerId: 5n, producerEpoch: 0, baseSequence: 0 }))

  assert.equal(gap.errorCode, 45)
  assert.equal(old.errorCode, 47)
  assert.equal(log.highWatermark, 3n)
})

test('listeners hear of every move of the high watermark until they leave', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  const seen: bigint[] = []
  const leave = log.onChange(() => seen.push(log.highWatermark))

  await log.append(batchOfCount(2))
  await log.append(batchOfCount(1))
  leave()
  await log.append(batchOfCount(1))

  assert.deepEqual(seen, [2n, 3n])
})

test('deleting records moves the log start and removes whole segments below it', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentBytes: 200 } })
  for (let count = 0; count < 6; count++) await log.append(batchOfCount(2, 'x'.repeat(60))) // one per segment

  assert.deepEqual(await log.deleteRecords(5n), { errorCode: 0, lowWatermark: 5n })

  assert.equal(log.segmentCount, 4)
  assert.equal(log.firstSegmentOffset, 4n)
  assert.equal((await readAll(log, 5n))[0]?.[0], 5n)
  assert.deepEqual(await log.deleteRecords(3n), { errorCode: 0, lowWatermark: 5n })
  assert.deepEqual(await log.deleteRecords(13n), { errorCode: 1, lowWatermark: -1n })
  assert.deepEqual(await log.deleteRecords(-1n), { errorCode: 0, lowWatermark: 12n })
  assert.equal(log.highWatermark, 12n)
})

test('a closed log takes no appends', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.close()

  assert.equal((await log.append(batchOfCount(1))).errorCode, 3)
})
