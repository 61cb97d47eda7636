/**
 * One member of a consumer group, classic protocol, eager or cooperative
 * (KIP-429), dynamic or static (KIP-345).
 *
 * One loop does everything that has an order: give back, join, sync, take
 * over, wait for a reason to join again. Heartbeats and commits run beside it.
 *
 * - *Cooperative* (the assignor that the group chose last): the member keeps
 *   its partitions while it joins. What the new assignment lacks is given back
 *   through `revoked`, drained, and then the member joins once more so that
 *   its next owner may have it.
 * - *Eager*: everything is given back through `revoked` before joining.
 * - *Fenced* (unknown member, old generation): the partitions already belong
 *   to others; `lost` says so, and the member joins as a new one.
 *
 * Invariants: a partition is handed to the listener only in a generation that
 * assigns it, and is given back or lost before another member's leader, if it
 * is one of ours or cooperative, hands it out; a commit carries the generation
 * that is current and is refused here for partitions that are not held.
 * Limit: if a group falls back from cooperative to eager under a leader that
 * ignores what members still hold (Kafka's own range assignor), a partition
 * may for one round be read by its new owner before the old one has drained.
 */

import {
  backoffMs,
  type Clock,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  type Timer,
  within
} from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { assign, isCooperative, type PartitionCounts } from './assignors.ts'
import type { Cluster } from './cluster.ts'
import { decodeAssignment, decodeSubscription, encodeAssignment } from './group-protocol.ts'
import { GroupRequests, type MemberIdentity } from './group-requests.ts'
import type {
  AssignorName,
  GroupMemberOptions,
  GroupMemberState,
  OffsetToCommit,
  TopicPartition
} from './group-types.ts'
import { Heartbeat } from './heartbeat.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'
import { findStartOffsets } from './start-offsets.ts'
import type { JoinGroupResponse } from '../protocol/index.ts'

/** Share of the rebalance timeout that `revoked` may take: the rest is for joining. */
const revokeRatio = 0.9
const backoff = { initialMs: 100, maxMs: 1_000 }
const leaveTimeoutMs = 5_000
const heartbeatRetryMs = 500
const noIdentity: MemberIdentity = { memberId: '', generation: -1 }
/** Codes of join, sync and heartbeat that mean: try again. */
const retriableCodes: ReadonlySet<number> = new Set([
  KAFKA.COORDINATOR_LOAD_IN_PROGRESS,
  KAFKA.COORDINATOR_NOT_AVAILABLE,
  KAFKA.NOT_COORDINATOR,
  KAFKA.REBALANCE_IN_PROGRESS
])
const fencingCodes: ReadonlySet<number> = new Set([KAFKA.ILLEGAL_GENERATION, KAFKA.UNKNOWN_MEMBER_ID])

