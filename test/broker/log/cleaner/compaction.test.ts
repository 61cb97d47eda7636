import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { VirtualClock } from '../../../../src/core/index.ts'
import type { PartitionLog } from '../../../../src/broker/log/partition-log.ts'
import { isControl, RecordCursor } from '../../../../src/protocol/index.ts'
import { RecordingLogger } from '../../support.ts'
import { appended, batchOf, FaultyDisk, START_MS, systemError, temporaryFolder, type TestBatch } from '../support.ts'
import { type Cleanable, type CleanableOptions, consume, latest, openCleanable } from './support.ts'

async function opened(t: TestContext, options: Partial<CleanableOptions> = {}): Promise<Cleanable> {
  return openCleanable(t, { folder: await temporaryFolder(t), ...options })
}

/** One batch per value; a null value is a tombstone. */
async function put(
  log: PartitionLog,
  entries: readonly [string, string | null][],
  stamp: TestBatch = {}
): Promise<void> {
  for (const [key, value] of entries) {
    const proof = stamp.isTransactional === true ? { transaction: { isVerified: true } } : {}
    appended(await log.append(batchOf([{ key, value }], stamp), proof))
  }
}

/** Fills the active segment up, so that all before is in sealed ones. */
async function roll(log: PartitionLog): Promise<void> {
  const { segmentCount } = log
  for (let index = 0; log.segmentCount === segmentCount; index++)
    await put(log, [[`fill-${index % 3}`, 'x'.repeat(120)]])
}

const values = (log: PartitionLog, prefix: string): Promise<[bigint, string | null, string | null][]> =>
  consume(log).then(seen =>
    seen.filter(({ key }) => key?.startsWith(prefix)).map(({ offset, key, value }) => [offset, key, value])
  )

/** Headers of all batches. */
async function batches(log: PartitionLog): Promise<{ offset: bigint; count: number; isControl: boolean }[]> {
  const found: { offset: bigint; count: number; isControl: boolean }[] = []
  const cursor = new RecordCursor()
  for (let next = 0n; next < log.highWatermark;) {
    cursor.reset((await log.read(next, 100_000)).records)
    while (cursor.nextBatch()) {
      const { baseOffset, lastOffsetDelta, recordCount, attributes } = cursor.header
      found.push({ offset: baseOffset, count: recordCount, isControl: isControl(attributes) })
      next = baseOffset + BigInt(lastOffsetDelta) + 1n
    }
  }
  return found
}

test('of each key the last record stays, at its offset, and reads go over the gaps', async t => {
  const { log, cleaner } = await opened(t)
  await put(log, [
    ['k1', 'a'],
    ['k2', 'a'],
    ['k1', 'b'],
    ['k3', 'a'],
    ['k2', 'b'],
    ['k1', 'c']
  ])
  await roll(log)
  const before = await consume(log)
  const sizeBytes = log.sizeBytes

  assert.equal(await cleaner.cleanAll(), 1)

  assert.deepEqual(await values(log, 'k'), [
    [3n, 'k3', 'a'],
    [4n, 'k2', 'b'],
    [5n, 'k1', 'c']
  ])
  const after = await consume(log)
  assert.ok(log.sizeBytes < sizeBytes)
  for (const record of after) assert.deepEqual(record, before[Number(record.offset)])
  for (let from = 0n; from <= log.highWatermark; from += 1n) {
    const rest = await consume(log, { fromOffset: from, bytesMax: 61 })
    assert.deepEqual(
      rest,
      after.filter(({ offset }) => offset >= from)
    )
  }
  assert.equal(await cleaner.cleanAll(), 0)
})

test('the active segment is never cleaned', async t => {
  const { log, cleaner } = await opened(t)
  await put(log, [
    ['k', 'a'],
    ['k', 'b']
  ])

  assert.equal(await cleaner.cleanAll(), 0)
  assert.equal((await consume(log)).length, 2)
})

test('a tombstone stays for delete.retention.ms from its first cleaning, then it goes', async t => {
  const { log, cleaner, clock } = await opened(t, { config: { deleteRetentionMs: 1000 } })
  await put(log, [
    ['k', 'a'],
    ['k', null]
  ])
  await roll(log)
  await clock.advance(5000) // The age of the tombstone itself does not count.
  await cleaner.cleanAll()
  assert.deepEqual(await values(log, 'k'), [[1n, 'k', null]])

  await clock.advance(999)
  await roll(log)
  await cleaner.cleanAll()
  assert.deepEqual(await values(log, 'k'), [[1n, 'k', null]])

  await clock.advance(1)
  await roll(log)
  await cleaner.cleanAll()
  assert.deepEqual(await values(log, 'k'), [])
})

