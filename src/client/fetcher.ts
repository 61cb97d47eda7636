/**
 * Raw fetch: reads partitions as whole record batches, without an object per record.
 *
 * One loop per leading broker, one request in flight each, on a connection of
 * its own; incremental sessions keep requests small. A partition takes part in
 * the next request of its leader when it is neither paused, nor resting after
 * a failure, nor holding records that were fetched before it was paused.
 *
 * Invariants: chunks of a partition are handed out in offset order, each
 * offset once per `add`; after `remove` nothing of that `add` is handed out,
 * whatever is still on its way. Memory: one answer (`maxBytes` and one batch)
 * per broker, two while partitions are added to a fetch that waits, plus what
 * is held for paused partitions, one answer's part each.
 */

import { backoffMs, type Clock, messageOf, PipelineError, type Random, sleep } from '../core/index.ts'
import { ZERO_UUID } from '../protocol/index.ts'
import { FetchLoop, type FetchLoopHost } from './fetch-loop.ts'
import type { FetchPartition } from './fetch-partition.ts'
import type { FetchedChunk, FetcherOptions } from './fetcher-types.ts'
import { isStaleMetadata, KAFKA, kafkaError } from './kafka-error.ts'
import { partitionKey } from './topic-partition.ts'

/** Codes after which a partition rests until the owner decides. */
const stoppingCodes: ReadonlySet<number> = new Set([KAFKA.OFFSET_OUT_OF_RANGE, KAFKA.TOPIC_AUTHORIZATION_FAILED])

