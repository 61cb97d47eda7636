/**
 * Where the end of a partition was, and when: tells the time of an offset by
 * interpolation, and the rate at which records arrive.
 *
 * Points that are out of order in time or offset are dropped; of points with the
 * same offset only the first and the last are kept. A time inside of the points is
 * interpolated between its neighbours; outside, the line through the oldest and the
 * newest point is followed, and the answer says so.
 *
 * Source: kafka-lag-exporter `LookupTable.scala`. Pure.
 */

const pointsMaxDefault = 60
const fields = 2

/** When an offset was the end of its partition. */
export interface OffsetTime {
  /** In milliseconds since 1970. */
  readonly timeMs: number
  readonly source: 'interpolated' | 'extrapolated'
}

/** Points of one partition. */
export class EndHistory {
  readonly #pointsMax: number
  /** Time and offset, oldest first. */
  #points: Float64Array
  #count = 0

  /** @param pointsMax - Most points it keeps. At least 2. Default 60. */
  constructor(pointsMax: number = pointsMaxDefault) {
    this.#pointsMax = pointsMax
    this.#points = new Float64Array(Math.min(4, pointsMax) * fields)
  }

  get count(): number {
    return this.#count
  }

  /** The newest end; `undefined` before the first. */
  get lastOffset(): number | undefined {
    return this.#count === 0 ? undefined : this.#offset(this.#count - 1)
  }

  /** Time of the oldest point, in milliseconds since 1970; `undefined` before the first. */
  get firstTimeMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#time(0)
  }

  /** Time of the newest point, in milliseconds since 1970; `undefined` before the first. */
  get lastTimeMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#time(this.#count - 1)
  }

  /**
   * Adds where the end is now.
   *
   * @returns Whether it was taken: not if it is older than the last one, or ends before it.
   */
  add(timeMs: number, offset: number): boolean {
    const last = this.#count - 1
    if (last >= 0 && (timeMs <= this.#time(last) || offset < this.#offset(last))) return false
    const isFlat = last > 0 && offset === this.#offset(last) && offset === this.#offset(last - 1)
    if (isFlat) {
      this.#points[last * fields] = timeMs
      return true
    }
    if (this.#count === this.#pointsMax) {
      this.#points.copyWithin(0, fields)
      this.#count -= 1
    } else if (this.#count * fields === this.#points.length) this.#grow()
    this.#points[this.#count * fields] = timeMs
    this.#points[this.#count * fields + 1] = offset
    this.#count += 1
    return true
  }

  /** When the end was at an offset: `undefined` with fewer than two points, or where nothing has arrived. */
  timeOf(offset: number): OffsetTime | undefined {
    if (this.#count < 2) return undefined
    const last = this.#count - 1
    if (offset < this.#offset(0) || offset > this.#offset(last))
      return this.#along(0, last, { offset, isInside: false })
    for (let right = last; right > 0; right--) {
      // The right one of a flat run: what is read up to there was unread from the moment that something came after it.
      if (this.#offset(right - 1) <= offset && this.#offset(right) > offset) {
        return this.#along(right - 1, right, { offset, isInside: true })
      }
    }
    return { timeMs: this.#time(last), source: 'interpolated' }
  }

  /** Where the end was at a time, by interpolation; `undefined` before the first point. */
  offsetAt(timeMs: number): number | undefined {
    for (let index = this.#count - 1; index >= 0; index--) {
      if (this.#time(index) > timeMs) continue
      const next = index + 1
      if (next === this.#count) return this.#offset(index)
      const share = (timeMs - this.#time(index)) / (this.#time(next) - this.#time(index))
      return this.#offset(index) + share * (this.#offset(next) - this.#offset(index))
    }
    return undefined
  }

  /** The ends that were seen from a time on, oldest first. */
  since(timeMs: number): number[] {
    const ends: number[] = []
    for (let index = 0; index < this.#count; index++) if (this.#time(index) >= timeMs) ends.push(this.#offset(index))
    return ends
  }

  /** Forgets everything: the topic was made anew. */
  clear(): void {
    this.#count = 0
  }

  #along(
    left: number,
    right: number,
    { offset, isInside }: { offset: number; isInside: boolean }
  ): OffsetTime | undefined {
    const offsets = this.#offset(right) - this.#offset(left)
    if (offsets === 0) return undefined
    const times = this.#time(right) - this.#time(left)
    const timeMs = this.#time(right) - ((this.#offset(right) - offset) * times) / offsets
    return { timeMs, source: isInside ? 'interpolated' : 'extrapolated' }
  }

  #time(index: number): number {
    return this.#points[index * fields] ?? 0
  }

  #offset(index: number): number {
    return this.#points[index * fields + 1] ?? 0
  }

  #grow(): void {
    const points = new Float64Array(Math.min(this.#pointsMax * fields, this.#points.length * 2))
    points.set(this.#points)
    this.#points = points
  }
}
