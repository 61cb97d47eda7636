/**
 * A line chart as SVG text, for reports that are read without a server.
 *
 * Colours are Okabe and Ito's, which the colour-blind tell apart; each line has
 * dashes of its own besides, and its name at its end. The picture follows the
 * reader's light or dark scheme. Long series are thinned to what the picture can
 * show, keeping the extremes of every column.
 */

import { numberTicks, shortNumber, shortTime, timeTicks } from './ticks.ts'

/** One line. */
export interface ChartSeries {
  readonly name: string
  readonly xs: readonly number[]
  /** As many as `xs`; what is not finite leaves a gap. */
  readonly ys: readonly number[]
}

/** What is drawn. */
export interface ChartOptions {
  readonly title: string
  /** Text for readers who do not see the picture. Default: the title. */
  readonly description?: string
  /** Seconds on the x axis. Default `true`; otherwise plain numbers. */
  readonly isTime?: boolean
  readonly xLabel?: string
  readonly yLabel?: string
  readonly series: readonly ChartSeries[]
  /** Moments that are marked by a vertical line. */
  readonly marks?: readonly { readonly x: number; readonly text: string }[]
  /** A horizontal line, for example an objective. */
  readonly limit?: { readonly y: number; readonly text: string }
  /** Default 760 by 280. */
  readonly width?: number
  readonly height?: number
}

const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
const dashes = ['', '6 3', '2 3', '8 3 2 3', '1 4', '12 4']
const style = 'svg{color:#222;background:#fff}@media(prefers-color-scheme:dark){svg{color:#ddd;background:#161616}}'
const margin = { top: 34, right: 120, bottom: 40, left: 64 }

interface Frame {
  readonly width: number
  readonly height: number
  readonly xOf: (x: number) => number
  readonly yOf: (y: number) => number
  readonly x: readonly [from: number, to: number]
  readonly y: readonly [from: number, to: number]
}

/** Draws a chart. */
export function lineChart(options: ChartOptions): string {
  const frame = frameOf(options)
  const { width, height } = frame
  const lines = options.series.map((series, index) => lineOf(series, index, frame))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" ` +
      `aria-label="${escapeXml(options.description ?? options.title)}" ` +
      'font-family="system-ui, sans-serif" font-size="11">',
    `<style>${style}</style>`,
    `<title>${escapeXml(options.title)}</title>`,
    `<text x="${margin.left}" y="18" font-size="13" font-weight="600" fill="currentColor">` +
      `${escapeXml(options.title)}</text>`,
    ...axes(options, frame),
    ...marksOf(options, frame),
    ...lines,
    '</svg>'
  ].join('\n')
}

function frameOf({ series, limit, marks = [], width = 760, height = 280 }: ChartOptions): Frame {
  const xs = [...series.flatMap(each => bounds(each.xs)), ...marks.map(({ x }) => x)]
  const ys = [...series.flatMap(each => bounds(each.ys)), ...(limit === undefined ? [] : [limit.y])]
  const x = range(xs)
  // From zero, so that a small change does not look like a large one.
  const [low, high] = range([0, ...ys])
  const y = [low, high === low ? low + 1 : high] as const
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }
  return {
    width,
    height,
    x,
    y,
    xOf: value => margin.left + ((value - x[0]) / (x[1] - x[0] || 1)) * inner.width,
    yOf: value => margin.top + (1 - (value - y[0]) / (y[1] - y[0])) * inner.height
  }
}

function bounds(values: readonly number[]): number[] {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    if (value < low) low = value
    if (value > high) high = value
  }
  return low > high ? [] : [low, high]
}

function range(values: readonly number[]): readonly [number, number] {
  const [low, high] = bounds(values)
  return low === undefined || high === undefined ? [0, 1] : [low, high]
}

function axes({ isTime = true, xLabel, yLabel }: ChartOptions, frame: Frame): string[] {
  const { width, height, x, y, xOf, yOf } = frame
  const right = width - margin.right
  const bottom = height - margin.bottom
  const grid = numberTicks(y[0], y[1], 5).flatMap(tick => [
    straight({ x: [margin.left, right], y: [yOf(tick), yOf(tick)] }, 'stroke="currentColor" opacity="0.15"'),
    text({ x: margin.left - 6, y: yOf(tick) + 4, anchor: 'end' }, shortNumber(tick))
  ])
  const ticks = isTime ? timeTicks(x[0], x[1], 8) : numberTicks(x[0], x[1], 8)
  const below = ticks.map(tick =>
    text({ x: xOf(tick), y: bottom + 16, anchor: 'middle' }, isTime ? shortTime(tick) : shortNumber(tick))
  )
  const labels = [
    xLabel === undefined ? '' : text({ x: right, y: height - 6, anchor: 'end' }, xLabel),
    yLabel === undefined ? '' : text({ x: 6, y: margin.top - 6, anchor: 'start' }, yLabel)
  ].filter(Boolean)
  return [
    ...grid,
    straight({ x: [margin.left, right], y: [bottom, bottom] }, 'stroke="currentColor"'),
    ...below,
    ...labels
  ]
}

