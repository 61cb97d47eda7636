/** Instruments of a meter by their entries in the catalogue, so that unit, words and buckets stand there alone. */

import type {
  Counter,
  Gauge,
  Histogram,
  Meter,
  MetricOptions,
  ObservableCallback,
  ObservableCounter,
  ObservableGauge,
  UpDownCounter
} from '@opentelemetry/api'

import { METRIC_CATALOGUE, type MetricName, type MetricNameOf } from './catalogue.ts'

/** Something that is counted. */
export function counterOf(meter: Meter, name: MetricNameOf<'counter'>): Counter {
  return meter.createCounter(name, optionsOf(name))
}

/** A sum that may shrink. */
export function upDownCounterOf(meter: Meter, name: MetricNameOf<'upDownCounter'>): UpDownCounter {
  return meter.createUpDownCounter(name, optionsOf(name))
}

/** A distribution. */
export function histogramOf(meter: Meter, name: MetricNameOf<'histogram'>): Histogram {
  return meter.createHistogram(name, optionsOf(name))
}

/** What something is now, told by whoever knows. */
export function gaugeOf(meter: Meter, name: MetricNameOf<'gauge'>): Gauge {
  return meter.createGauge(name, optionsOf(name))
}

/** What something is now, asked for when somebody looks. */
export function observedGaugeOf(meter: Meter, name: MetricNameOf<'gauge'>): ObservableGauge {
  return meter.createObservableGauge(name, optionsOf(name))
}

/** What was counted so far, asked for when somebody looks. */
export function observedCounterOf(meter: Meter, name: MetricNameOf<'counter'>): ObservableCounter {
  return meter.createObservableCounter(name, optionsOf(name))
}

/** Tells values when somebody looks. */
export type Observing = ObservableCallback

/** A metric that is asked for, and who answers. */
export type Observation =
  | { readonly gauge: MetricNameOf<'gauge'>; readonly read: Observing }
  | { readonly counter: MetricNameOf<'counter'>; readonly read: Observing }

/**
 * Has a meter ask for metrics.
 *
 * @returns Ends it.
 */
export function observeAll(meter: Meter, observations: readonly Observation[]): () => void {
  const ends = observations.map(observation => {
    const { read } = observation
    const observed =
      'gauge' in observation ? observedGaugeOf(meter, observation.gauge) : observedCounterOf(meter, observation.counter)
    observed.addCallback(read)
    return () => observed.removeCallback(read)
  })
  return () => {
    for (const end of ends) end()
  }
}

function optionsOf(name: MetricName): MetricOptions {
  const { unit, description, boundaries } = METRIC_CATALOGUE[name]
  const advice = boundaries === undefined ? {} : { advice: { explicitBucketBoundaries: [...boundaries] } }
  return { unit, description, ...advice }
}
