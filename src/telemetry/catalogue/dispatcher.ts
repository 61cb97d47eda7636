/** Metrics of the dispatcher that neither OpenTelemetry nor Kafka has a name for. */

import { COUNTS, LONG_SECONDS, type MetricEntry, MILLISECONDS, SIZES } from './entry.ts'

const room = 'dispatcher'
const group = { group: '' } as const
const byTopic = { ...group, topic: '' } as const
const byPartition = { ...byTopic, partition: '' } as const
const byTarget = { ...group, target: '' } as const
const byClass = { ...byTarget, class: 'the class of priority' } as const

/** What waits, and how long it takes. */
const PROGRESS = {
  'comporta.dispatcher.lag': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Records between the committed offset and the end',
    attributes: byPartition,
    isPerPartition: true
  },
  'comporta.dispatcher.lag_seconds': {
    kind: 'gauge',
    unit: 's',
    room,
    description:
      'Age of the oldest record that is not committed: by its timestamp, or that of the one before while it is not ' +
      'fetched yet; 0 without lag, absent before the first record',
    attributes: byPartition,
    isPerPartition: true
  },
  'comporta.dispatcher.topic_lag': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Sum of `comporta.dispatcher.lag` over all partitions of a topic that this member has',
    attributes: byTopic
  },
  'comporta.dispatcher.topic_lag_seconds': {
    kind: 'gauge',
    unit: 's',
    room,
    description: 'Most of `comporta.dispatcher.lag_seconds` over all partitions of a topic that this member has',
    attributes: byTopic
  },
  'comporta.dispatcher.records': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records that left their batch',
    attributes: { ...group, result: 'delivered, skipped, filtered, deadLettered, parked' }
  },
  'comporta.dispatcher.batches': {
    kind: 'counter',
    unit: '{batch}',
    room,
    description: 'Batches begun',
    attributes: group
  },
  'comporta.dispatcher.batch.records': {
    kind: 'histogram',
    unit: '{record}',
    room,
    description: 'Records of a batch',
    attributes: byTopic,
    boundaries: COUNTS
  },
  'comporta.dispatcher.batch.bytes': {
    kind: 'histogram',
    unit: 'By',
    room,
    description: 'Encoded bytes of a batch as it is first sent',
    attributes: byTopic,
    boundaries: SIZES
  },
  'comporta.dispatcher.batch.age': {
    kind: 'histogram',
    unit: 's',
    room,
    description: 'Age of the oldest record of a batch, by its timestamp, when the batch begins',
    attributes: byTopic,
    boundaries: LONG_SECONDS
  },
  'comporta.dispatcher.invoke.duration': {
    kind: 'histogram',
    unit: 'ms',
    room,
    description: 'From sending a batch to its outcome, once for each attempt',
    attributes: { ...group, outcome: 'ok, partial, rejected, unavailable' },
    boundaries: MILLISECONDS
  },
  'comporta.dispatcher.retries': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records sent again',
    attributes: group
  },
  'comporta.dispatcher.dead_letters': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records put into the dead letter topic',
    attributes: { ...group, class: 'the class of the error' }
  },
  'comporta.dispatcher.dead_letter_references': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Dead letters whose value was too large for their topic',
    attributes: group
  },
  'comporta.dispatcher.parked_keys': {
    kind: 'gauge',
    unit: '{key}',
    room,
    description: 'Keys that wait in retry topics',
    attributes: group
  },
  'comporta.dispatcher.parked': {
    kind: 'counter',
    unit: '{record}',
    room,
    description: 'Records put into retry topics',
    attributes: { ...byTopic, tier: 'from 0' }
  },
  'comporta.dispatcher.transactions': {
    kind: 'counter',
    unit: '{transaction}',
    room,
    description: 'Transactions that ended',
    attributes: { ...group, outcome: 'committed, aborted, unknown' }
  },
  'comporta.dispatcher.rebalances': {
    kind: 'counter',
    unit: '1',
    room,
    description: 'Times that partitions came or went',
    attributes: group
  }
} as const satisfies Record<string, MetricEntry>

/** What it does now, and what holds it up. */
const STATE = {
  'comporta.dispatcher.in_flight': {
    kind: 'gauge',
    unit: '{batch}',
    room,
    description: 'Batches under way',
    attributes: group
  },
  'comporta.dispatcher.buffered': {
    kind: 'gauge',
    unit: 'By',
    room,
    description: 'Bytes fetched and not in a batch yet',
    attributes: group
  },
  'comporta.dispatcher.partitions': {
    kind: 'gauge',
    unit: '{partition}',
    room,
    description: 'Partitions assigned to this member',
    attributes: group
  },
  'comporta.dispatcher.paused': {
    kind: 'gauge',
    unit: '{partition}',
    room,
    description: 'Partitions that rest because of backpressure',
    attributes: group
  },
  'comporta.dispatcher.breaker_open': {
    kind: 'gauge',
    unit: '1',
    room,
    description: '1 while the target is down',
    attributes: byTarget
  },
  'comporta.dispatcher.concurrency_limit': {
    kind: 'gauge',
    unit: '{invocation}',
    room,
    description: 'Invocations at once that are allowed now',
    attributes: byTarget
  },
  'comporta.dispatcher.adaptive_limit': {
    kind: 'gauge',
    unit: '{invocation}',
    room,
    description: 'Invocations at once that adaptive concurrency allows, or would allow in a dry run',
    attributes: { ...byTarget, mode: 'on, dryRun' }
  },
  'comporta.dispatcher.latency_ratio': {
    kind: 'gauge',
    unit: '1',
    room,
    description: 'Time of a batch by its time when nothing queues at the target; only with adaptive concurrency',
    attributes: byTarget
  },
  'comporta.dispatcher.batch_records_max': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Most records of the next batch',
    attributes: byTarget
  },
  'comporta.dispatcher.in_flight_records': {
    kind: 'gauge',
    unit: '{record}',
    room,
    description: 'Records of batches that were begun and are not done',
    attributes: byTarget
  },
  'comporta.dispatcher.in_flight_bytes': {
    kind: 'gauge',
    unit: 'By',
    room,
    description: 'Encoded bytes of batches that were begun and are not done',
    attributes: byTarget
  },
  'comporta.dispatcher.waiting': {
    kind: 'gauge',
    unit: '{batch}',
    room,
    description: 'Batches that wait for leave',
    attributes: byClass
  },
  'comporta.dispatcher.oldest_wait_ms': {
    kind: 'gauge',
    unit: 'ms',
    room,
    description: 'How long the first in line has waited for leave',
    attributes: byClass
  },
  'comporta.dispatcher.starved': {
    kind: 'gauge',
    unit: '1',
    room,
    description: '1 while a class waits longer than `starvationMs` and others go on',
    attributes: byClass
  },
  'comporta.dispatcher.held_up': {
    kind: 'gauge',
    unit: '{partition}',
    room,
    description: 'Partitions with work that stand still for a reason',
    attributes: { ...group, reason: 'breaker, commitsLate, rate, busy, operator, deadLetters, …' }
  },
  'comporta.dispatcher.stood_still_ms': {
    kind: 'gauge',
    unit: 'ms',
    room,
    description: 'Longest time without progress that nothing explains; at `progressTimeoutMs` the dispatcher ends',
    attributes: group
  }
} as const satisfies Record<string, MetricEntry>

/** Metrics whose names begin with `comporta.dispatcher.`. */
export const DISPATCHER_METRICS = { ...PROGRESS, ...STATE }
