import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomInt, VirtualClock } from '../../../src/core/index.ts'
import { readBatchHeader } from '../../../src/protocol/index.ts'
import type { LogConfig } from '../../../src/broker/log/topic-config.ts'
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

const LOG_FILE = '00000000000000000000.log'
const INDEX_FILE = '00000000000000000000.index'
const TIME_INDEX_FILE = '00000000000000000000.timeindex'

/** Fills a partition, closes it, and gives its folder back. */
async function writtenFolder(
  t: TestContext,
  batches: readonly Buffer[],
  config: Partial<LogConfig> = {}
): Promise<string> {
  const folder = await temporaryFolder(t)
  const log = await openLog(t, { folder, config })
  for (const batch of batches) appended(await log.append(batch))
  await log.close()
  return folder
}

async function copyOf(t: TestContext, folder: string): Promise<string> {
  const copy = await temporaryFolder(t)
  await fs.cp(folder, copy, { recursive: true })
  return copy
}

test('a log cut at any byte of its last batches comes back with the whole batches before the cut', async t => {
  const sizes = [2, 1]
  const folder = await writtenFolder(
    t,
    sizes.map(count => batchOfCount(count))
  )
  const file = path.join(folder, LOG_FILE)
  const whole = await fs.readFile(file)
  const ends = [0]
  for (const at of ends) if (at < whole.length) ends.push(at + readBatchHeader(whole, at).sizeBytes)

  for (let length = 0; length < whole.length; length++) {
    await fs.writeFile(file, whole.subarray(0, length))
    const log = await openLog(t, { folder, wasCleanStop: false })

    const complete = ends.filter(end => end <= length).length - 1
    const expected = sizes.slice(0, complete).reduce((sum, count) => sum + count, 0)
    assert.equal(log.highWatermark, BigInt(expected), `cut at ${length}`)
    assert.equal((await readAll(log)).length, expected)
    assert.equal((await fs.stat(file)).size, ends[complete])
    await log.close()
  }
})

test('a log with any flipped byte in its last batch comes back without that batch', async t => {
  const folder = await writtenFolder(t, [batchOfCount(2), batchOfCount(3)])
  const file = path.join(folder, LOG_FILE)
  const whole = await fs.readFile(file)
  const lastBatch = readBatchHeader(whole, 0).sizeBytes

  for (let at = lastBatch; at < whole.length; at++) {
    // Base offset and leader epoch are outside of the checksum; an offset that goes back is noticed, others cannot be.
    if (at - lastBatch < 8 || (at - lastBatch >= 12 && at - lastBatch < 16)) continue
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] ?? 0) ^ 0x41
    await fs.writeFile(file, flipped)
    const log = await openLog(t, { folder, wasCleanStop: false })

    assert.equal(log.highWatermark, 2n, `byte ${at - lastBatch}`)
    await log.close()
  }
})

test('zeros at the end, as a file system leaves them after a power cut, are cut off', async t => {
  const folder = await writtenFolder(t, [batchOfCount(2)])
  await fs.appendFile(path.join(folder, LOG_FILE), Buffer.alloc(5000))

  const log = await openLog(t, { folder, wasCleanStop: false })
  await log.append(batchOfCount(1))

  assert.deepEqual(
    (await readAll(log)).map(([offset]) => offset),
    [0n, 1n, 2n]
  )
})

test('appends go on after a cut as if nothing had been there', async t => {
  const folder = await writtenFolder(t, [batchOfCount(2), batchOfCount(3)])
  const file = path.join(folder, LOG_FILE)
  await fs.truncate(file, (await fs.stat(file)).size - 1)

  const log = await openLog(t, { folder, wasCleanStop: false })
  const { baseOffset } = appended(await log.append(batchOfCount(1, 'after')))

  assert.equal(baseOffset, 2n)
  assert.deepEqual((await readAll(log)).at(-1), [2n, 'after'])
})

test('a bad batch in an older segment takes the segments behind it along', async t => {
  const folder = await writtenFolder(
    t,
    Array.from({ length: 6 }, () => batchOfCount(1, 'x'.repeat(100))),
    { segmentBytes: 400 }
  )
  const names = (await fs.readdir(folder)).filter(name => name.endsWith('.log')).toSorted()
  assert.equal(names.length, 3)
  await fs.truncate(path.join(folder, names[1] ?? ''), 250)

  const log = await openLog(t, { folder, wasCleanStop: false, config: { segmentBytes: 400 } })

  assert.equal(log.highWatermark, 3n)
  assert.equal(log.segmentCount, 2)
  await log.append(batchOfCount(1))
  assert.equal((await readAll(log)).length, 4)
})

