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
 * - *Retiring*: the member joins with a subscription to nothing, so that a
 *   cooperative group plans without it while it still works.
 *
 * Invariants: a partition is handed to the listener only in a generation that
 * assigns it, and is given back or lost before another member's leader, if it
 * is one of ours or cooperative, hands it out; a commit carries the generation
 * that is current and is refused here for partitions that are not held.
 * Limit: if a group falls back from cooperative to eager under a leader that
 * ignores what members still hold (Kafka's own range assignor), a partition
 * may for one round be read by its new owner before the old one has drained.
 */

import { backoffMs, messageOf, PipelineError, sleep, type Timer, within } from '../core/index.ts'
import type { JoinGroupResponse } from '../protocol/index.ts'
import { assign, isCooperative, type PartitionCounts } from './assignors.ts'
import { ClassicRequests } from './classic-requests.ts'
import { decodeAssignment, decodeSubscription, encodeAssignment } from './group-protocol.ts'
import { type MemberIdentity, NO_IDENTITY } from './group-requests.ts'
import type { AssignorName, GroupMemberState, RetireOptions, TopicPartition } from './group-types.ts'
import { GroupWork } from './group-work.ts'
import { Heartbeat } from './heartbeat.ts'
import { asPipelineError, KAFKA, kafkaError } from './kafka-error.ts'
import {
  HEARTBEAT_RETRY_MS,
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

const backoff = { initialMs: 100, maxMs: 1_000 }
/** How long a member that is to join again waits for partitions that it is just taking over. */
const takeOverGraceMs = 500
/** How often in a row a join that another rebalance has ended is repeated at once. */
const quickRejoins = 3
const topicCheckIntervalDefaultMs = 5_000
/** Longest time that partitions of the plan may be without an owner, in milliseconds; a drain is usually shorter. */
const WITHHELD_MAX_MS = 30_000
/** Assignors of a member that does not say. */
export const ASSIGNORS_DEFAULT: readonly AssignorName[] = ['cooperative-sticky', 'range']
/** Codes of join, sync and heartbeat that mean: try again. */
const retriableCodes: ReadonlySet<number> = new Set([
  KAFKA.COORDINATOR_LOAD_IN_PROGRESS,
  KAFKA.COORDINATOR_NOT_AVAILABLE,
  KAFKA.NOT_COORDINATOR,
  KAFKA.REBALANCE_IN_PROGRESS,
  KAFKA.MEMBER_ID_REQUIRED
])
const fencingCodes: ReadonlySet<number> = new Set([KAFKA.ILLEGAL_GENERATION, KAFKA.UNKNOWN_MEMBER_ID])

/** A member of a classic group. */
export class ClassicMember implements Membership {
  readonly protocol = 'classic'
  readonly work: GroupWork
  readonly #options: MembershipOptions
  readonly #requests: ClassicRequests
  readonly #heartbeat: Heartbeat
  readonly #stopping = new AbortController()
  /** Ends a join that nobody waits for any more. */
  readonly #joinAbort = new AbortController()
  #identity = NO_IDENTITY
  #state: GroupMemberState = 'idle'
  #seenMs = Number.NEGATIVE_INFINITY
  /** Assignor that the group chose last. */
  #protocolName = ''
  /** What the leader assigned from, while this member is the leader. */
  #leaderCounts: PartitionCounts | undefined
  /** When this leader left partitions out of its plan, because their owners had to give them back first. */
  #withheldSinceMs: number | undefined
  #isAlone = false
  #previous: { partitions: readonly TopicPartition[]; generation: number } = { partitions: [], generation: -1 }
  #rejoinReason: string | undefined
  /** Ends the search for start offsets when the group wants this member to join again. */
  #rejoin = new AbortController()
  #taking: Promise<unknown> = Promise.resolve()
  #wakeLoop: (() => void) | undefined
  #topicTimer: Timer | undefined
  #running: Promise<void> | undefined
  /** Set from the wish to retire on; resolved when the group has planned without this member. */
  #retirement: PromiseWithResolvers<void> | undefined

  constructor(options: MembershipOptions) {
    const { member, clock, sessionTimeoutMs, rebalanceTimeoutMs, heartbeatIntervalMs } = options
    const { cluster, groupId, groupInstanceId, assignors = ASSIGNORS_DEFAULT } = member
    this.#options = options
    this.#requests = new ClassicRequests({
      cluster,
      groupId,
      groupInstanceId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      assignors
    })
    this.#heartbeat = new Heartbeat({
      clock,
      intervalMs: heartbeatIntervalMs,
      retryMs: HEARTBEAT_RETRY_MS,
      beat: () => this.#beat()
    })
    this.work = new GroupWork({
      ...options,
      requests: this.#requests,
      identity: () => this.#identity,
      reader: () => undefined,
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
    return this.#protocolName
  }

  start(): void {
    const { member, clock } = this.#options
    member.cluster.follow(member.topics)
    const periodMs = member.topicCheckIntervalMs ?? topicCheckIntervalDefaultMs
    this.#topicTimer = clock.every(periodMs, () => void this.#checkTopics())
    this.#running = this.#run()
  }

  async retire({ timeoutMs }: Required<RetireOptions>): Promise<void> {
    const isWorthwhile = isCooperative(this.#protocolName) && isLeaving(this.#options.member) && !this.#isAlone
    if (!isWorthwhile || this.work.count === 0 || this.#stopping.signal.aborted) return
    this.#retirement ??= Promise.withResolvers<void>()
    this.#requestRejoin('this member retires')
    await within(this.#options.clock, timeoutMs, this.#retirement.promise)
  }

  async close(reason: string): Promise<void> {
    this.#stopping.abort()
    this.#topicTimer?.cancel()
    this.#wakeLoop?.()
    if (this.#isJoining) {
      // Others may keep the join waiting for minutes: what is held is drained meanwhile. Its commits are taken in the
      // old generation while the join is open, and in the new one after that.
      await this.work.giveBack(this.work.held())
      this.#abortJoin()
    }
    await this.#running
    if (this.#state !== 'failed') {
      this.#state = 'closing'
      if (this.#identity.generation >= 0) this.#heartbeat.start()
      await this.work.giveBack(this.work.held())
      if (isLeaving(this.#options.member)) await this.#leave(reason)
      this.#state = 'closed'
    }
    this.#heartbeat.stop()
    this.#retirement?.resolve()
    this.#requests.close()
  }

  get #isJoining(): boolean {
    return this.#state === 'joining' || this.#state === 'syncing'
  }

  #abortJoin(): void {
    this.#joinAbort.abort()
    this.#requests.closeJoin()
  }

  async #leave(reason: string): Promise<void> {
    const { memberId } = this.#identity
    if (memberId === '') return
    this.#heartbeat.stop()
    try {
      const timeoutMs = Math.min(LEAVE_TIMEOUT_MS, this.#options.member.cluster.requestTimeoutMs)
      await this.#requests.leave(memberId, { reason, timeoutMs })
    } catch (error) {
      // The coordinator removes the member when its session ends.
      this.#options.logger.warn({ reason: messageOf(error) }, 'leaving the group failed')
    }
    this.#identity = NO_IDENTITY
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted;) {
      try {
        await this.#cycle()
        failures = 0
        await this.#untilRejoin()
      } catch (cause) {
        const error = asPipelineError(cause, 'the group member')
        this.#options.meter?.rebalanceFailed()
        if (this.#stopping.signal.aborted && this.#state !== 'failed') return
        if (!error.retriable) {
          await this.#fail(error)
          return
        }
        failures += 1
        // Usually another rebalance has begun, and waits for this member: but not for ever without a pause.
        const pauses = error.kafkaCode === KAFKA.REBALANCE_IN_PROGRESS ? failures - quickRejoins : failures
        if (pauses <= 0) continue
        this.#options.logger.warn({ reason: error.message, failures }, 'joining the group failed, trying again')
        const { clock, random } = this.#options
        await sleep(clock, backoffMs(backoff, pauses, random), this.#stopping.signal)
      }
    }
  }

  /** Once around: give back (eager), join, sync, take over, give back (cooperative). */
  async #cycle(): Promise<void> {
    await this.#endTakeOver()
    this.#options.meter?.rebalanceBegan()
    this.#rejoinReason = undefined
    this.#rejoin = new AbortController()
    const { member } = this.#options
    if (!this.work.hasCounts) this.work.noteCounts(await readCounts(member, member.topics))
    if (!isCooperative(this.#protocolName)) await this.#giveBack(this.work.held())
    if (this.#stopping.signal.aborted) return
    this.#state = 'joining'
    this.#heartbeat.stop()
    const joined = await this.#join()
    this.#state = 'syncing'
    const assigned = await this.#sync(joined)
    this.#previous = { partitions: assigned, generation: this.#identity.generation }
    this.#heartbeat.start()
    this.#state = 'stable'
    this.#options.meter?.rebalanceSucceeded()
    await this.#apply(assigned)
  }

  /** What is just being taken over may be: given up, it could go to another member for nothing. But not for long. */
  async #endTakeOver(): Promise<void> {
    await within(this.#options.clock, takeOverGraceMs, this.#taking)
    this.#rejoin.abort()
    await this.#taking
  }

  /** Waits until there is a reason to join again, or to stop. */
  async #untilRejoin(): Promise<void> {
    if (this.#rejoinReason === undefined && !this.#stopping.signal.aborted) {
      await new Promise<void>(resolve => {
        this.#wakeLoop = resolve
      })
      this.#wakeLoop = undefined
    }
    if (this.#rejoinReason !== undefined) this.#options.logger.debug({ reason: this.#rejoinReason }, 'joining again')
  }

  #requestRejoin(reason: string): void {
    this.#options.meter?.rebalanceBegan()
    this.#rejoinReason ??= reason
    this.#wakeLoop?.()
  }

  async #join(): Promise<JoinGroupResponse> {
    for (let isNamed = false; ; isNamed = true) {
      const { topics, rackId = null } = this.#options.member
      const isRetiring = this.#retirement !== undefined
      const { memberId, generation } = this.#identity
      const subscription = {
        topics: isRetiring ? [] : topics,
        owned: this.work.held(),
        generation,
        previous: this.#previous,
        rackId
      }
      const answer = await this.#requests.join(memberId, subscription, this.#joinAbort.signal)
      if (answer.errorCode === KAFKA.MEMBER_ID_REQUIRED && !isNamed) {
        this.#identity = { memberId: answer.memberId, generation: -1 }
        continue
      }
      this.#checkAnswer(answer.errorCode, 'JoinGroup')
      this.#identity = { memberId: answer.memberId, generation: answer.generationId }
      this.#protocolName = answer.protocolName ?? ''
      this.#isAlone = answer.leader === answer.memberId && answer.members.length === 1
      return answer
    }
  }

  async #sync(joined: JoinGroupResponse): Promise<TopicPartition[]> {
    const isLeader = joined.leader === joined.memberId
    this.#leaderCounts = undefined
    this.#withheldSinceMs = undefined
    const assignments = isLeader ? await this.#lead(joined) : new Map<string, Buffer>()
    const sentMs = this.#options.clock.monotonicMs()
    const answer = await this.#requests.sync(this.#identity, {
      protocolName: this.#protocolName,
      assignments,
      signal: this.#joinAbort.signal
    })
    this.#checkAnswer(answer.errorCode, 'SyncGroup')
    this.#seenMs = sentMs
    return decodeAssignment(answer.assignment)
  }

  /** What the leader does: reads all subscriptions, and shares the partitions out. */
  async #lead(joined: JoinGroupResponse): Promise<Map<string, Buffer>> {
    const { member } = this.#options
    const members = joined.members.map(each => decodeSubscription(each, this.#protocolName))
    const topics = [...new Set(members.flatMap(each => each.topics))]
    const counts = await readCounts(member, topics)
    member.cluster.follow(topics)
    this.#leaderCounts = counts
    this.#withheldSinceMs = this.#options.clock.monotonicMs()
    // A static leader that came back is told so (KIP-814): the assignment stands, whatever may be missing in it.
    if (joined.skipAssignment) return new Map()
    const assignment = assign(this.#protocolName, members, counts)
    const partitionCount = topics.reduce((sum, topic) => sum + (counts.get(topic) ?? 0), 0)
    const assignedCount = [...assignment.values()].reduce((sum, partitions) => sum + partitions.length, 0)
    if (assignedCount === partitionCount) this.#withheldSinceMs = undefined
    return new Map([...assignment].map(([memberId, partitions]) => [memberId, encodeAssignment(partitions)]))
  }

  /** Takes over what is new, gives back what is gone. */
  async #apply(assigned: readonly TopicPartition[]): Promise<void> {
    // Whoever closes gives everything back itself.
    if (this.#stopping.signal.aborted) return
    const { work } = this
    const target = new Set(assigned.map(partitionKeyOf))
    const added = assigned.filter(partition => !work.isHeld(partition))
    const gone = work.held().filter(partition => !target.has(partitionKeyOf(partition)))
    this.#options.logger.info(
      {
        generation: this.#identity.generation,
        assignor: this.#protocolName,
        held: assigned.length,
        added: added.length,
        gone: gone.length
      },
      'the group has a new assignment'
    )
    const { membership } = work
    if (added.length > 0) this.#taking = this.#takeOver(added)
    if (gone.length > 0) await this.#giveBack(gone)
    if (this.#retirement !== undefined) this.#retirement.resolve()
    else if (gone.length > 0 && !membership.aborted) this.#requestRejoin('partitions were given back')
  }

  /** Never rejects. Does not hold up the loop: a partition without a start must not keep the group from rebalancing. */
  async #takeOver(added: readonly TopicPartition[]): Promise<void> {
    const signal = AbortSignal.any([this.#stopping.signal, this.#rejoin.signal])
    try {
      await this.work.takeOver(added, signal)
    } catch (cause) {
      await this.#fail(asPipelineError(cause, 'taking partitions over'))
    }
  }

  async #giveBack(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return
    if (this.#state === 'stable') this.#state = 'revoking'
    await this.work.giveBack(partitions)
  }

  /** @throws PipelineError for every code but 0; fences this member where the code says so. */
  #checkAnswer(errorCode: number, api: string): void {
    if (errorCode === KAFKA.NONE) return
    if (fencingCodes.has(errorCode)) this.#fence(errorCode)
    const error = kafkaError(errorCode, `${api} of group ${this.#options.member.groupId}`)
    const isRetriable = error.retriable || retriableCodes.has(errorCode) || fencingCodes.has(errorCode)
    throw new PipelineError(error.code, error.message, { retriable: isRetriable, kafkaCode: errorCode })
  }

  /** The group has gone on without this member. */
  #fence(errorCode: number): void {
    this.#heartbeat.stop()
    const memberId = errorCode === KAFKA.ILLEGAL_GENERATION ? this.#identity.memberId : ''
    this.#identity = { memberId, generation: -1 }
    this.#leaderCounts = undefined
    this.work.lose()
    this.#requestRejoin('the group went on without this member')
  }

  async #fail(error: PipelineError): Promise<void> {
    if (this.#state === 'failed') return
    this.#state = 'failed'
    this.#stopping.abort()
    this.#topicTimer?.cancel()
    this.#heartbeat.stop()
    this.#abortJoin()
    this.#wakeLoop?.()
    this.#retirement?.resolve()
    this.#options.logger.error({ code: error.code, reason: error.message }, 'the group member has failed')
    this.work.lose()
    tellFailed(this.#options, error)
    // A fenced instance must not remove the one that took over; every other failure makes room at once.
    if (error.kafkaCode !== KAFKA.FENCED_INSTANCE_ID && this.#options.member.groupInstanceId === undefined) {
      await this.#leave(error.message)
    }
    this.#identity = NO_IDENTITY
  }

  async #beat(): Promise<boolean> {
    const identity = this.#identity
    const sentMs = this.#options.clock.monotonicMs()
    try {
      const errorCode = await this.#requests.heartbeat(identity, heartbeatTimeoutMs(this.#options))
      if (identity !== this.#identity || !this.#heartbeat.isRunning) return true
      if (errorCode === KAFKA.NONE || errorCode === KAFKA.REBALANCE_IN_PROGRESS) this.#seenMs = sentMs
      if (errorCode === KAFKA.NONE) return true
      if (errorCode === KAFKA.REBALANCE_IN_PROGRESS) {
        this.#requestRejoin('the group rebalances')
        return true
      }
      if (fencingCodes.has(errorCode)) this.#fence(errorCode)
      else if (errorCode === KAFKA.FENCED_INSTANCE_ID) await this.#fail(instanceFenced(this.#options.member))
      else this.#options.logger.warn({ errorCode }, 'a heartbeat was refused')
    } catch (error) {
      this.#requests.suspect()
      this.#options.logger.warn({ reason: messageOf(error) }, 'a heartbeat failed')
    }
    return false
  }

  async #refused(code: number, what: string, identity: MemberIdentity): Promise<PipelineError> {
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
    if (code === KAFKA.FENCED_INSTANCE_ID) await this.#fail(instanceFenced(this.#options.member))
    return kafkaError(code, what)
  }

  /** The leader looks whether topics have grown, appeared or gone. */
  async #checkTopics(): Promise<void> {
    const counts = this.#leaderCounts
    if (counts === undefined || this.#state !== 'stable') return
    const { cluster, topics: subscribed } = this.#options.member
    try {
      await cluster.refreshMetadata()
    } catch (error) {
      this.#options.logger.debug({ reason: messageOf(error) }, 'looking for new partitions failed')
      return
    }
    if (counts !== this.#leaderCounts) return
    const topics = new Set([...subscribed, ...counts.keys()])
    for (const topic of topics) {
      const metadata = cluster.cachedTopic(topic)
      const count = metadata?.errorCode === KAFKA.NONE ? metadata.partitions.length : 0
      if (count !== (counts.get(topic) ?? 0)) this.#requestRejoin(`${topic} has ${count} partitions`)
    }
    this.#checkWithheld()
  }

  /**
   * Whoever gives partitions back joins again, and they are handed out. A static member that is killed before and comes
   * back does neither: it gets what was planned for it, and what it was to give back would be nobody's.
   */
  #checkWithheld(): void {
    if (this.#withheldSinceMs === undefined || !isCooperative(this.#protocolName)) return
    const { clock, member } = this.#options
    const waitMs = Math.min(WITHHELD_MAX_MS, member.rebalanceTimeoutMs ?? WITHHELD_MAX_MS)
    if (clock.monotonicMs() - this.#withheldSinceMs >= waitMs) this.#requestRejoin('partitions have no owner')
  }
}
