/** What is counted per source: only sources that can drop, go back or have inputs with problems are in it. */

import { type Meter, observeAll, type Observing } from '../telemetry/index.ts'
import type { SourceProgress } from './sources/source.ts'

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
    (field: 'droppedCount' | 'retryCount' | 'problemCount'): Observing =>
    result => {
      for (const source of sources()) {
        const count = source.progress()[field]
        if (count !== undefined) result.observe(count, { source: source.name })
      }
    }
  return observeAll(meter, [
    { counter: 'comporta.producer.source.dropped', read: read('droppedCount') },
    { counter: 'comporta.producer.source.retries', read: read('retryCount') },
    { gauge: 'comporta.producer.source.problems', read: read('problemCount') }
  ])
}