test('only what lies behind the recovery point is checked', async t => {
  const batches = Array.from({ length: 50 }, () => batchOfCount(1, 'x'.repeat(1000)))
  const folder = await writtenFolder(t, batches)
  const bytes = (await fs.stat(path.join(folder, LOG_FILE))).size

  const all = await openLog(t, { folder: await copyOf(t, folder), recoveryPoint: 0n })
  const tail = await openLog(t, { folder: await copyOf(t, folder), recoveryPoint: 40n })
  const none = await openLog(t, { folder: await copyOf(t, folder), recoveryPoint: 50n })

  assert.equal(all.recoveredBytes, bytes)
  assert.ok(tail.recoveredBytes < bytes / 3, `${tail.recoveredBytes} of ${bytes}`)
  assert.ok(none.recoveredBytes <= 4096 + 2200, `${none.recoveredBytes}`)
  assert.deepEqual([all.highWatermark, tail.highWatermark, none.highWatermark], [50n, 50n, 50n])
})

test('a flush moves the recovery point to the end of what was appended', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  await log.append(batchOfCount(3))
  assert.equal(log.recoveryPoint, 0n)
  assert.ok(log.unflushedBytes > 0)

  void log.append(batchOfCount(2))
  await log.flush()

  assert.equal(log.recoveryPoint, 5n)
  assert.equal(log.unflushedBytes, 0)
})

test('indexes that are missing, cut, flipped or of another log are made anew and are the same', async t => {
  const random = seededRandom(t)
  const batches = Array.from({ length: 60 }, (_, index) =>
    batchOf([{ value: 'x'.repeat(100 + randomInt(random, 900)), timestampMs: START_MS + index }])
  )
  const folder = await writtenFolder(t, batches)
  const good = await fs.readFile(path.join(folder, INDEX_FILE))
  const goodTimes = await fs.readFile(path.join(folder, TIME_INDEX_FILE))
  const zeros = Buffer.alloc(good.length)
  const flipped = Buffer.from(good)
  flipped[11] = 0xff
  const damaged: (Buffer | undefined)[] = [undefined, good.subarray(0, 12), zeros, flipped, Buffer.alloc(0)]

  for (const [index, content] of damaged.entries()) {
    const copy = await copyOf(t, folder)
    if (content === undefined) await fs.rm(path.join(copy, INDEX_FILE))
    else await fs.writeFile(path.join(copy, INDEX_FILE), content)
    await fs.writeFile(path.join(copy, TIME_INDEX_FILE), content?.subarray(0, 24) ?? Buffer.alloc(0))
    const log = await openLog(t, { folder: copy, recoveryPoint: 60n })

    assert.equal((await readAll(log)).length, 60, `case ${index}`)
    assert.equal((await log.offsetForTimestamp(BigInt(START_MS + 33)))?.offset, 33n)
    await log.close()
    assert.deepEqual(await fs.readFile(path.join(copy, INDEX_FILE)), good, `case ${index}`)
    assert.deepEqual(await fs.readFile(path.join(copy, TIME_INDEX_FILE)), goodTimes, `case ${index}`)
  }
})

test('a wrong position in the index of an old segment is noticed by a read, and the index made anew', async t => {
  const config = { segmentBytes: 20_000 }
  const batches = Array.from({ length: 40 }, () => batchOfCount(1, 'x'.repeat(900)))
  const folder = await writtenFolder(t, batches, config)
  const file = path.join(folder, INDEX_FILE)
  const good = await fs.readFile(file)
  const wrong = Buffer.from(good)
  wrong.writeInt32BE(wrong.readInt32BE(4) + 7, 4)
  await fs.writeFile(file, wrong)

  const log = await openLog(t, { folder, config, recoveryPoint: 40n })

  assert.deepEqual((await readAll(log, 5n)).map(([offset]) => offset).slice(0, 3), [5n, 6n, 7n])
  assert.deepEqual(await fs.readFile(file), good)
})

test('index files without a log, and leftovers of other work, are removed', async t => {
  const folder = await writtenFolder(t, [batchOfCount(1)])
  const strays = ['00000000000000000077.index', '00000000000000000077.timeindex', '00000000000000000000.log.deleted']
  for (const name of [...strays, 'leader-epoch-checkpoint.tmp']) await fs.writeFile(path.join(folder, name), 'x')

  const log = await openLog(t, { folder })

  const names = await fs.readdir(folder)
  assert.deepEqual(
    [...strays, 'leader-epoch-checkpoint.tmp'].filter(name => names.includes(name)),
    []
  )
  assert.equal(log.highWatermark, 1n)
})

/**
 * Symptom: the broker did not start: ENOENT for a log of which only `….timeindex.swap` was there.
 * Cause: index files of a compacted segment without a log were taken for what that log still lacks.
 * Reach: a folder that lost a file, or that was put together by hand or from a backup.
 */
