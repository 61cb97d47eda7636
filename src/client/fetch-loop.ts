/**
 * The fetch loop of one broker: one request in flight, as long as there are partitions to ask for.
 *
 * The loop ends when nothing is left to fetch and begins again when it is
 * woken, so a fetcher with everything paused costs nothing.
 *
 * A request that waits for news cannot be called back, and another one on its
 * connection would stand behind it. So partitions that are added meanwhile are
 * read over a connection of their own, without a session, until the loop comes
 * to them: they may be what a whole group is waiting for in a hand-over.
 */

import { backoffMs, PipelineError, sleep } from '../core/index.ts'
import { fetchApi, type FetchResponse, type FetchResponsePartitionData, ZERO_UUID } from '../protocol/index.ts'
import { type Lease, leaseOf } from './answer-memory.ts'
import type { Connection } from './connection.ts'
import { FetchSession, type SessionPartition, type SessionRequest } from './fetch-session.ts'
import { cutRecords } from './fetched-records.ts'
import type { FetchPartition } from './fetch-partition.ts'
import type { FetchedChunk, FetcherOptions } from './fetcher-types.ts'
import { clientMetersOf } from './client-meters.ts'
import { asPipelineError, KAFKA, throwKafkaError } from './kafka-error.ts'
import { partitionKey } from './topic-partition.ts'

/** First version that names topics by id (KIP-516). */
const topicIdVersion = 13
/** First version with fetch sessions (KIP-227). */
const sessionVersion = 7
const readCommitted = 1
/** Longest poll, in milliseconds, while a partition of the broker is paused or resting. */
const partialWaitMs = 50

/** How long partitions that were added wait for the request under way to end, in milliseconds. */
const newcomerPatienceMs = 10
/** Epoch of a request without a session (KIP-227). */
const noSessionEpoch = -1
const sessionCodes: ReadonlySet<number> = new Set([
  KAFKA.FETCH_SESSION_ID_NOT_FOUND,
  KAFKA.INVALID_FETCH_SESSION_EPOCH,
  KAFKA.FETCH_SESSION_TOPIC_ID_ERROR
])

/** What a loop needs of its fetcher. */
export interface FetchLoopHost {
  options(): FetcherOptions
  partitionsOf(nodeId: number): FetchPartition[]
  /** Whether this is still the state of its partition: not removed, not added again. */
  isCurrent(state: FetchPartition): boolean
  received(state: FetchPartition, chunks: readonly FetchedChunk[]): void
  partitionFailed(state: FetchPartition, failure: number | PipelineError): void
  preferReplica(state: FetchPartition, nodeId: number): void
  /** The broker could not be reached or did not understand: its partitions have to be looked up. */
  brokerFailed(states: readonly FetchPartition[], error: PipelineError): void
}

interface ToSend {
  readonly connection: Connection
  readonly version: number
  readonly session: SessionRequest
  readonly maxWaitMs: number
}

interface Asked {
  readonly state: FetchPartition
  readonly offset: bigint
}

/** Fetches from one broker. */
export class FetchLoop {
  readonly #nodeId: number
  readonly #lane: string
  readonly #host: FetchLoopHost
  readonly #session = new FetchSession()
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  /** What the request under way asks for; `undefined` between requests. */
  #underWay: ReadonlySet<FetchPartition> | undefined
  #newcomers: Promise<void> | undefined
  #alarm: AbortController | undefined
  #isWoken = false
  #failureCount = 0
  #rotation = 0

  constructor(nodeId: number, lane: string, host: FetchLoopHost) {
    this.#nodeId = nodeId
    this.#lane = lane
    this.#host = host
  }

