import assert from 'node:assert/strict'
import { test } from 'node:test'

import { escapeXml, lineChart } from '../../../src/ops/plot/line-chart.ts'
import { numberTicks, shortNumber, shortTime, timeTicks } from '../../../src/ops/plot/ticks.ts'

test('marks stand on round numbers within the range', () => {
  assert.deepEqual(numberTicks(0, 1_200_000, 5), [0, 500_000, 1_000_000])
  assert.deepEqual(numberTicks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
  assert.deepEqual(numberTicks(-3, 7, 5), [-2, 0, 2, 4, 6])
  assert.deepEqual(numberTicks(5, 5, 5), [5])
  assert.deepEqual(timeTicks(0, 2820, 8), [0, 600, 1200, 1800, 2400])
  assert.deepEqual(timeTicks(0, 7, 8), [0, 1, 2, 3, 4, 5, 6, 7])
})

test('numbers and times are short', () => {
  assert.deepEqual([0, 950, 13_000, 1_200_000, 3.5e9].map(shortNumber), ['0', '950', '13 k', '1.2 M', '3.5 G'])
  assert.deepEqual([45, 600, 7200, 259_200].map(shortTime), ['45 s', '10 min', '2 h', '3 d'])
})

/** The points of the first path: where the line is. */
function pointsOf(svg: string): [number, number][] {
  const path = / d="([^"]+)"/.exec(svg)?.[1] ?? ''
  return [...path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(match => [Number(match[1]), Number(match[2])])
}

test('a line goes from the left to the right edge, and up means more', () => {
  const svg = lineChart({ title: 'Lag', series: [{ name: 'g', xs: [0, 10, 20], ys: [0, 50, 100] }] })
  // 760 wide with margins of 64 and 120, 280 high with 34 and 40.
  assert.deepEqual(pointsOf(svg), [
    [64, 240],
    [352, 137],
    [640, 34]
  ])
})

test('a gap in the data is a gap in the line, and nothing at all is an empty picture', () => {
  const svg = lineChart({ title: 'Lag', series: [{ name: 'g', xs: [0, 1, 2, 3], ys: [1, Number.NaN, 2, 3] }] })
  assert.equal((/ d="([^"]+)"/.exec(svg)?.[1] ?? '').match(/M/g)?.length, 2)
  assert.doesNotMatch(lineChart({ title: 'Lag', series: [] }), /NaN|Infinity|<path/)
  assert.doesNotMatch(lineChart({ title: 'x', series: [{ name: 'g', xs: [5], ys: [7] }] }), /NaN|Infinity/)
})

test('a long series is thinned and keeps its peak', () => {
  const count = 200_000
  const xs = Array.from({ length: count }, (_, index) => index)
  const ys = xs.map(index => (index === 123_456 ? 1000 : index % 7))
  const points = pointsOf(lineChart({ title: 'Lag', series: [{ name: 'g', xs, ys }] }))
  assert.ok(points.length <= 1530, `${points.length} points`)
  assert.ok(
    points.some(([, y]) => y === 34),
    'the peak is missing'
  )
})

test('names are text, whatever is in them', () => {
  const hostile = '</svg><script>alert("1")</script>\u0000&'
  const svg = lineChart({
    title: hostile,
    series: [{ name: hostile, xs: [0, 1], ys: [0, 1] }],
    marks: [{ x: 0, text: hostile }],
    limit: { y: 1, text: hostile }
  })
  assert.ok(!svg.includes('<script') && !svg.includes('\u0000'))
  assert.equal(escapeXml('<a b="c">&\'\u0007'), '&lt;a b=&quot;c&quot;&gt;&amp;&#39;\uFFFD')
})
