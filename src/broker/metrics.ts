/**
 * Metrics of the broker, under the names that Apache Kafka's have in Prometheus
 * when they are exported by the rules which come with the JMX exporter: what
 * was drawn or alerted on for Kafka works for this broker unchanged.
 *
 * Whatever the broker knows anyway (offsets, sizes, counts of records and bytes
 * appended) is read when somebody asks for metrics and costs nothing before.
 * The rest is counted per request, never per record.
 *
 * Limits: one series per partition or topic, like Kafka; per request, one per
 * API and version in use.
 *
 * Source: Kafka's monitoring page (`kafka.server:type=BrokerTopicMetrics`, …).
 */

import {
  type Attributes,
  counterOf,
  histogramOf,
  type Meter,
  type MetricNameOf,
  observedCounterOf,
  observedGaugeOf,
  upDownCounterOf
} from '../telemetry/index.ts'
import type { GroupCoordinator } from './groups/index.ts'
import type { LogManager, PartitionLog } from './log/index.ts'

/** What the gauges look at. */
export interface ObservedBroker {
  readonly logs: LogManager
  readonly groups: GroupCoordinator
  /** Fetches that wait for records, in partitions. */
  readonly waitingPartitionCount: () => number
}

/** Counts what happens to requests, connections and records. */
export interface BrokerMetrics {
  /** A request has begun. Call the answer when it has ended. */
  requestBegan(api: string, version: number): () => void
  /** Bytes went over a client's connection. */
  transferred(listener: string, direction: 'in' | 'out', bytes: number): void
  /** Connections were opened or closed. */
  connectionsChanged(listener: string, change: 1 | -1): void
  /** A client proved who it is, or failed to. */
  authenticated(listener: string, mechanism: string, isSuccess: boolean): void
  /** Part of a Produce request for one topic has its outcome. */
  produced(topic: string, refusals: readonly ProduceRefusal[]): void
  /** Part of a Fetch request for one topic has its outcome. */
  fetched(topic: string, bytes: number, hasError: boolean): void
}

/** Why a batch was refused, as far as Kafka counts that. */
export type ProduceRefusal = 'invalidCrc' | 'noKeyInCompactedTopic' | 'other'

/** Starts counting. */
export function createBrokerMetrics(meter: Meter, clock: { monotonicMs(): number }): BrokerMetrics {
  const counters = requestCounters(meter)
  const topics = topicCounters(meter)
  let inFlight = 0
  observedGaugeOf(meter, 'kafka_network_requestchannel_requestqueuesize').addCallback(result =>
    result.observe(inFlight)
  )
  const connections = upDownCounterOf(meter, 'kafka_server_socket_server_metrics_connection_count')
  const bytes = {
    in: counterOf(meter, 'kafka_server_socket_server_metrics_incoming_byte'),
    out: counterOf(meter, 'kafka_server_socket_server_metrics_outgoing_byte')
  }
  const authentications = {
    true: counterOf(meter, 'kafka_server_socket_server_metrics_successful_authentication'),
    false: counterOf(meter, 'kafka_server_socket_server_metrics_failed_authentication')
  }
  const byListener = new AttributesCache('listener')
  const byTopic = new AttributesCache('topic')
  return {
    requestBegan: (api, version) => {
      const startMs = clock.monotonicMs()
      inFlight += 1
      return () => {
        inFlight -= 1
        counters.requests.add(1, { request: api, version: String(version) })
        counters.totalTime.record(clock.monotonicMs() - startMs, { request: api })
      }
    },
    transferred: (listener, direction, count) => bytes[direction].add(count, byListener.get(listener)),
    connectionsChanged: (listener, change) => connections.add(change, byListener.get(listener)),
    authenticated: (listener, mechanism, isSuccess) => authentications[`${isSuccess}`].add(1, { listener, mechanism }),
    produced: (topic, refusals) => {
      topics.produceRequests.add(1, byTopic.get(topic))
      for (const refusal of refusals) {
        topics.failedProduceRequests.add(1, byTopic.get(topic))
        // As in Kafka, these two count over all topics.
        if (refusal === 'invalidCrc') topics.invalidCrc.add(1)
        else if (refusal === 'noKeyInCompactedTopic') topics.noKey.add(1)
      }
    },
    fetched: (topic, count, hasError) => {
      topics.fetchRequests.add(1, byTopic.get(topic))
      if (count > 0) topics.bytesOut.add(count, byTopic.get(topic))
      if (hasError) topics.failedFetchRequests.add(1, byTopic.get(topic))
    }
  }
}

