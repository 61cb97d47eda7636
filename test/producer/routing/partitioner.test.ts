import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Partitioner, type PartitionFunction } from '../../../src/producer/routing/partitioner.ts'

function place(
  choose: unknown,
  count: number | undefined
): { partition: number | undefined; reason: string | undefined } {
  // A module of the user may export anything: that is what is tested.
  const partitioner = new Partitioner(choose as PartitionFunction, () => count)
  const record: { topic: string; key: Buffer | null; partition: number | undefined } = {
    topic: 't',
    key: null,
    partition: undefined
  }
  const problem = partitioner.place(record)
  return { partition: record.partition, reason: problem?.reason }
}

test('only a whole number within the topic is a partition', () => {
  for (const answer of [
    -1,
    3,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '1',
    null,
    undefined,
    1n,
    [1],
    Promise.resolve(1)
  ]) {
    const { partition, reason } = place(() => answer, 3)
    assert.equal(partition, undefined)
    assert.match(reason ?? '', /^the partitioner answered .*, not a whole number from 0 to 2$/)
  }
  assert.deepEqual(
    place(() => 2, 3),
    { partition: 2, reason: undefined }
  )
})

test('what it throws is named by its kind, never by its message', () => {
  const thrower = (thrown: unknown) => (): never => {
    throw thrown
  }
  assert.equal(place(thrower(new TypeError('key 4711')), 3).reason, 'the partitioner threw TypeError')
  assert.equal(place(thrower('secret'), 3).reason, 'the partitioner threw string')
})

test('metadata that is missing for a moment makes no dead letters: the last known count goes on', () => {
  let count: number | undefined
  const partitioner = new Partitioner(
    ({ partitionCount }) => partitionCount - 1,
    () => count
  )
  const record: { topic: string; key: null; partition: number | undefined } = {
    topic: 't',
    key: null,
    partition: undefined
  }
  assert.equal(partitioner.place(record)?.reason, 'the partition count of t is not known')
  for (const [now, expected] of [
    [4, 3],
    [undefined, 3],
    [0, 3],
    [6, 5]
  ] as const) {
    count = now
    assert.equal(partitioner.place(record), undefined)
    assert.equal(record.partition, expected)
  }
})
