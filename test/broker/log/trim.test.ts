import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt } from '../../../src/core/index.ts'
import { RecordCursor } from '../../../src/protocol/index.ts'
import type { PartitionLog } from '../../../src/broker/log/index.ts'
import { LogManager } from '../../../src/broker/log/index.ts'
import { trimToLastPerKey } from '../../../src/broker/log/trim-to-last-per-key.ts'
import { batchOf, cleanUp, FaultyDisk, openLog, seededRandom, temporaryFolder } from './support.ts'

/** What a replay from the front gives: the last value of every key that was not deleted. */
async function replay(log: PartitionLog): Promise<Map<string, string>> {
  const state = new Map<string, string>()
  const cursor = new RecordCursor()
  let next = log.logStartOffset
  while (next < log.highWatermark) {
    const { records } = await log.read(next, 10_000)
    cursor.reset(records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < next) continue
        const key = cursor.key()?.toString() ?? ''
        const value = cursor.value()
        if (value === null) state.delete(key)
        else state.set(key, value.toString())
      }
      next = cursor.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
  return state
}

test('after a trim a replay gives the same state from fewer records', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentBytes: 2000 } })
  for (let index = 0; index < 200; index++) {
    await log.append(batchOf([{ key: `k${index % 5}`, value: index % 5 === 4 && index > 150 ? null : String(index) }]))
  }
  const before = await replay(log)

  const result = await trimToLastPerKey(log)

  assert.equal(result.isTrimmed, true)
  assert.deepEqual(
    before,
    new Map([
      ['k0', '195'],
      ['k1', '196'],
      ['k2', '197'],
      ['k3', '198']
    ])
  )
  assert.deepEqual(await replay(log), before)
  assert.deepEqual([log.logStartOffset, log.highWatermark], [200n, 204n])
  assert.equal(log.segmentCount, 1)
})

test('records appended beside a trim are newer than what the trim appends again', async t => {
  const random = seededRandom(t)
  const log = await openLog(t, { folder: await temporaryFolder(t), config: { segmentBytes: 3000 } })
  const state = new Map<string, string>()
  const write = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const key = `k${randomInt(random, 20)}`
      const value = random.next() < 0.2 ? null : `${index}-${random.next()}`
      if (value === null) state.delete(key)
      else state.set(key, value)
      const result = log.append(batchOf([{ key, value }]))
      if (random.next() < 0.3) await result
    }
  }
  await write(300)

  for (let round = 0; round < 5; round++) {
    await Promise.all([trimToLastPerKey(log), write(50)])
    await log.flush()
    assert.deepEqual(await replay(log), state)
  }
})

test('an empty log and a log of deleted keys trim to nothing', async t => {
  const log = await openLog(t, { folder: await temporaryFolder(t) })
  assert.deepEqual(await trimToLastPerKey(log), { isTrimmed: true, keptBytes: 0 })
  await log.append(
    batchOf([
      { key: 'a', value: '1' },
      { key: 'a', value: null }
    ])
  )

  assert.deepEqual(await trimToLastPerKey(log), { isTrimmed: true, keptBytes: 0 })
  assert.deepEqual([log.logStartOffset, log.highWatermark], [2n, 2n])
})

test('only topics of the broker are trimmed, and only once they have grown', async t => {
  const manager = await LogManager.open({ dataDir: await temporaryFolder(t) })
  cleanUp(t, () => manager.close())
  const configs = { 'cleanup.policy': 'compact' }
  for (const name of ['__consumer_offsets', 'mine']) await manager.createTopic({ name, configs })
  const append = async (name: string, count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      await manager.log(name, 0)?.append(batchOf([{ key: 'k', value: 'x'.repeat(500_000) }]))
    }
  }

  await append('__consumer_offsets', 10)
  await manager.trimInternalTopics()
  assert.equal(manager.log('__consumer_offsets', 0)?.logStartOffset, 0n)
  await append('__consumer_offsets', 10)
  await append('mine', 20)
  await manager.trimInternalTopics()

  assert.equal(manager.log('__consumer_offsets', 0)?.logStartOffset, 20n)
  assert.equal(manager.log('mine', 0)?.logStartOffset, 0n)
})

/**
 * Symptom: committed offsets that were on the disk for days could be gone after a power failure.
 * Cause: the front was removed while what replaced it was only written, not flushed.
 * Reach: every trim of `__consumer_offsets`, until the next flush.
 */
test('the front stays while what replaces it is not durable', async t => {
  const disk = new FaultyDisk()
  const log = await openLog(t, { folder: await temporaryFolder(t), disk })
  for (let index = 0; index < 20; index++) await log.append(batchOf([{ key: 'k', value: String(index) }]))
  await log.flush()
  disk.syncCode = 'EIO'

  const result = await trimToLastPerKey(log)

  assert.equal(result.isTrimmed, false)
  assert.equal(log.logStartOffset, 0n)
})
