/** How long the oldest unread record is still there: by hand. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headroomOf, type HeadroomQuestion } from '../../../src/ops/lag/retention.ts'

const settings = { retentionMs: undefined, retentionBytes: undefined, isDeleted: true, isCompacted: false }

function ask(change: Partial<HeadroomQuestion>): ReturnType<typeof headroomOf> {
  return headroomOf({
    settings,
    lagRecords: 1000,
    ageSeconds: 3600,
    recordBytes: 2000,
    isRecordBytesEstimated: false,
    arrivalRate: 10,
    ...change
  })
}

test('by time, a record goes retention.ms after its timestamp', () => {
  const found = ask({ settings: { ...settings, retentionMs: 14_400_000 } })
  assert.deepEqual([found.headroomSeconds, found.headroomLimit, found.retentionUsed], [10_800, 'time', 0.25])
  const late = ask({ settings: { ...settings, retentionMs: 1_800_000 } })
  assert.deepEqual([late.headroomSeconds, late.retentionUsed], [0, 1])
})

test('by size, it goes when retention.bytes have come after it', () => {
  // 3,000,000 records of 2 kB are 6 GB of 10 GB; 4 GB more come in 200,000 s at 10 records/s.
  const found = ask({ settings: { ...settings, retentionBytes: 1e10 }, lagRecords: 3_000_000 })
  assert.deepEqual([found.headroomSeconds, found.headroomLimit, found.retentionUsed], [200_000, 'size', 0.6])
  assert.equal(found.isHeadroomEstimated, false)
})

test('the sooner of both counts, and the larger share', () => {
  const found = ask({ settings: { ...settings, retentionMs: 7_200_000, retentionBytes: 2_020_000 } })
  // 2 MB of 2.02 MB are unread, and 20 kB/s come in: one second.
  assert.deepEqual([found.headroomSeconds, found.headroomLimit], [1, 'size'])
  assert.equal(Math.round((found.retentionUsed ?? 0) * 1000), 990)
})

test('a backlog that fills the retention is being deleted, whatever comes in', () => {
  const found = ask({ settings: { ...settings, retentionBytes: 1_000_000 }, arrivalRate: undefined })
  assert.deepEqual([found.headroomSeconds, found.headroomLimit, found.retentionUsed], [0, 'size', 1])
})

test('nothing coming in means that size deletes nothing', () => {
  const found = ask({ settings: { ...settings, retentionBytes: 1e10 }, arrivalRate: 0 })
  assert.deepEqual([found.headroomSeconds, found.headroomLimit], [undefined, 'none'])
})

test('nothing unread, nothing deleted, and nothing known are three different things', () => {
  assert.deepEqual(ask({ lagRecords: 0 }).retentionUsed, 0)
  assert.equal(ask({ lagRecords: 0 }).headroomLimit, 'none')
  assert.equal(ask({ settings: { ...settings, isDeleted: false, retentionMs: 1 } }).headroomLimit, 'none')
  assert.equal(ask({}).headroomLimit, 'none')
  assert.equal(ask({ settings: undefined }).headroomLimit, 'unknown')
  assert.equal(ask({ settings: { ...settings, retentionMs: 1 }, ageSeconds: undefined }).headroomLimit, 'unknown')
  const sizes = { ...settings, retentionBytes: 1e10 }
  assert.equal(ask({ settings: sizes, recordBytes: undefined }).headroomLimit, 'unknown')
})

test('what rests on one batch, or on a growth that is not known yet, says so', () => {
  const both = { ...settings, retentionMs: 7_200_000, retentionBytes: 1e10 }
  assert.equal(ask({ settings: both, isRecordBytesEstimated: true }).isHeadroomEstimated, true)
  const found = ask({ settings: both, arrivalRate: undefined })
  assert.deepEqual([found.headroomSeconds, found.headroomLimit, found.isHeadroomEstimated], [3600, 'time', true])
  assert.equal(ask({ settings: { ...settings, retentionMs: 7_200_000 } }).isHeadroomEstimated, false)
})