  /** There may be something to fetch. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#isWoken = true
    this.#alarm?.abort()
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#isWoken) this.wake()
    })
    if (this.#newcomersNow().length > 0) this.#newcomers ??= this.#fetchNewcomers()
  }

  /** Ends the loop; what is on its way is dropped. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#alarm?.abort()
    await Promise.all([this.#running, this.#newcomers])
  }

  async #run(): Promise<void> {
    // Leaves the caller's stack first: several partitions that are added in a row share the first request.
    await Promise.resolve()
    while (!this.#closing.signal.aborted) {
      this.#isWoken = false
      const all = this.#host.partitionsOf(this.#nodeId)
      const nowMs = this.#clock.monotonicMs()
      const able = all.filter(isAble)
      const ready = able.filter(state => state.restUntilMs <= nowMs)
      if (ready.length > 0) await this.#fetch(ready, ready.length < all.length)
      else if (able.length > 0) await this.#rest(Math.min(...able.map(state => state.restUntilMs)) - nowMs)
      else return
    }
  }

  get #clock(): NonNullable<FetcherOptions['clock']> {
    const options = this.#host.options()
    return options.clock ?? options.cluster.clock
  }

  async #rest(waitMs: number): Promise<void> {
    this.#alarm = new AbortController()
    await sleep(this.#clock, waitMs, this.#alarm.signal)
    this.#alarm = undefined
  }

  async #fetch(ready: readonly FetchPartition[], isPartial: boolean): Promise<void> {
    try {
      await this.#request(ready, isPartial)
      this.#failureCount = 0
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#session.restart()
      this.#failureCount += 1
      this.#host.brokerFailed(
        ready.filter(state => this.#host.isCurrent(state)),
        asPipelineError(error, `Fetch from broker ${this.#nodeId}`)
      )
      const { retryBackoffMs: initialMs = 100, retryBackoffMaxMs: maxMs = 1_000, cluster } = this.#host.options()
      const waitMs = backoffMs({ initialMs, maxMs }, this.#failureCount, cluster.random)
      await sleep(this.#clock, waitMs, this.#closing.signal)
    }
  }

  async #request(ready: readonly FetchPartition[], isPartial: boolean): Promise<void> {
    this.#underWay = new Set(ready)
    for (const state of ready) state.isAsked = true
    try {
      const { connection, version } = await this.#connect(ready, this.#lane)
      const asked = this.#ask(ready)
      const session = this.#session.next(sessionPartitions(asked), version >= topicIdVersion)
      const answer = await this.#send({ connection, version, session, maxWaitMs: this.#waitMs(isPartial) })
      if (!this.#closing.signal.aborted && this.#accept(answer, session)) this.#take(answer, asked)
    } finally {
      this.#underWay = undefined
    }
  }

  async #connect(ready: readonly FetchPartition[], lane: string): Promise<{ connection: Connection; version: number }> {
    const { cluster } = this.#host.options()
    const connection = await cluster.connectionTo({ to: { nodeId: this.#nodeId }, lane })
    const hasIds = ready.every(state => state.topicId !== ZERO_UUID)
    return { connection, version: connection.versionOf(fetchApi, hasIds ? fetchApi.maxVersion : topicIdVersion - 1) }
  }

  async #send({ connection, version, session, maxWaitMs }: ToSend): Promise<FetchResponse> {
    const { cluster } = this.#host.options()
    const ended = clientMetersOf(cluster)?.fetches()
    try {
      const answer = await connection.send(fetchApi, this.#message(version, session, maxWaitMs), {
        version,
        timeoutMs: maxWaitMs + cluster.requestTimeoutMs,
        signal: this.#closing.signal
      })
      ended?.(answer)
      return answer
    } catch (error) {
      // Whoever stops has ended it.
      if (!this.#closing.signal.aborted) ended?.({ error: PipelineError.is(error) ? error.code : '_OTHER' })
      throw error
    }
  }

  #take(answer: FetchResponse, asked: ReadonlyMap<string, Asked>): void {
    // Held here until all partitions have theirs: the first might be through with its part before.
    const lease = leaseIn(answer)
    lease?.retain()
    this.#handle(answer, asked)
    lease?.release()
  }

  /** Partitions that were added while a request is under way, and are not part of it. */
  #newcomersNow(): FetchPartition[] {
    const underWay = this.#underWay
    if (underWay === undefined || this.#closing.signal.aborted) return []
    const nowMs = this.#clock.monotonicMs()
    const isNew = (state: FetchPartition): boolean => !state.isAsked && !underWay.has(state)
    return this.#host
      .partitionsOf(this.#nodeId)
      .filter(state => isNew(state) && isAble(state) && state.restUntilMs <= nowMs)
  }

  /** Never rejects. */
  async #fetchNewcomers(): Promise<void> {
    const { cluster } = this.#host.options()
    const lane = cluster.newLane('fetch')
    try {
      await sleep(this.#clock, newcomerPatienceMs, this.#closing.signal)
      for (let ready = this.#newcomersNow(); ready.length > 0; ready = this.#newcomersNow()) {
        await this.#requestOnce(ready, lane)
      }
    } catch {
      // The loop comes to them in a moment, and says what is wrong.
    }
    // Not before this is over, or those added at this moment would find it still going on.
    this.#newcomers = undefined
    // Its memory is needed no more.
    cluster.closeLane(lane)
  }

  async #requestOnce(ready: readonly FetchPartition[], lane: string): Promise<void> {
    const { connection, version } = await this.#connect(ready, lane)
    const asked = this.#ask(ready)
    const session = { sessionId: 0, sessionEpoch: noSessionEpoch, changed: sessionPartitions(asked), forgotten: [] }
    const answer = await this.#send({ connection, version, session, maxWaitMs: this.#waitMs(true) })
    if (this.#closing.signal.aborted) return
    throwKafkaError(answer.errorCode, `Fetch from broker ${this.#nodeId}`)
    this.#take(answer, asked)
  }

  /** A paused partition that is resumed must not wait for the long poll of the others: then polls are short. */
  #waitMs(isPartial: boolean): number {
    const { maxWaitMs = 500 } = this.#host.options()
    return isPartial ? Math.min(maxWaitMs, partialWaitMs) : maxWaitMs
  }

