import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PositionTracker } from '../../src/producer/sources/position-tracker.ts'

test('bytes are safe up to the first chunk that is not settled', () => {
  const positions = new PositionTracker()
  const first = positions.start(100)
  const second = positions.start(250)
  const third = positions.start(300)

  second()
  assert.equal(positions.safeBytes, 0) // the first is still open
  first()
  assert.equal(positions.safeBytes, 250)
  third()
  assert.equal(positions.safeBytes, 300)
  assert.equal(positions.openCount, 0)
})

test('a chunk that failed keeps all bytes behind it unsafe', () => {
  const positions = new PositionTracker()
  const first = positions.start(100)
  positions.start(200) // fails: never marked
  const third = positions.start(300)

  first()
  third()
  assert.equal(positions.safeBytes, 100)
})
