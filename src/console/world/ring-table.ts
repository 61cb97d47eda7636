/**
 * The last numbers of many things, taken at the same times: one ring of times, and for each thing a typed array with
 * some columns. Not known is NaN inside and `null` outside.
 *
 * Limits: `points` × `columns` × 8 bytes for each of at most `rowsMax` things; those beyond it have no history. A thing
 * that was not set at a tick is forgotten at its end.
 */

import type { Series } from '../api/common.ts'

/** Size of a table. */
export interface RingTableOptions {
  /** Ticks that are kept. */
  readonly points: number
  /** Numbers of a thing at a tick. */
  readonly columns: number
  /** Things that are kept at most. */
  readonly rowsMax: number
}

interface Row {
  /** Column after column, each a ring of `points`. */
  readonly values: Float64Array
  /** Tick at which it was first set. */
  readonly firstTick: number
  lastTick: number
}

/** See the module. */
export class RingTable {
  readonly #options: RingTableOptions
  readonly #timesMs: Float64Array
  readonly #rows = new Map<string, Row>()
  /** Ticks so far. */
  #tick = 0

  constructor(options: RingTableOptions) {
    this.#options = options
    this.#timesMs = new Float64Array(options.points)
  }

  /** Things that have a history. */
  get size(): number {
    return this.#rows.size
  }

  /** Bytes of the numbers. */
  get byteLength(): number {
    const { points, columns } = this.#options
    return (this.#rows.size * columns + 1) * points * Float64Array.BYTES_PER_ELEMENT
  }

  /** Begins a tick: what is set from now on is of this time. */
  begin(timeMs: number): void {
    // A clock that was set back: times have to ascend, or no chart can be drawn.
    if (this.#tick > 0 && timeMs < this.#timeOf(this.#tick - 1)) this.clear()
    this.#timesMs[this.#tick % this.#options.points] = timeMs
    this.#tick += 1
  }

  /** Sets the numbers of a thing at this tick, a column each; `undefined` = not known. */
  set(key: string, values: readonly (number | undefined)[]): void {
    const { points, columns, rowsMax } = this.#options
    const tick = this.#tick - 1
    let row = this.#rows.get(key)
    if (row === undefined) {
      if (this.#rows.size >= rowsMax) return
      row = { values: new Float64Array(points * columns).fill(Number.NaN), firstTick: tick, lastTick: tick }
      this.#rows.set(key, row)
    }
    row.lastTick = tick
    for (let column = 0; column < columns; column += 1) {
      row.values[column * points + (tick % points)] = values[column] ?? Number.NaN
    }
  }

  /**
   * Ends a tick: things that were not set are forgotten.
   *
   * @param isWhole - `false` = not all could be seen: what was not set is there still, and nothing is known of it.
   */
  end(isWhole = true): void {
    for (const [key, { lastTick }] of this.#rows) {
      if (lastTick === this.#tick - 1) continue
      if (isWhole) this.#rows.delete(key)
      else this.set(key, [])
    }
  }

  /** A tick at which nothing is known of anything: a look that failed, or a pause. */
  gap(timeMs: number): void {
    // Without rows, too: tables that tick together stay together.
    this.begin(timeMs)
    for (const key of this.#rows.keys()) this.set(key, [])
  }

  /** Takes the numbers of a thing from another table of the same columns that ticks together with this one. */
  adopt(key: string, from: RingTable): void {
    const source = from.#rows.get(key)
    const { points, columns, rowsMax } = this.#options
    if (source === undefined || this.#rows.has(key) || this.#rows.size >= rowsMax) return
    const count = Math.min(from.#options.points, points, this.#tick, from.#tick)
    const row: Row = {
      values: new Float64Array(points * columns).fill(Number.NaN),
      firstTick: Math.max(this.#tick - count, this.#tick - (from.#tick - source.firstTick)),
      lastTick: this.#tick - 1
    }
    for (let column = 0; column < columns; column += 1) {
      for (let back = 1; back <= count; back += 1) {
        const at = column * from.#options.points + ((from.#tick - back) % from.#options.points)
        row.values[column * points + ((this.#tick - back) % points)] = source.values[at] ?? Number.NaN
      }
    }
    this.#rows.set(key, row)
  }

  /** Forgets a thing. */
  delete(key: string): void {
    this.#rows.delete(key)
  }

  /** Whether it has a history. */
  has(key: string): boolean {
    return this.#rows.has(key)
  }

  /** Forgets everything. */
  clear(): void {
    this.#rows.clear()
    this.#tick = 0
  }

  /** A column of a thing, oldest first; empty if it has no history. */
  series(key: string, column: number): Series {
    const row = this.#rows.get(key)
    if (row === undefined) return { timesMs: [], values: [] }
    const timesMs: number[] = []
    const from = this.#firstTickOf(row)
    for (let tick = from; tick < this.#tick; tick += 1) timesMs.push(this.#timeOf(tick))
    return { timesMs, values: this.values(key, column) }
  }

  /** The values of `series`. */
  values(key: string, column: number): (number | null)[] {
    const row = this.#rows.get(key)
    if (row === undefined) return []
    const { points } = this.#options
    const values: (number | null)[] = []
    for (let tick = this.#firstTickOf(row); tick < this.#tick; tick += 1) {
      const value = row.values[column * points + (tick % points)] ?? Number.NaN
      values.push(Number.isNaN(value) ? null : value)
    }
    return values
  }

  #firstTickOf({ firstTick }: Row): number {
    return Math.max(firstTick, this.#tick - this.#options.points)
  }

  #timeOf(tick: number): number {
    return this.#timesMs[tick % this.#options.points] ?? 0
  }
}
