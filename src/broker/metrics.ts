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

import type { Attributes, Meter } from '../telemetry/index.ts'
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
  meter
    .createObservableGauge('kafka_network_requestchannel_requestqueuesize', { description: 'Requests in progress' })
    .addCallback(result => result.observe(inFlight))
  const connections = meter.createUpDownCounter('kafka_server_socket_server_metrics_connection_count', {
    description: 'Open client connections by listener'
  })
  const name = 'kafka_server_socket_server_metrics'
  const bytes = {
    in: meter.createCounter(`${name}_incoming_byte`, { description: 'Bytes received from clients' }),
    out: meter.createCounter(`${name}_outgoing_byte`, { description: 'Bytes sent to clients' })
  }
  const authentications = {
    true: meter.createCounter(`${name}_successful_authentication`, { description: 'Logins that succeeded' }),
    false: meter.createCounter(`${name}_failed_authentication`, { description: 'Logins that failed' })
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
  const gauge = (name: string, description: string, value: () => number): void =>
    meter.createObservableGauge(name, { description }).addCallback(result => result.observe(value()))
  const allLogs = (): PartitionLog[] => broker.logs.topics.flatMap(({ logs }) => logs)
  const partitionCount = (): number => allLogs().length
  gauge('kafka_server_replicamanager_partitioncount', 'Partitions of this broker', partitionCount)
  gauge('kafka_server_replicamanager_leadercount', 'Partitions that this broker leads', partitionCount)
  gauge('kafka_server_replicamanager_underreplicatedpartitions', 'Always 0: there is one replica', () => 0)
  gauge('kafka_server_replicamanager_underminisrpartitioncount', 'Always 0: there is one replica', () => 0)
  const offline = (): number => allLogs().filter(log => log.isOffline).length
  gauge('kafka_controller_kafkacontroller_offlinepartitionscount', 'Partitions whose disk failed', offline)
  gauge('kafka_controller_kafkacontroller_activecontrollercount', 'Always 1', () => 1)
  gauge('kafka_controller_kafkacontroller_globaltopiccount', 'Topics', () => broker.logs.topics.length)
  gauge('kafka_controller_kafkacontroller_globalpartitioncount', 'Partitions', partitionCount)
  const offsetCount = (): number =>
    broker.groups.list().reduce((sum, { offsets }) => sum + offsets.partitions().length, 0)
  const groupMetadata = 'kafka_coordinator_group_groupmetadatamanager'
  gauge(`${groupMetadata}_numgroups`, 'Groups that are known', () => broker.groups.list().length)
  gauge(`${groupMetadata}_numoffsets`, 'Committed offsets that are kept', offsetCount)
  meter
    .createObservableGauge('kafka_server_delayedoperationpurgatory_purgatorysize', {
      description: 'Partitions that fetches wait for'
    })
    .addCallback(result => result.observe(broker.waitingPartitionCount(), { delayedoperation: 'Fetch' }))
}

function requestCounters(meter: Meter) {
  const type = 'kafka_network_requestmetrics'
  return {
    requests: meter.createCounter(`${type}_requests`, { description: 'Requests that were answered' }),
    totalTime: meter.createHistogram(`${type}_totaltimems`, {
      description: 'From the last byte of a request to its answer, waits for records included',
      advice: { explicitBucketBoundaries: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000] }
    })
  }
}

function topicCounters(meter: Meter) {
  const type = 'kafka_server_brokertopicmetrics'
  const counter = (name: string, description: string) => meter.createCounter(`${type}_${name}`, { description })
  return {
    produceRequests: counter('totalproducerequests', 'Produce requests, once for each topic they name'),
    failedProduceRequests: counter('failedproducerequests', 'Batches that were refused'),
    fetchRequests: counter('totalfetchrequests', 'Fetch requests, once for each topic they answer'),
    failedFetchRequests: counter('failedfetchrequests', 'Fetch requests with an error, once for each topic'),
    bytesOut: counter('bytesout', 'Bytes of records that consumers took'),
    invalidCrc: counter('invalidmessagecrcrecords', 'Batches refused because of their checksum'),
    noKey: counter('nokeycompactedtopicrecords', 'Batches refused because a compacted topic needs keys')
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
  const type = 'kafka_server_brokertopicmetrics'
  meter
    .createObservableCounter(`${type}_messagesin`, { description: 'Records appended since the start' })
    .addCallback(result => {
      for (const topic of logs.topics) {
        const count = topic.logs.reduce((sum, log) => sum + log.highWatermark - (zeros.get(log)?.offset ?? 0n), 0n)
        result.observe(Number(count), { topic: topic.name })
      }
    })
  meter
    .createObservableCounter(`${type}_bytesin`, { description: 'Bytes of records appended since the start' })
    .addCallback(result => {
      for (const topic of logs.topics) {
        const count = topic.logs.reduce((sum, log) => sum + log.appendedBytes - (zeros.get(log)?.bytes ?? 0), 0)
        result.observe(count, { topic: topic.name })
      }
    })
}

function observePartitions(meter: Meter, { logs }: ObservedBroker): void {
  const gauge = (name: string, description: string, value: (log: PartitionLog) => number): void =>
    meter.createObservableGauge(`kafka_log_log_${name}`, { description }).addCallback(result => {
      for (const { name: topic, logs: partitions } of logs.topics) {
        for (const log of partitions) result.observe(value(log), { topic, partition: String(log.partition) })
      }
    })
  gauge('logendoffset', 'Offset after the last record', log => Number(log.nextOffset))
  gauge('logstartoffset', 'First offset that can be read', log => Number(log.logStartOffset))
  gauge('size', 'Bytes of all segments', log => log.sizeBytes)
  gauge('numlogsegments', 'Segments', log => log.segmentCount)
}

/** Compaction. Source: Kafka `LogCleanerManager`. */
function observeCleaner(meter: Meter, { logs }: ObservedBroker): void {
  const gauge = (name: string, description: string, value: () => number): void =>
    meter
      .createObservableGauge(`kafka_log_logcleanermanager_${name}`, { description })
      .addCallback(result => result.observe(value()))
  const percent = (): number => Math.floor(logs.cleaner.status.dirtyRatioMax * 100)
  const idleMs = (): number => logs.cleaner.status.sinceLastRunMs
  gauge('max_dirty_percent', 'Dirty part of the compacted log that has the largest, in percent', percent)
  gauge('time_since_last_run_ms', 'Milliseconds since compaction last looked for work, 0 before it did', idleMs)
  gauge(
    'uncleanable_partitions_count',
    'Partitions that cannot be compacted, with an error in the log that says why',
    () => logs.cleaner.status.uncleanableCount
  )
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
