import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError, randomInt, SeededRandom } from '../../src/core/index.ts'
import { OffsetTracker } from '../../src/dispatcher/offset-tracker.ts'
import { seedOf } from './support.ts'

test('ranges finished out of order commit only the contiguous prefix', () => {
  const tracker = new OffsetTracker(10n, 3)
  assert.equal(tracker.start(11n), 10n)
  assert.equal(tracker.start(14n), 11n) // 12 and 13 were removed by compaction
  assert.equal(tracker.start(15n), 14n)

  assert.equal(tracker.finish(11n), undefined) // 10 is still running
  assert.equal(tracker.finish(10n), 14n)
  assert.equal(tracker.finish(14n), 15n)
  assert.equal(tracker.windowCount, 0)
})

test('a batch that is given up half way commits what was settled in front', () => {
  const tracker = new OffsetTracker(0n, 1)
  const range = tracker.start(500n)
  assert.equal(tracker.advance(range, 120n), 120n)
  assert.equal(tracker.advance(120n, 120n), undefined)
  assert.equal(tracker.finish(120n), 500n)
})

test('an offset that is not in flight is refused', () => {
  const tracker = new OffsetTracker(5n, 2)
  tracker.start(6n)
  tracker.finish(5n)
  for (const finish of [() => tracker.finish(5n), () => tracker.finish(6n), () => tracker.advance(7n, 8n)]) {
    assert.throws(finish, error => PipelineError.is(error, 'ERR_DISPATCHER_OFFSET_NOT_IN_FLIGHT') && !error.retriable)
  }
})

test('the window is bounded, and finished ranges behind an unfinished one count', () => {
  const tracker = new OffsetTracker(0n, 2)
  tracker.start(1n)
  tracker.start(2n)
  tracker.finish(1n)
  assert.equal(tracker.isFull, true)
  assert.throws(
    () => tracker.start(3n),
    error => PipelineError.is(error, 'ERR_CORE_INVARIANT')
  )
  tracker.finish(0n)
  assert.equal(tracker.isFull, false)
})

test('a range cannot be empty or end before it begins', () => {
  const tracker = new OffsetTracker(4n, 2)
  assert.throws(
    () => tracker.start(4n),
    error => PipelineError.is(error, 'ERR_CORE_INVARIANT')
  )
})

test('whatever the order, the committable offset is the lowest unfinished one and never moves back', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 200; round += 1) {
    const tracker = new OffsetTracker(0n, 40)
    const open: bigint[] = []
    let next = 0n
    let last = 0n
    for (let step = 0; step < 300; step += 1) {
      if (!tracker.isFull && random.next() < 0.55) {
        open.push(next)
        assert.equal(tracker.start(next + BigInt(1 + randomInt(random, 3))), next)
        next = tracker.started
      } else if (open.length > 0) {
        const [from] = open.splice(randomInt(random, open.length), 1)
        if (from !== undefined) tracker.finish(from)
      }
      const lowest = open.reduce((low, from) => (from < low ? from : low), next)
      assert.equal(tracker.committable, lowest)
      assert.ok(tracker.committable >= last)
      last = tracker.committable
    }
  }
})
