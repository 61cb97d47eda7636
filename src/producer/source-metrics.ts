/** What is counted per source: only sources that can drop, go back or have inputs with problems are in it. */

import type { Meter, ObservableGauge } from '../telemetry/index.ts'
import type { SourceProgress } from './sources/source.ts'

type Reader = Parameters<ObservableGauge['addCallback']>[0]

/** A source and how far it is. */
export interface ObservedSource {
  readonly name: string
  progress(): SourceProgress
}

/**
 * Has the meter read what sources say of themselves.
 *
 * @returns Ends it.
 */
export function observeSources(meter: Meter, sources: () => Iterable<ObservedSource>): () => void {
  const read =
    (field: 'droppedCount' | 'retryCount' | 'problemCount'): Reader =>
    result => {
      for (const source of sources()) {
        const count = source.progress()[field]
        if (count !== undefined) result.observe(count, { source: source.name })
      }
    }
  const observed = [
    {
      instrument: meter.createObservableCounter('comporta.producer.source.dropped', {
        description: 'Events that a source lost because nothing could hold them and their senders cannot wait.'
      }),
      reader: read('droppedCount')
    },
    {
      instrument: meter.createObservableCounter('comporta.producer.source.retries', {
        description: 'How often a source went back to its safe position because events had failed.'
      }),
      reader: read('retryCount')
    },
    {
      instrument: meter.createObservableGauge('comporta.producer.source.problems', {
        description: 'Files of a source that cannot be read, moved or deleted now.'
      }),
      reader: read('problemCount')
    }
  ]
  for (const { instrument, reader } of observed) instrument.addCallback(reader)
  return () => {
    for (const { instrument, reader } of observed) instrument.removeCallback(reader)
  }
}
