/** Where rebalances lie on a line of time: pure. */

/** Something with a beginning, and perhaps an end. */
export interface TimeSpan {
  readonly fromMs: number
  /** `null` = it goes on. */
  readonly toMs: number | null
}

/** Place of a span, in percent of the line's length; spans that overlap lie in different lanes. */
export interface PlacedSpan {
  readonly index: number
  readonly left: number
  readonly width: number
  readonly lane: number
}

/** A time that is named below the line. */
export interface TimeTick {
  readonly atMs: number
  readonly left: number
}

const HOUR_MS = 3_600_000
const tickSteps = [
  1_000,
  5_000,
  15_000,
  30_000,
  60_000,
  300_000,
  900_000,
  1_800_000,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  24 * HOUR_MS,
  7 * 24 * HOUR_MS,
  30 * 24 * HOUR_MS
]

/** Shortest and longest line. */
const SPAN_MIN_MS = 60_000
/** Narrowest mark, in percent: it can be seen and pointed at. */
const WIDTH_MIN = 0.6
/** Last place of a tick, in percent: its text stands to the right of it. */
const TICK_LEFT_MAX = 94
/** Lanes; what overlaps more often lies in the last. */
export const LANES_MAX = 4

/** The stretch of time that shows all spans: up to now, rounded, so that it does not creep with each second. */
export function timeRange(
  spans: readonly TimeSpan[],
  nowMs: number
): { readonly fromMs: number; readonly toMs: number } {
  const first = spans.reduce((least, { fromMs }) => Math.min(least, fromMs), nowMs - SPAN_MIN_MS)
  const step = stepOf(Math.max(SPAN_MIN_MS, nowMs - first), 8)
  const toMs = Math.max(nowMs, ...spans.map(({ toMs: end }) => end ?? nowMs))
  return { fromMs: Math.floor(first / step) * step, toMs: Math.ceil(toMs / step) * step }
}

/** Places spans on a line. */
export function layoutTimeline(
  spans: readonly TimeSpan[],
  range: { readonly fromMs: number; readonly toMs: number },
  nowMs: number
): readonly PlacedSpan[] {
  const length = Math.max(1, range.toMs - range.fromMs)
  const percent = (atMs: number): number => Math.min(100, Math.max(0, ((atMs - range.fromMs) / length) * 100))
  const laneEnds: number[] = []
  const order = spans.map((_, index) => index).sort((a, b) => (spans[a]?.fromMs ?? 0) - (spans[b]?.fromMs ?? 0))
  return order.flatMap(index => {
    const span = spans[index]
    if (span === undefined) return []
    const width = Math.max(WIDTH_MIN, percent(span.toMs ?? nowMs) - percent(span.fromMs))
    const left = Math.min(percent(span.fromMs), 100 - width)
    const free = laneEnds.findIndex(end => end <= left)
    const lane = free >= 0 ? free : Math.min(laneEnds.length, LANES_MAX - 1)
    laneEnds[lane] = Math.max(laneEnds[lane] ?? 0, left + width)
    return [{ index, left: rounded(left), width: rounded(width), lane }]
  })
}

/** Round times along a line, at most `most`. */
export function timeTicks(
  range: { readonly fromMs: number; readonly toMs: number },
  most: number
): readonly TimeTick[] {
  const length = Math.max(1, range.toMs - range.fromMs)
  const step = stepOf(length, most)
  const ticks: TimeTick[] = []
  for (let atMs = Math.ceil(range.fromMs / step) * step; atMs <= range.toMs; atMs += step) {
    const left = rounded(((atMs - range.fromMs) / length) * 100)
    if (left <= TICK_LEFT_MAX) ticks.push({ atMs, left })
  }
  return ticks
}

function stepOf(lengthMs: number, most: number): number {
  return tickSteps.find(step => lengthMs / step <= most) ?? lengthMs
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
