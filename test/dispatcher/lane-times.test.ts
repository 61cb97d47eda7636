/** The lag in seconds: which record is the oldest that is not done. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LaneTimes } from '../../src/dispatcher/lane-times.ts'
import { recordBatch } from './support.ts'

test('before the first batch the head of what was fetched tells the time; what is no batch of records does not', () => {
  const times = new LaneTimes()
  const [lane, other] = [{}, {}]
  assert.equal(times.oldestMs(lane), undefined)
  times.fetched(other, Buffer.alloc(100))
  assert.equal(times.oldestMs(other), undefined)

  times.fetched(lane, recordBatch(5n, [{ timestampMs: 1000 }, { timestampMs: 2000 }]))
  times.fetched(lane, recordBatch(7n, [{ timestampMs: 3000 }]))

  assert.equal(times.oldestMs(lane), 1000)
})

test('the first record of the oldest batch under way is the oldest; without one, the last that was in a batch', () => {
  const times = new LaneTimes()
  const lane = {}
  const endFirst = times.began(lane, { firstMs: 1000, lastMs: 1900 })
  const endSecond = times.began(lane, { firstMs: 2000, lastMs: 2900 })
  assert.equal(times.oldestMs(lane), 1000)
  endFirst()
  assert.equal(times.oldestMs(lane), 2000)
  endSecond()
  assert.equal(times.oldestMs(lane), 2900)
})
