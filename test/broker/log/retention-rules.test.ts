/** Retention beside transactions and compaction, and when records are durable. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { VirtualClock } from '../../../src/core/index.ts'
import { LogManager } from '../../../src/broker/log/index.ts'
import type { PartitionLog } from '../../../src/broker/log/partition-log.ts'
import { consume, openCleanable } from './cleaner/support.ts'
import { appended, batchOf, batchOfCount, cleanUp, FaultyDisk, openLog, START_MS, temporaryFolder } from './support.ts'

const SMALL = { segmentBytes: 400, retentionMs: 1000 }
const PRODUCER = { producerId: 4n, producerEpoch: 0, isTransactional: true }
const PROOF = { transaction: { isVerified: true } }

async function fill(log: PartitionLog, timestampMs: number, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    appended(await log.append(batchOf([{ key: `k${index % 2}`, value: `${timestampMs}/${index}`, timestampMs }])))
  }
}

test('retention removes segments with records of an open transaction, and the transaction still ends', async t => {
  const folder = await temporaryFolder(t)
  const clock = new VirtualClock(START_MS)
  const log = await openLog(t, { folder, clock, config: SMALL })
  appended(await log.append(batchOfCount(1, 'open', { ...PRODUCER, baseSequence: 0 }), PROOF))
  await fill(log, START_MS, 20)
  assert.equal(log.lastStableOffset, 0n)

  await clock.advance(1500)
  await fill(log, START_MS + 1500, 3)
  assert.ok((await log.applyRetention()) > 0)

  const start = log.logStartOffset
  assert.ok(start > 0n)
  assert.equal(log.lastStableOffset, start, 'the end of what is stable never lies before the log')
  assert.deepEqual(await consume(log, { fromOffset: start, isReadCommitted: true }), [])
  await log.appendMarker({ producerId: 4n, producerEpoch: 0, coordinatorEpoch: 0, isCommit: false })
  assert.equal(log.lastStableOffset, log.highWatermark)
  assert.ok((await consume(log, { fromOffset: start, isReadCommitted: true })).length > 0)
  await log.close()
  const again = await openLog(t, { folder, clock, config: SMALL, wasCleanStop: false, logStartOffset: start })
  assert.equal(again.lastStableOffset, again.highWatermark)
})

test('with compact,delete old segments go by age and the rest is compacted', async t => {
  const folder = await temporaryFolder(t)
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 400, retentionMs: 1000, isDeleted: true }
  const { log, cleaner } = await openCleanable(t, { folder, clock, config })
  await fill(log, START_MS, 20)
  await cleaner.cleanAll()
  await clock.advance(900)
  await fill(log, START_MS + 900, 20)
  await clock.advance(200)

  const removed = await log.applyRetention()
  await cleaner.cleanAll()

  assert.ok(removed > 0)
  const left = await consume(log, { fromOffset: log.logStartOffset })
  const active = log.segments.at(-1)?.baseOffset ?? 0n
  assert.ok(
    left.every(({ timestampMs }) => timestampMs === START_MS + 900),
    'nothing that is too old'
  )
  assert.ok(
    left.filter(({ offset }) => offset < active).length <= 2,
    'one record of each key before the active segment'
  )
  assert.deepEqual(left.at(-1)?.value, `${START_MS + 900}/19`)
})

test('with compact alone no age and no size removes a segment', async t => {
  const clock = new VirtualClock(START_MS)
  const config = { segmentBytes: 400, retentionMs: 1000, retentionBytes: 1, isDeleted: false }
  const { log } = await openCleanable(t, { folder: await temporaryFolder(t), clock, config })
  await fill(log, START_MS, 20)
  await clock.advance(5000)

  assert.equal(await log.applyRetention(), 0)
})

class GatedDisk extends FaultyDisk {
  gate: Promise<void> = Promise.resolve()
  syncedPaths = 0

  override async sync(fd: number): Promise<void> {
    await this.gate
    this.syncedPaths += 1
    await super.sync(fd)
  }
}

test('with flush.messages 1 a record is neither acknowledged nor readable before its bytes are durable', async t => {
  const disk = new GatedDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk, config: { flushMessages: 1 } })
  appended(await log.append(batchOfCount(1, 'first')))
  const synced = disk.syncedPaths
  let open = (): void => undefined
  disk.gate = new Promise(resolve => (open = resolve))

  let isAcknowledged = false
  const appending = log.append(batchOfCount(1, 'second')).then(result => {
    isAcknowledged = true
    return result
  })
  while (disk.writeCount < 2) await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))

  assert.equal(isAcknowledged, false)
  assert.equal(log.highWatermark, 1n)
  open()
  appended(await appending)
  assert.ok(disk.syncedPaths > synced)
  assert.equal(log.highWatermark, 2n)
})

test('flush.ms has records durable after that time, with a snapshot of the producers', async t => {
  const dataDir = await temporaryFolder(t)
  const clock = new VirtualClock(START_MS)
  const manager = await LogManager.open({ dataDir, clock })
  cleanUp(t, () => manager.close())
  await manager.createTopic({ name: 't', configs: { 'flush.ms': '5000' } })
  const log = manager.log('t', 0)
  assert.ok(log)
  appended(await log.append(batchOfCount(3)))

  await clock.advance(4000)
  assert.equal(log.recoveryPoint, 0n)
  await clock.advance(2000)
  while (log.recoveryPoint < 3n) await new Promise(resolve => setImmediate(resolve))

  assert.ok((await fs.readdir(path.join(dataDir, 't-0'))).includes('00000000000000000003.snapshot'))
})
