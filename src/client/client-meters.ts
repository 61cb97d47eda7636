/**
 * What one client counts of what it sends and fetches, once for each batch and request, under the names of Kafka's own
 * clients and of OpenTelemetry's conventions for messaging.
 *
 * Several appenders and fetchers share a client: they count together, by the client. Where nobody collects metrics
 * there are no meters, and nothing is counted.
 *
 * Limits: `TOPICS_MAX` topics, more are counted together.
 */

import type { Clock, PipelineError } from '../core/index.ts'
import {
  type Attributes,
  type Counter,
  counterOf,
  type Histogram,
  histogramOf,
  type Meter,
  noopMeter,
  observeAll,
  type Observing,
  Sampled
} from '../telemetry/index.ts'

/** Topics that are counted one by one. */
const TOPICS_MAX = 5000

/** What meters look at. */
export interface MeteredClient {
  readonly clientId: string
  readonly meter: Meter
  readonly clock: Clock
}

/** Something that holds records without a verdict. */
export interface MeteredBuffer {
  readonly bufferBytes: number
  readonly bufferedBytes: number
}

/** A batch whose outcome is known. */
export interface SentBatch {
  readonly topic: string
  readonly recordCount: number
  readonly accountedBytes: number
  readonly createdAtMs: number
}

interface TopicCounts {
  readonly attributes: Attributes
  readonly sentAttributes: Attributes
  readonly durationAttributes: Attributes
  sent: number
  errors: number
  retries: number
  bytes: number
  fetchedBytes: number
  readonly sentRate: Sampled
  readonly errorRate: Sampled
  readonly retryRate: Sampled
  readonly byteRate: Sampled
  readonly fetchedRate: Sampled
}

const SYSTEM = { 'messaging.system': 'kafka' } as const
const SEND = { ...SYSTEM, 'messaging.operation.name': 'send' } as const
const POLL = { ...SYSTEM, 'messaging.operation.name': 'poll', 'messaging.operation.type': 'receive' } as const

const COMMIT = { ...SYSTEM, 'messaging.operation.name': 'commit', 'messaging.operation.type': 'settle' } as const

const known = new WeakMap<object, ClientMeters>()

/** The meters of a client; `undefined` if nobody collects. */
export function clientMetersOf(client: MeteredClient): ClientMeters | undefined {
  if (client.meter === noopMeter) return undefined
  const found = known.get(client)
  if (found !== undefined) return found
  const meters = new ClientMeters(client)
  known.set(client, meters)
  return meters
}

/** Counts what one client sends and fetches. */
export class ClientMeters {
  readonly #client: MeteredClient
  readonly #own: Attributes
  readonly #topics = new Map<string, TopicCounts>()
  readonly #rest: TopicCounts
  readonly #buffers = new Set<MeteredBuffer>()
  readonly #commits = new Map<string, Attributes>()
  readonly #requestMs = new Map<number, Sampled>()
  readonly #queueMs = new Sampled()
  readonly #batchBytes = new Sampled()
  readonly #requestRecords = new Sampled()
  readonly #throttleMs = new Sampled()
  readonly #fetchMs = new Sampled()
  readonly #fetchThrottleMs = new Sampled()
  readonly #sentMessages: Counter
  readonly #operationSeconds: Histogram
  #requestsInFlight = 0
  #fetches = 0
  #isProducerObserved = false
  #isConsumerObserved = false

  constructor(client: MeteredClient) {
    const { meter, clientId } = client
    this.#client = client
    this.#own = { 'client-id': clientId }
    this.#rest = newTopic({ 'client-id': clientId, 'otel.metric.overflow': true }, undefined)
    this.#sentMessages = counterOf(meter, 'messaging.client.sent.messages')
    this.#operationSeconds = histogramOf(meter, 'messaging.client.operation.duration')
  }

