/** What a producer shows of its outlet: the state, and what is on disk. Read when metrics are collected. */

import type { Meter, ObservableGauge } from '../../telemetry/index.ts'
import type { OutletState } from '../outlet.ts'
import type { SpillStatus } from './spill-outlet.ts'

type Reader = Parameters<ObservableGauge['addCallback']>[0]

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
  const outlet = meter.createObservableGauge('comporta.producer.outlet', {
    description: '1 for the state that the way to Kafka is in, 0 for the others.'
  })
  const readState: Reader = result => {
    const now = state()
    for (const each of STATES) result.observe(each === now ? 1 : 0, { state: each })
  }
  outlet.addCallback(readState)
  const ends = spill() === undefined ? [] : [observeSpill(meter, spill), observeSpillCounts(meter, spill)]
  return () => {
    outlet.removeCallback(readState)
    for (const end of ends) end()
  }
}

function observeSpill(meter: Meter, spill: OutletGauges['spill']): () => void {
  const records = meter.createObservableGauge('comporta.producer.spill.records', {
    description: 'Records on disk that are not known to be in Kafka.'
  })
  const bytes = meter.createObservableGauge('comporta.producer.spill.bytes', {
    unit: 'By',
    description: 'Bytes on disk.'
  })
  const age = meter.createObservableGauge('comporta.producer.spill.oldest_age', {
    unit: 'ms',
    description: 'Age of the oldest record on disk, to about a minute; 0 if there is none.'
  })
  const full = meter.createObservableGauge('comporta.producer.spill.blocked', {
    description: '1 while sources wait because the spill is full or its disk refuses, else 0.'
  })
  const readRecords: Reader = result => result.observe(spill()?.recordCount ?? 0)
  const readBytes: Reader = result => result.observe(spill()?.bytes ?? 0)
  const readAge: Reader = result => result.observe(spill()?.oldestAgeMs ?? 0)
  const readFull: Reader = result => {
    const now = spill()
    result.observe(now?.isFull === true || now?.isInTrouble === true ? 1 : 0)
  }
  records.addCallback(readRecords)
  bytes.addCallback(readBytes)
  age.addCallback(readAge)
  full.addCallback(readFull)
  return () => {
    records.removeCallback(readRecords)
    bytes.removeCallback(readBytes)
    age.removeCallback(readAge)
    full.removeCallback(readFull)
  }
}

function observeSpillCounts(meter: Meter, spill: OutletGauges['spill']): () => void {
  const spilled = meter.createObservableCounter('comporta.producer.spill.written', {
    description: 'Records written to disk.'
  })
  const replayed = meter.createObservableCounter('comporta.producer.spill.replayed', {
    description: 'Records on disk that came into Kafka: their rate is the rate of the replay.'
  })
  const lost = meter.createObservableCounter('comporta.producer.spill.damaged', {
    description: 'Records on disk whose bytes were damaged or missing.'
  })
  const readSpilled: Reader = result => result.observe(spill()?.spilledCount ?? 0)
  const readReplayed: Reader = result => result.observe(spill()?.replayedCount ?? 0)
  const readLost: Reader = result => result.observe(spill()?.lostCount ?? 0)
  spilled.addCallback(readSpilled)
  replayed.addCallback(readReplayed)
  lost.addCallback(readLost)
  return () => {
    spilled.removeCallback(readSpilled)
    replayed.removeCallback(readReplayed)
    lost.removeCallback(readLost)
  }
}
