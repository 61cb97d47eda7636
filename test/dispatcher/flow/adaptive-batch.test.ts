import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../../src/core/index.ts'
import { AdaptiveBatch } from '../../../src/dispatcher/flow/adaptive-batch.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))

/** Sends full batches one after another to a target that takes so long for a record. */
function send(
  batch: AdaptiveBatch,
  msOf: (records: number) => number,
  options: { fromMs: number; count: number }
): number {
  let nowMs = options.fromMs
  for (let count = 0; count < options.count; count += 1) {
    const records = batch.recordsMax
    const sentMs = nowMs
    nowMs += msOf(records)
    batch.answered({ sentMs, answeredMs: nowMs, records })
  }
  return nowMs
}

test('the size settles where a batch takes as long as it should', () => {
  const batch = new AdaptiveBatch({ recordsMin: 10, recordsMax: 1000, latencyTargetMs: 200 })
  assert.equal(batch.recordsMax, 1000)
  const random = new SeededRandom(seed)
  const msOf = (records: number): number => (50 + records * 0.5) * (0.95 + 0.1 * random.next()) // 200 ms at 300 records
  let nowMs = send(batch, msOf, { fromMs: 0, count: 50 })
  for (let round = 0; round < 50; round += 1) {
    nowMs = send(batch, msOf, { fromMs: nowMs, count: 10 })
    assert.ok(batch.recordsMax >= 180 && batch.recordsMax <= 370, `${batch.recordsMax} records, seed ${seed}`)
  }
})

test('it comes back to the whole size when the target is fast again, and never leaves its bounds', () => {
  const batch = new AdaptiveBatch({ recordsMin: 50, recordsMax: 500, latencyTargetMs: 100 })
  const nowMs = send(batch, () => 5000, { fromMs: 0, count: 100 })
  assert.equal(batch.recordsMax, 50)
  send(batch, () => 10, { fromMs: nowMs, count: 200 })
  assert.equal(batch.recordsMax, 500)
})

test('batches that were sent together cut it once, and those that were not full let nothing grow', () => {
  const batch = new AdaptiveBatch({ recordsMin: 1, recordsMax: 100, latencyTargetMs: 100 })
  for (let count = 0; count < 10; count += 1) batch.answered({ sentMs: 0, answeredMs: 500 + count, records: 100 })
  assert.equal(batch.recordsMax, 70)
  for (let count = 0; count < 50; count += 1) batch.answered({ sentMs: 600, answeredMs: 601, records: 20 })
  assert.equal(batch.recordsMax, 70)
  batch.answered({ sentMs: 700, answeredMs: 710, records: 70 }, true) // gave no answer in time
  assert.equal(batch.recordsMax, 49)
})

test('a new limit is tried from its top, a lower one holds at once', () => {
  const batch = new AdaptiveBatch({ recordsMin: 1, recordsMax: 100, latencyTargetMs: 100 })
  batch.configure({ recordsMin: 1, recordsMax: 40, latencyTargetMs: 100 })
  assert.equal(batch.recordsMax, 40)
  batch.configure({ recordsMin: 1, recordsMax: 400, latencyTargetMs: 100 })
  assert.equal(batch.recordsMax, 400)
})
