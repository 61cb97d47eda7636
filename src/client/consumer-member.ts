/**
 * One member of a consumer group, consumer protocol (KIP-848).
 *
 * Everything is said and learned by heartbeats; the coordinator decides who
 * reads what. What it takes away is given back through `revoked`, drained, and
 * reported at once; what it gives is taken over while that goes on.
 *
 * - *Fenced* (unknown member, wrong epoch): the partitions belong to others;
 *   `lost` says so, and the member joins again.
 * - *Retiring*: the member subscribes to nothing and works on until the others
 *   know the plan without it: a partition then stands still from its drain to
 *   the next quick heartbeat of its new owner, not for a whole interval.
 */

import { randomUUID } from 'node:crypto'
import { backoffMs, messageOf, PipelineError, sleep, within } from '../core/index.ts'
import {
  ConsumerMemberState,
  type HeartbeatAnswer,
  type HeartbeatOutcome,
  type TopicIdPartition
} from './consumer-member-state.ts'
import { ConsumerRequests } from './consumer-requests.ts'
import { type MemberIdentity, NO_IDENTITY } from './group-requests.ts'
import type { GroupMemberState, RetireOptions, TopicPartition } from './group-types.ts'
import { GroupWork } from './group-work.ts'
import { Heartbeat } from './heartbeat.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'
import {
  heartbeatTimeoutMs,
  instanceFenced,
  isLeaving,
  LEAVE_TIMEOUT_MS,
  type Membership,
  type MembershipOptions,
  readCounts,
  tellFailed
} from './membership.ts'
import { partitionKeyOf } from './topic-partition.ts'

const heartbeatRetryMs = 200
const lookUpBackoff = { initialMs: 50, maxMs: 1_000 }
const leaveEpoch = -1
const leaveForAMomentEpoch = -2
/** Longest wait for the answer to whether there are others, in milliseconds. */
const askTimeoutMs = 1_000
/** How often a member that retires asks who knows of it, in milliseconds. */
const noticePollMs = 50
/**
 * Longest wait for them beyond a heartbeat interval, in milliseconds: coordinators make an assignment once a second at
 * most (`group.consumer.assignment.interval.ms`).
 */
const noticeMarginMs = 1_250
/** Time beyond the session timeout after which an instance id counts as another running member's, in milliseconds. */
const unreleasedMarginMs = 10_000
/** The member, its epoch or its group is not there any more. */
const fencingCodes: ReadonlySet<number> = new Set([
  KAFKA.UNKNOWN_MEMBER_ID,
  KAFKA.FENCED_MEMBER_EPOCH,
  KAFKA.GROUP_ID_NOT_FOUND
])

/** What a member of a consumer group is made from. */
export interface ConsumerMembershipOptions extends MembershipOptions {
  /** Called instead of failing when the cluster or the group does not allow this protocol; the membership has ended. */
  readonly onUnsupported?: (error: PipelineError) => void
}

/** A member of a consumer group. */
export class ConsumerMember implements Membership {
  readonly protocol = 'consumer'
  readonly work: GroupWork
  readonly #options: ConsumerMembershipOptions
  readonly #requests: ConsumerRequests
  readonly #heartbeat: Heartbeat
  readonly #core: ConsumerMemberState
  readonly #stopping = new AbortController()
  readonly #topicsRead = Promise.withResolvers<void>()
  /** Topic ids of what is held or taken over, by `topic/partition`. */
  readonly #ids = new Map<string, TopicIdPartition>()
  /** What is being taken over, by `topic/partition`. */
  #taking = new Set<string>()
  #takingAbort = new AbortController()
  #releasing: Promise<void> | undefined
  #isReleasing = false
  #isLookingUp = false
  #identity = NO_IDENTITY
  #seenMs = Number.NEGATIVE_INFINITY
  #state: GroupMemberState = 'idle'
  #waitUntilMs: number | undefined
  #retirement: PromiseWithResolvers<void> | undefined