/** One member of a consumer group. */
export class GroupMember {
  readonly #options: GroupMemberOptions
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #assignors: readonly AssignorName[]
  readonly #rebalanceTimeoutMs: number
  readonly #requests: GroupRequests
  readonly #heartbeat: Heartbeat
  readonly #held = new Map<string, TopicPartition>()
  readonly #stopping = new AbortController()
  /** Ends a join that nobody waits for any more. */
  readonly #joinAbort = new AbortController()
  #identity = noIdentity
  #state: GroupMemberState = 'idle'
  /** Assignor that the group chose last. */
  #protocol = ''
  /** What the leader assigned from, while this member is the leader. */
  #leaderCounts: PartitionCounts | undefined
  #initialCounts: PartitionCounts | undefined
  #rejoinReason: string | undefined
  /** Ends the search for start offsets when the group wants this member to join again. */
  #rejoin = new AbortController()
  #wakeLoop: (() => void) | undefined
  /** Ends what was begun for the current membership when it is lost. */
  #membership = new AbortController()
  #topicTimer: Timer | undefined
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID`. */
  constructor(options: GroupMemberOptions) {
    const { cluster, groupId, groupInstanceId, sessionTimeoutMs = 45_000, heartbeatIntervalMs = 3_000 } = options
    checkOptions(options, sessionTimeoutMs, heartbeatIntervalMs)
    this.#options = options
    this.#cluster = cluster
    this.#clock = options.clock ?? cluster.clock
    this.#random = options.random ?? cluster.random
    this.#logger = (options.logger ?? cluster.logger).child({ groupId })
    this.#assignors = options.assignors ?? ['cooperative-sticky', 'range']
    this.#rebalanceTimeoutMs = options.rebalanceTimeoutMs ?? 300_000
    this.#requests = new GroupRequests({
      cluster,
      groupId,
      groupInstanceId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: this.#rebalanceTimeoutMs,
      assignors: this.#assignors
    })
    this.#heartbeat = new Heartbeat({
      clock: this.#clock,
      intervalMs: heartbeatIntervalMs,
      retryMs: heartbeatRetryMs,
      beat: () => this.#beat()
    })
  }

  /** Member id given by the coordinator; empty before the first join. */
  get memberId(): string {
    return this.#identity.memberId
  }

  /** Current generation, -1 outside of one. */
  get generation(): number {
    return this.#identity.generation
  }

  /** What the member is doing. */
  get state(): GroupMemberState {
    return this.#state
  }

  /** Name of the assignor that the group chose last; empty before the first join. */
  get assignor(): string {
    return this.#protocol
  }

  /** Partitions that are held at the moment, those being given back included. */
  heldPartitions(): TopicPartition[] {
    return [...this.#held.values()]
  }

  /** Joins the group in the background; the listener tells what happens. Idempotent. */
  start(): void {
    if (this.#running !== undefined || this.#stopping.signal.aborted) return
    this.#cluster.follow(this.#options.topics)
    this.#topicTimer = this.#clock.every(this.#options.topicCheckIntervalMs ?? 30_000, () => void this.#checkTopics())
    this.#running = this.#run()
  }

  /**
   * Commits offsets of held partitions, fenced by member id and generation. Waits out a rebalance, for one request
   * timeout at most.
   *
   * @throws PipelineError `ERR_CLIENT_GENERATION_STALE` if a partition or the membership is gone,
   *   `ERR_CLIENT_REBALANCE_IN_PROGRESS` if the group did not take it in time, `ERR_CLIENT_KAFKA` for other answers, or
   *   what the connection threw.
   */
  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + this.#cluster.requestTimeoutMs
    let open = offsets
    const { signal } = this.#membership
    for (let failures = 1; open.length > 0; failures++) {
      // What was read under a membership that is lost must not move the offset of the next one back.
      if (signal.aborted) {
        const what = `the membership of group ${this.#options.groupId} that these offsets belong to is lost`
        throw new PipelineError('ERR_CLIENT_GENERATION_STALE', `${what}: nothing was committed`)
      }
      const failure = await this.#tryCommit(open)
      if (failure === undefined) return
      if (!failure.error.retriable || this.#clock.monotonicMs() >= deadlineMs) throw failure.error
      open = failure.open
      await sleep(this.#clock, backoffMs(backoff, failures, this.#random), signal)
    }
  }

