/**
 * Metrics of Kafka clients by the names and attributes that OpenTelemetry's Java instrumentation gives them, so that
 * dashboards made for Java clients show this one. Like there, they have no unit: durations are in milliseconds unless
 * their name says otherwise. Averages, maxima and rates are of the last 30 to 60 seconds, like Kafka's own
 * (`metrics.sample.window.ms`, `metrics.num.samples`). Source: opentelemetry-java-instrumentation, kafka-clients.
 */

import type { MetricEntry, MetricKind } from './entry.ts'

const producerSide = { 'client-id': '' } as const
const consumerSide = { 'client-id': '', group: '' } as const
const topic = { topic: '' } as const
const node = { 'node-id': 'of the broker' } as const

function entry<const Kind extends MetricKind>(
  kind: Kind,
  attributes: Readonly<Record<string, string>>,
  description: string
): MetricEntry & { readonly kind: Kind } {
  return { kind, unit: '', room: 'client', description, attributes }
}

/** Metrics of producers. */
export const KAFKA_PRODUCER_METRICS = {
  'kafka.producer.record_send_rate': entry('gauge', { ...producerSide, ...topic }, 'Records sent per second'),
  'kafka.producer.record_send_total': entry('counter', { ...producerSide, ...topic }, 'Records sent'),
  'kafka.producer.record_error_rate': entry('gauge', { ...producerSide, ...topic }, 'Records per second that failed'),
  'kafka.producer.record_error_total': entry('counter', { ...producerSide, ...topic }, 'Records that failed for good'),
  'kafka.producer.record_retry_rate': entry('gauge', { ...producerSide, ...topic }, 'Records sent again per second'),
  'kafka.producer.record_retry_total': entry('counter', { ...producerSide, ...topic }, 'Records sent again'),
  'kafka.producer.byte_rate': entry('gauge', { ...producerSide, ...topic }, 'Bytes of batches sent per second'),
  'kafka.producer.byte_total': entry('counter', { ...producerSide, ...topic }, 'Bytes of batches sent'),
  'kafka.producer.request_latency_avg': entry('gauge', { ...producerSide, ...node }, 'Mean time of a Produce request'),
  'kafka.producer.request_latency_max': entry(
    'gauge',
    { ...producerSide, ...node },
    'Longest time of a Produce request'
  ),
  'kafka.producer.record_queue_time_avg': entry('gauge', producerSide, 'Mean time that a batch waits to be sent'),
  'kafka.producer.record_queue_time_max': entry('gauge', producerSide, 'Longest time that a batch waited to be sent'),
  'kafka.producer.batch_size_avg': entry('gauge', producerSide, 'Mean size of a batch that is sent, in bytes'),
  'kafka.producer.batch_size_max': entry('gauge', producerSide, 'Largest size of a batch that was sent, in bytes'),
  'kafka.producer.records_per_request_avg': entry('gauge', producerSide, 'Mean records of a Produce request'),
  'kafka.producer.requests_in_flight': entry('gauge', producerSide, 'Produce requests that wait for their answer'),
  'kafka.producer.produce_throttle_time_avg': entry(
    'gauge',
    producerSide,
    'Mean time for which a broker’s quota made a connection rest'
  ),
  'kafka.producer.produce_throttle_time_max': entry(
    'gauge',
    producerSide,
    'Longest time for which a broker’s quota made a connection rest'
  ),
  'kafka.producer.buffer_total_bytes': entry('gauge', producerSide, 'Bytes that may wait for their outcome'),
  'kafka.producer.buffer_available_bytes': entry('gauge', producerSide, 'Of these, bytes that are free')
} as const satisfies Record<string, MetricEntry>

