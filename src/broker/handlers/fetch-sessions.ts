/**
 * Fetch sessions (KIP-227): the broker remembers which partitions a client
 * fetches, so that a fetch names only what changed and an answer holds only
 * partitions with news.
 *
 * Pure: time and session ids are passed in. A session remembers, for each
 * partition, what the client knows (high watermark, log start offset). A
 * partition that answered with records goes to the back of the line, so that
 * one busy partition cannot use up `maxBytes` for ever.
 *
 * Limits: `sessionCountMax` sessions (Kafka
 * `max.incremental.fetch.session.cache.slots`); when full, the one unused for
 * longest goes if it was unused for more than two minutes; else, of those older
 * than that, the one with the fewest partitions, if the new one has more; else
 * the client gets none. Source: Kafka `FetchSessionCacheShard.tryEvict`.
 */

import type { FetchRequest, KafkaErrorName } from '../../protocol/index.ts'

/** Epoch of a request that wants no session, or ends its session. */
const FINAL_EPOCH = -1
/** Epoch of a request that wants a new session. */
const INITIAL_EPOCH = 0
/** Sessions used within this time are not evicted. Source: Kafka `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`. */
const EVICTION_MS = 120_000
const EPOCH_MAX = 0x7fff_ffff

/** One partition that a client fetches. */
export interface FetchTarget {
  /** Name, or empty when the request names topics by id. */
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  fetchOffset: bigint
  partitionBytesMax: number
  currentLeaderEpoch: number
  lastFetchedEpoch: number
  /** What the client was told last; -1 for nothing. */
  knownHighWatermark: bigint
  knownLogStartOffset: bigint
}

interface Session {
  readonly id: number
  readonly isByTopicId: boolean
  readonly targets: Map<string, FetchTarget>
  readonly createdMs: number
  nextEpoch: number
  lastUsedMs: number
}

/** How one fetch request relates to a session. */
export interface FetchContext {
  readonly error: KafkaErrorName
  /** To put in the response; 0 for none. */
  readonly sessionId: number
  /** Whether partitions without news are left out of the answer. */
  readonly isIncremental: boolean
  /** What to fetch, in order. */
  readonly targets: readonly FetchTarget[]
}

/** What an answer says about one partition. */
export interface FetchNews {
  readonly target: FetchTarget
  readonly hasRecords: boolean
  readonly hasError: boolean
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
}

/** All sessions of the broker. */
export class FetchSessions {
  readonly #sessionCountMax: number
  /** Least recently used first. */
  readonly #sessions = new Map<number, Session>()

  constructor(sessionCountMax: number) {
    this.#sessionCountMax = sessionCountMax
  }

  /** How many sessions there are. */
  get count(): number {
    return this.#sessions.size
  }

