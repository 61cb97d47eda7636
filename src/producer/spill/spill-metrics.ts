/** What a producer shows of its outlet: the state, and what is on disk. Read when metrics are collected. */

import { type Meter, type Observation, observeAll } from '../../telemetry/index.ts'
import type { OutletState } from '../outlet.ts'
import type { SpillStatus } from './spill-outlet.ts'

const STATES: readonly OutletState[] = ['up', 'away', 'spilling', 'replaying']

/** What is read. */
export interface OutletGauges {
  readonly state: () => OutletState
  /** `undefined` without `producer.spill`. */
  readonly spill: () => SpillStatus | undefined
}

/**
 * Has the meter read the state of an outlet.
 *
 * @returns Ends it.
 */
export function observeOutlet(meter: Meter, { state, spill }: OutletGauges): () => void {
  return observeAll(meter, [
    {
      gauge: 'comporta.producer.outlet',
      read: result => {
        const now = state()
        for (const each of STATES) result.observe(each === now ? 1 : 0, { state: each })
      }
    },
    ...(spill() === undefined ? [] : spillObservations(spill))
  ])
}

function spillObservations(spill: OutletGauges['spill']): Observation[] {
  return [
    { gauge: 'comporta.producer.spill.records', read: result => result.observe(spill()?.recordCount ?? 0) },
    { gauge: 'comporta.producer.spill.bytes', read: result => result.observe(spill()?.bytes ?? 0) },
    { gauge: 'comporta.producer.spill.oldest_age', read: result => result.observe(spill()?.oldestAgeMs ?? 0) },
    {
      gauge: 'comporta.producer.spill.blocked',
      read: result => {
        const now = spill()
        result.observe(now?.isFull === true || now?.isInTrouble === true ? 1 : 0)
      }
    },
    { counter: 'comporta.producer.spill.written', read: result => result.observe(spill()?.spilledCount ?? 0) },
    { counter: 'comporta.producer.spill.replayed', read: result => result.observe(spill()?.replayedCount ?? 0) },
    { counter: 'comporta.producer.spill.damaged', read: result => result.observe(spill()?.lostCount ?? 0) }
  ]
}