  /** Who takes part, with the offset asked for. The order turns, so that a byte limit does not favour the same ones. */
  #ask(ready: readonly FetchPartition[]): Map<string, Asked> {
    this.#rotation = (this.#rotation + 1) % ready.length
    const turned = [...ready.slice(this.#rotation), ...ready.slice(0, this.#rotation)]
    return new Map(turned.map(state => [partitionKey(state.topic, state.partition), { state, offset: state.offset }]))
  }

  #message(version: number, session: SessionRequest, maxWaitMs: number): Parameters<typeof fetchApi.request.write>[1] {
    const { minBytes = 1, maxBytes = 16_777_216, isReadCommitted, rackId } = this.#host.options()
    const { partitionBytesMax = 1_048_576 } = this.#host.options()
    const isByTopicId = version >= topicIdVersion
    const topics = groupByTopic(session.changed, isByTopicId, (partition: SessionPartition) => ({
      partition: partition.partition,
      fetchOffset: partition.offset,
      partitionMaxBytes: partitionBytesMax,
      ...(version >= 9 ? { currentLeaderEpoch: partition.leaderEpoch } : {})
    }))
    return {
      maxWaitMs,
      minBytes,
      maxBytes,
      isolationLevel: isReadCommitted === true ? readCommitted : 0,
      topics,
      ...(version < sessionVersion
        ? {}
        : {
            sessionId: session.sessionId,
            sessionEpoch: session.sessionEpoch,
            forgottenTopicsData: groupByTopic(session.forgotten, isByTopicId, partition => partition.partition)
          }),
      ...(version >= 11 && rackId !== undefined ? { rackId } : {})
    }
  }

