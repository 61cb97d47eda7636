/** The lag in seconds: which record is the oldest that is not done; what is counted stays within its limits. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { LaneTimes } from '../../src/dispatcher/lane-times.ts'
import { Meters } from '../../src/dispatcher/meters.ts'
import { createMetrics, noopMeter } from '../../src/telemetry/index.ts'
import { recordBatch } from './support.ts'

test('before the first batch the head of what was fetched tells the time; what is no batch of records does not', () => {
  const times = new LaneTimes()
  const [lane, other] = [{}, {}]
  assert.equal(times.oldestMs(lane), undefined)
  times.fetched(other, Buffer.alloc(100), 9000)
  assert.equal(times.oldestMs(other), undefined)

  times.fetched(lane, recordBatch(5n, [{ timestampMs: 1000 }, { timestampMs: 2000 }]), 9000)
  times.fetched(lane, recordBatch(7n, [{ timestampMs: 3000 }]), 9000)

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

test('a record from the future or without a time does not hide, or invent, the age of those behind it', () => {
  // What one hostile producer writes must not silence the alert on lag for as long as the partition is held.
  const clock = new VirtualClock(1_000_000)
  const meters = new Meters(noopMeter, 'g', clock)
  const lane = { topic: 't' }
  const tableOf = (timestampMs: number): { count: number; timestampMs: () => number } => ({
    count: 1,
    timestampMs: () => timestampMs
  })
  meters.fetched(lane, recordBatch(0n, [{ timestampMs: -1 }]))
  assert.equal(meters.times.oldestMs(lane), undefined)
  meters.fetched(lane, recordBatch(0n, [{ timestampMs: 253_402_300_799_000 }]))
  assert.equal(meters.times.oldestMs(lane), 1_000_000)

  meters.batchStarted({ lane, table: tableOf(253_402_300_799_000) })(true)
  assert.equal(meters.times.oldestMs(lane), 1_000_000)
  meters.batchStarted({ lane, table: tableOf(-1) })(true)
  assert.equal(meters.times.oldestMs(lane), 1_000_000)
})

test('classes of errors that targets make up are counted together, and texts are no classes', async () => {
  const metrics = createMetrics()
  const meters = new Meters(metrics.meter, 'g')

  for (let index = 0; index < 300; index += 1) meters.deadLettered(`Error${index}`)
  meters.deadLettered('order 17 of customer Jane is invalid')

  const { metrics: all } = await metrics.collect()
  const points = all.find(({ name }) => name === 'comporta.dispatcher.dead_letters')?.points ?? []
  assert.equal(points.length, 101)
  assert.equal(points.find(({ attributes }) => attributes['class'] === '_OTHER')?.value, 201)
})

test('topics that come and go take no more room than there is', () => {
  const { topics } = new Meters(noopMeter, 'g')

  for (let index = 0; index < 6000; index += 1) topics.of(`topic-${index}`).begun(1, 0)

  assert.equal([...topics.entries()].length, 5001)
  assert.equal(topics.of('another').consumedCount, 1000)
})
