/** What is kept between looks: commits, and ends of the log. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { CommitWindow } from '../../../src/ops/lag/commit-window.ts'
import { EndHistory } from '../../../src/ops/lag/end-history.ts'
import { seedForTest } from './support.ts'

test('a window keeps the last commits, oldest first', () => {
  const window = new CommitWindow(3)
  for (const offset of [1, 2, 3, 4, 5]) window.add({ timeMs: offset * 10, offset, lag: undefined })
  assert.deepEqual(
    window.samples().map(({ offset, timeMs }) => [offset, timeMs]),
    [
      [3, 30],
      [4, 40],
      [5, 50]
    ]
  )
  assert.equal(window.offsetAt(39), 3)
  assert.equal(window.offsetAt(29), undefined)
  assert.equal(window.offsetAt(1000), 5)
})

test('a commit that comes too soon takes the place of the one before, and keeps its time', () => {
  const window = new CommitWindow(5)
  window.add({ timeMs: 1000, offset: 10, lag: 5 }, 500)
  window.add({ timeMs: 1400, offset: 20, lag: 3 }, 500)
  window.add({ timeMs: 1500, offset: 30, lag: 1 }, 500)
  assert.deepEqual(window.samples(), [
    { timeMs: 1000, offset: 20, lag: 3 },
    { timeMs: 1500, offset: 30, lag: 1 }
  ])
})

test('the last step back is known by its time', () => {
  const window = new CommitWindow(5)
  for (const [timeMs, offset] of [
    [1, 10],
    [2, 5],
    [3, 20],
    [4, 19],
    [5, 21]
  ] as const)
    window.add({ timeMs, offset, lag: 0 })
  assert.equal(window.rewoundAtMs(), 4)
  window.add({ timeMs: 6, offset: 22, lag: 0 })
  window.clear()
  assert.equal(window.rewoundAtMs(), undefined)
  assert.equal(window.count, 0)
})

// The rule and these numbers by hand: kafka-lag-exporter's LookupTable.
test('the time of an offset is interpolated between its neighbours', () => {
  const history = new EndHistory()
  history.add(1000, 100)
  history.add(2000, 200)
  history.add(3000, 1200)
  assert.deepEqual(history.timeOf(150), { timeMs: 1500, source: 'interpolated' })
  assert.deepEqual(history.timeOf(700), { timeMs: 2500, source: 'interpolated' })
  // Outside: along the line from the oldest to the newest, 1,100 offsets in 2,000 ms.
  const before = history.timeOf(45)
  assert.equal(before?.source, 'extrapolated')
  assert.equal(Math.round(before?.timeMs ?? 0), 900)
})

test('of a flat run only the first and last point are kept, and unread is what came after it', () => {
  const history = new EndHistory()
  for (const timeMs of [1000, 2000, 3000, 4000]) assert.equal(history.add(timeMs, 50), true)
  history.add(5000, 150)
  assert.equal(history.count, 3)
  assert.deepEqual(history.timeOf(100), { timeMs: 4500, source: 'interpolated' })
  assert.deepEqual(history.timeOf(50), { timeMs: 4000, source: 'interpolated' })
})

test('points out of order are dropped, and one point is not enough for a time', () => {
  const history = new EndHistory()
  assert.equal(history.timeOf(1), undefined)
  history.add(1000, 100)
  assert.equal(history.timeOf(50), undefined)
  assert.equal(history.add(1000, 200), false)
  assert.equal(history.add(900, 200), false)
  assert.equal(history.add(2000, 99), false)
  assert.equal(history.count, 1)
  history.add(2000, 100)
  assert.equal(history.timeOf(50), undefined) // Nothing has arrived: the line has no slope.
})

test('a history is bounded, grows along, and inverts itself', t => {
  const seed = seedForTest(t)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 200; round++) {
    const pointsMax = 2 + randomInt(random, 20)
    const history = new EndHistory(pointsMax)
    let timeMs = randomInt(random, 1000)
    let offset = randomInt(random, 1000)
    for (let step = 0; step < 40; step++) {
      history.add(timeMs, offset)
      timeMs += 1 + randomInt(random, 100)
      offset += randomInt(random, 3) * randomInt(random, 50)
    }
    assert.ok(history.count <= pointsMax)
    const first = history.firstTimeMs ?? 0
    const last = history.lastTimeMs ?? 0
    const at = first + random.next() * (last - first)
    const end = history.offsetAt(at) ?? Number.NaN
    assert.ok(end <= (history.lastOffset ?? 0))
    const found = history.timeOf(end)
    // Where nothing arrived the same end lasted for a while: any time of it will do.
    if (found?.source === 'interpolated') {
      assert.ok(Math.abs((history.offsetAt(found.timeMs) ?? 0) - end) < 1e-6 * Math.max(1, end))
    }
  }
})
