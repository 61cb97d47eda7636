/**
 * A meter by OpenTelemetry's contract that keeps every number once, however many exporters read it.
 *
 * OpenTelemetry's own keeps what a reader has not fetched yet: with two readers of which one is never asked (a port
 * that nobody scrapes, beside a collector) that grows without bound; it shows series that are gone with their last
 * value for ever; and it names a series by JSON at each record. All three are why this one exists: docs/decisions/0012.
 *
 * Limits: `seriesMax` series of an instrument, `partitionSeriesMax` of those with one for each partition.
 */

import type {
  BatchObservableCallback,
  Histogram,
  Meter,
  MetricOptions,
  Observable,
  ObservableCounter,
  ObservableGauge,
  ObservableUpDownCounter
} from '@opentelemetry/api'

import { type Clock, invariant, messageOf } from '../../core/index.ts'
import type { MetricKind } from '../catalogue.ts'
import { METRIC_CATALOGUE, type MetricName } from '../catalogue.ts'
import type { Logger } from '../logger.ts'
import type { CollectedMetric, CollectedMetrics } from './collected.ts'
import {
  GaugeInstrument,
  HistogramInstrument,
  ObservedInstrument,
  type Readable,
  SumInstrument
} from './instruments.ts'

/** What a collecting meter is made from. */
export interface CollectingMeterOptions {
  /** Attributes of the process. */
  readonly resource: Readonly<Record<string, string>>
  /** Most series of an instrument. At least 2. */
  readonly seriesMax: number
  /** Most series of an instrument that has one for each partition; 0 for none. */
  readonly partitionSeriesMax: number
  readonly clock: Clock
  readonly logger: Logger
}

interface Registered {
  readonly kind: MetricKind
  readonly isObserved: boolean
  readonly unit: string
  readonly description: string
  readonly instrument: Readable
}

/** Buckets where nobody says which. Source: OpenTelemetry metrics SDK. */
const BOUNDARIES = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]

/** Gives instruments, and reads them all. */
export class CollectingMeter implements Meter {
  readonly #options: CollectingMeterOptions
  readonly #registered = new Map<string, Registered>()
  readonly #startMs: number
  /** Metrics of which it was said that they cannot be read. */
  readonly #failing = new Set<string>()

  constructor(options: CollectingMeterOptions) {
    this.#options = options
    this.#startMs = options.clock.now()
  }

  /** Metrics of which some series had no room. */
  get overflowCount(): number {
    return [...this.#registered.values()].filter(({ instrument }) => instrument.hasOverflowed).length
  }

  createGauge(name: string, options?: MetricOptions): GaugeInstrument {
    return this.#sync({ name, kind: 'gauge', options, type: GaugeInstrument }, max => new GaugeInstrument(max))
  }

  createHistogram(name: string, options?: MetricOptions): Histogram {
    const boundaries = options?.advice?.explicitBucketBoundaries ?? BOUNDARIES
    const create = (max: number): HistogramInstrument => new HistogramInstrument(max, boundaries)
    return this.#sync({ name, kind: 'histogram', options, type: HistogramInstrument }, create)
  }

  createCounter(name: string, options?: MetricOptions): SumInstrument {
    return this.#sync({ name, kind: 'counter', options, type: SumInstrument }, max => new SumInstrument(max, false))
  }

  createUpDownCounter(name: string, options?: MetricOptions): SumInstrument {
    const create = (max: number): SumInstrument => new SumInstrument(max, true)
    return this.#sync({ name, kind: 'upDownCounter', options, type: SumInstrument }, create)
  }

  createObservableGauge(name: string, options?: MetricOptions): ObservableGauge {
    return this.#observed(name, 'gauge', options)
  }

  createObservableCounter(name: string, options?: MetricOptions): ObservableCounter {
    return this.#observed(name, 'counter', options)
  }

  createObservableUpDownCounter(name: string, options?: MetricOptions): ObservableUpDownCounter {
    return this.#observed(name, 'upDownCounter', options)
  }

  /** Not part of what rooms use: each instrument has its own callbacks. */
  addBatchObservableCallback(_callback: BatchObservableCallback, _observables: Observable[]): void {
    invariant(false, 'callbacks are added to each instrument')
  }

  /** See `addBatchObservableCallback`. */
  removeBatchObservableCallback(_callback: BatchObservableCallback, _observables: Observable[]): void {
    // There are none.
  }

  /** Reads everything. What cannot be read is left out and said in the log, once. */
  async collect(): Promise<CollectedMetrics> {
    const { resource, clock } = this.#options
    const metrics: CollectedMetric[] = []
    for (const [name, { kind, unit, description, instrument }] of this.#registered) {
      try {
        const read = instrument.read()
        const points = read instanceof Promise ? await read : read
        const boundaries = instrument instanceof HistogramInstrument ? instrument.boundaries : []
        if (points.length > 0) metrics.push({ name, kind, unit, description, boundaries, points })
      } catch (error) {
        this.#failed(name, error)
      }
    }
    return { resource, startMs: this.#startMs, timeMs: clock.now(), metrics }
  }

  #failed(name: string, error: unknown): void {
    if (this.#failing.has(name)) return
    this.#failing.add(name)
    const causes = error instanceof AggregateError ? error.errors.map(messageOf) : [messageOf(error)]
    this.#options.logger.warn({ metric: name, reason: causes.join('; ') }, 'a metric cannot be read')
  }

  #sync<Instrument extends Readable>(
    asked: Asked & { readonly type: abstract new (...options: never[]) => Instrument },
    create: (seriesMax: number) => Instrument
  ): Instrument {
    const known = this.#find(asked, false)
    if (known !== undefined) {
      invariant(known instanceof asked.type, `the metric ${asked.name} is of one kind`)
      return known
    }
    const instrument = create(this.#seriesMaxOf(asked.name))
    this.#register(asked, false, instrument)
    return instrument
  }

  #observed(name: string, kind: MetricKind, options: MetricOptions | undefined): ObservedInstrument {
    const asked = { name, kind, options }
    const known = this.#find(asked, true)
    if (known instanceof ObservedInstrument) return known
    const instrument = new ObservedInstrument({ seriesMax: this.#seriesMaxOf(name), isSum: kind !== 'gauge' })
    this.#register(asked, true, instrument)
    return instrument
  }

  /** Several parts of a process may ask for the same instrument: they get the same. */
  #find({ name, kind }: Asked, isObserved: boolean): Readable | undefined {
    const known = this.#registered.get(name)
    if (known === undefined) return undefined
    invariant(known.kind === kind && known.isObserved === isObserved, `the metric ${name} is of one kind`)
    return known.instrument
  }

  #register({ name, kind, options }: Asked, isObserved: boolean, instrument: Readable): void {
    const { unit = '', description = '' } = options ?? {}
    this.#registered.set(name, { kind, isObserved, unit, description, instrument })
  }

  #seriesMaxOf(name: string): number {
    const { seriesMax, partitionSeriesMax } = this.#options
    const isPerPartition = isKnown(name) && METRIC_CATALOGUE[name].isPerPartition === true
    return isPerPartition ? partitionSeriesMax : seriesMax
  }
}

interface Asked {
  readonly name: string
  readonly kind: MetricKind
  readonly options: MetricOptions | undefined
}

function isKnown(name: string): name is MetricName {
  return Object.hasOwn(METRIC_CATALOGUE, name)
}
