/**
 * How many records have come at a time, and when the n-th came: the rate of a
 * scenario as straight lines between points, and its integral.
 *
 * The backlog of the start came evenly before time 0. The producer's limit is
 * applied here: what is above it comes later, as fast as the limit lets it.
 * Both directions are a binary search and a square root.
 */

import { simulationSeconds } from '../../config/index.ts'
import { invariant } from '../../core/index.ts'
import type { SimulationScenario } from './simulation-types.ts'

interface Point {
  readonly atS: number
  /** Records per second from here on, up to the next point's `before`. */
  readonly rate: number
  /** Rate just before the next point. */
  readonly rateEnd: number
}

/** Most pieces of a curve: bursts over a long time are many. */
const POINTS_MAX = 2_000_000
/** Resolution at which the producer's limit is applied, in pieces of the duration. */
const LIMIT_STEPS = 20_000

/** The number of records over time. */
export class ArrivalCurve {
  readonly #times: Float64Array
  readonly #rates: Float64Array
  readonly #slopes: Float64Array
  readonly #counts: Float64Array
  /** Records of the whole time that the producer's limit holds back at the end. */
  readonly heldBack: number
  readonly #startsAtS: number

  constructor(scenario: SimulationScenario) {
    const durationS = simulationSeconds(scenario.duration, scenario.startsAt)
    const limited = limit(offered(scenario, durationS), scenario.arrival.limitPerSecond, durationS)
    const ageS = Math.max(1e-3, simulationSeconds(scenario.topic.backlogAge))
    const backlogRate = scenario.topic.backlog / ageS
    const before: Point[] = scenario.topic.backlog > 0 ? [{ atS: -ageS, rate: backlogRate, rateEnd: backlogRate }] : []
    const points = [...before, ...limited.points]
    this.heldBack = limited.heldBack
    this.#startsAtS = points[0]?.atS ?? 0
    this.#times = Float64Array.from(points, point => point.atS)
    this.#rates = Float64Array.from(points, point => point.rate)
    this.#slopes = new Float64Array(points.length)
    this.#counts = new Float64Array(points.length)
    for (let index = 0; index + 1 < points.length; index++) {
      const point = points[index]
      const next = points[index + 1]
      if (point === undefined || next === undefined) break
      const width = next.atS - point.atS
      this.#slopes[index] = width > 0 ? (point.rateEnd - point.rate) / width : 0
      this.#counts[index + 1] = (this.#counts[index] ?? 0) + ((point.rate + point.rateEnd) / 2) * width
    }
  }