  /** Gives all partitions back through `revoked`, then leaves the group, unless static. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stopping.abort()
    this.#topicTimer?.cancel()
    this.#wakeLoop?.()
    if (this.#isJoining) {
      // Others may keep the join waiting for minutes: what is held is drained meanwhile. Its commits are taken in the
      // old generation while the join is open, and in the new one after that.
      await this.#giveBack(this.heldPartitions())
      this.#abortJoin()
    }
    await this.#running
    if (this.#state !== 'failed') {
      this.#state = 'closing'
      if (this.#identity.generation >= 0) this.#heartbeat.start()
      await this.#giveBack(this.heldPartitions())
      await this.#leave()
      this.#state = 'closed'
    }
    this.#heartbeat.stop()
    this.#requests.close()
  }

  get #isJoining(): boolean {
    return this.#state === 'joining' || this.#state === 'syncing'
  }

  #abortJoin(): void {
    this.#joinAbort.abort()
    this.#requests.closeJoin()
  }

  async #leave(): Promise<void> {
    const { memberId } = this.#identity
    if (memberId === '' || this.#options.groupInstanceId !== undefined) return
    this.#heartbeat.stop()
    try {
      await this.#requests.leave(memberId, Math.min(leaveTimeoutMs, this.#cluster.requestTimeoutMs))
    } catch (error) {
      // The coordinator removes the member when its session ends.
      this.#logger.warn({ reason: messageOf(error) }, 'leaving the group failed')
    }
    this.#identity = noIdentity
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted;) {
      try {
        await this.#cycle()
        failures = 0
        await this.#untilRejoin()
      } catch (cause) {
        const error = asPipelineError(cause, 'the group member')
        if (this.#stopping.signal.aborted && this.#state !== 'failed') return
        if (!error.retriable) {
          await this.#fail(error)
          return
        }
        if (error.kafkaCode === KAFKA.REBALANCE_IN_PROGRESS) continue
        failures += 1
        this.#logger.warn({ reason: error.message, failures }, 'joining the group failed, trying again')
        await sleep(this.#clock, backoffMs(backoff, failures, this.#random), this.#stopping.signal)
      }
    }
  }

  /** Once around: give back (eager), join, sync, take over, give back (cooperative). */
  async #cycle(): Promise<void> {
    this.#rejoinReason = undefined
    this.#rejoin = new AbortController()
    await this.#noteInitialCounts()
    if (!isCooperative(this.#protocol)) await this.#giveBack(this.heldPartitions())
    if (this.#stopping.signal.aborted) return
    this.#state = 'joining'
    this.#heartbeat.stop()
    const joined = await this.#join()
    this.#state = 'syncing'
    const assigned = await this.#sync(joined)
    this.#heartbeat.start()
    this.#state = 'stable'
    await this.#apply(assigned)
  }

  /** Waits until there is a reason to join again, or to stop. */
  async #untilRejoin(): Promise<void> {
    if (this.#rejoinReason === undefined && !this.#stopping.signal.aborted) {
      await new Promise<void>(resolve => {
        this.#wakeLoop = resolve
      })
      this.#wakeLoop = undefined
    }
    if (this.#rejoinReason !== undefined) this.#logger.debug({ reason: this.#rejoinReason }, 'joining again')
  }

  #requestRejoin(reason: string): void {
    this.#rejoinReason ??= reason
    this.#rejoin.abort()
    this.#wakeLoop?.()
  }

  async #noteInitialCounts(): Promise<void> {
    this.#initialCounts ??= await this.#readCounts(this.#options.topics)
  }