/** Metrics of consumers. Java has no attribute `group`; here one process may be in several. */
export const KAFKA_CONSUMER_METRICS = {
  'kafka.consumer.records_lag': {
    kind: 'gauge',
    unit: '',
    room: 'dispatcher',
    description: 'Records between what was last put into a batch and the end of a partition',
    attributes: { ...consumerSide, ...topic, partition: '' },
    isPerPartition: true
  },
  'kafka.consumer.records_lag_max': {
    ...entry(
      'gauge',
      { ...consumerSide, ...topic },
      'The same of the partition of a topic that has most, counted over all of its partitions'
    ),
    room: 'dispatcher'
  },
  'kafka.consumer.records_consumed_rate': {
    ...entry('gauge', { ...consumerSide, ...topic }, 'Records per second that were put into batches'),
    room: 'dispatcher'
  },
  'kafka.consumer.records_consumed_total': {
    ...entry('counter', { ...consumerSide, ...topic }, 'Records that were put into batches'),
    room: 'dispatcher'
  },
  'kafka.consumer.bytes_consumed_rate': entry('gauge', { 'client-id': '', ...topic }, 'Bytes fetched per second'),
  'kafka.consumer.bytes_consumed_total': entry('counter', { 'client-id': '', ...topic }, 'Bytes fetched'),
  'kafka.consumer.fetch_latency_avg': entry('gauge', { 'client-id': '' }, 'Mean time of a fetch, its wait included'),
  'kafka.consumer.fetch_latency_max': entry('gauge', { 'client-id': '' }, 'Longest time of a fetch'),
  'kafka.consumer.fetch_rate': entry('gauge', { 'client-id': '' }, 'Fetches per second'),
  'kafka.consumer.fetch_total': entry('counter', { 'client-id': '' }, 'Fetches'),
  'kafka.consumer.fetch_throttle_time_avg': entry(
    'gauge',
    { 'client-id': '' },
    'Mean time for which a broker’s quota held a fetch up'
  ),
  'kafka.consumer.fetch_throttle_time_max': entry(
    'gauge',
    { 'client-id': '' },
    'Longest time for which a broker’s quota held a fetch up'
  ),
  'kafka.consumer.commit_latency_avg': entry('gauge', consumerSide, 'Mean time of a commit of offsets'),
  'kafka.consumer.commit_latency_max': entry('gauge', consumerSide, 'Longest time of a commit of offsets'),
  'kafka.consumer.commit_rate': entry('gauge', consumerSide, 'Commits per second'),
  'kafka.consumer.commit_total': entry('counter', consumerSide, 'Commits of offsets'),
  'kafka.consumer.assigned_partitions': entry('gauge', consumerSide, 'Partitions that this member holds'),
  'kafka.consumer.rebalance_latency_avg': entry(
    'gauge',
    consumerSide,
    'Mean time from the news of a rebalance until this member has its partitions'
  ),
  'kafka.consumer.rebalance_latency_max': entry('gauge', consumerSide, 'Longest such time'),
  'kafka.consumer.rebalance_latency_total': entry('counter', consumerSide, 'Sum of such times'),
  'kafka.consumer.rebalance_rate_per_hour': entry('gauge', consumerSide, 'Rebalances per hour that succeeded'),
  'kafka.consumer.rebalance_total': entry('counter', consumerSide, 'Rebalances that succeeded'),
  'kafka.consumer.failed_rebalance_rate_per_hour': entry('gauge', consumerSide, 'Rebalances per hour that failed'),
  'kafka.consumer.failed_rebalance_total': entry('counter', consumerSide, 'Rebalances that failed and began anew'),
  'kafka.consumer.last_rebalance_seconds_ago': entry(
    'gauge',
    consumerSide,
    'Seconds since the last rebalance that succeeded; -1 before the first'
  ),
  'kafka.consumer.last_heartbeat_seconds_ago': entry(
    'gauge',
    consumerSide,
    'Seconds since the coordinator last heard of this member; -1 before it did'
  ),
  'kafka.consumer.partition_revoked_latency_avg': entry(
    'gauge',
    consumerSide,
    'Mean time for which partitions that are given back stand still: from the call to give back until all is committed'
  ),
  'kafka.consumer.partition_revoked_latency_max': entry('gauge', consumerSide, 'Longest such time')
} as const satisfies Record<string, MetricEntry>
