/** What is said of a partition: the traps of lag, the age of what is unread, rates, and that they agree. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { drainSecondsOf, judge } from '../../../src/ops/lag/judge.ts'
import { type Looks, questionOf, seedForTest } from './support.ts'

const record = (timestampMs: number) => ({ kind: 'record', timestampMs, recordBytes: 100 }) as const

test('lag is what lies between the committed offset and the end, and its age that of the oldest unread record', () => {
  const found = judge(questionOf([[60_000, 40, 100]], { oldest: record(48_500) }))
  assert.equal(found.lagRecords, 60n)
  assert.equal(found.lagSeconds, 11.5)
  assert.equal(found.lagTimeSource, 'append')
  assert.deepEqual(found.flags, [])
})

test('nothing unread is 0 seconds; an age that nothing tells is unknown, not 0', () => {
  const none = judge(questionOf([[60_000, 100, 100]]))
  assert.deepEqual([none.lagRecords, none.lagSeconds, none.lagTimeSource, none.drainSeconds], [0n, 0, 'none', 0])
  const unknown = judge(questionOf([[60_000, 40, 100]]))
  assert.deepEqual([unknown.lagRecords, unknown.lagSeconds, unknown.lagTimeSource], [60n, undefined, 'unknown'])
})

test('without the record itself the age is interpolated between looks, and marked', () => {
  const looks: Looks = [
    [10_000, 0, 100],
    [20_000, 0, 200],
    [30_000, 150, 300]
  ]
  const inside = judge(questionOf(looks))
  assert.deepEqual([inside.lagSeconds, inside.lagTimeSource], [15, 'interpolated'])
  const before = judge(questionOf(looks, { committed: 50n }))
  assert.deepEqual([before.lagSeconds, before.lagTimeSource], [25, 'extrapolated'])
})

test('a record without a timestamp says nothing of the age, and one of the future is 0 s old', () => {
  assert.equal(judge(questionOf([[60_000, 40, 100]], { oldest: record(-1) })).lagTimeSource, 'unknown')
  assert.equal(judge(questionOf([[60_000, 40, 100]], { oldest: record(99_000) })).lagSeconds, 0)
})

test('a marker of a transaction after the last record is no lag', () => {
  const found = judge(questionOf([[60_000, 99, 100]], { oldest: { kind: 'nothing' } }))
  assert.deepEqual([found.lagRecords, found.lagSeconds, found.status], [0n, 0, 'OK'])
  assert.deepEqual(found.flags, ['markersOnly'])
})

test('without a commit the lag is what is in the log, not what was ever written', () => {
  const ends = { logStartOffset: 900n, endOffset: 1000n, heldBackRecords: 0n }
  const found = judge(questionOf([[60_000, undefined, 1000]], { ends }))
  assert.deepEqual([found.lagRecords, found.lostRecords, found.status], [100n, 0n, 'NONE'])
  assert.deepEqual(found.flags, ['noCommit'])
})

test('what was deleted before it was read is loss, not lag', () => {
  const ends = { logStartOffset: 900n, endOffset: 1000n, heldBackRecords: 0n }
  const found = judge(questionOf([[60_000, 200, 1000]], { ends }))
  assert.deepEqual([found.lagRecords, found.lostRecords], [100n, 700n])
  assert.deepEqual(found.flags, ['dataLoss'])
})

test('a group that has committed more than there is has no negative lag', () => {
  const found = judge(questionOf([[60_000, 500, 100]]))
  assert.deepEqual([found.lagRecords, found.lagSeconds], [0n, 0])
  assert.deepEqual(found.flags, ['aheadOfLog'])
})

test('what an open transaction holds back is told apart from the lag', () => {
  const ends = { logStartOffset: 0n, endOffset: 50n, heldBackRecords: 30n }
  const behind = judge(questionOf([[60_000, 40, 50]], { ends }))
  assert.deepEqual([behind.lagRecords, behind.heldBackRecords], [10n, 30n])
  // Read uncommitted up to the high watermark: that is not ahead of the log.
  const ahead = judge(questionOf([[60_000, 80, 50]], { ends }))
  assert.deepEqual([ahead.lagRecords, ahead.flags], [0n, []])
})

test('offsets of a compacted topic may be gaps, and that is said', () => {
  const settings = { retentionMs: undefined, retentionBytes: undefined, isDeleted: false, isCompacted: true }
  assert.deepEqual(judge(questionOf([[60_000, 40, 100]], { settings })).flags, ['compacted'])
  assert.deepEqual(judge(questionOf([[60_000, 100, 100]], { settings })).flags, [])
})

test('a partition whose ends were never known has no lag of 0: it is unknown', () => {
  const found = judge(questionOf([[60_000, 40, 0]], { ends: undefined, flags: ['offline'] }))
  assert.deepEqual([found.isKnown, found.lagSeconds, found.lagTimeSource], [false, undefined, 'unknown'])
  assert.deepEqual([found.drainSeconds, found.headroomLimit, found.status], [undefined, 'unknown', 'NONE'])
  assert.deepEqual(found.flags, ['offline'])
})

test('rates come from the second look on, and drain from both of them', () => {
  assert.equal(judge(questionOf([[0, 0, 100]])).arrivalRate, undefined)
  const found = judge(
    questionOf([
      [0, 0, 1000],
      [10_000, 400, 1100]
    ])
  )
  assert.deepEqual([found.arrivalRate, found.serviceRate, found.trend], [10, 40, -30])
  assert.equal(found.drainSeconds, 700 / 30)
})

test('a slow first look does not double the service rate: commits count by when they were read', () => {
  // 1,000 a second come and go. The first look read commits 900 ms before the ends, the second one 10 ms before them.
  const looks = [
    [10_000, 9_100, 10_000],
    [11_000, 10_990, 11_000]
  ] as const
  const leadsMs = new Map([
    [10_000, 900],
    [11_000, 10]
  ])
  const { arrivalRate, serviceRate, trend } = judge(questionOf(looks, { leadsMs }))
  assert.deepEqual(
    [arrivalRate, serviceRate, trend].map(each => Math.round(each ?? -1)),
    [1000, 1000, 0]
  )
  assert.equal(judge(questionOf(looks)).serviceRate, 1890, 'which is what it looked like')
})

test('a step back begins the rates anew: what is read again is not read slower', () => {
  const found = judge(
    questionOf([
      [0, 900, 1000],
      [10_000, 100, 1000],
      [20_000, 300, 1100]
    ])
  )
  assert.deepEqual([found.serviceRate, found.arrivalRate], [20, 10])
})

test('a lag that does not shrink is never drained', () => {
  assert.equal(drainSecondsOf(10, 0), undefined)
  assert.equal(drainSecondsOf(10, 5), undefined)
  assert.equal(drainSecondsOf(10, undefined), undefined)
  assert.equal(drainSecondsOf(0, 5), 0)
  assert.equal(drainSecondsOf(10, -2), 5)
})

test('whatever is looked at: lag is never negative, rates conserve, and the drain agrees with them', t => {
  const random = new SeededRandom(seedForTest(t))
  for (let round = 0; round < 500; round++) {
    const looks: [number, number | undefined, number][] = []
    let timeMs = 1_000_000
    let end = randomInt(random, 1000)
    let committed = randomInt(random, 1200)
    for (let step = 1 + randomInt(random, 9); step > 0; step--) {
      looks.push([timeMs, committed, end])
      timeMs += 100 + randomInt(random, 10_000)
      end += randomInt(random, 500)
      // Never back: the log holds what was committed, or the topic was made anew.
      committed = Math.min(end, committed + randomInt(random, 400))
    }
    const found = judge(questionOf(looks))
    const [first] = looks
    const last = looks.at(-1)
    if (first === undefined || last === undefined) continue
    assert.ok(found.lagRecords >= 0n)
    assert.ok(found.lagSeconds === undefined || found.lagSeconds >= 0)
    const seconds = (last[0] - first[0]) / 1000
    // It was ahead of its log at first, and went back: the rates begin anew.
    if (seconds === 0 || (first[1] ?? 0) > first[2]) continue
    const { arrivalRate = Number.NaN, serviceRate = Number.NaN, trend = Number.NaN } = found
    assert.ok(Math.abs(arrivalRate * seconds - (last[2] - first[2])) < 1e-6 * (1 + last[2]))
    assert.ok(Math.abs(serviceRate * seconds - ((last[1] ?? 0) - (first[1] ?? 0))) < 1e-6 * (1 + last[2]))
    const grown = Number(found.lagRecords) - (first[2] - (first[1] ?? 0))
    assert.ok(Math.abs(trend * seconds - grown) < 1e-6 * (1 + last[2]))
    const { drainSeconds } = found
    if (drainSeconds === undefined) assert.ok(trend >= 0)
    else assert.ok(Math.abs(Number(found.lagRecords) + trend * drainSeconds) < 1e-6 * (1 + last[2]))
  }
})