test('records without a key, from before the topic was compacted, go', async t => {
  const { log, cleaner } = await opened(t, { config: { isCompacted: false } })
  appended(await log.append(batchOf([{ key: null, value: 'old' }])))
  await roll(log)
  log.setConfig({ ...log.config, isCompacted: true })

  await cleaner.cleanAll()

  assert.equal(
    (await consume(log)).some(({ key }) => key === null),
    false
  )
})

test('small segments become one, up to the size of a segment', async t => {
  const { log, cleaner } = await opened(t)
  for (let round = 0; round < 8; round++) {
    await put(log, [[`only-${round}`, 'v']])
    await roll(log)
  }
  const segmentsBefore = log.segmentCount

  // What a segment may take in is judged by its size before the cleaning: full ones are joined by the next.
  await cleaner.cleanAll()
  await roll(log)
  await cleaner.cleanAll()

  assert.ok(segmentsBefore >= 9)
  assert.ok(log.segmentCount <= 5, `${log.segmentCount} segments`)
  assert.ok(log.segments.every(({ sizeBytes }) => sizeBytes <= 600))
  assert.equal((await values(log, 'only')).length, 8)
})

test('nothing from an open transaction on is cleaned; aborted records go when it has ended', async t => {
  const { log, cleaner, clock } = await opened(t)
  const producer = { producerId: 9n, producerEpoch: 0, isTransactional: true }
  await put(log, [['k', 'committed']])
  await put(log, [['k', 'aborted']], { ...producer, baseSequence: 0 })
  await put(log, [['k2', 'aborted']], { ...producer, baseSequence: 1 })
  await roll(log)
  await cleaner.cleanAll()
  assert.deepEqual((await values(log, 'k')).length, 3, 'before the marker all is there')

  await log.appendMarker({ producerId: 9n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: false })
  await put(log, [['other', 'x']], { ...producer, baseSequence: 2 })
  await log.appendMarker({ producerId: 9n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: true })
  await roll(log)
  await cleaner.cleanAll()

  assert.deepEqual(await values(log, 'k'), [[0n, 'k', 'committed']])
  assert.deepEqual((await values(log, 'other')).length, 1)
  const markers = async (): Promise<number> =>
    (await batches(log)).filter(each => each.isControl && each.count > 0).length
  assert.equal(await markers(), 2, 'the abort marker waits for delete.retention.ms')
  assert.deepEqual(await consume(log, { isReadCommitted: true }), await consume(log))
  await clock.advance(1000)
  for (let round = 0; round < 2; round++) {
    await roll(log)
    await cleaner.cleanAll()
    await clock.advance(1000)
  }
  assert.equal(await markers(), 1, 'the commit marker stays as long as there is data of its transaction')
})

test('aborted records that are not cleaned yet stay hidden from readers of committed records', async t => {
  const { log, cleaner } = await opened(t, { config: { minCleanableDirtyRatio: 0 } })
  const producer = { producerId: 9n, producerEpoch: 0, isTransactional: true }
  await put(log, [
    ['k', 'a'],
    ['k', 'b']
  ])
  await roll(log)
  await put(log, [['k', 'aborted']], { ...producer, baseSequence: 0 })
  await log.appendMarker({ producerId: 9n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: false })

  await cleaner.cleanAll()

  const committed = await consume(log, { isReadCommitted: true })
  assert.equal(latest(committed).get('k'), 'b')
  assert.equal(latest(await consume(log)).get('k'), 'aborted')
})

test('the last batch of a producer stays, if need be empty, so that a restart knows its sequence', async t => {
  const folder = await temporaryFolder(t)
  const { log, cleaner } = await openCleanable(t, { folder })
  const producer = { producerId: 5n, producerEpoch: 2 }
  await put(log, [['k', 'a']], { ...producer, baseSequence: 0 })
  await put(log, [['k', 'b']], { ...producer, baseSequence: 1 })
  await put(log, [['k', 'c']])
  await roll(log)
  await cleaner.cleanAll()
  assert.deepEqual(await values(log, 'k'), [[2n, 'k', 'c']])
  await log.close()
  for (const name of await fs.readdir(folder)) if (name.endsWith('.snapshot')) await fs.rm(path.join(folder, name))

  const again = await openCleanable(t, { folder, wasCleanStop: false })

  const retry = appended(await again.log.append(batchOf([{ key: 'k', value: 'b' }], { ...producer, baseSequence: 1 })))
  assert.deepEqual([retry.isDuplicate, retry.baseOffset], [true, 1n])
  const next = batchOf([{ key: 'k', value: 'd' }], { ...producer, baseSequence: 2 })
  assert.equal(appended(await again.log.append(next)).isDuplicate, false)
})

