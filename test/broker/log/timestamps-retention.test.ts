import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt, VirtualClock } from '../../../src/core/index.ts'
import { batchOf, batchOfCount, openLog, readAll, seededRandom, START_MS, temporaryFolder } from './support.ts'

const DAY_MS = 86_400_000

test('offsets by time agree with a search through all records, for times in any order and any compression', async t => {
  const random = seededRandom(t)
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const config = { segmentBytes: 3000, indexIntervalBytes: 200 }
    const log = await openLog(t, { folder: await temporaryFolder(t), config })
    const times: number[] = []
    for (let index = 0; index < 80; index++) {
      const batch = Array.from(
        { length: 1 + randomInt(random, 6) },
        () => START_MS + randomInt(random, 300) + index * 3
      )
      times.push(...batch)
      await log.append(
        batchOf(
          batch.map(timestampMs => ({ timestampMs, value: 'x'.repeat(30) })),
          { compression }
        )
      )
    }

    for (let probe = START_MS - 2; probe < START_MS + 560; probe += 1 + randomInt(random, 4)) {
      const expected = times.findIndex(time => time >= probe)
      const found = await log.offsetForTimestamp(BigInt(probe))
      assert.equal(found?.offset, expected < 0 ? undefined : BigInt(expected), `${compression} ${probe - START_MS}`)
      if (found !== undefined) assert.equal(Number(found.timestampMs), times[expected])
    }
    const largest = Math.max(...times)
    const youngest = await log.maxTimestampOffset()
    assert.deepEqual([youngest?.offset, youngest?.timestampMs], [BigInt(times.indexOf(largest)), BigInt(largest)])
  }
})

test('an offset by time is never below the log start', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.append(batchOf([0, 1, 2, 3].map(index => ({ timestampMs: START_MS + index }))))
  await log.deleteRecords(2n)

  assert.equal((await log.offsetForTimestamp(0n))?.offset, 2n)
})

test('an empty log has no offset for any time', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })

  assert.equal(await log.offsetForTimestamp(0n), undefined)
  assert.equal(await log.maxTimestampOffset(), undefined)
})

test('with LogAppendTime the first record of the batch is the one found', async t => {
  const clock = new VirtualClock(START_MS)
  const log = await openLog(t, { folder: await temporaryFolder(t), clock, config: { timestampType: 'LogAppendTime' } })
  await log.append(batchOfCount(3))
  await clock.advance(100)
  await log.append(batchOfCount(3))

  assert.equal((await log.offsetForTimestamp(BigInt(START_MS + 1)))?.offset, 3n)
  assert.equal((await log.maxTimestampOffset())?.offset, 3n)
})

test('segments go when their youngest record is older than retention.ms', async t => {
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 300, retentionMs: 7 * DAY_MS }
  const log = await openLog(t, { folder: await temporaryFolder(t), clock, config })
  for (const day of [0, 2, 1, 5]) {
    await log.append(batchOf([{ value: 'x'.repeat(200), timestampMs: START_MS - 10 * DAY_MS + day * DAY_MS }]))
  }

  await log.applyRetention()
  assert.equal(log.logStartOffset, 3n) // days 0, 2 and 1 are more than 7 days old

  await clock.advance(2 * DAY_MS)
  await log.applyRetention()
  assert.equal(log.logStartOffset, 3n) // exactly 7 days old
  await clock.advance(1)
  await log.applyRetention()
  assert.deepEqual([log.logStartOffset, log.highWatermark, log.segmentCount], [4n, 4n, 1])
  assert.equal((await log.append(batchOfCount(1))).errorCode, 0)
  assert.deepEqual(await readAll(log, 4n), [[4n, 'v']])
})

test('a segment with one young record stays, and so does everything behind it', async t => {
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 300, retentionMs: 1000 }
  const log = await openLog(t, { folder: await temporaryFolder(t), clock, config })
  for (const age of [0, 5000, 5000]) {
    await log.append(batchOf([{ value: 'x'.repeat(200), timestampMs: START_MS - age }]))
  }

  assert.equal(await log.applyRetention(), 0)
})

test('the oldest segments go while the rest is still as large as retention.bytes', async t => {
  const batch = (): Buffer => batchOfCount(1, 'x'.repeat(200))
  const bytes = batch().length
  const log = await openLog(t, {
    folder: await temporaryFolder(t),
    config: { segmentBytes: bytes, retentionBytes: bytes * 2 }
  })
  for (let count = 0; count < 6; count++) await log.append(batch())

  await log.applyRetention()

  assert.equal(log.logStartOffset, 4n)
  assert.equal(log.sizeBytes, bytes * 2)
})

test('compacted topics and endless retention keep everything, but deleted records go', async t => {
  const clock = new VirtualClock(START_MS)
  const bytes = { segmentBytes: 300 }
  for (const config of [
    { ...bytes, isDeleted: false, isCompacted: true, retentionMs: 1, retentionBytes: 0 },
    { ...bytes, retentionMs: -1, retentionBytes: -1 }
  ]) {
    const log = await openLog(t, { folder: await temporaryFolder(t), clock, config })
    for (let count = 0; count < 4; count++) await log.append(batchOfCount(1, 'x'.repeat(200)))
    await clock.advance(100 * DAY_MS)

    assert.equal(await log.applyRetention(), 0)
    await log.deleteRecords(2n)
    assert.equal(log.segmentCount, 2)
  }
})

test('retention and reads at the same time give records or out of range, never anything else', async t => {
  const random = seededRandom(t)
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 300, retentionBytes: 600 }
  const log = await openLog(t, { folder: await temporaryFolder(t), clock, config })
  for (let count = 0; count < 30; count++) await log.append(batchOfCount(1, 'x'.repeat(200)))

  const reads = Array.from({ length: 60 }, () => log.read(BigInt(randomInt(random, 30)), 500))
  const [results] = await Promise.all([Promise.all(reads), log.applyRetention()])

  for (const { errorCode, records } of results) assert.ok(errorCode === 1 || records.length > 0)
})
