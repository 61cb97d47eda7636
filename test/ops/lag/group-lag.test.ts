/** What is said of a group, from its partitions. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { groupLagOf } from '../../../src/ops/lag/group-lag.ts'
import { partitionLag } from '../slo/lag-reports.ts'

const facts = { groupId: 'billing', state: 'Stable', memberCount: 2, problem: undefined }

test('one hot partition is seen, not averaged away', () => {
  const cold = [0, 1, 2].map(partition => partitionLag({ partition, lagRecords: 1n, lagSeconds: 1, drainSeconds: 1 }))
  const hot = partitionLag({ partition: 3, lagRecords: 900n, lagSeconds: 600, drainSeconds: 450, status: 'WARN' })
  const found = groupLagOf(facts, [...cold, hot])
  assert.deepEqual(found.worst, { topic: 'orders', partition: 3 })
  assert.deepEqual([found.lagRecords, found.lagSeconds, found.drainSeconds, found.status], [903n, 600, 450, 'WARN'])
})

test('a sum of what is known says how much is not, and an open end leaves the drain open', () => {
  const known = partitionLag({ partition: 0, lagRecords: 5n, lagSeconds: 7, drainSeconds: 3 })
  const unknown = partitionLag({
    partition: 1,
    isKnown: false,
    lagSeconds: undefined,
    lagTimeSource: 'unknown',
    arrivalRate: undefined,
    drainSeconds: undefined,
    headroomLimit: 'unknown',
    retentionUsed: undefined,
    flags: ['offline']
  })
  const found = groupLagOf(facts, [known, unknown])
  assert.deepEqual([found.lagRecords, found.unknownCount, found.lagSeconds], [5n, 1, 7])
  assert.deepEqual([found.arrivalRate, found.drainSeconds], [10, undefined])
  assert.deepEqual([found.headroomSeconds, found.headroomLimit], [undefined, 'unknown'])
  assert.deepEqual(found.flags, ['offline'])
})

test('a lag whose age is unknown is not an age of 0, whatever the partitions beside it', () => {
  const read = partitionLag({ partition: 0 })
  const noAge = { lagSeconds: undefined, lagTimeSource: 'unknown' } as const
  for (const other of [
    partitionLag({ partition: 1, lagRecords: 5000n, ...noAge }),
    partitionLag({ partition: 1, isKnown: false, ...noAge })
  ]) {
    const found = groupLagOf(facts, [read, other])
    assert.deepEqual([found.lagSeconds, found.lagTimeSource], [undefined, 'unknown'])
  }
})

test('the smallest headroom and the largest share of retention count', () => {
  const found = groupLagOf(facts, [
    partitionLag({ headroomSeconds: 100, headroomLimit: 'time', retentionUsed: 0.9 }),
    partitionLag({ partition: 1, headroomSeconds: 50, headroomLimit: 'size', retentionUsed: 0.2 })
  ])
  assert.deepEqual([found.headroomSeconds, found.headroomLimit, found.retentionUsed], [50, 'size', 0.9])
})

test('a group without partitions is not judged, and its age is unknown instead of 0', () => {
  const found = groupLagOf({ ...facts, problem: 'no right' }, [])
  assert.deepEqual(
    [found.status, found.lagSeconds, found.drainSeconds, found.complete],
    ['NONE', undefined, undefined, 0]
  )
  assert.equal(found.worst, undefined)
})
