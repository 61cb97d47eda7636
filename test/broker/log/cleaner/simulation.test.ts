/** Everything at once on one compacted log: appends, compaction, removal, flushes, reads, and a restart at the end. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Random, randomInt, VirtualClock } from '../../../../src/core/index.ts'
import type { PartitionLog } from '../../../../src/broker/log/partition-log.ts'
import { appended, batchOf, seededRandom, START_MS, temporaryFolder } from '../support.ts'
import { type Cleanable, consume, openCleanable, type SeenRecord } from './support.ts'

const ROUNDS = process.env['CRASH'] === 'long' ? 40 : 2
const STEPS = 120
const KEY_COUNT = 15

interface World extends Cleanable {
  readonly random: Random
  readonly records: Map<bigint, SeenRecord>
  isOver: boolean
}

const pause = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

async function append({ log, random, records, clock }: World): Promise<void> {
  for (let step = 0; step < STEPS; step++) {
    const batch = Array.from({ length: 1 + randomInt(random, 3) }, (_, at) => ({
      key: `k${randomInt(random, KEY_COUNT)}`,
      value: random.next() < 0.1 ? null : `${step}.${at}`.padEnd(10 + randomInt(random, 80), '.'),
      timestampMs: clock.now()
    }))
    const { baseOffset } = appended(await log.append(batchOf(batch)))
    for (const [at, record] of batch.entries()) {
      const offset = baseOffset + BigInt(at)
      records.set(offset, { offset, ...record })
    }
    if (step % 10 === 0) await clock.advance(50)
    if (random.next() < 0.3) await pause()
  }
}

/** Does something again and again until the world is over. */
async function again(world: World, work: () => Promise<unknown>): Promise<void> {
  while (!world.isOver) {
    await work()
    for (let turns = randomInt(world.random, 30); turns > 0; turns--) await pause()
  }
}

async function remove({ log, random }: World): Promise<void> {
  if (random.next() < 0.5) await log.applyRetention()
  if (random.next() > 0.1) return
  const range = Number(log.highWatermark - log.logStartOffset)
  await log.deleteRecords(log.logStartOffset + BigInt(randomInt(random, Math.floor(range / 3) + 1)))
}

/** Reads from the start; a removal in the middle of it moves the start, and that is no error. */
async function read({ log, records }: World): Promise<void> {
  const from = log.logStartOffset
  try {
    for (const record of await consume(log, { fromOffset: from })) {
      const known = records.get(record.offset)
      if (known !== undefined) assert.deepEqual(record, known)
    }
  } catch (error) {
    const isMoved = error instanceof Error && error.message.includes('failed with 1') && log.logStartOffset > from
    if (!isMoved) throw error
  }
}

/** The last record of each key from the start of the log on is there, and nothing that was never written. */
async function check(log: PartitionLog, records: ReadonlyMap<bigint, SeenRecord>): Promise<void> {
  const seen = await consume(log, { fromOffset: log.logStartOffset })
  for (const record of seen) assert.deepEqual(record, records.get(record.offset))
  const last = new Map<string | null, SeenRecord>()
  for (const record of records.values()) if (record.offset >= log.logStartOffset) last.set(record.key, record)
  const found = new Map(seen.map(record => [record.key, record]))
  for (const [key, record] of last) {
    if (record.value !== null) assert.deepEqual(found.get(key), record, `the last record of ${key}`)
    else assert.ok(found.get(key) === undefined || found.get(key)?.offset === record.offset, `${key} was deleted`)
  }
}

async function live(t: TestContext, random: Random): Promise<void> {
  const folder = await temporaryFolder(t)
  const clock = new VirtualClock(START_MS)
  const config = { isDeleted: true, retentionBytes: 6000, deleteRetentionMs: 100, segmentBytes: 500 }
  const opened = await openCleanable(t, { folder, clock, config })
  const world: World = { ...opened, random, records: new Map(), isOver: false }
  const { log, cleaner, records } = world
  const works = [
    again(world, () => cleaner.cleanAll()),
    again(world, () => remove(world)),
    again(world, () => log.flush()),
    again(world, () => read(world))
  ]
  try {
    await append(world)
  } finally {
    world.isOver = true
  }
  await Promise.all(works)
  await check(log, records)
  await cleaner.cleanAll()
  await check(log, records)
  assert.equal(cleaner.status.uncleanableCount, 0)
  assert.equal(log.isOffline, false)
  const { highWatermark, logStartOffset, recoveryPoint } = log
  await cleaner.close()
  await log.close()

  const next = await openCleanable(t, { folder, clock, config, recoveryPoint, logStartOffset, wasCleanStop: false })
  assert.equal(next.log.highWatermark, highWatermark)
  await check(next.log, records)
}

test('appends, compaction, removal, flushes and reads at the same time leave the last of every key', async t => {
  const random = seededRandom(t)
  for (let round = 0; round < ROUNDS; round++) await live(t, random)
})