  /** An appender begins. @returns Ends it. */
  appends(buffer: MeteredBuffer): () => void {
    this.#buffers.add(buffer)
    if (!this.#isProducerObserved) this.#observeProducer()
    this.#isProducerObserved = true
    return () => this.#buffers.delete(buffer)
  }

  /** A batch goes into a request. */
  taken({ createdAtMs, sizeBytes }: { readonly createdAtMs: number; readonly sizeBytes: number }): void {
    const nowMs = this.#nowMs()
    this.#queueMs.record(nowMs - createdAtMs, nowMs)
    this.#batchBytes.record(sizeBytes, nowMs)
  }

  /** A Produce request goes out. @returns Told when it was answered or has failed. */
  requested(nodeId: number, recordCount: number): () => void {
    const startMs = this.#nowMs()
    this.#requestsInFlight += 1
    this.#requestRecords.record(recordCount, startMs)
    return () => {
      const nowMs = this.#nowMs()
      this.#requestsInFlight -= 1
      let node = this.#requestMs.get(nodeId)
      if (node === undefined) this.#requestMs.set(nodeId, (node = new Sampled()))
      node.record(nowMs - startMs, nowMs)
    }
  }

  /** A broker made a connection that sends rest. */
  throttled(ms: number): void {
    this.#throttleMs.record(ms, this.#nowMs())
  }

  /** A batch is sent again. */
  retried({ topic, recordCount }: Pick<SentBatch, 'topic' | 'recordCount'>): void {
    const counts = this.#of(topic)
    counts.retries += recordCount
    counts.retryRate.record(recordCount, this.#nowMs())
  }

  /** A batch has its verdict. */
  sent({ topic, recordCount, accountedBytes, createdAtMs }: SentBatch, error?: PipelineError): void {
    const nowMs = this.#nowMs()
    const counts = this.#of(topic)
    counts.sent += recordCount
    counts.bytes += accountedBytes
    counts.sentRate.record(recordCount, nowMs)
    counts.byteRate.record(accountedBytes, nowMs)
    const seconds = (nowMs - createdAtMs) / 1000
    if (error === undefined) {
      this.#sentMessages.add(recordCount, counts.sentAttributes)
      this.#operationSeconds.record(seconds, counts.durationAttributes)
      return
    }
    counts.errors += recordCount
    counts.errorRate.record(recordCount, nowMs)
    this.#sentMessages.add(recordCount, { ...counts.sentAttributes, 'error.type': error.code })
    this.#operationSeconds.record(seconds, { ...counts.durationAttributes, 'error.type': error.code })
  }

  /** A Fetch request goes out. @returns Told when it was answered, or why it was not. */
  fetches(): (end: { readonly throttleTimeMs: number } | { readonly error: string }) => void {
    if (!this.#isConsumerObserved) this.#observeConsumer()
    this.#isConsumerObserved = true
    const startMs = this.#nowMs()
    return end => {
      const nowMs = this.#nowMs()
      this.#fetches += 1
      this.#fetchMs.record(nowMs - startMs, nowMs)
      if ('throttleTimeMs' in end) this.#fetchThrottleMs.record(end.throttleTimeMs, nowMs)
      const attributes = 'error' in end ? { ...POLL, 'error.type': end.error } : POLL
      this.#operationSeconds.record((nowMs - startMs) / 1000, attributes)
    }
  }

  /** Records of a partition came. */
  fetched(topic: string, bytes: number): void {
    const counts = this.#of(topic)
    counts.fetchedBytes += bytes
    counts.fetchedRate.record(bytes, this.#nowMs())
  }

  /** A commit of offsets has ended. */
  committed(group: string, durationMs: number, error?: string): void {
    const known = this.#commits.get(group)
    const attributes = known ?? { ...COMMIT, 'messaging.consumer.group.name': group }
    // As many as this client is a member of.
    if (known === undefined) this.#commits.set(group, attributes)
    this.#operationSeconds.record(
      durationMs / 1000,
      error === undefined ? attributes : { ...attributes, 'error.type': error }
    )
  }

  #observeProducer(): void {
    const { meter } = this.#client
    const own = (read: (nowMs: number) => number | undefined): Observing => this.#ownOf(read)
    observeAll(meter, [
      { gauge: 'kafka.producer.record_send_rate', read: this.#byTopic((t, now) => t.sentRate.sumPerSecond(now)) },
      { counter: 'kafka.producer.record_send_total', read: this.#byTopic(({ sent }) => sent) },
      { gauge: 'kafka.producer.record_error_rate', read: this.#byTopic((t, now) => t.errorRate.sumPerSecond(now)) },
      { counter: 'kafka.producer.record_error_total', read: this.#byTopic(({ errors }) => errors) },
      { gauge: 'kafka.producer.record_retry_rate', read: this.#byTopic((t, now) => t.retryRate.sumPerSecond(now)) },
      { counter: 'kafka.producer.record_retry_total', read: this.#byTopic(({ retries }) => retries) },
      { gauge: 'kafka.producer.byte_rate', read: this.#byTopic((t, now) => t.byteRate.sumPerSecond(now)) },
      { counter: 'kafka.producer.byte_total', read: this.#byTopic(({ bytes }) => bytes) },
      { gauge: 'kafka.producer.request_latency_avg', read: this.#byNode((node, now) => node.average(now)) },
      { gauge: 'kafka.producer.request_latency_max', read: this.#byNode((node, now) => node.max(now)) },
      { gauge: 'kafka.producer.record_queue_time_avg', read: own(now => this.#queueMs.average(now)) },
      { gauge: 'kafka.producer.record_queue_time_max', read: own(now => this.#queueMs.max(now)) },
      { gauge: 'kafka.producer.batch_size_avg', read: own(now => this.#batchBytes.average(now)) },
      { gauge: 'kafka.producer.batch_size_max', read: own(now => this.#batchBytes.max(now)) },
      { gauge: 'kafka.producer.records_per_request_avg', read: own(now => this.#requestRecords.average(now)) },
      { gauge: 'kafka.producer.requests_in_flight', read: own(() => this.#requestsInFlight) },
      { gauge: 'kafka.producer.produce_throttle_time_avg', read: own(now => this.#throttleMs.average(now) ?? 0) },
      { gauge: 'kafka.producer.produce_throttle_time_max', read: own(now => this.#throttleMs.max(now) ?? 0) },
      { gauge: 'kafka.producer.buffer_total_bytes', read: own(() => this.#bufferOf(({ bufferBytes }) => bufferBytes)) },
      {
        gauge: 'kafka.producer.buffer_available_bytes',
        read: own(() => this.#bufferOf(({ bufferBytes, bufferedBytes }) => Math.max(0, bufferBytes - bufferedBytes)))
      }
    ])
  }

  #observeConsumer(): void {
    const own = (read: (nowMs: number) => number | undefined): Observing => this.#ownOf(read)
    observeAll(this.#client.meter, [
      { gauge: 'kafka.consumer.bytes_consumed_rate', read: this.#byTopic((t, now) => t.fetchedRate.sumPerSecond(now)) },
      { counter: 'kafka.consumer.bytes_consumed_total', read: this.#byTopic(({ fetchedBytes }) => fetchedBytes) },
      { gauge: 'kafka.consumer.fetch_latency_avg', read: own(now => this.#fetchMs.average(now)) },
      { gauge: 'kafka.consumer.fetch_latency_max', read: own(now => this.#fetchMs.max(now)) },
      { gauge: 'kafka.consumer.fetch_rate', read: own(now => this.#fetchMs.countPerSecond(now)) },
      { counter: 'kafka.consumer.fetch_total', read: own(() => this.#fetches) },
      { gauge: 'kafka.consumer.fetch_throttle_time_avg', read: own(now => this.#fetchThrottleMs.average(now)) },
      { gauge: 'kafka.consumer.fetch_throttle_time_max', read: own(now => this.#fetchThrottleMs.max(now)) }
    ])
  }

  #ownOf(read: (nowMs: number) => number | undefined): Observing {
    return result => {
      const value = read(this.#nowMs())
      if (value !== undefined) result.observe(value, this.#own)
    }
  }

  #byTopic(read: (counts: TopicCounts, nowMs: number) => number): Observing {
    return result => {
      const nowMs = this.#nowMs()
      for (const counts of this.#topics.values()) result.observe(read(counts, nowMs), counts.attributes)
      if (this.#topics.size >= TOPICS_MAX) result.observe(read(this.#rest, nowMs), this.#rest.attributes)
    }
  }

  #byNode(read: (node: Sampled, nowMs: number) => number | undefined): Observing {
    return result => {
      const nowMs = this.#nowMs()
      for (const [nodeId, node] of this.#requestMs) {
        const value = read(node, nowMs)
        if (value !== undefined) result.observe(value, { ...this.#own, 'node-id': `node-${nodeId}` })
      }
    }
  }

  #bufferOf(read: (buffer: MeteredBuffer) => number): number {
    let sum = 0
    for (const buffer of this.#buffers) sum += read(buffer)
    return sum
  }

  #of(topic: string): TopicCounts {
    const found = this.#topics.get(topic)
    if (found !== undefined) return found
    if (this.#topics.size >= TOPICS_MAX) return this.#rest
    const counts = newTopic({ ...this.#own, topic }, topic)
    this.#topics.set(topic, counts)
    return counts
  }

  #nowMs(): number {
    return this.#client.clock.monotonicMs()
  }
}

function newTopic(attributes: Attributes, topic: string | undefined): TopicCounts {
  const named = topic === undefined ? SEND : { ...SEND, 'messaging.destination.name': topic }
  return {
    attributes,
    sentAttributes: named,
    durationAttributes: { ...named, 'messaging.operation.type': 'send' },
    sent: 0,
    errors: 0,
    retries: 0,
    bytes: 0,
    fetchedBytes: 0,
    sentRate: new Sampled(),
    errorRate: new Sampled(),
    retryRate: new Sampled(),
    byteRate: new Sampled(),
    fetchedRate: new Sampled()
  }
}
