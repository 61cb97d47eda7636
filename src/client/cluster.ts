/**
 * One client's view of a Kafka cluster: connections, metadata, coordinators.
 *
 * A connection belongs to a broker and a *lane*: Kafka answers the requests of
 * a connection one after the other, so a long poll or a join would hold up
 * everything behind it. Connections are opened when needed and thrown away
 * when they fail; a broker that cannot be reached is tried again after a wait
 * that grows with jitter. When no known broker can be reached, the bootstrap
 * servers are asked again.
 *
 * Failed *connections* are retried here, as far as the target leaves a choice;
 * requests that were sent are not, because only the caller knows whether they
 * may run twice.
 */

import {
  backoffMs,
  type Clock,
  isRetriable,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  type Timer
} from '../core/index.ts'
import { type Api, findCoordinatorApi } from '../protocol/index.ts'
import { type Logger, type Meter, noopMeter, silentLogger } from '../telemetry/index.ts'
import type {
  BrokerNode,
  ClusterMetadata,
  ClusterOptions,
  PartitionMetadata,
  SendOptions,
  SendTarget,
  TopicMetadata
} from './cluster-options.ts'
import type { Connection } from './connection.ts'
import { ConnectionPool } from './connection-pool.ts'
import { firstAnswer } from './first-answer.ts'
import { KAFKA, kafkaError } from './kafka-error.ts'
import { MetadataCache } from './metadata-cache.ts'
import { readMetadata } from './metadata-reader.ts'

/** Least time between two refreshes, in milliseconds: a storm of stale leaders must not become one of requests. */
const refreshIntervalMinMs = 100

/** A connection pool to one cluster, shared by everything in a process that talks to it. */
export class Cluster {
  readonly #options: ClusterOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #pool: ConnectionPool
  readonly #cache = new MetadataCache()
  /** Topics that refreshes ask for. */
  readonly #followed = new Set<string>()
  readonly #coordinators = new Map<string, number>()
  readonly #requestTimeoutMs: number
  readonly #metadataMaxAgeMs: number
  readonly #closing = new AbortController()
  #refresh: Promise<void> | undefined
  #refreshedAtMs = Number.NEGATIVE_INFINITY
  #laneCount = 0
  readonly #silenceMs: number
  readonly #silenceTimer: Timer

  private constructor(options: ClusterOptions) {
    if (options.bootstrapServers.length === 0) {
      throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', 'bootstrapServers needs at least one host:port')
    }
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 30_000
    this.#metadataMaxAgeMs = options.metadataMaxAgeMs ?? 300_000
    this.#pool = new ConnectionPool(options)
    this.#silenceMs = options.silenceMs ?? 3_000
    this.#silenceTimer = this.#clock.every(this.#silenceMs, () => this.#lookAtSilence()).unref()
  }