/** Reads partitions as whole record batches. */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #partitions = new Map<string, FetchPartition>()
  readonly #loops = new Map<number, FetchLoop>()
  readonly #closing = new AbortController()
  readonly #lane: string
  #isStarted = false
  #routing: Promise<void> | undefined

  constructor(options: FetcherOptions) {
    this.#options = options
    this.#lane = options.cluster.newLane('fetch')
  }

  /** Partitions that are being read, paused ones included. */
  get partitionCount(): number {
    return this.#partitions.size
  }

  /** Begins to read a partition at an offset; again = anew from that offset. Nothing is fetched before `start`. */
  add(from: { readonly topic: string; readonly partition: number; readonly offset: bigint }): void {
    this.remove(from.topic, from.partition)
    this.#partitions.set(partitionKey(from.topic, from.partition), {
      topic: from.topic,
      partition: from.partition,
      offset: from.offset,
      nodeId: undefined,
      preferredReplicaId: undefined,
      isAsked: false,
      leaderEpoch: -1,
      topicId: ZERO_UUID,
      isPaused: false,
      isStopped: false,
      failureCount: 0,
      restUntilMs: 0,
      held: []
    })
    this.#options.cluster.follow([from.topic])
    this.#route()
  }

  /** Stops reading a partition: after this call no chunk of it is handed out. */
  remove(topic: string, partition: number): void {
    this.#partitions.delete(partitionKey(topic, partition))
  }

  /** Hands out nothing of a partition until `resume`. */
  pause(topic: string, partition: number): void {
    const state = this.#partitions.get(partitionKey(topic, partition))
    if (state !== undefined) state.isPaused = true
  }

  /** Goes on where `pause` stopped. Held records are handed out after this call has returned. */
  resume(topic: string, partition: number): void {
    const state = this.#partitions.get(partitionKey(topic, partition))
    if (state === undefined || !state.isPaused) return
    state.isPaused = false
    if (state.held.length === 0) this.#wake(state.nodeId)
    else queueMicrotask(() => this.#handOut(state))
  }

  /** Begins to fetch. Idempotent. */
  start(): void {
    this.#isStarted = true
    this.#route()
  }

  /** Stops fetching; from this call on nothing is handed out. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#partitions.clear()
    await Promise.all([...this.#loops.values()].map(loop => loop.close()))
    await this.#routing
    this.#options.cluster.closeLane(this.#lane)
  }

  get #clock(): Clock {
    return this.#options.clock ?? this.#options.cluster.clock
  }

  get #random(): Random {
    return this.#options.random ?? this.#options.cluster.random
  }

  /** Gives every partition its broker; looks leaders up where they are not known. Runs once at a time. */
  #route(): void {
    if (!this.#isStarted || this.#closing.signal.aborted || this.#routing !== undefined) return
    if (!this.#assignBrokers()) this.#lookUp()
  }

  /** Asks for metadata even when the cache names a leader: it may be that leader who sent us away. */
  #lookUp(): void {
    if (this.#closing.signal.aborted) return
    this.#routing ??= this.#lookUpLeaders().finally(() => {
      this.#routing = undefined
      this.#route()
    })
  }

  async #lookUpLeaders(): Promise<void> {
    const { cluster, retryBackoffMs: initialMs = 100, retryBackoffMaxMs: maxMs = 1_000 } = this.#options
    for (let failures = 1; !this.#closing.signal.aborted; failures++) {
      try {
        await cluster.refreshMetadata()
      } catch (error) {
        this.#log('looking for leaders failed', error)
      }
      if (this.#assignBrokers()) return
      await sleep(this.#clock, backoffMs({ initialMs, maxMs }, failures, this.#random), this.#closing.signal)
    }
  }

  /** @returns Whether every partition has a broker. */
  #assignBrokers(): boolean {
    let isComplete = true
    for (const state of this.#partitions.values()) {
      if (state.nodeId !== undefined || state.isStopped) continue
      const topic = this.#options.cluster.cachedTopic(state.topic)
      const metadata = topic?.partitions[state.partition]
      if (topic === undefined || metadata === undefined || metadata.leaderId < 0) {
        if (topic?.errorCode === KAFKA.TOPIC_AUTHORIZATION_FAILED) this.#onPartitionFailure(state, topic.errorCode)
        else isComplete = false
        continue
      }
      state.nodeId = state.preferredReplicaId ?? metadata.leaderId
      state.isAsked = false
      state.leaderEpoch = metadata.leaderEpoch
      state.topicId = topic.topicId
      this.#wake(state.nodeId)
    }
    return isComplete
  }

  #wake(nodeId: number | undefined): void {
    if (nodeId === undefined || !this.#isStarted || this.#closing.signal.aborted) return
    let loop = this.#loops.get(nodeId)
    if (loop === undefined) {
      loop = new FetchLoop(nodeId, this.#lane, this.#host)
      this.#loops.set(nodeId, loop)
    }
    loop.wake()
  }

  readonly #host: FetchLoopHost = {
    options: () => this.#options,
    partitionsOf: nodeId => [...this.#partitions.values()].filter(state => state.nodeId === nodeId),
    isCurrent: state => this.#partitions.get(partitionKey(state.topic, state.partition)) === state,
    received: (state, chunks) => {
      state.failureCount = 0
      state.held.push(...chunks)
      this.#handOut(state)
    },
    partitionFailed: (state, failure) => this.#onPartitionFailure(state, failure),
    preferReplica: (state, nodeId) => {
      state.preferredReplicaId = nodeId
      state.nodeId = nodeId
      state.isAsked = false
      this.#wake(nodeId)
    },
    brokerFailed: (states, error) => {
      this.#log('a fetch failed', error)
      for (const state of states) {
        // A broker that comes back is no news for the owner; one that refuses us is.
        if (!error.retriable) this.#report(state, error, true)
        this.#lookAgain(state)
      }
    }
  }

  #handOut(state: FetchPartition): void {
    while (state.held.length > 0 && !state.isPaused && this.#host.isCurrent(state)) {
      const chunk = state.held.shift()
      if (chunk !== undefined && !this.#call(state, chunk)) return
    }
    if (state.held.length === 0) this.#wake(state.nodeId)
  }

  #call(state: FetchPartition, chunk: FetchedChunk): boolean {
    try {
      this.#options.onRecords(chunk)
      return true
    } catch (cause) {
      const what = `onRecords of ${state.topic}-${state.partition} at offset ${chunk.fromOffset}`
      // Neither this chunk nor those behind it were taken: whoever goes on must go on from here.
      state.offset = chunk.fromOffset
      state.held.length = 0
      this.#stop(state, new PipelineError('ERR_CLIENT_LISTENER_FAILED', `${what}: ${messageOf(cause)}`, { cause }))
      return false
    }
  }

  #onPartitionFailure(state: FetchPartition, failure: number | PipelineError): void {
    if (!this.#host.isCurrent(state)) return
    const what = `Fetch of ${state.topic}-${state.partition} from offset ${state.offset}`
    const error = typeof failure === 'number' ? kafkaError(failure, what) : failure
    const code = error.kafkaCode ?? KAFKA.NONE
    if (state.preferredReplicaId !== undefined) {
      // A follower may be behind or gone: only the leader's word counts (KIP-392).
      this.#lookAgain(state)
      return
    }
    if (stoppingCodes.has(code)) {
      this.#stop(state, error)
      return
    }
    const { retryBackoffMs: initialMs = 100, retryBackoffMaxMs: maxMs = 1_000 } = this.#options
    state.failureCount += 1
    // By the clock that the loops judge by.
    state.restUntilMs = this.#clock.monotonicMs() + backoffMs({ initialMs, maxMs }, state.failureCount, this.#random)
    if (isStaleMetadata(code)) this.#lookAgain(state)
    this.#report(state, error, true)
  }

  #lookAgain(state: FetchPartition): void {
    state.preferredReplicaId = undefined
    state.nodeId = undefined
    this.#lookUp()
  }

  #stop(state: FetchPartition, error: PipelineError): void {
    state.isStopped = true
    this.#report(state, error, false)
  }

  #report(state: FetchPartition, error: PipelineError, willRetry: boolean): void {
    const { topic, partition, offset } = state
    try {
      this.#options.onPartitionError({ topic, partition, offset, error, willRetry })
    } catch (cause) {
      this.#log('onPartitionError threw', cause)
    }
  }

  #log(message: string, error: unknown): void {
    const logger = this.#options.logger ?? this.#options.cluster.logger
    if (!this.#closing.signal.aborted) logger.warn({ reason: messageOf(error) }, message)
  }
}
