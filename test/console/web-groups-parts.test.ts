/** Heat map, line of time and histogram without a browser: what they show is computed here by hand. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  cellPixels,
  heatScale,
  heatStep,
  heatValue,
  movedCell,
  ownerLooks
} from '../../src/console/web/parts/heat-map/heat-scale.ts'
import {
  BARS_MAX,
  histogramBars,
  histogramMean,
  histogramQuantile
} from '../../src/console/web/parts/histogram/histogram-bars.ts'
import {
  LANES_MAX,
  layoutTimeline,
  timeRange,
  timeTicks
} from '../../src/console/web/parts/timeline/timeline-layout.ts'

test('bounds of a scale are round, and hold the greatest value', () => {
  assert.deepEqual(heatScale([0, 73, null], 'rate').bounds, [2, 5, 10, 20, 50, 100])
  assert.deepEqual(heatScale([4_000], 'lagRecords').bounds, [30, 100, 300, 1_000, 3_000, 10_000])
  assert.deepEqual(heatScale([200], 'lagSeconds').bounds, [0.3, 1, 5, 15, 60, 300])
  assert.deepEqual(heatScale([0, null], 'rate').bounds, [])
})

test('a lag above the longest bound is in the last step', () => {
  const scale = heatScale([9e9], 'lagSeconds')
  assert.equal(scale.bounds.length, 6)
  assert.equal(heatStep(9e9, scale), 6)
})

test('zero, unknown and little are three different things', () => {
  const scale = heatScale([73], 'rate')
  assert.equal(heatStep(null, scale), null)
  assert.equal(heatStep(0, scale), 0)
  assert.equal(heatStep(0.001, scale), 1)
  assert.equal(heatStep(2, scale), 1)
  assert.equal(heatStep(2.1, scale), 2)
  assert.equal(heatStep(100, scale), 6)
})

test('a small lag looks small, however large it is among its neighbours', () => {
  assert.deepEqual(heatScale([0.4], 'lagSeconds'), heatScale([60], 'lagSeconds'))
  const records = heatScale([7], 'lagRecords')
  assert.deepEqual(records.bounds, [3, 10, 30, 100, 300, 1_000])
  assert.deepEqual(
    [1, 7, 900].map(value => heatStep(value, records)),
    [1, 2, 6]
  )
})

test('a scale of few bounds uses its darkest steps', () => {
  assert.equal(heatStep(1, { bounds: [1, 3, 10] }), 4)
  assert.equal(heatStep(10, { bounds: [1, 3, 10] }), 6)
})

test('a cell without a metric has no value', () => {
  const cell = { partition: 1, lagRecords: 5, lagSeconds: null, rate: 2, owner: 0, isHot: false, isPaused: false }
  assert.equal(heatValue(cell, 'lagRecords'), 5)
  assert.equal(heatValue(cell, 'lagSeconds'), null)
  assert.equal(heatValue(cell, 'rate'), 2)
  assert.equal(heatValue(cell, 'owner'), null)
})

test('owners have two characters each, and no two have the same', () => {
  const names = [
    'dispatcher-0@10.0.0.1',
    'dispatcher-1@10.0.0.1',
    'dispatcher-12',
    'comporta-dispatcher-3b45d',
    'team/x'
  ]
  assert.deepEqual(
    [...ownerLooks(names).values()].map(({ mark }) => mark),
    ['D0', 'D1', '12', '3B', 'TE']
  )
  const many = ownerLooks(Array.from({ length: 300 }, (_, index) => `worker-${index % 3}@host-${index}`))
  const marks = [...many.values()].map(({ mark }) => mark)
  assert.equal(new Set(marks).size, 300)
  assert.ok(marks.every(mark => mark.length === 2))
})

test('an owner keeps its colour and letters through a rebalance', () => {
  const first = ownerLooks(['a-1', 'a-2'])
  const second = ownerLooks(['a-3', 'a-2'], first)
  assert.deepEqual(second.get('a-2'), first.get('a-2'))
  assert.deepEqual(second.get('a-3'), { slot: 2, mark: 'A3' })
  assert.deepEqual(ownerLooks(['a-1'], second).get('a-1'), { slot: 0, mark: 'A1' })
})

test('cells are smaller where there are more, and never too small for letters of owners', () => {
  assert.equal(cellPixels(12, 'lagSeconds'), 40)
  assert.equal(cellPixels(5_000, 'lagSeconds'), 16)
  assert.equal(cellPixels(5_000, 'owner'), 24)
})

test('arrows move by cells and lines, and stop at the ends', () => {
  const size = { count: 23, columns: 10 }
  assert.equal(movedCell('ArrowRight', 22, size), 22)
  assert.equal(movedCell('ArrowDown', 5, size), 15)
  assert.equal(movedCell('ArrowDown', 15, size), 22)
  assert.equal(movedCell('ArrowUp', 5, size), 0)
  assert.equal(movedCell('End', 0, size), 22)
  assert.equal(movedCell('a', 3, size), undefined)
  assert.equal(movedCell('Home', 0, { count: 0, columns: 1 }), undefined)
})

const MINUTE = 60_000
const NOON = Date.UTC(2026, 0, 1, 12)

test('spans lie where their time is, and one that goes on reaches now', () => {
  const range = { fromMs: NOON, toMs: NOON + 10 * MINUTE }
  const spans = [
    { fromMs: NOON + 9 * MINUTE, toMs: null },
    { fromMs: NOON + MINUTE, toMs: NOON + 2 * MINUTE }
  ]
  assert.deepEqual(layoutTimeline(spans, range, NOON + 9.5 * MINUTE), [
    { index: 1, left: 10, width: 10, lane: 0 },
    { index: 0, left: 90, width: 5, lane: 0 }
  ])
})

test('spans that overlap lie in lanes, of which there are few; a short one can be seen', () => {
  const range = { fromMs: NOON, toMs: NOON + 10 * MINUTE }
  const spans = Array.from({ length: 9 }, () => ({ fromMs: NOON + MINUTE, toMs: NOON + MINUTE }))
  const places = layoutTimeline(spans, range, NOON + 10 * MINUTE)
  assert.deepEqual(
    places.map(({ lane }) => lane),
    [0, 1, 2, 3, 3, 3, 3, 3, 3]
  )
  assert.equal(LANES_MAX, 4)
  assert.ok(places.every(({ width }) => width === 0.6))
})

test('a line of time ends at a round time after now, and does not creep', () => {
  const spans = [{ fromMs: NOON - 7 * MINUTE, toMs: NOON - 6 * MINUTE }]
  const first = timeRange(spans, NOON + 1_000)
  assert.deepEqual(first, { fromMs: NOON - 7 * MINUTE, toMs: NOON + MINUTE })
  assert.deepEqual(timeRange(spans, NOON + 30_000), first)
  assert.deepEqual(timeRange([], NOON), { fromMs: NOON - MINUTE, toMs: NOON })
})

test('ticks are round times', () => {
  const ticks = timeTicks({ fromMs: NOON, toMs: NOON + 60 * MINUTE }, 6)
  assert.deepEqual(
    ticks.map(({ atMs, left }) => [(atMs - NOON) / MINUTE, left]),
    [
      [0, 0],
      [15, 25],
      [30, 50],
      [45, 75]
    ]
  )
})

const histogram = { unit: 'seconds', bounds: [1, 2, 5], counts: [0, 6, 3, 1], count: 10, sum: 25 } as const

test('bars leave out what is empty at both ends, and keep one for the eye', () => {
  assert.deepEqual(histogramBars(histogram), [
    { above: 0, upTo: 1, count: 0, share: 0, part: 0 },
    { above: 1, upTo: 2, count: 6, share: 1, part: 0.6 },
    { above: 2, upTo: 5, count: 3, share: 0.5, part: 0.3 },
    { above: 5, upTo: null, count: 1, share: 1 / 6, part: 0.1 }
  ])
  assert.deepEqual(histogramBars({ ...histogram, counts: [0, 0, 0, 0] }), [])
})

test('many bars are joined and lose nothing', () => {
  const bounds = Array.from({ length: 60 }, (_, index) => index + 1)
  const counts = Array.from({ length: 61 }, () => 2)
  const bars = histogramBars({ unit: 'records', bounds, counts, count: 122, sum: 1 })
  assert.ok(bars.length <= BARS_MAX)
  assert.equal(
    bars.reduce((sum, { count }) => sum + count, 0),
    122
  )
  assert.deepEqual([bars[0]?.above, bars.at(-1)?.upTo], [0, null])
})

test('quantiles are read between bounds; above the last nothing more is known', () => {
  assert.equal(histogramQuantile(histogram, 0.3), 1.5)
  assert.equal(histogramQuantile(histogram, 0.9), 5)
  assert.equal(histogramQuantile(histogram, 0.99), 5)
  assert.equal(histogramQuantile({ ...histogram, counts: [] }, 0.5), null)
  assert.equal(histogramMean(histogram), 2.5)
  assert.equal(histogramMean({ ...histogram, count: 0 }), null)
})