  /** Records that have come by a time, the backlog included. */
  countAt(timeS: number): number {
    if (timeS <= this.#startsAtS) return 0
    const index = lastAtMost(this.#times, timeS)
    const width = timeS - (this.#times[index] ?? 0)
    return (this.#counts[index] ?? 0) + ((this.#rates[index] ?? 0) + ((this.#slopes[index] ?? 0) * width) / 2) * width
  }

  /** Records per second at a time, just after it. */
  rateAt(timeS: number): number {
    if (timeS < this.#startsAtS) return 0
    const index = lastAtMost(this.#times, timeS)
    return (this.#rates[index] ?? 0) + (this.#slopes[index] ?? 0) * (timeS - (this.#times[index] ?? 0))
  }

  /** When so many had come; `Infinity` if they never do. */
  timeOf(count: number): number {
    if (count <= 0) return this.#startsAtS
    const index = lastAtMost(this.#counts, count)
    const rest = count - (this.#counts[index] ?? 0)
    const rate = this.#rates[index] ?? 0
    const slope = this.#slopes[index] ?? 0
    const start = this.#times[index] ?? 0
    if (rest <= 0) return start
    if (Math.abs(slope) < 1e-12) return rate > 0 ? start + rest / rate : Infinity
    const root = rate * rate + 2 * slope * rest
    if (root < 0) return Infinity
    // The form that does not lose digits when the slope is small.
    return start + (2 * rest) / (rate + Math.sqrt(root))
  }

  /** The next time after this one at which the rate breaks; `Infinity` if none. */
  nextBreak(timeS: number): number {
    const index = lastAtMost(this.#times, timeS)
    return this.#times[index + 1] ?? Infinity
  }

  /** Whether the rate changes steadily at a time. */
  isSloping(timeS: number): boolean {
    return (this.#slopes[lastAtMost(this.#times, timeS)] ?? 0) !== 0
  }
}

/** The last index whose value is at most the given one; 0 if none is. */
function lastAtMost(values: Float64Array, value: number): number {
  let low = 0
  let high = values.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((values[middle] ?? Infinity) <= value) low = middle
    else high = middle - 1
  }
  return low
}

/** What producers would like to send. */
function offered({ arrival, startsAt }: SimulationScenario, durationS: number): Point[] {
  const given = (arrival.curve ?? [{ at: 0, recordsPerSecond: arrival.recordsPerSecond ?? 0 }])
    .map(point => ({ atS: simulationSeconds(point.at, startsAt), rate: point.recordsPerSecond * arrival.factor }))
    .toSorted((a, b) => a.atS - b.atS)
  const first = given[0]
  invariant(first !== undefined, 'a curve has a point')
  if (first.atS > 0) given.unshift({ atS: 0, rate: first.rate })
  const period = arrival.repeat === undefined ? durationS + 1 : simulationSeconds(arrival.repeat)
  let points: Point[] = []
  for (let cycle = 0; cycle * period < durationS && points.length < POINTS_MAX; cycle++) {
    given.forEach((point, index) => {
      if (point.atS >= period) return
      const next = given[index + 1]
      const rateEnd = next === undefined || next.atS > period ? point.rate : next.rate
      points.push({ atS: cycle * period + point.atS, rate: point.rate, rateEnd })
    })
  }
  if (arrival.bursts !== undefined) points = withBursts(points, arrival.bursts, durationS)
  if (arrival.until === undefined) return points
  const untilS = simulationSeconds(arrival.until, startsAt)
  return [...cutAt(points, untilS), { atS: untilS, rate: 0, rateEnd: 0 }]
}

/** The points up to a time, the last piece ending there. */
function cutAt(points: readonly Point[], endS: number): Point[] {
  return points.flatMap((point, index) => {
    if (point.atS >= endS) return []
    const nextS = points[index + 1]?.atS ?? Infinity
    return [nextS <= endS ? point : { ...point, rateEnd: rateWithin(point, nextS, endS) }]
  })
}

function rateWithin(point: Point, nextS: number, timeS: number): number {
  if (!Number.isFinite(nextS)) return point.rateEnd
  return point.rate + ((point.rateEnd - point.rate) * (timeS - point.atS)) / (nextS - point.atS)
}

interface Bursts {
  readonly everyS: number
  readonly forS: number
  readonly factor: number
}

function withBursts(points: readonly Point[], { everyS, forS, factor }: Bursts, durationS: number): Point[] {
  const edges = new Set(points.map(point => point.atS))
  for (let end = everyS; end - forS < durationS && edges.size < POINTS_MAX; end += everyS)
    edges.add(end - forS).add(end)
  const times = Float64Array.from(edges).toSorted()
  const starts = Float64Array.from(points, point => point.atS)
  return Array.from(times, (atS, index) => {
    const at = lastAtMost(starts, atS)
    const point = points[at] ?? { atS: 0, rate: 0, rateEnd: 0 }
    const nextS = points[at + 1]?.atS ?? Infinity
    const isBurst = (atS + 1e-9) % everyS >= everyS - forS
    const endS = times[index + 1] ?? Infinity
    const times_ = isBurst ? factor : 1
    return {
      atS,
      rate: rateWithin(point, nextS, atS) * times_,
      rateEnd: (Number.isFinite(endS) ? rateWithin(point, nextS, endS) : point.rateEnd) * times_
    }
  })
}

/** What a limit lets through: what is above it waits, and comes when there is room. */
function limit(
  points: Point[],
  most: number | undefined,
  durationS: number
): { points: readonly Point[]; heldBack: number } {
  if (most === undefined || points.every(point => point.rate <= most && point.rateEnd <= most)) {
    return { points, heldBack: 0 }
  }
  const stepS = Math.max(0.1, durationS / LIMIT_STEPS)
  const limited: Point[] = []
  let held = 0
  let at = 0
  for (let atS = 0; atS < durationS; atS += stepS) {
    while ((points[at + 1]?.atS ?? Infinity) <= atS) at++
    const point = points[at] ?? { atS: 0, rate: 0, rateEnd: 0 }
    const wanted = rateWithin(point, points[at + 1]?.atS ?? Infinity, atS + stepS / 2)
    const rate = Math.min(most, wanted + held / stepS)
    held = Math.max(0, held + (wanted - rate) * stepS)
    limited.push({ atS, rate, rateEnd: rate })
  }
  return { points: limited, heldBack: held }
}