test('the youngest record is found where compaction has left but the header of a younger batch', async t => {
  const { log, cleaner } = await opened(t)
  const producer = { producerId: 5n, producerEpoch: 0, baseSequence: 0 }
  appended(await log.append(batchOf([{ key: 'k', value: 'young', timestampMs: START_MS + 999 }], producer)))
  appended(await log.append(batchOf([{ key: 'k', value: 'last', timestampMs: START_MS + 500 }])))
  await roll(log)

  await cleaner.cleanAll()

  assert.deepEqual(await values(log, 'k'), [[1n, 'k', 'last']])
  const found = await log.maxTimestampOffset()
  assert.deepEqual([found?.offset, found?.timestampMs], [1n, BigInt(START_MS + 500)])
  assert.equal((await log.offsetForTimestamp(BigInt(START_MS + 400)))?.offset, 1n)
  assert.equal(await log.offsetForTimestamp(BigInt(START_MS + 501)), undefined)
})

test('with little memory for keys a log is cleaned in several passes, to the same result', async t => {
  const { log, cleaner } = await opened(t, { settings: { keyBytesMax: 1, keyLoadFactor: 0.2 } })
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 60; index++) await put(log, [[`k${index}`, `${round}`]])
  }
  await roll(log)

  const count = await cleaner.cleanAll()

  assert.ok(count > 3, `${count} passes`)
  assert.deepEqual(
    (await values(log, 'k')).map(([, , value]) => value),
    Array.from({ length: 60 }, () => '2')
  )
})

test('a batch with more keys than there is memory for is cleaned all the same', async t => {
  const { log, cleaner } = await opened(t, { config: { segmentBytes: 4000 }, settings: { keyBytesMax: 1 } })
  const records = Array.from({ length: 100 }, (_, index) => ({ key: `k${index}`, value: 'v' }))
  appended(await log.append(batchOf(records)))
  appended(await log.append(batchOf(records)))
  await roll(log)

  await cleaner.cleanAll()

  assert.equal((await values(log, 'k')).length, 100)
})

test('reads that run while segments are swapped see neither a hole nor an error', async t => {
  const { log, cleaner } = await opened(t)
  const expected = new Map<string | null, string | null>()
  for (let index = 0; index < 300; index++) {
    await put(log, [[`k${index % 20}`, `${index}`]])
    expected.set(`k${index % 20}`, `${index}`)
  }
  await roll(log)
  const before = await consume(log)
  let isDone = false
  let reads = 0
  const reader = async (bytesMax: number): Promise<void> => {
    while (!isDone) {
      const seen = await consume(log, { bytesMax })
      reads += 1
      for (const record of seen) assert.deepEqual(record, before[Number(record.offset)] ?? record)
      const last = latest(seen)
      for (const [key, value] of expected) assert.equal(last.get(key), value)
    }
  }
  const lookup = async (): Promise<void> => {
    while (!isDone) {
      const found = await log.maxTimestampOffset()
      assert.equal(found?.timestampMs, BigInt(START_MS))
      assert.ok((await log.offsetForTimestamp(BigInt(START_MS))) !== undefined)
      assert.equal(await log.offsetForTimestamp(BigInt(START_MS + 1)), undefined)
    }
  }
  const readers = [reader(61), reader(300), reader(100_000), lookup()]

  const cleaning = async (): Promise<void> => {
    for (let round = 0; round < 10 && !isDone; round++) {
      await cleaner.cleanAll()
      await roll(log)
    }
    isDone = true
  }
  try {
    await Promise.all([cleaning(), ...readers])
  } finally {
    isDone = true
  }

  assert.ok(reads > 3)
})

test("the checkpoint says in Kafka's format up to where a log was cleaned, and outlives a restart", async t => {
  const folder = await temporaryFolder(t)
  const dataDir = await temporaryFolder(t)
  const { log, cleaner } = await openCleanable(t, { folder, dataDir })
  await put(log, [
    ['k', 'a'],
    ['k', 'b']
  ])
  await roll(log)
  await cleaner.cleanAll()
  const end = log.segments.at(-1)?.baseOffset
  await log.close()

  const content = await fs.readFile(path.join(dataDir, 'cleaner-offset-checkpoint'), 'utf8')
  const again = await openCleanable(t, { folder, dataDir })

  assert.equal(content, `0\n1\norders 0 ${end}\n`)
  assert.equal(again.cleaner.checkpointOf(again.log), end)
  assert.equal(await again.cleaner.cleanAll(), 0)
})