/** Lets the state of a broker be seen. */
export function observeBroker(meter: Meter, broker: ObservedBroker): void {
  observeTopics(meter, broker)
  observePartitions(meter, broker)
  observeCleaner(meter, broker)
  const gauge = (name: MetricNameOf<'gauge'>, value: () => number): void =>
    observedGaugeOf(meter, name).addCallback(result => result.observe(value()))
  const allLogs = (): PartitionLog[] => broker.logs.topics.flatMap(({ logs }) => logs)
  const partitionCount = (): number => allLogs().length
  gauge('kafka_server_replicamanager_partitioncount', partitionCount)
  gauge('kafka_server_replicamanager_leadercount', partitionCount)
  gauge('kafka_server_replicamanager_underreplicatedpartitions', () => 0)
  gauge('kafka_server_replicamanager_underminisrpartitioncount', () => 0)
  const offline = (): number => allLogs().filter(log => log.isOffline).length
  gauge('kafka_controller_kafkacontroller_offlinepartitionscount', offline)
  gauge('kafka_controller_kafkacontroller_activecontrollercount', () => 1)
  gauge('kafka_controller_kafkacontroller_globaltopiccount', () => broker.logs.topics.length)
  gauge('kafka_controller_kafkacontroller_globalpartitioncount', partitionCount)
  const offsetCount = (): number =>
    broker.groups.list().reduce((sum, { offsets }) => sum + offsets.partitions().length, 0)
  gauge('kafka_coordinator_group_groupmetadatamanager_numgroups', () => broker.groups.list().length)
  gauge('kafka_coordinator_group_groupmetadatamanager_numoffsets', offsetCount)
  observedGaugeOf(meter, 'kafka_server_delayedoperationpurgatory_purgatorysize').addCallback(result =>
    result.observe(broker.waitingPartitionCount(), { delayedoperation: 'Fetch' })
  )
}

function requestCounters(meter: Meter) {
  return {
    requests: counterOf(meter, 'kafka_network_requestmetrics_requests'),
    totalTime: histogramOf(meter, 'kafka_network_requestmetrics_totaltimems')
  }
}

function topicCounters(meter: Meter) {
  return {
    produceRequests: counterOf(meter, 'kafka_server_brokertopicmetrics_totalproducerequests'),
    failedProduceRequests: counterOf(meter, 'kafka_server_brokertopicmetrics_failedproducerequests'),
    fetchRequests: counterOf(meter, 'kafka_server_brokertopicmetrics_totalfetchrequests'),
    failedFetchRequests: counterOf(meter, 'kafka_server_brokertopicmetrics_failedfetchrequests'),
    bytesOut: counterOf(meter, 'kafka_server_brokertopicmetrics_bytesout'),
    invalidCrc: counterOf(meter, 'kafka_server_brokertopicmetrics_invalidmessagecrcrecords'),
    noKey: counterOf(meter, 'kafka_server_brokertopicmetrics_nokeycompactedtopicrecords')
  }
}

/**
 * Records and bytes that came in, read from the logs themselves.
 *
 * They count from the start of the broker: what a log held when it was first
 * seen then is its zero. Topics that are created later begin at none.
 */
function observeTopics(meter: Meter, { logs }: ObservedBroker): void {
  const zeros = new WeakMap<PartitionLog, { offset: bigint; bytes: number }>()
  for (const log of logs.topics.flatMap(topic => topic.logs)) {
    zeros.set(log, { offset: log.highWatermark, bytes: log.appendedBytes })
  }
  observedCounterOf(meter, 'kafka_server_brokertopicmetrics_messagesin').addCallback(result => {
    for (const topic of logs.topics) {
      const count = topic.logs.reduce((sum, log) => sum + log.highWatermark - (zeros.get(log)?.offset ?? 0n), 0n)
      result.observe(Number(count), { topic: topic.name })
    }
  })
  observedCounterOf(meter, 'kafka_server_brokertopicmetrics_bytesin').addCallback(result => {
    for (const topic of logs.topics) {
      const count = topic.logs.reduce((sum, log) => sum + log.appendedBytes - (zeros.get(log)?.bytes ?? 0), 0)
      result.observe(count, { topic: topic.name })
    }
  })
}

function observePartitions(meter: Meter, { logs }: ObservedBroker): void {
  const gauge = (name: MetricNameOf<'gauge'>, value: (log: PartitionLog) => number): void =>
    observedGaugeOf(meter, name).addCallback(result => {
      for (const { name: topic, logs: partitions } of logs.topics) {
        for (const log of partitions) result.observe(value(log), { topic, partition: String(log.partition) })
      }
    })
  gauge('kafka_log_log_logendoffset', log => Number(log.nextOffset))
  gauge('kafka_log_log_logstartoffset', log => Number(log.logStartOffset))
  gauge('kafka_log_log_size', log => log.sizeBytes)
  gauge('kafka_log_log_numlogsegments', log => log.segmentCount)
}

/** Compaction. Source: Kafka `LogCleanerManager`. */
function observeCleaner(meter: Meter, { logs }: ObservedBroker): void {
  const gauge = (name: MetricNameOf<'gauge'>, value: () => number): void =>
    observedGaugeOf(meter, name).addCallback(result => result.observe(value()))
  gauge('kafka_log_logcleanermanager_max_dirty_percent', () => Math.floor(logs.cleaner.status.dirtyRatioMax * 100))
  gauge('kafka_log_logcleanermanager_time_since_last_run_ms', () => logs.cleaner.status.sinceLastRunMs)
  gauge('kafka_log_logcleanermanager_uncleanable_partitions_count', () => logs.cleaner.status.uncleanableCount)
}

/** One attributes object for each value, so that counting allocates nothing. */
class AttributesCache {
  readonly #name: string
  readonly #known = new Map<string, Attributes>()

  constructor(name: string) {
    this.#name = name
  }

  get(value: string): Attributes {
    const known = this.#known.get(value)
    if (known !== undefined) return known
    // Values are listeners and names of topics that exist; deleted topics are let go now and then.
    if (this.#known.size >= CACHED_MAX) this.#known.clear()
    const attributes = { [this.#name]: value }
    this.#known.set(value, attributes)
    return attributes
  }
}

const CACHED_MAX = 10_000