test('index files of a compacted segment whose log is not there are removed', async t => {
  const folder = await writtenFolder(t, [batchOfCount(2)])
  const strays = ['00000000000000000009.index.swap', '00000000000000000009.timeindex.swap']
  for (const stray of strays) await fs.writeFile(path.join(folder, stray), Buffer.alloc(12, 1))

  const log = await openLog(t, { folder })

  assert.equal((await readAll(log)).length, 2)
  assert.deepEqual(
    (await fs.readdir(folder)).filter(name => name.startsWith('00000000000000000009')),
    []
  )
})

test('a retry is recognised after a restart: from the snapshot, from the log, and from both', async t => {
  const stamp = (baseSequence: number): { producerId: bigint; producerEpoch: number; baseSequence: number } => ({
    producerId: 3n,
    producerEpoch: 0,
    baseSequence
  })
  const batches = [0, 2, 4].map(sequence => batchOfCount(2, 'v', stamp(sequence)))
  const folder = await writtenFolder(t, batches)
  const snapshot = '00000000000000000006.snapshot'
  const withoutSnapshot = await copyOf(t, folder)
  await fs.rm(path.join(withoutSnapshot, snapshot))
  const tornSnapshot = await copyOf(t, folder)
  await fs.truncate(path.join(tornSnapshot, snapshot), 20)

  for (const copy of [folder, withoutSnapshot, tornSnapshot]) {
    const log = await openLog(t, { folder: copy, recoveryPoint: 6n })
    const retry = appended(await log.append(batchOfCount(2, 'v', stamp(4))))
    const next = appended(await log.append(batchOfCount(1, 'v', stamp(6))))
    assert.deepEqual([retry.baseOffset, retry.isDuplicate], [4n, true])
    assert.deepEqual([next.baseOffset, next.isDuplicate], [6n, false])
    assert.equal((await log.append(batchOfCount(1, 'v', stamp(9)))).errorCode, 45)
    await log.close()
  }
})

test('a snapshot of records that a crash took is not used', async t => {
  const stamp = { producerId: 3n, producerEpoch: 0 }
  const folder = await writtenFolder(t, [
    batchOfCount(2, 'v', { ...stamp, baseSequence: 0 }),
    batchOfCount(2, 'v', { ...stamp, baseSequence: 2 })
  ])
  const file = path.join(folder, LOG_FILE)
  await fs.truncate(file, (await fs.stat(file)).size - 1)

  const log = await openLog(t, { folder, wasCleanStop: false })

  const again = appended(await log.append(batchOfCount(2, 'v', { ...stamp, baseSequence: 2 })))
  assert.deepEqual([again.baseOffset, again.isDuplicate], [2n, false])
})

test('after an unclean stop a new leader epoch begins, so that consumers can tell what was lost', async t => {
  const folder = await writtenFolder(t, [batchOfCount(4)])
  const clean = await openLog(t, { folder })
  assert.equal(clean.leaderEpoch, 0)
  await clean.close()

  const log = await openLog(t, { folder, wasCleanStop: false })
  await log.append(batchOfCount(2))

  assert.equal(log.leaderEpoch, 1)
  assert.deepEqual(log.endOffsetOf(0), { epoch: 0, endOffset: 4n })
  assert.deepEqual(log.endOffsetOf(1), { epoch: 1, endOffset: 6n })
  assert.equal(readBatchHeader((await log.read(4n, 1000)).records, 0).partitionLeaderEpoch, 1)
  assert.equal(await fs.readFile(path.join(folder, 'leader-epoch-checkpoint'), 'utf8'), '0\n2\n0 0\n1 4\n')
})

test('a log start offset above the end, as after the loss of the files, begins an empty log there', async t => {
  const folder = await writtenFolder(t, [batchOfCount(4)])

  const log = await openLog(t, { folder, logStartOffset: 100n })

  assert.deepEqual([log.logStartOffset, log.highWatermark], [100n, 100n])
  assert.equal(appended(await log.append(batchOfCount(1))).baseOffset, 100n)
})

test('segments and their ages survive a restart', async t => {
  const clock = new VirtualClock(START_MS)
  const folder = await temporaryFolder(t)
  const config = { segmentBytes: 300, retentionMs: 10_000 }
  const log = await openLog(t, { folder, config, clock })
  for (let index = 0; index < 6; index++) {
    await log.append(batchOf([{ value: 'x'.repeat(150), timestampMs: START_MS + index * 1000 }]))
  }
  await log.close()
  await clock.advance(12_500)

  const reopened = await openLog(t, { folder, config, clock, recoveryPoint: log.recoveryPoint })
  await reopened.applyRetention()

  assert.equal(reopened.logStartOffset, 3n)
})