test('a checkpoint of a topic that is gone is not kept for the next one of its name', async t => {
  const dataDir = await temporaryFolder(t)
  const file = path.join(dataDir, 'cleaner-offset-checkpoint')
  await fs.writeFile(file, '0\n2\ngone 0 7\norders 0 0\n')

  await opened(t, { dataDir })

  assert.equal(await fs.readFile(file, 'utf8'), '0\n1\norders 0 0\n')
})

test('records that are deleted while their segment is cleaned stay deleted', async t => {
  const { log, cleaner } = await opened(t)
  for (let index = 0; index < 40; index++) await put(log, [[`k${index % 4}`, `${index}`]])
  await roll(log)

  const cleaning = cleaner.cleanAll()
  await log.deleteRecords(log.segments.at(-1)?.baseOffset ?? 0n)
  await cleaning

  assert.equal(log.segmentCount, 1)
  assert.deepEqual(
    (await fs.readdir(log.folder)).filter(name => /cleaned|swap|deleted/.test(name)),
    []
  )
  assert.ok((await consume(log, { fromOffset: log.logStartOffset })).length > 0)
})

for (const { name, position } of [
  { name: 'value', position: 69 },
  { name: 'base offset', position: 70 }
])
  test(`a log with a damaged batch (${name}) is left alone, with an error in the log`, async t => {
    const logger = new RecordingLogger()
    const { log, cleaner } = await opened(t, { logger })
    await put(log, [
      ['k', 'a'],
      ['k', 'b']
    ])
    await roll(log)
    await log.flush()
    const handle = await fs.open(log.segments[0]?.logPath ?? '', 'r+')
    await handle.write(Buffer.from([0x7f]), 0, 1, position)
    await handle.close()

    assert.equal(await cleaner.cleanAll(), 0)
    assert.equal(await cleaner.cleanAll(), 0)

    const errors = logger.lines.filter(({ level }) => level === 'error')
    assert.equal(errors.length, 1)
    assert.match(errors[0]?.message ?? '', /cannot be compacted/)
    assert.equal(cleaner.status.uncleanableCount, 1)
  })

class FullForCleaning extends FaultyDisk {
  isFull = false

  override open(file: string, mayCreate: boolean): Promise<number> {
    return this.isFull && file.endsWith('.index.cleaned')
      ? Promise.reject(systemError('ENOSPC'))
      : super.open(file, mayCreate)
  }
}

test('a disk that is full while a log is cleaned changes nothing, and it is cleaned when there is space', async t => {
  const logger = new RecordingLogger()
  const disk = new FullForCleaning()
  const { log, cleaner } = await opened(t, { disk, logger })
  for (let index = 0; index < 20; index++) await put(log, [['k', `${index}`]])
  await roll(log)
  const before = await consume(log)
  await log.flush()

  disk.isFull = true
  assert.equal(await cleaner.cleanAll(), 0)
  disk.isFull = false

  assert.deepEqual(await consume(log), before)
  assert.ok(logger.lines.some(({ level, message }) => level === 'warn' && message.includes('free space')))
  assert.deepEqual(
    (await fs.readdir(log.folder)).filter(name => name.endsWith('.cleaned')),
    []
  )
  assert.equal(await cleaner.cleanAll(), 1)
  assert.equal((await values(log, 'k')).length, 1)
})

test('the cleaner looks for work every log.cleaner.backoff.ms, and not when it is switched off', async t => {
  const clock = new VirtualClock(START_MS)
  const { log, cleaner } = await opened(t, { clock, settings: { backoffMs: 500 } })
  await put(log, [
    ['k', 'a'],
    ['k', 'b']
  ])
  await roll(log)
  cleaner.start()

  await clock.advance(499)
  assert.equal(cleaner.status.lastRunMs, 0)
  await clock.advance(1)
  await cleaner.cleanAll()

  assert.equal(cleaner.status.lastRunMs, START_MS + 500)
  assert.equal((await values(log, 'k')).length, 1)
  const off = await opened(t, { clock, settings: { backoffMs: 500, isEnabled: false } })
  off.cleaner.start()
  await clock.advance(5000)
  assert.equal(off.cleaner.status.lastRunMs, 0)
})