  constructor(options: ConsumerMembershipOptions) {
    const { member, clock, rebalanceTimeoutMs, heartbeatIntervalMs } = options
    const { cluster, groupId, groupInstanceId, topics, rackId = null, serverAssignor = null } = member
    this.#options = options
    this.#requests = new ConsumerRequests({ cluster, groupId, groupInstanceId, rebalanceTimeoutMs })
    this.#core = new ConsumerMemberState({
      memberId: randomUUID(),
      instanceId: groupInstanceId ?? null,
      rackId,
      rebalanceTimeoutMs,
      topics,
      serverAssignor
    })
    this.#heartbeat = new Heartbeat({
      clock,
      intervalMs: heartbeatIntervalMs,
      retryMs: heartbeatRetryMs,
      beat: () => this.#beat()
    })
    this.work = new GroupWork({
      ...options,
      requests: this.#requests,
      identity: () => this.#identity,
      reader: () => this.#identity,
      refused: (code, what, identity) => this.#refused(code, what, identity)
    })
  }

  get identity(): MemberIdentity {
    return this.#identity
  }

  get state(): GroupMemberState {
    return this.#state
  }

  get seenMs(): number {
    return this.#seenMs
  }

  get assignor(): string {
    return this.#options.member.serverAssignor ?? ''
  }

  start(): void {
    this.#state = 'joining'
    this.#options.meter?.rebalanceBegan()
    this.#options.member.cluster.follow(this.#options.member.topics)
    void this.#readTopics()
    this.#heartbeat.start()
    this.#heartbeat.hurry()
  }

  async retire({ timeoutMs }: Required<RetireOptions>): Promise<void> {
    if (!isLeaving(this.#options.member) || this.work.count === 0 || this.#stopping.signal.aborted) return
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const others = await this.#others(Math.min(timeoutMs, askTimeoutMs))
    // Nobody takes over, or nobody can be told: then there is nothing to prepare.
    if (others === 'unreachable' || others?.count === 0 || this.#stopping.signal.aborted) return
    this.#retirement ??= Promise.withResolvers<void>()
    this.#core.unsubscribe()
    this.#heartbeat.attend()
    this.#heartbeat.hurry()
    await within(clock, Math.max(0, deadlineMs - clock.monotonicMs()), this.#retirement.promise)
  }

  async close(reason: string): Promise<void> {
    this.#stopping.abort()
    this.#retirement?.resolve()
    this.#takingAbort.abort()
    await this.#releasing
    if (this.#state !== 'failed') {
      this.#state = 'closing'
      await this.work.giveBack(this.work.held())
      this.#heartbeat.stop()
      await within(this.#options.clock, LEAVE_TIMEOUT_MS, this.#heartbeat.settled())
      await this.#leave(reason)
      this.#state = 'closed'
    }
    this.#heartbeat.stop()
    this.#requests.close()
  }

  async #readTopics(): Promise<void> {
    const { member, clock, random, logger } = this.#options
    for (let failures = 1; !this.#stopping.signal.aborted; failures++) {
      try {
        this.work.noteCounts(await readCounts(member, member.topics))
        break
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'reading the topics of the group failed')
        await sleep(clock, backoffMs(lookUpBackoff, failures, random), this.#stopping.signal)
      }
    }
    this.#topicsRead.resolve()
  }

  async #beat(): Promise<boolean> {
    const { logger } = this.#options
    const sent = this.#core.heartbeat(this.#owned())
    const sentMs = this.#options.clock.monotonicMs()
    try {
      const answer = await this.#requests.heartbeat(sent.fields, heartbeatTimeoutMs(this.#options))
      if (answer.errorCode === KAFKA.NONE) this.#seenMs = sentMs
      if (this.#state === 'failed' || this.#state === 'closed') return false
      return await this.#act(this.#core.answered(sent, answer), answer)
    } catch (cause) {
      this.#core.unanswered()
      this.#requests.suspect()
      const error = asPipelineError(cause, 'ConsumerGroupHeartbeat')
      if (!this.#heartbeat.isRunning) return false
      if (error.code === 'ERR_CLIENT_VERSION_UNSUPPORTED') await this.#unsupported(error)
      // A member stays one while it cannot be heard; whoever cannot even join says so.
      else if (!error.retriable && this.#core.epoch === 0) await this.#fail(error)
      else logger.warn({ reason: error.message }, 'a heartbeat failed')
      return false
    }
  }

  /** @returns Whether the next heartbeat may come in the usual time. */
  async #act(outcome: HeartbeatOutcome, answer: HeartbeatAnswer & HeartbeatReply): Promise<boolean> {
    const { errorCode, errorMessage } = answer
    const error = (): PipelineError =>
      kafkaError(errorCode, `ConsumerGroupHeartbeat of group ${this.#options.member.groupId}`, errorMessage)
    switch (outcome.kind) {
      case 'member':
        this.#waitUntilMs = undefined
        this.#heartbeat.limit(answer.heartbeatIntervalMs)
        if (outcome.isChanged) this.#onChange()
        return true
      case 'fenced':
        if (this.#core.epoch === 0) return false
        this.#fence(error().message)
        return true
      case 'waiting':
        return this.#waitForInstance(error())
      case 'unsupported':
        await this.#unsupported(error())
        return false
      case 'failed':
        await this.#fail(errorCode === KAFKA.FENCED_INSTANCE_ID ? instanceFenced(this.#options.member) : error())
        return false
      case 'retry':
        if (errorCode !== KAFKA.NONE) this.#options.logger.warn({ errorCode }, 'a heartbeat was refused')
        return false
    }
  }

  #onChange(): void {
    const { memberId, epoch } = this.#core
    if (this.#identity.memberId !== memberId || this.#identity.generation !== epoch) {
      this.#identity = { memberId, generation: epoch }
    }
    if (this.#state === 'joining') this.#state = 'stable'
    this.#heartbeat.attend()
    const { gone, added } = this.#core.plan(this.#owned())
    if (gone.length > 0 || added.length > 0) {
      this.#options.meter?.rebalanceBegan()
      const fields = { epoch, added: added.length, gone: gone.length }
      this.#options.logger.info(fields, 'the group has a new assignment')
    }
    this.#reconcile()
  }

  /** Goes on towards what the coordinator has assigned; called whenever something has changed. */
  #reconcile(): void {
    if (this.#stopping.signal.aborted) return
    this.#takeOver()
    if (!this.#isReleasing && this.#core.plan(this.#owned()).gone.length > 0) this.#releasing = this.#release()
    if (this.#core.epoch > 0 && this.#core.hasNews(this.#owned())) this.#heartbeat.hurry()
    const { gone, added } = this.#core.plan(this.#owned())
    if (this.#core.epoch > 0 && gone.length + added.length === 0) this.#options.meter?.rebalanceSucceeded()
  }

  #owned(): TopicIdPartition[] {
    return this.work.held().flatMap(partition => this.#ids.get(partitionKeyOf(partition)) ?? [])
  }

  /** Starts to take over what is new. What is being taken over and not assigned any more is given up first. */
  #takeOver(): void {
    const isUnwanted = [...this.#taking].some(key => {
      const id = this.#ids.get(key)
      return id === undefined || !this.#core.isAssigned(id)
    })
    if (isUnwanted) {
      this.#takingAbort.abort()
      this.#takingAbort = new AbortController()
      this.#taking = new Set()
    }
    const wanted: TopicPartition[] = []
    for (const id of this.#core.plan(this.#owned()).added) {
      const topic = this.#nameOf(id.topicId)
      if (topic === undefined) {
        if (!this.#isLookingUp) void this.#lookUpNames()
        continue
      }
      const partition = { topic, partition: id.partition }
      // Held under the id of an earlier topic of the same name, or just being given back: its turn comes after that.
      if (this.#taking.has(partitionKeyOf(partition)) || this.work.isHeld(partition)) continue
      this.#ids.set(partitionKeyOf(partition), id)
      this.#taking.add(partitionKeyOf(partition))
      wanted.push(partition)
    }
    if (wanted.length > 0) void this.#take(wanted, this.#taking)
  }

  async #take(partitions: readonly TopicPartition[], taking: Set<string>): Promise<void> {
    const { signal } = this.#takingAbort
    try {
      await this.#topicsRead.promise
      await this.work.takeOver(partitions, signal)
    } catch (cause) {
      if (!signal.aborted) await this.#fail(asPipelineError(cause, 'taking partitions over'))
    }
    for (const partition of partitions) taking.delete(partitionKeyOf(partition))
    this.#reconcile()
  }

  #nameOf(topicId: string): string | undefined {
    const { cluster, topics } = this.#options.member
    return topics.find(topic => cluster.cachedTopic(topic)?.topicId === topicId)
  }

  /** Looks topics up until all ids of the assignment have names, or are not assigned any more. */
  async #lookUpNames(): Promise<void> {
    const { member, clock, random, logger } = this.#options
    this.#isLookingUp = true
    const isOpen = (): boolean =>
      this.#core.plan(this.#owned()).added.some(({ topicId }) => this.#nameOf(topicId) === undefined)
    for (let failures = 1; isOpen() && !this.#stopping.signal.aborted; failures++) {
      try {
        await member.cluster.metadata(member.topics)
        if (!isOpen()) break
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'looking for the names of topics failed')
      }
      await sleep(clock, backoffMs(lookUpBackoff, failures, random), this.#stopping.signal)
    }
    this.#isLookingUp = false
    this.#reconcile()
  }

  /** Gives back what is not assigned any more, and says so. Never rejects. */
  async #release(): Promise<void> {
    this.#isReleasing = true
    this.#state = 'revoking'
    const { membership } = this.work
    if (this.#retirement !== undefined) await this.#untilOthersKnow()
    const gone = this.#core.plan(this.#owned()).gone
    if (!membership.aborted && !this.#stopping.signal.aborted) {
      const names = this.work.held().filter(partition => {
        const id = this.#ids.get(partitionKeyOf(partition))
        return id !== undefined && gone.includes(id)
      })
      await this.work.giveBack(names)
    }
    this.#isReleasing = false
    if (this.#stopping.signal.aborted) return
    this.#state = this.#core.epoch > 0 ? 'stable' : 'joining'
    if (this.work.count === 0) this.#retirement?.resolve()
    this.#reconcile()
  }

  /** Waits until the other members have entered the epoch in which this one has nothing, for one interval at most. */
  async #untilOthersKnow(): Promise<void> {
    const { clock, heartbeatIntervalMs } = this.#options
    const deadlineMs = clock.monotonicMs() + heartbeatIntervalMs + noticeMarginMs
    for (;;) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0 || this.#stopping.signal.aborted) return
      const others = await this.#others(leftMs)
      if (others === 'unreachable' || others?.isInformed === true) return
      const waitMs = others === undefined ? deadlineMs - clock.monotonicMs() : noticePollMs
      await sleep(clock, Math.max(0, waitMs), this.#stopping.signal)
    }
  }

  /** How many others there are, and whether all know the newest assignment; `undefined` if that is not told. */
  async #others(timeoutMs: number): Promise<{ count: number; isInformed: boolean } | 'unreachable' | undefined> {
    try {
      const group = await this.#requests.memberEpochs(timeoutMs)
      if (group === undefined) return undefined
      const others = group.members.filter(({ memberId }) => memberId !== this.#core.memberId)
      const { groupEpoch, assignmentEpoch } = group
      // A coordinator may take what is not subscribed to any more away before it has planned who gets it.
      const isInformed =
        assignmentEpoch >= groupEpoch && others.every(({ memberEpoch }) => memberEpoch >= assignmentEpoch)
      return { count: others.length, isInformed }
    } catch (error) {
      this.#options.logger.debug({ reason: messageOf(error) }, 'the group cannot be described')
      return 'unreachable'
    }
  }

  #fence(reason: string): void {
    this.#options.logger.warn({ reason }, 'the group went on without this member')
    this.#options.meter?.rebalanceFailed()
    this.#options.meter?.rebalanceBegan()
    this.#core.rejoin()
    this.#identity = NO_IDENTITY
    this.#takingAbort.abort()
    this.#takingAbort = new AbortController()
    this.#taking = new Set()
    this.work.lose()
    this.#ids.clear()
    if (this.#stopping.signal.aborted) return
    this.#state = 'joining'
    // Soon, but not at once: a coordinator may forget the member again and again.
    this.#heartbeat.attend()
  }

  /** An instance that has crashed is known to the group until its session ends. */
  async #waitForInstance(error: PipelineError): Promise<false> {
    const { clock, sessionTimeoutMs, logger } = this.#options
    if (this.#waitUntilMs === undefined) {
      this.#waitUntilMs = clock.monotonicMs() + sessionTimeoutMs + unreleasedMarginMs
      logger.warn({ reason: error.message }, 'waiting for the earlier member of this instance id to leave or to expire')
    }
    if (clock.monotonicMs() >= this.#waitUntilMs) await this.#fail(error)
    return false
  }

  async #unsupported(error: PipelineError): Promise<void> {
    const { onUnsupported } = this.#options
    if (onUnsupported === undefined || this.#stopping.signal.aborted) {
      await this.#fail(error)
      return
    }
    this.#end()
    this.#state = 'closed'
    this.work.lose()
    this.#requests.close()
    onUnsupported(error)
  }

  async #fail(error: PipelineError): Promise<void> {
    if (this.#state === 'failed') return
    this.#end()
    this.#state = 'failed'
    this.#options.logger.error({ code: error.code, reason: error.message }, 'the group member has failed')
    this.work.lose()
    tellFailed(this.#options, error)
    // Whoever holds the instance id must not be removed; every other failure makes room at once.
    if (this.#options.member.groupInstanceId === undefined) await this.#leave(error.message)
    this.#identity = NO_IDENTITY
  }

  #end(): void {
    this.#stopping.abort()
    this.#takingAbort.abort()
    this.#retirement?.resolve()
    this.#heartbeat.stop()
  }

  /** Says goodbye; for a moment only if the member is static and keeps its place. */
  async #leave(reason: string): Promise<void> {
    const { member, logger } = this.#options
    const memberEpoch = isLeaving(member) ? leaveEpoch : leaveForAMomentEpoch
    const instanceId = member.groupInstanceId ?? null
    logger.info({ reason, memberEpoch }, 'leaving the group')
    try {
      const timeoutMs = Math.min(LEAVE_TIMEOUT_MS, member.cluster.requestTimeoutMs)
      await this.#requests.heartbeat({ memberId: this.#core.memberId, memberEpoch, instanceId }, timeoutMs)
    } catch (error) {
      // The coordinator removes the member when its session ends.
      logger.warn({ reason: messageOf(error) }, 'leaving the group failed')
    }
    this.#identity = NO_IDENTITY
  }

  async #refused(code: number, what: string, identity: MemberIdentity): Promise<PipelineError> {
    const isCurrent = identity === this.#identity
    const isMoving = code === KAFKA.STALE_MEMBER_EPOCH || code === KAFKA.REBALANCE_IN_PROGRESS
    if (isMoving || (fencingCodes.has(code) && !isCurrent)) {
      // The group has moved on, and this member with it: the next heartbeat tells the epoch in which to try again.
      if (isCurrent) this.#heartbeat.hurry()
      const message = `${what}: the member epoch changes`
      return new PipelineError('ERR_CLIENT_REBALANCE_IN_PROGRESS', message, { kafkaCode: code, retriable: true })
    }
    const error = kafkaError(code, what)
    if (fencingCodes.has(code)) {
      this.#fence(error.message)
      return new PipelineError('ERR_CLIENT_GENERATION_STALE', error.message, { kafkaCode: code })
    }
    if (code === KAFKA.FENCED_INSTANCE_ID) await this.#fail(instanceFenced(this.#options.member))
    return error
  }
}

interface HeartbeatReply {
  readonly errorMessage: string | null
  readonly heartbeatIntervalMs: number
}