  /** @returns Whether the answer has partitions; session errors only mean that the next request names everything. */
  #accept(answer: FetchResponse, { sessionEpoch }: SessionRequest): boolean {
    const { errorCode } = answer
    // A request that names everything already cannot fail by its session: asked again at once, that would never end.
    if (sessionEpoch > 0 && sessionCodes.has(errorCode)) {
      if (errorCode === KAFKA.FETCH_SESSION_ID_NOT_FOUND) this.#session.forget()
      else this.#session.restart()
      return false
    }
    throwKafkaError(errorCode, `Fetch from broker ${this.#nodeId}`)
    this.#session.succeed(answer.sessionId)
    return true
  }

  #handle(answer: FetchResponse, asked: ReadonlyMap<string, Asked>): void {
    const names = new Map([...asked.values()].map(({ state }) => [state.topicId, state.topic]))
    for (const topic of answer.responses) {
      const name = topic.topic === '' ? names.get(topic.topicId) : topic.topic
      for (const partition of topic.partitions) {
        const item = name === undefined ? undefined : asked.get(partitionKey(name, partition.partitionIndex))
        // Whoever was removed meanwhile, or removed and added again, is not the one who asked.
        if (item === undefined || !this.#host.isCurrent(item.state) || item.state.offset !== item.offset) continue
        this.#handlePartition(item.state, partition)
      }
    }
  }

  #handlePartition(state: FetchPartition, data: FetchResponsePartitionData): void {
    if (data.errorCode !== KAFKA.NONE) {
      this.#host.partitionFailed(state, data.errorCode)
      return
    }
    if (data.preferredReadReplica >= 0 && data.preferredReadReplica !== this.#nodeId) {
      this.#host.preferReplica(state, data.preferredReadReplica)
      return
    }
    if (data.records === null || data.records.length === 0) {
      state.failureCount = 0
      return
    }
    clientMetersOf(this.#host.options().cluster)?.fetched(state.topic, data.records.length)
    try {
      const chunks = this.#chunks(state, data, data.records)
      for (const { lease } of chunks) lease?.retain()
      state.offset = chunks.at(-1)?.nextOffset ?? state.offset
      this.#host.received(state, chunks)
    } catch (error) {
      if (!PipelineError.is(error)) throw error
      this.#host.partitionFailed(state, error)
    }
  }

  #chunks(state: FetchPartition, data: FetchResponsePartitionData, records: Buffer): FetchedChunk[] {
    const { isReadCommitted, isCrcChecked = false } = this.#host.options()
    const runs = cutRecords(records, {
      fromOffset: state.offset,
      aborted: isReadCommitted === true ? data.abortedTransactions : null,
      isCrcChecked,
      what: `${state.topic}-${state.partition}`
    })
    const lease = leaseOf(records)
    return runs.map(run => ({
      topic: state.topic,
      partition: state.partition,
      ...run,
      ...(lease === undefined ? {} : { lease }),
      highWatermark: data.highWatermark,
      lastStableOffset: data.lastStableOffset < 0n ? data.highWatermark : data.lastStableOffset,
      logStartOffset: data.logStartOffset
    }))
  }
}

/** The lease of the memory that an answer lies in. */
function leaseIn(answer: FetchResponse): Lease | undefined {
  for (const { partitions } of answer.responses) {
    for (const { records } of partitions) if (records !== null) return leaseOf(records)
  }
  return undefined
}

function sessionPartitions(asked: ReadonlyMap<string, Asked>): SessionPartition[] {
  return [...asked.values()].map(({ state: { topic, topicId, partition, leaderEpoch }, offset }) => ({
    topic,
    topicId,
    partition,
    offset,
    leaderEpoch
  }))
}

/** Whether a partition may be fetched, but for a rest that it may have. */
function isAble(state: FetchPartition): boolean {
  return !state.isPaused && !state.isStopped && state.held.length === 0
}

/** Groups partitions by topic, named by id or by name, in the order of their first partition. */
function groupByTopic<T>(
  partitions: readonly SessionPartition[],
  isByTopicId: boolean,
  shape: (partition: SessionPartition) => T
): { topic?: string; topicId?: string; partitions: T[] }[] {
  const groups = new Map<string, { topic?: string; topicId?: string; partitions: T[] }>()
  for (const partition of partitions) {
    const key = isByTopicId ? partition.topicId : partition.topic
    let group = groups.get(key)
    if (group === undefined) {
      group = { ...(isByTopicId ? { topicId: key } : { topic: key }), partitions: [] }
      groups.set(key, group)
    }
    group.partitions.push(shape(partition))
  }
  return [...groups.values()]
}