  /**
   * Connects to one of the bootstrap servers and reads the metadata, trying for `bootstrapTimeoutMs`.
   *
   * @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID`, `ERR_CLIENT_CONNECT_FAILED`,
   *   `ERR_CLIENT_AUTHENTICATION_FAILED`, `ERR_CLIENT_VERSION_UNSUPPORTED`.
   */
  static async connect(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      const { bootstrapTimeoutMs: timeoutMs } = options
      await cluster.connectionTo({ to: 'any', ...(timeoutMs === undefined ? {} : { timeoutMs }) })
      await cluster.metadata([])
    } catch (error) {
      if (options.mayBeAway === true && isRetriable(error)) {
        cluster.logger.warn({ error: messageOf(error) }, 'Kafka cannot be reached: going on without it')
        return cluster
      }
      await cluster.close()
      throw error
    }
    return cluster
  }

  /** Whether a broker has told of the cluster: `false` only if it was away since the start. */
  get isKnown(): boolean {
    return this.#cache.version > 0
  }

  /** How this client names itself to brokers. Source: Kafka `client.id`. */
  get clientId(): string {
    return this.#options.clientId ?? 'comporta'
  }

  get clock(): Clock {
    return this.#clock
  }

  get random(): Random {
    return this.#random
  }

  get logger(): Logger {
    return this.#logger
  }

  get meter(): Meter {
    return this.#options.meter ?? noopMeter
  }

  /** Longest wait for an answer, in milliseconds, where a call does not say otherwise. */
  get requestTimeoutMs(): number {
    return this.#requestTimeoutMs
  }

  /** Cluster id, `null` if the brokers have none. */
  get clusterId(): string | null {
    return this.#cache.clusterId
  }

  /** Changes with every answer to a metadata request: to notice cheaply that there may be news. */
  get metadataVersion(): number {
    return this.#cache.version
  }

  /** All brokers known at the moment. */
  brokers(): BrokerNode[] {
    return this.#cache.brokers()
  }

  /** A lane name that nobody else uses: for long polls, joins and pipelined writes. */
  newLane(purpose: string): string {
    this.#laneCount += 1
    return `${purpose}-${this.#laneCount}`
  }

  /**
   * Metadata of the given topics, from a broker. Default: all topics. A topic that is not there has an `errorCode`.
   *
   * @throws PipelineError of the connection.
   */
  async metadata(topics?: readonly string[]): Promise<ClusterMetadata> {
    const answer = await this.#askAny(connection => readMetadata(connection, topics))
    this.#cache.apply(answer, this.#clock.monotonicMs())
    // Topics that nobody asked to follow stay out of the cache, so that refreshes stay small.
    this.#cache.forget(answer.topics.map(topic => topic.topic).filter(topic => !this.#followed.has(topic)))
    this.#pool.retain(answer.brokers)
    return answer
  }

  /**
   * What is known of a topic, without asking. Old metadata starts a refresh in the background.
   * `undefined` before it was followed, or asked for by `topic`, `leaderOf` or `partitionCount`.
   */
  cachedTopic(topic: string): TopicMetadata | undefined {
    const readAtMs = this.#cache.readAtMs(topic)
    if (readAtMs === undefined) return undefined
    if (this.#clock.monotonicMs() - readAtMs > this.#metadataMaxAgeMs)
      void this.refreshMetadata().catch(() => undefined)
    return this.#cache.topic(topic)
  }

  /** Has every refresh ask for these topics too, whether they exist or not. */
  follow(topics: readonly string[]): void {
    for (const topic of topics) this.#followed.add(topic)
  }

  /** What is known of a partition, without asking. */
  cachedPartition(topic: string, partition: number): PartitionMetadata | undefined {
    return this.cachedTopic(topic)?.partitions[partition]
  }

  /**
   * A topic with at least one partition, from the cache or a broker; waits up to `requestTimeoutMs` for it to appear.
   *
   * @throws PipelineError `ERR_CLIENT_TOPIC_UNKNOWN`, or of the connection.
   */
  async topic(topic: string): Promise<TopicMetadata> {
    const found = await this.#await(topic, () => {
      const metadata = this.cachedTopic(topic)
      return metadata !== undefined && metadata.partitions.length > 0 ? metadata : undefined
    })
    return found
  }

  /**
   * Node id of the leader, from the cache or a broker; waits up to `requestTimeoutMs` for there to be one.
   *
   * @throws PipelineError `ERR_CLIENT_TOPIC_UNKNOWN`, or of the connection.
   */
  leaderOf(topic: string, partition: number): Promise<number> {
    return this.#await(`${topic}-${partition}`, () => this.#cache.leaderOf(topic, partition), topic)
  }

  /** How many partitions a topic has. See `topic`. */
  async partitionCount(topic: string): Promise<number> {
    return (await this.topic(topic)).partitions.length
  }

  /** Reads the metadata of all topics in use anew. Calls that meet share one request; the rate is limited. */
  refreshMetadata(): Promise<void> {
    this.#refresh ??= this.#runRefresh().finally(() => {
      this.#refresh = undefined
    })
    return this.#refresh
  }

  /**
   * Sends a request in the highest version that both sides know; error codes in its answer are the caller's business.
   *
   * @throws PipelineError of the connection, or `ERR_CLIENT_CLOSED`.
   */
  async send<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: SendOptions): Promise<S> {
    const connection = await this.#connectionTo(options)
    return connection.send(api, message, {
      version: connection.versionOf(api, options.versionMax),
      timeoutMs: options.timeoutMs ?? this.#requestTimeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal })
    })
  }

  /**
   * An open connection to a target, for callers that shape their request by the version (`versionOf`).
   *
   * @throws PipelineError of the connection, or `ERR_CLIENT_CLOSED`.
   */
  connectionTo(options: SendOptions): Promise<Connection> {
    return this.#connectionTo(options)
  }

  /** Closes the connections of a lane made by `newLane`. */
  closeLane(lane: string): void {
    this.#pool.closeLane(lane)
  }

  /** Forgets who coordinates a group or transaction: the next request looks again. */
  forgetCoordinator(type: 'group' | 'transaction', key: string): void {
    this.#coordinators.delete(`${type}:${key}`)
  }

  /** Who coordinates a group or transaction as far as is known, without asking. */
  knownCoordinator(type: 'group' | 'transaction', key: string): number | undefined {
    return this.#coordinators.get(`${type}:${key}`)
  }

  /** Takes note of a coordinator that was looked up together with others. */
  rememberCoordinator(type: 'group' | 'transaction', key: string, nodeId: number): void {
    this.#coordinators.set(`${type}:${key}`, nodeId)
  }

  /**
   * Node id of the coordinator, from the cache or a broker; waits up to `requestTimeoutMs` for there to be one.
   *
   * @throws PipelineError `ERR_CLIENT_KAFKA`, or of the connection.
   */
  async coordinatorOf(type: 'group' | 'transaction', key: string): Promise<number> {
    const known = this.#coordinators.get(`${type}:${key}`)
    if (known !== undefined) return known
    const deadlineMs = this.#clock.monotonicMs() + this.#requestTimeoutMs
    for (let failures = 1; ; failures++) {
      const { errorCode, errorMessage, nodeId } = await this.#findCoordinator(type, key)
      if (errorCode === KAFKA.NONE) {
        this.#coordinators.set(`${type}:${key}`, nodeId)
        if (this.#cache.broker(nodeId) === undefined) await this.refreshMetadata()
        return nodeId
      }
      const error = kafkaError(errorCode, `looking for the coordinator of ${type} ${key}`, errorMessage)
      if (!error.retriable || this.#clock.monotonicMs() >= deadlineMs) throw error
      await this.#wait(failures)
    }
  }

  /** Closes all connections; what is in flight fails with `ERR_CLIENT_CLOSED`. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#options.onClosed?.()
    this.#closing.abort()
    this.#silenceTimer.cancel()
    this.#pool.close()
    await this.#refresh?.catch(() => undefined)
  }

  async #findCoordinator(
    type: 'group' | 'transaction',
    key: string
  ): Promise<{ errorCode: number; errorMessage: string | null; nodeId: number }> {
    const keyType = type === 'group' ? 0 : 1
    const answer = await this.#askAny(connection => {
      const version = connection.versionOf(findCoordinatorApi)
      // Version 4 asks for a list of keys (KIP-699); version 0 knows groups only and has no key type.
      const message = version >= 4 ? { keyType, coordinatorKeys: [key] } : version === 0 ? { key } : { key, keyType }
      return connection.send(findCoordinatorApi, message, { version })
    })
    return answer.coordinators[0] ?? answer
  }

  /** Asks a broker; the others too, one by one, while it fails or is silent. */
  async #askAny<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    const first = await this.#connectionTo({ to: 'any' })
    const asked = new Set([first.peer])
    return firstAnswer({
      clock: this.#clock,
      silenceMs: this.#silenceMs,
      ask: attempt => {
        if (attempt === 0) return ask(first)
        const [broker] = this.#pool.others(this.#cache.brokers(), asked, 'main')
        if (broker === undefined || this.#closing.signal.aborted) return undefined
        asked.add(`${broker.host}:${broker.port}`)
        return this.#pool.get(broker, 'main').then(ask)
      }
    })
  }

  /**
   * A broker that hangs keeps its connections open: what waits for its answer would wait for `requestTimeoutMs`, though
   * the cluster has long given its partitions and groups to others. So when one is silent we look at the metadata, and
   * give it up if it is no longer there. Long polls are silent too: they cost a look now and then, and nothing else.
   */
  #lookAtSilence(): void {
    const silent = this.#pool.silent(this.#silenceMs)
    if (silent.length === 0 || this.#cache.brokers().length === 0) return
    const known = new Set(this.#cache.brokers().map(({ host, port }) => `${host}:${port}`))
    for (const connection of silent) if (!known.has(connection.peer)) connection.retire()
    void this.refreshMetadata().catch(() => undefined)
  }

  async #runRefresh(): Promise<void> {
    const sinceMs = this.#clock.monotonicMs() - this.#refreshedAtMs
    if (sinceMs < refreshIntervalMinMs) {
      await sleep(this.#clock, refreshIntervalMinMs - sinceMs, this.#closing.signal)
    }
    this.#refreshedAtMs = this.#clock.monotonicMs()
    await this.metadata([...this.#followed])
  }

  async #await<T>(what: string, look: () => T | undefined, topic: string = what): Promise<T> {
    this.#followed.add(topic)
    const deadlineMs = this.#clock.monotonicMs() + this.#requestTimeoutMs
    for (let failures = 0; ; failures++) {
      const found = look()
      if (found !== undefined) return found
      if (failures > 0 && this.#clock.monotonicMs() >= deadlineMs) {
        const code = this.#cache.topic(topic)?.errorCode ?? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
        throw kafkaError(code === 0 ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION : code, `looking for ${what}`)
      }
      if (this.#closing.signal.aborted) throw closedError()
      if (failures > 0) await this.#wait(failures)
      if (this.#cache.topic(topic) === undefined) await this.metadata([topic])
      else await this.refreshMetadata()
      const error = this.#cache.topic(topic)?.errorCode ?? 0
      if (error !== 0 && !kafkaError(error, what).retriable) throw kafkaError(error, `looking for ${what}`)
    }
  }

  async #wait(failures: number): Promise<void> {
    await sleep(this.#clock, backoffMs({ initialMs: 50, maxMs: 1_000 }, failures, this.#random), this.#closing.signal)
  }

  /** Finds the broker of a target and connects; another try where the target may meanwhile be another broker. */
  async #connectionTo(options: SendOptions): Promise<Connection> {
    const deadlineMs = this.#clock.monotonicMs() + (options.timeoutMs ?? this.#requestTimeoutMs)
    for (let failures = 1; ; failures++) {
      if (this.#closing.signal.aborted) throw closedError()
      try {
        return await this.#tryConnectionTo(options.to, options.lane ?? 'main')
      } catch (error) {
        const isFixed = typeof options.to === 'object' && 'nodeId' in options.to
        const isGivenUp = options.signal?.aborted === true || this.#clock.monotonicMs() >= deadlineMs
        if (isFixed || isGivenUp || !isRetriable(error) || this.#closing.signal.aborted) throw error
        await this.#wait(failures)
        // The controller may have moved: whoever answers knows. A failure here only means that the loop goes on.
        if (options.to === 'controller') await this.metadata([]).catch(() => undefined)
      }
    }
  }

  async #tryConnectionTo(to: SendTarget, lane: string): Promise<Connection> {
    if (to === 'any') return this.#pool.any(this.#cache.brokers(), lane)
    if (to === 'controller') {
      const controller = this.#cache.broker(this.#cache.controllerId)
      return controller === undefined ? this.#pool.any(this.#cache.brokers(), lane) : this.#pool.get(controller, lane)
    }
    if ('nodeId' in to) return this.#pool.get(await this.#node(to.nodeId), lane)
    const nodeId = await this.coordinatorOf(to.coordinator, to.key)
    try {
      return await this.#pool.get(await this.#node(nodeId), lane)
    } catch (error) {
      this.forgetCoordinator(to.coordinator, to.key)
      throw error
    }
  }

  async #node(nodeId: number): Promise<BrokerNode> {
    const known = this.#cache.broker(nodeId)
    if (known !== undefined) return known
    await this.refreshMetadata()
    const found = this.#cache.broker(nodeId)
    if (found !== undefined) return found
    throw new PipelineError('ERR_CLIENT_CONNECT_FAILED', `broker ${nodeId} is not in the metadata of the cluster`)
  }
}

function closedError(): PipelineError {
  return new PipelineError('ERR_CLIENT_CLOSED', 'the cluster client is closed')
}