function marksOf({ marks = [], limit }: ChartOptions, { xOf, yOf, width, height }: Frame): string[] {
  const vertical = marks.map(({ x, text: words }, index) => {
    // Neighbours stand on different heights, so that their words do not cover each other.
    const label = text({ x: xOf(x) + 3, y: margin.top + 10 + (index % 4) * 12, anchor: 'start' }, words)
    const dashed = 'stroke="currentColor" opacity="0.5" stroke-dasharray="3 3"'
    return `${straight({ x: [xOf(x), xOf(x)], y: [margin.top, height - margin.bottom] }, dashed)}${label}`
  })
  if (limit === undefined) return vertical
  return [
    ...vertical,
    straight(
      { x: [margin.left, width - margin.right], y: [yOf(limit.y), yOf(limit.y)] },
      'stroke="#d55e00" stroke-dasharray="4 2"'
    ),
    text({ x: width - margin.right + 4, y: yOf(limit.y) + 4, anchor: 'start' }, limit.text)
  ]
}

function lineOf(series: ChartSeries, index: number, frame: Frame): string {
  const colour = colours[index % colours.length] ?? '#000'
  const dash = dashes[index % dashes.length] ?? ''
  const segments: string[] = []
  let isOpen = false
  let last: readonly [number, number] | undefined
  for (const [x, y] of thinned(series, frame.width)) {
    if (!Number.isFinite(y)) isOpen = false
    else {
      segments.push(`${isOpen ? 'L' : 'M'}${at(frame.xOf(x))} ${at(frame.yOf(y))}`)
      isOpen = true
      last = [x, y]
    }
  }
  if (last === undefined) return ''
  const style = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  const path = `<path d="${segments.join('')}" fill="none" stroke="${colour}" stroke-width="1.8"${style}/>`
  // Names of lines that end close to each other are spread by their number.
  const y = Math.min(frame.height - margin.bottom, frame.yOf(last[1]) + 4)
  const x = frame.width - margin.right + 6
  return `${path}<text x="${x}" y="${at(y + index * 2)}" fill="${colour}">${escapeXml(series.name)}</text>`
}

/** At most two points for each pixel: the lowest and the highest of its column. */
function thinned({ xs, ys }: ChartSeries, width: number): (readonly [number, number])[] {
  const points = xs.map((x, index) => [x, ys[index] ?? Number.NaN] as const)
  const perColumn = Math.ceil(points.length / width)
  if (perColumn <= 2) return points
  const kept: (readonly [number, number])[] = []
  for (let start = 0; start < points.length; start += perColumn) {
    const column = points.slice(start, start + perColumn)
    let low = column[0]
    let high = column[0]
    for (const point of column) {
      if (low === undefined || point[1] < low[1]) low = point
      if (high === undefined || point[1] > high[1]) high = point
    }
    if (low === undefined || high === undefined) continue
    kept.push(...(low[0] <= high[0] ? [low, high] : [high, low]))
  }
  return kept
}

/** From one point to another. */
interface Stretch {
  readonly x: readonly [number, number]
  readonly y: readonly [number, number]
}

function straight({ x, y }: Stretch, attributes: string): string {
  return `<line x1="${at(x[0])}" x2="${at(x[1])}" y1="${at(y[0])}" y2="${at(y[1])}" ${attributes}/>`
}

interface TextPlace {
  readonly x: number
  readonly y: number
  readonly anchor: 'start' | 'middle' | 'end'
}

function text({ x, y, anchor }: TextPlace, words: string): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" fill="currentColor">${escapeXml(words)}</text>`
}

const at = (value: number): string => String(Math.round(value * 10) / 10)

/** Text that is safe within XML and HTML, attributes included. */
export function escapeXml(words: string): string {
  return (
    words
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
      // Control characters are no XML, whatever is escaped.
      .replaceAll(/[^\P{Cc}\t\n\r]/gu, '\uFFFD')
  )
}