  /**
   * Finds or makes the session of a request.
   *
   * @param newId - A random id from 1 to 2^31-1 for a session to be made.
   */
  open(request: FetchRequest, isByTopicId: boolean, { nowMs, newId }: { nowMs: number; newId: number }): FetchContext {
    if (request.sessionEpoch === FINAL_EPOCH || request.sessionEpoch === INITIAL_EPOCH) {
      this.#sessions.delete(request.sessionId)
      const targets = new Map<string, FetchTarget>()
      addTargets(targets, request)
      const wantsSession = request.sessionEpoch === INITIAL_EPOCH
      const sessionId = wantsSession && this.#makeRoom(nowMs, targets.size) && !this.#sessions.has(newId) ? newId : 0
      if (sessionId !== 0) {
        const times = { createdMs: nowMs, lastUsedMs: nowMs }
        this.#sessions.set(sessionId, { id: sessionId, isByTopicId, targets, nextEpoch: 1, ...times })
      }
      return { error: 'NONE', sessionId, isIncremental: false, targets: [...targets.values()] }
    }
    const session = this.#sessions.get(request.sessionId)
    if (session === undefined) return failed('FETCH_SESSION_ID_NOT_FOUND')
    if (session.nextEpoch !== request.sessionEpoch) return failed('INVALID_FETCH_SESSION_EPOCH')
    if (session.isByTopicId !== isByTopicId) return failed('FETCH_SESSION_TOPIC_ID_ERROR')
    session.nextEpoch = session.nextEpoch === EPOCH_MAX ? 1 : session.nextEpoch + 1
    session.lastUsedMs = nowMs
    this.#sessions.delete(session.id)
    addTargets(session.targets, request)
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) session.targets.delete(keyOf(topic, topicId, partition))
    }
    // Nothing is left to remember.
    if (session.targets.size === 0) return { error: 'NONE', sessionId: 0, isIncremental: false, targets: [] }
    this.#sessions.set(session.id, session)
    return { error: 'NONE', sessionId: session.id, isIncremental: true, targets: [...session.targets.values()] }
  }

  /** Says what is answered about a partition; returns whether the answer must hold it. */
  note(context: FetchContext, news: FetchNews): boolean {
    const { target } = news
    if (context.sessionId === 0) return true
    const isNews =
      news.hasRecords ||
      news.hasError ||
      target.knownHighWatermark !== news.highWatermark ||
      target.knownLogStartOffset !== news.logStartOffset
    // After an error the client knows nothing for certain: the next answer tells it again.
    target.knownHighWatermark = news.hasError ? -1n : news.highWatermark
    target.knownLogStartOffset = news.hasError ? -1n : news.logStartOffset
    if (news.hasRecords) {
      const targets = this.#sessions.get(context.sessionId)?.targets
      const key = keyOf(target.topic, target.topicId, target.partition)
      if (targets?.delete(key) === true) targets.set(key, target)
    }
    return isNews || !context.isIncremental
  }

  #makeRoom(nowMs: number, targetCount: number): boolean {
    if (this.#sessions.size < this.#sessionCountMax) return true
    const oldest = this.#sessions.values().next().value
    const isStale = oldest !== undefined && nowMs - oldest.lastUsedMs > EVICTION_MS
    const evicted = isStale ? oldest : this.#smallestEstablished()
    if (evicted === undefined || (!isStale && evicted.targets.size >= targetCount)) return false
    this.#sessions.delete(evicted.id)
    return true
  }

  /** The one with the fewest partitions of those that were used when they were not new any more. */
  #smallestEstablished(): Session | undefined {
    let smallest: Session | undefined
    for (const session of this.#sessions.values()) {
      if (session.lastUsedMs - session.createdMs <= EVICTION_MS) continue
      if (smallest === undefined || session.targets.size < smallest.targets.size) smallest = session
    }
    return smallest
  }
}

function failed(error: KafkaErrorName): FetchContext {
  return { error, sessionId: 0, isIncremental: false, targets: [] }
}

function addTargets(targets: Map<string, FetchTarget>, request: FetchRequest): void {
  for (const { topic, topicId, partitions } of request.topics) {
    for (const each of partitions) {
      const key = keyOf(topic, topicId, each.partition)
      const target = targets.get(key)
      if (target !== undefined) {
        target.fetchOffset = each.fetchOffset
        target.partitionBytesMax = each.partitionMaxBytes
        target.currentLeaderEpoch = each.currentLeaderEpoch
        target.lastFetchedEpoch = each.lastFetchedEpoch
        continue
      }
      targets.set(key, {
        topic,
        topicId,
        partition: each.partition,
        fetchOffset: each.fetchOffset,
        partitionBytesMax: each.partitionMaxBytes,
        currentLeaderEpoch: each.currentLeaderEpoch,
        lastFetchedEpoch: each.lastFetchedEpoch,
        knownHighWatermark: -1n,
        knownLogStartOffset: -1n
      })
    }
  }
}

function keyOf(topic: string, topicId: string, partition: number): string {
  return `${topic}/${topicId}/${partition}`
}
