/** What a dispatcher tells when metrics are looked at, and costs nothing before. */

import type { Clock } from '../core/index.ts'
import { type Meter, observeAll, type Observation, type Observing } from '../telemetry/index.ts'
import type { AnyLane } from './lane-surroundings.ts'
import type { Meters } from './meters.ts'

/** What is looked at. */
export interface ObservedDispatcher {
  readonly group: string
  /** How the client names itself to brokers. */
  readonly clientId: string
  readonly meters: Meters
  readonly clock: Clock
  readonly bufferedBytes: () => number
  readonly partitionCount: () => number
  readonly pausedCount: () => number
  readonly stoodStillMs: () => number
  readonly heldUp: () => ReadonlyMap<string, number>
  readonly lanes: () => readonly AnyLane[]
  readonly committed: (lane: AnyLane) => bigint | undefined
  readonly end: (lane: AnyLane) => bigint | undefined
}

/** The lag of one partition. */
interface Lag {
  readonly topic: string
  readonly partition: number
  /** Records that are not committed. */
  readonly records: number
  /** Records that are not in a batch yet. */
  readonly unread: number
  /** Age of the oldest that is not committed; `undefined` if not known. */
  readonly seconds: number | undefined
}

/** Has a meter read a dispatcher. @returns Ends it. */
export function observeDispatcher(meter: Meter, observed: ObservedDispatcher): () => void {
  return observeAll(meter, [...stateOf(observed), ...lagOf(observed), ...consumptionOf(observed)])
}

function stateOf(observed: ObservedDispatcher): Observation[] {
  const attributes = { group: observed.group }
  const one =
    (read: () => number): Observing =>
    result =>
      result.observe(read(), attributes)
  return [
    { gauge: 'comporta.dispatcher.in_flight', read: one(() => observed.meters.inFlightBatches) },
    { gauge: 'comporta.dispatcher.buffered', read: one(observed.bufferedBytes) },
    { gauge: 'comporta.dispatcher.partitions', read: one(observed.partitionCount) },
    { gauge: 'comporta.dispatcher.paused', read: one(observed.pausedCount) },
    { gauge: 'comporta.dispatcher.stood_still_ms', read: one(observed.stoodStillMs) },
    {
      gauge: 'comporta.dispatcher.held_up',
      read: result => {
        for (const [reason, count] of observed.heldUp()) result.observe(count, { ...attributes, reason })
      }
    }
  ]
}

function lagOf(observed: ObservedDispatcher): Observation[] {
  const { group, clientId } = observed
  const kafka = { 'client-id': clientId, group }
  const byPartition =
    (shared: Readonly<Record<string, string>>, read: (lag: Lag) => number | undefined): Observing =>
    result => {
      for (const lag of lagsOf(observed)) {
        const value = read(lag)
        const { topic, partition } = lag
        if (value !== undefined) result.observe(value, { ...shared, topic, partition: String(partition) })
      }
    }
  const byTopic =
    (shared: Readonly<Record<string, string>>, read: (lags: readonly Lag[]) => number | undefined): Observing =>
    result => {
      for (const [topic, lags] of Map.groupBy(lagsOf(observed), lag => lag.topic)) {
        const value = read(lags)
        if (value !== undefined) result.observe(value, { ...shared, topic })
      }
    }
  return [
    { gauge: 'comporta.dispatcher.lag', read: byPartition({ group }, ({ records }) => records) },
    { gauge: 'comporta.dispatcher.lag_seconds', read: byPartition({ group }, ({ seconds }) => seconds) },
    { gauge: 'kafka.consumer.records_lag', read: byPartition(kafka, ({ unread }) => unread) },
    {
      gauge: 'comporta.dispatcher.topic_lag',
      read: byTopic({ group }, lags => lags.reduce((sum, { records }) => sum + records, 0))
    },
    {
      gauge: 'comporta.dispatcher.topic_lag_seconds',
      read: byTopic({ group }, lags => maxOf(lags.flatMap(({ seconds }) => seconds ?? [])))
    },
    { gauge: 'kafka.consumer.records_lag_max', read: byTopic(kafka, lags => maxOf(lags.map(({ unread }) => unread))) }
  ]
}

function consumptionOf({ group, clientId, meters, clock }: ObservedDispatcher): Observation[] {
  const attributes = (topic: string): Record<string, string> => ({ 'client-id': clientId, group, topic })
  return [
    {
      counter: 'kafka.consumer.records_consumed_total',
      read: result => {
        for (const [topic, { consumedCount }] of meters.topics.entries())
          result.observe(consumedCount, attributes(topic))
      }
    },
    {
      gauge: 'kafka.consumer.records_consumed_rate',
      read: result => {
        const nowMs = clock.monotonicMs()
        for (const [topic, { consumed }] of meters.topics.entries()) {
          result.observe(consumed.sumPerSecond(nowMs), attributes(topic))
        }
      }
    }
  ]
}

/** Those with the largest lag first: where not all may have a series, the others can be missed. */
function lagsOf({ lanes, committed, end, meters, clock }: ObservedDispatcher): Lag[] {
  const nowMs = clock.now()
  const lags = lanes().flatMap((lane): Lag[] => {
    const last = end(lane)
    if (last === undefined) return []
    // Without a commit: from where this member began.
    const records = Math.max(0, Number(last - (committed(lane) ?? lane.committable)))
    const unread = Math.max(0, Number(last - lane.position))
    const oldestMs = meters.times.oldestMs(lane)
    const ageSeconds = oldestMs === undefined ? undefined : Math.max(0, nowMs - oldestMs) / 1000
    const { topic, partition } = lane
    return [{ topic, partition, records, unread, seconds: records === 0 ? 0 : ageSeconds }]
  })
  return lags.sort((a, b) => b.records - a.records)
}

function maxOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((max, value) => Math.max(max, value))
}