  async #readCounts(topics: readonly string[]): Promise<PartitionCounts> {
    const { topics: found } = await this.#cluster.metadata(topics)
    return new Map(
      found.filter(topic => topic.partitions.length > 0).map(topic => [topic.topic, topic.partitions.length])
    )
  }

  async #join(): Promise<JoinGroupResponse> {
    for (;;) {
      const answer = await this.#requests.join(
        this.#identity.memberId,
        {
          topics: this.#options.topics,
          owned: this.heldPartitions(),
          generation: this.#identity.generation,
          rackId: this.#options.rackId ?? null
        },
        this.#joinAbort.signal
      )
      if (answer.errorCode === KAFKA.MEMBER_ID_REQUIRED) {
        this.#identity = { memberId: answer.memberId, generation: -1 }
        continue
      }
      this.#checkAnswer(answer.errorCode, 'JoinGroup')
      this.#identity = { memberId: answer.memberId, generation: answer.generationId }
      this.#protocol = answer.protocolName ?? ''
      return answer
    }
  }

  async #sync(joined: JoinGroupResponse): Promise<TopicPartition[]> {
    const isLeader = joined.leader === joined.memberId
    this.#leaderCounts = undefined
    const assignments = isLeader ? await this.#lead(joined) : new Map<string, Buffer>()
    const answer = await this.#requests.sync(this.#identity, {
      protocolName: this.#protocol,
      assignments,
      signal: this.#joinAbort.signal
    })
    this.#checkAnswer(answer.errorCode, 'SyncGroup')
    return decodeAssignment(answer.assignment)
  }

  /** What the leader does: reads all subscriptions, and shares the partitions out. */
  async #lead(joined: JoinGroupResponse): Promise<Map<string, Buffer>> {
    const members = joined.members.map(decodeSubscription)
    const topics = [...new Set(members.flatMap(member => member.topics))]
    const counts = await this.#readCounts(topics)
    this.#cluster.follow(topics)
    this.#leaderCounts = counts
    // A static leader that came back is told so (KIP-814): the assignment stands.
    if (joined.skipAssignment) return new Map()
    const assignment = assign(this.#protocol, members, counts)
    return new Map([...assignment].map(([memberId, partitions]) => [memberId, encodeAssignment(partitions)]))
  }

  /** Takes over what is new, gives back what is gone. */
  async #apply(assigned: readonly TopicPartition[]): Promise<void> {
    // Whoever closes gives everything back itself.
    if (this.#stopping.signal.aborted) return
    const target = new Map(assigned.map(partition => [keyOf(partition), partition]))
    const added = assigned.filter(partition => !this.#held.has(keyOf(partition)))
    const gone = this.heldPartitions().filter(partition => !target.has(keyOf(partition)))
    this.#logger.info(
      {
        generation: this.generation,
        assignor: this.#protocol,
        held: assigned.length,
        added: added.length,
        gone: gone.length
      },
      'the group has a new assignment'
    )
    const membership = this.#membership.signal
    if (added.length > 0) await this.#takeOver(added, membership)
    if (gone.length === 0 || membership.aborted || this.#stopping.signal.aborted) return
    await this.#giveBack(gone)
    this.#requestRejoin('partitions were given back')
  }

  async #takeOver(added: readonly TopicPartition[], membership: AbortSignal): Promise<void> {
    const { cluster, autoOffsetReset = 'earliest', listener } = this.#options
    const ended = AbortSignal.any([membership, this.#stopping.signal])
    // A partition without a leader must not keep the whole group from its rebalance: what was not taken over is free.
    const signal = AbortSignal.any([ended, this.#rejoin.signal])
    const starts = await findStartOffsets(added, {
      cluster,
      requests: this.#requests,
      autoOffsetReset,
      initialCounts: this.#initialCounts ?? new Map(),
      signal
    }).catch((error: unknown) => {
      if (signal.aborted) return undefined
      throw error
    })
    if (starts === undefined || ended.aborted) return
    for (const { topic, partition } of starts) this.#held.set(keyOf({ topic, partition }), { topic, partition })
    if (autoOffsetReset === 'latest') await this.#pinStarts(starts.filter(start => !start.isCommitted))
    if (membership.aborted) return
    try {
      await listener.assigned(
        starts.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata }))
      )
    } catch (cause) {
      throw listenerFailed('assigned', cause)
    }
  }

  /** Commits where "latest" was: a crash before the first commit must not skip what comes between. */
  async #pinStarts(starts: readonly OffsetToCommit[]): Promise<void> {
    try {
      await this.commitOffsets(starts)
    } catch (error) {
      this.#logger.warn({ reason: messageOf(error) }, 'committing the start offsets failed')
    }
  }

  /** Has the listener drain partitions, for as long as the rebalance timeout allows. Never rejects. */
  async #giveBack(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return
    if (this.#state === 'stable') this.#state = 'revoking'
    const timeoutMs = this.#rebalanceTimeoutMs * revokeRatio
    const isDone = await within(this.#clock, timeoutMs, this.#callRevoked(partitions))
    if (isDone === undefined) this.#logger.warn({ timeoutMs }, 'revoked did not finish in time: going on without it')
    for (const partition of partitions) this.#held.delete(keyOf(partition))
  }

  async #callRevoked(partitions: readonly TopicPartition[]): Promise<true> {
    try {
      await this.#options.listener.revoked(partitions)
    } catch (error) {
      this.#logger.error({ reason: messageOf(error) }, 'the listener failed in revoked')
    }
    return true
  }

  /** @throws PipelineError for every code but 0; fences this member where the code says so. */
  #checkAnswer(errorCode: number, api: string): void {
    if (errorCode === KAFKA.NONE) return
    if (fencingCodes.has(errorCode)) this.#fence(errorCode)
    const error = kafkaError(errorCode, `${api} of group ${this.#options.groupId}`)
    const isRetriable = error.retriable || retriableCodes.has(errorCode) || fencingCodes.has(errorCode)
    throw new PipelineError(error.code, error.message, { retriable: isRetriable, kafkaCode: errorCode })
  }

  /** The group has gone on without this member. */
  #fence(errorCode: number): void {
    this.#heartbeat.stop()
    this.#membership.abort()
    this.#membership = new AbortController()
    const memberId = errorCode === KAFKA.ILLEGAL_GENERATION ? this.#identity.memberId : ''
    this.#identity = { memberId, generation: -1 }
    this.#leaderCounts = undefined
    this.#lose()
    this.#requestRejoin('the group went on without this member')
  }

  #lose(): void {
    const lost = this.heldPartitions()
    this.#held.clear()
    if (lost.length === 0) return
    this.#logger.warn({ partitions: lost.length }, 'partitions were lost to the group')
    try {
      this.#options.listener.lost(lost)
    } catch (error) {
      this.#logger.error({ reason: messageOf(error) }, 'the listener failed in lost')
    }
  }

  async #fail(error: PipelineError): Promise<void> {
    if (this.#state === 'failed') return
    this.#state = 'failed'
    this.#stopping.abort()
    this.#topicTimer?.cancel()
    this.#heartbeat.stop()
    this.#membership.abort()
    this.#abortJoin()
    this.#wakeLoop?.()
    this.#logger.error({ code: error.code, reason: error.message }, 'the group member has failed')
    this.#lose()
    try {
      this.#options.listener.failed(error)
    } catch (cause) {
      this.#logger.error({ reason: messageOf(cause) }, 'the listener failed in failed')
    }
    // A fenced instance must not remove the one that took over; every other failure makes room at once.
    if (error.kafkaCode !== KAFKA.FENCED_INSTANCE_ID) await this.#leave()
    this.#identity = noIdentity
  }

  async #beat(): Promise<boolean> {
    const identity = this.#identity
    try {
      const errorCode = await this.#requests.heartbeat(identity)
      if (identity !== this.#identity || !this.#heartbeat.isRunning) return true
      if (errorCode === KAFKA.NONE) return true
      if (errorCode === KAFKA.REBALANCE_IN_PROGRESS) {
        this.#requestRejoin('the group rebalances')
        return true
      }
      if (fencingCodes.has(errorCode)) this.#fence(errorCode)
      else if (errorCode === KAFKA.FENCED_INSTANCE_ID) await this.#fail(this.#instanceFenced())
      else this.#logger.warn({ errorCode }, 'a heartbeat was refused')
    } catch (error) {
      this.#logger.warn({ reason: messageOf(error) }, 'a heartbeat failed')
    }
    return false
  }

  #instanceFenced(): PipelineError {
    const { groupId, groupInstanceId } = this.#options
    return kafkaError(KAFKA.FENCED_INSTANCE_ID, `member ${groupInstanceId} of group ${groupId}`)
  }

  /** One attempt to commit. @returns What is still open and why, `undefined` if all is committed. */
  async #tryCommit(
    offsets: readonly OffsetToCommit[]
  ): Promise<{ error: PipelineError; open: readonly OffsetToCommit[] } | undefined> {
    this.#checkHeld(offsets)
    const identity = this.#identity
    let codes: ReadonlyMap<OffsetToCommit, number>
    try {
      codes = await this.#requests.commitOffsets(identity, offsets)
    } catch (error) {
      return { error: asPipelineError(error, 'OffsetCommit'), open: offsets }
    }
    const open = offsets.filter(offset => codes.get(offset) !== KAFKA.NONE)
    const first = open[0]
    if (first === undefined) return undefined
    return { error: await this.#commitError(codes.get(first) ?? KAFKA.UNKNOWN_SERVER_ERROR, first, identity), open }
  }

  #checkHeld(offsets: readonly OffsetToCommit[]): void {
    for (const { topic, partition } of offsets) {
      if (this.#held.has(keyOf({ topic, partition })) && this.#identity.generation >= 0) continue
      throw new PipelineError(
        'ERR_CLIENT_GENERATION_STALE',
        `${topic}-${partition} is not held by this member of group ${this.#options.groupId}: nothing was committed`
      )
    }
  }

  async #commitError(code: number, at: TopicPartition, identity: MemberIdentity): Promise<PipelineError> {
    const what = `OffsetCommit of ${at.topic}-${at.partition} in group ${this.#options.groupId}`
    if (code === KAFKA.REBALANCE_IN_PROGRESS) {
      if (this.#heartbeat.isRunning) this.#requestRejoin('the group rebalances')
      return new PipelineError('ERR_CLIENT_REBALANCE_IN_PROGRESS', `${what}: the group rebalances`, { kafkaCode: code })
    }
    if (fencingCodes.has(code)) {
      // A join may have moved the group on while the commit was under way; then the new generation decides.
      const isMoving = identity !== this.#identity || this.#isJoining
      if (isMoving) return new PipelineError('ERR_CLIENT_REBALANCE_IN_PROGRESS', `${what}: the generation changes`)
      this.#fence(code)
    }
    if (code === KAFKA.FENCED_INSTANCE_ID) await this.#fail(this.#instanceFenced())
    return kafkaError(code, what)
  }

  /** The leader looks whether topics have grown, appeared or gone. */
  async #checkTopics(): Promise<void> {
    const counts = this.#leaderCounts
    if (counts === undefined || this.#state !== 'stable') return
    try {
      await this.#cluster.refreshMetadata()
    } catch (error) {
      this.#logger.debug({ reason: messageOf(error) }, 'looking for new partitions failed')
      return
    }
    if (counts !== this.#leaderCounts) return
    const topics = new Set([...this.#options.topics, ...counts.keys()])
    for (const topic of topics) {
      const metadata = this.#cluster.cachedTopic(topic)
      const count = metadata?.errorCode === KAFKA.NONE ? metadata.partitions.length : 0
      if (count !== (counts.get(topic) ?? 0)) this.#requestRejoin(`${topic} has ${count} partitions`)
    }
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function listenerFailed(method: string, cause: unknown): PipelineError {
  return new PipelineError(
    'ERR_CLIENT_LISTENER_FAILED',
    `the group listener failed in ${method}: ${messageOf(cause)}`,
    { cause }
  )
}

function checkOptions(options: GroupMemberOptions, sessionTimeoutMs: number, heartbeatIntervalMs: number): void {
  const invalid = (reason: string): PipelineError => new PipelineError('ERR_CLIENT_OPTIONS_INVALID', reason)
  if (options.groupId === '') throw invalid('groupId must not be empty')
  if (options.topics.length === 0) throw invalid('topics needs at least one topic')
  if (options.assignors?.length === 0) throw invalid('assignors needs at least one assignor')
  if (options.groupInstanceId === '') throw invalid('groupInstanceId must not be empty')
  if (heartbeatIntervalMs >= sessionTimeoutMs) {
    throw invalid(
      `heartbeatIntervalMs (${heartbeatIntervalMs}) must be less than sessionTimeoutMs (${sessionTimeoutMs})`
    )
  }
}
