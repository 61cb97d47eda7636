/**
 * Instruments that count into cells, and those that are asked when somebody looks.
 *
 * What is asked for is read anew each time and never kept: a partition that went to another member is gone with the
 * next look, and not shown for ever with its last lag.
 */

import type {
  Attributes,
  Counter,
  Gauge,
  Histogram,
  Observable,
  ObservableCallback,
  ObservableResult,
  UpDownCounter
} from '@opentelemetry/api'

import { type HistogramValue, type MetricPoint, OVERFLOW } from './collected.ts'
import { contentOf, Series } from './series.ts'

/** What every instrument is to its meter. */
export interface Readable {
  /** Whether a set of attributes had no room. */
  readonly hasOverflowed: boolean
  /** The series now. Rejects with what a callback threw. */
  read(): MetricPoint[] | Promise<MetricPoint[]>
}

interface Sum {
  value: number
}

/** A counter, or with `isSigned` a sum that may shrink. */
export class SumInstrument implements Counter, UpDownCounter, Readable {
  readonly #series: Series<Sum>
  readonly #isSigned: boolean

  constructor(seriesMax: number, isSigned: boolean) {
    this.#series = new Series(seriesMax, () => ({ value: 0 }))
    this.#isSigned = isSigned
  }

  get hasOverflowed(): boolean {
    return this.#series.hasOverflowed
  }

  add(value: number, attributes?: Attributes): void {
    // A sum that took one of these could not be told from a wrong one ever after.
    if (!Number.isFinite(value) || (value < 0 && !this.#isSigned)) return
    this.#series.of(attributes).value += value
  }

  read(): MetricPoint[] {
    return [...this.#series.entries()].map(([attributes, { value }]) => ({ attributes, value }))
  }
}

/** A gauge that is told its value. */
export class GaugeInstrument implements Gauge, Readable {
  readonly #series: Series<Sum>

  constructor(seriesMax: number) {
    this.#series = new Series(seriesMax, () => ({ value: 0 }))
  }

  get hasOverflowed(): boolean {
    return this.#series.hasOverflowed
  }

  record(value: number, attributes?: Attributes): void {
    if (Number.isFinite(value)) this.#series.of(attributes).value = value
  }

  read(): MetricPoint[] {
    // One value for many series says nothing.
    const own = [...this.#series.entries()].filter(([attributes]) => attributes !== OVERFLOW)
    return own.map(([attributes, { value }]) => ({ attributes, value }))
  }
}

type Distribution = { -readonly [Name in keyof HistogramValue]: HistogramValue[Name] } & { readonly counts: number[] }

/** A histogram with given buckets. */
export class HistogramInstrument implements Histogram, Readable {
  readonly boundaries: readonly number[]
  readonly #series: Series<Distribution>

  constructor(seriesMax: number, boundaries: readonly number[]) {
    this.boundaries = boundaries
    const empty = { count: 0, sum: 0, min: 0, max: 0 }
    this.#series = new Series(seriesMax, () => ({ ...empty, counts: [0, ...boundaries.map(() => 0)] }))
  }

  get hasOverflowed(): boolean {
    return this.#series.hasOverflowed
  }

  record(value: number, attributes?: Attributes): void {
    if (!Number.isFinite(value)) return
    const cell = this.#series.of(attributes)
    cell.min = cell.count === 0 ? value : Math.min(cell.min, value)
    cell.max = cell.count === 0 ? value : Math.max(cell.max, value)
    cell.count += 1
    cell.sum += value
    const bucket = this.#bucketOf(value)
    cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1
  }

  read(): MetricPoint[] {
    return [...this.#series.entries()].map(([attributes, { count, sum, min, max, counts }]) => ({
      attributes,
      value: sum,
      histogram: { count, sum, min, max, counts: [...counts] }
    }))
  }

  /** The first bucket whose boundary is not below the value; there are few. */
  #bucketOf(value: number): number {
    const { boundaries } = this
    let bucket = 0
    while (bucket < boundaries.length && (boundaries[bucket] ?? 0) < value) bucket += 1
    return bucket
  }
}

/** What an observable instrument is made from. */
export interface ObservedOptions {
  /** Most series; 0 = nothing is asked. */
  readonly seriesMax: number
  /** Whether values of one series that several callbacks tell are added: sums; else the last one counts. */
  readonly isSum: boolean
}

/** An instrument whose callbacks are asked. */
export class ObservedInstrument implements Observable, Readable {
  readonly #options: ObservedOptions
  readonly #callbacks = new Set<ObservableCallback>()
  /** Attributes of series that were told before, so that what exporters keep by them is found again. */
  #known = new Map<string, Attributes>()
  #hasOverflowed = false

  constructor(options: ObservedOptions) {
    this.#options = options
  }

  get hasOverflowed(): boolean {
    return this.#hasOverflowed
  }

  addCallback(callback: ObservableCallback): void {
    this.#callbacks.add(callback)
  }

  removeCallback(callback: ObservableCallback): void {
    this.#callbacks.delete(callback)
  }

  async read(): Promise<MetricPoint[]> {
    if (this.#options.seriesMax === 0) return []
    const look = new Look(this.#options, this.#known)
    const failures: unknown[] = []
    for (const callback of this.#callbacks) {
      try {
        const answer = callback(look)
        if (answer instanceof Promise) await answer
      } catch (error) {
        failures.push(error)
      }
    }
    this.#known = look.known
    this.#hasOverflowed = look.hasOverflowed
    if (failures.length > 0) throw new AggregateError(failures, 'a metric could not be read')
    return look.points()
  }
}

/** What callbacks tell in one look. */
class Look implements ObservableResult {
  readonly known = new Map<string, Attributes>()
  readonly #before: ReadonlyMap<string, Attributes>
  readonly #options: ObservedOptions
  readonly #values = new Map<string, number>()
  #rest = 0
  hasOverflowed = false

  constructor(options: ObservedOptions, before: ReadonlyMap<string, Attributes>) {
    this.#options = options
    this.#before = before
  }

  observe(value: number, attributes: Attributes = {}): void {
    if (!Number.isFinite(value)) return
    const { seriesMax, isSum } = this.#options
    const content = contentOf(attributes)
    const told = this.#values.get(content)
    if (told !== undefined) {
      this.#values.set(content, isSum ? told + value : value)
      return
    }
    // A place is kept for the overflow of sums, as with what counts into cells.
    if (this.#values.size >= (isSum ? seriesMax - 1 : seriesMax)) {
      this.hasOverflowed = true
      this.#rest += value
      return
    }
    this.#values.set(content, value)
    this.known.set(content, this.#before.get(content) ?? { ...attributes })
  }

  points(): MetricPoint[] {
    const points: MetricPoint[] = []
    for (const [content, value] of this.#values) points.push({ attributes: this.known.get(content) ?? {}, value })
    if (this.hasOverflowed && this.#options.isSum) points.push({ attributes: OVERFLOW, value: this.#rest })
    return points
  }
}
