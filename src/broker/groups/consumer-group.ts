/**
 * State machine of one consumer group (KIP-848): the coordinator assigns, the
 * members follow by heartbeats.
 *
 * Pure: no clock, no I/O, no callbacks. Each decision answers records to append,
 * the reply to send once they are written, and deadlines; only `complete` changes
 * the state. The runtime runs one decision of a group at a time, so what a
 * decision saw is what its records are applied to; after a restart `apply`
 * replays the same records.
 *
 * A heartbeat does up to three things. It changes the member, and the epoch of
 * the group grows if its subscription, or the topics in it, changed. It makes a
 * new target assignment if the one there is belongs to an older epoch. It moves
 * the member one step towards its target (`reconcile.ts`).
 *
 * Invariants: a partition has at most one owner; epochs only grow; a member that
 * is not in the epoch it claims is fenced, unless it may have missed one answer.
 *
 * Source: KIP-848, KIP-1082, Kafka's consumer group protocol.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import { ASSIGNORS, type Assignor, uniformAssignor } from './assignors/index.ts'
import type { ConsumerGroupRecord } from './consumer-group-records.ts'
import {
  epochRefusal,
  fencedInstance,
  hashOf,
  isCurrentEqual,
  isMetadataEqual,
  rebalanceDeadline,
  removal,
  topicIdsOf,
  topicNamesOf,
  unknownInstance
} from './consumer-group-rules.ts'
import { blankMember, ConsumerGroupRecords, currentOf, metadataOf } from './consumer-group-state.ts'
import {
  type ConsumerGroupSettings,
  type ConsumerGroupState,
  type ConsumerMember,
  GroupRefusal,
  type HeartbeatReply,
  type HeartbeatRequest,
  LEAVE_STATIC_EPOCH,
  NO_PARTITIONS,
  NOTHING_OWNED,
  type Partitions,
  type ResolvedRegex,
  type TopicsView
} from './consumer-group-types.ts'
import type { MemberIdentity } from './group-types.ts'
import { type DeadlineChange, MemberDeadlines, type PassedDeadline } from './member-deadlines.ts'
import { areEqual, arePartitionsEqual, withoutEpochs } from './partition-maps.ts'
import { reconcile } from './reconcile.ts'
import { matchingTopics } from './topic-regex.ts'

/** What a decision leads to. */
export interface Decision<R> {
  /** To be appended, in this order, before anything else happens. */
  readonly records: readonly ConsumerGroupRecord[]
  readonly deadlines: readonly DeadlineChange[]
  /** The version of the topics that the group answers to from now on. */
  readonly topicsVersion?: number
  readonly reply: R
}

/** Who stores offsets. */
export interface CommitIdentity extends MemberIdentity {
  /** Whether the request is of a version that knows member epochs: 9 and later. */
  readonly isMemberEpochKnown?: boolean
}

/** A partition of a topic by its id. */
export interface TopicIdPartition {
  readonly topicId: string
  readonly partition: number
}

/** What a decision may look at beside the group. */
export interface DecisionContext {
  readonly nowMs: number
  readonly topics: TopicsView
  /** Grows whenever topics or their partition counts change. */
  readonly topicsVersion: number
  /** Which topics patterns may match; without it they are not looked at anew. */
  readonly isVisible?: (topic: string) => boolean
}

/** A member and what a request changes of it. */
export interface MemberChange {
  /** As it was; blank for a new one; of another id for a static member that came back. */
  readonly before: ConsumerMember
  /** With everything that the request says. */
  readonly after: ConsumerMember
  /** What the member says it has; `null` if that is as before. */
  readonly owned: Partitions | null
}

/** Where a member has got to by a change. */
export interface ChangedMember {
  readonly member: ConsumerMember
  readonly records: ConsumerGroupRecord[]
  readonly deadlines: DeadlineChange[]
  readonly topicsVersion?: number
}

/** What the steps of one change share. */
interface ChangeScope {
  readonly before: ConsumerMember
  readonly after: ConsumerMember
  /** All members, with the change. */
  readonly members: readonly ConsumerMember[]
  readonly regexes: ReadonlyMap<string, ResolvedRegex>
  readonly context: DecisionContext
  readonly records: ConsumerGroupRecord[]
}

/** One consumer group. */
export class ConsumerGroup {
  readonly type = 'consumer'
  readonly groupId: string
  /** What is known of the group. */
  readonly known = new ConsumerGroupRecords()
  readonly settings: ConsumerGroupSettings
  readonly #deadlines = new MemberDeadlines()
  /** The version of the topics that the epoch of the group answers to. */
  #topicsVersion = -1

  constructor(groupId: string, settings: ConsumerGroupSettings) {
    this.groupId = groupId
    this.settings = settings
  }

  /** State, as Kafka names it. */
  get state(): ConsumerGroupState {
    return this.known.state
  }

  /** Always `consumer`: that is the protocol type of its members. */
  get protocolType(): 'consumer' {
    return 'consumer'
  }

  /** The assignor that most members ask for; the broker's default if none does. */
  get assignorName(): string {
    return this.#assignor(this.known.members.values()).name
  }

  /** Takes over what was written: records, then deadlines. */
  complete({ records, deadlines, topicsVersion }: Omit<Decision<unknown>, 'reply'>): void {
    for (const record of records) {
      this.known.apply(record)
      if (record.kind === 'member' && record.value === undefined) this.#deadlines.forget(record.memberId)
    }
    for (const change of deadlines) this.#deadlines.change(change)
    this.#topicsVersion = topicsVersion ?? this.#topicsVersion
  }

  /** Gives every member its session after a restart. */
  startSessions(nowMs: number): void {
    this.restartSessions(this.known.members.keys(), nowMs)
  }

  /** Gives members a new session. */
  restartSessions(memberIds: Iterable<string>, nowMs: number): void {
    for (const memberId of memberIds) {
      const member = this.known.member(memberId)
      if (member === undefined) continue
      for (const change of this.restartDeadlines(member, nowMs)) this.#deadlines.change(change)
    }
  }

  /** Deadlines of a member that nothing is known of but its records. */
  restartDeadlines(
    { memberId, classic, state, epoch, rebalanceTimeoutMs }: ConsumerMember,
    nowMs: number
  ): DeadlineChange[] {
    const sessionMs = classic?.sessionTimeoutMs ?? this.settings.sessionTimeoutMs
    const changes: DeadlineChange[] = [{ memberId, kind: 'session', atMs: nowMs + sessionMs }]
    if (state === 'unrevoked' && classic === null) {
      changes.push({ memberId, kind: 'rebalance', atMs: nowMs + rebalanceTimeoutMs, epoch })
    }
    return changes
  }

  /** The earliest deadline of a member, in epoch milliseconds. */
  nextDeadlineMs(): number | undefined {
    return this.#deadlines.nextMs()
  }

  /** Members that have missed a deadline and must go. Each deadline is reported once. */
  takeExpired(nowMs: number): string[] {
    const isMissed = ({ memberId, kind, epoch }: PassedDeadline): boolean => {
      const member = this.known.member(memberId)
      if (member === undefined) return false
      return kind !== 'rebalance' || (member.state === 'unrevoked' && member.epoch === epoch)
    }
    const missed = this.#deadlines.takePassed(nowMs).filter(isMissed)
    return [...new Set(missed.map(({ memberId }) => memberId))]
  }

  /** Whether there is no room for a member. */
  isFullFor(memberId: string): boolean {
    return this.known.members.size >= this.settings.memberCountMax && !this.known.members.has(memberId)
  }

  /** Decides a heartbeat that joins or goes on; leaving is `checkLeave`. */
  heartbeat(request: HeartbeatRequest, context: DecisionContext): Decision<HeartbeatReply> | GroupRefusal {
    const { memberId, memberEpoch } = request
    if (this.isFullFor(memberId)) return this.full()
    const before = this.#callingMember(request)
    if (before instanceof GroupRefusal) return before
    const after: ConsumerMember = {
      ...before,
      memberId,
      instanceId: request.instanceId ?? before.instanceId,
      rackId: request.rackId ?? before.rackId,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? before.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
      assignor: request.assignor ?? before.assignor,
      topicNames: request.topicNames === null ? before.topicNames : [...new Set(request.topicNames)].toSorted(),
      topicRegex: request.topicRegex ?? before.topicRegex,
      clientId: request.clientId,
      clientHost: request.clientHost,
      classic: null
    }
    const change = { before, after, owned: request.owned }
    const { member, deadlines, ...changed } = this.change(change, { ...context, isVisible: request.isVisible })
    deadlines.push({ memberId, kind: 'session', atMs: context.nowMs + this.settings.sessionTimeoutMs })
    const isFullRequest =
      request.rebalanceTimeoutMs >= 0 &&
      (request.topicNames !== null || request.topicRegex !== null) &&
      request.owned !== null
    const isShown = memberEpoch === 0 || isFullRequest || !arePartitionsEqual(before.assigned, member.assigned)
    const reply: HeartbeatReply = {
      error: 'NONE',
      message: null,
      memberId,
      memberEpoch: member.epoch,
      heartbeatIntervalMs: this.settings.heartbeatIntervalMs,
      assignment: isShown ? withoutEpochs(member.assigned) : null
    }
    return { ...changed, deadlines, reply }
  }

  /** Who leaves, or why not. */
  checkLeave({ memberId, instanceId }: HeartbeatRequest): ConsumerMember | GroupRefusal {
    if (instanceId === null) return this.known.member(memberId) ?? this.#unknown(memberId)
    const member = this.known.staticMember(instanceId)
    if (member === undefined) return unknownInstance(instanceId)
    return member.memberId === memberId ? member : fencedInstance(member, memberId, instanceId)
  }

  /** A static member leaves for a moment: what it has is kept for it until its session ends. */
  leaveForAMoment(member: ConsumerMember): Omit<Decision<unknown>, 'reply'> {
    const { memberId } = member
    const value = {
      ...currentOf(member),
      epoch: LEAVE_STATIC_EPOCH,
      previousEpoch: member.epoch,
      pendingRevocation: NOTHING_OWNED
    }
    return {
      records: [{ kind: 'current', memberId, value }],
      deadlines: [{ memberId, kind: 'rebalance', atMs: undefined }]
    }
  }

  /** Removes members. What they had is free at once. */
  fence(memberIds: readonly string[], { topics }: DecisionContext): ConsumerGroupRecord[] {
    const gone = new Set(memberIds)
    const records: ConsumerGroupRecord[] = []
    for (const memberId of gone) records.push(...removal(memberId))
    const rest = [...this.known.members.values()].filter(({ memberId }) => !gone.has(memberId))
    const regexes = new Map(this.known.regexes)
    for (const pattern of this.known.regexes.keys()) {
      if (rest.some(({ topicRegex }) => topicRegex === pattern)) continue
      regexes.delete(pattern)
      records.push({ kind: 'regex', pattern, value: undefined })
    }
    const metadataHash = hashOf(rest, regexes, topics)
    records.push({ kind: 'epoch', value: { epoch: this.known.epoch + 1, metadataHash } })
    return records
  }

  /** Whether only members of the classic protocol would be left, and at least one. */
  isClassicWithout(memberIds: ReadonlySet<string>): boolean {
    const rest = [...this.known.members.values()].filter(({ memberId }) => !memberIds.has(memberId))
    return rest.length > 0 && rest.every(({ classic }) => classic !== null)
  }

  /**
   * Says whether a caller may store offsets. A member of an older epoch may, for
   * partitions that it has had since then: a rebalance that leaves them with it
   * must not fail its commit.
   */
  commitOffsetsError(identity: CommitIdentity, partitions: readonly TopicIdPartition[]): KafkaErrorName {
    const { memberId, generation: epoch, isMemberEpochKnown = false } = identity
    // Administrators store offsets while nobody is there.
    if (epoch < 0 && this.known.members.size === 0) return 'NONE'
    const member = this.known.member(memberId)
    if (member === undefined) return 'UNKNOWN_MEMBER_ID'
    if (member.classic === null && !isMemberEpochKnown) return 'UNSUPPORTED_VERSION'
    const stale = member.classic === null ? 'STALE_MEMBER_EPOCH' : 'ILLEGAL_GENERATION'
    if (epoch === member.epoch) return 'NONE'
    if (epoch > member.epoch) return stale
    const isOwned = ({ topicId, partition }: TopicIdPartition): boolean => {
      const since =
        member.assigned.get(topicId)?.get(partition) ?? member.pendingRevocation.get(topicId)?.get(partition)
      return since !== undefined && since <= epoch
    }
    return partitions.every(isOwned) ? 'NONE' : stale
  }

  /** Says whether a caller may store offsets in a transaction; clients before KIP-447 do not say who they are. */
  transactionalCommitError(identity: MemberIdentity, partitions: readonly TopicIdPartition[]): KafkaErrorName {
    if (identity.generation < 0 && identity.memberId === '' && identity.groupInstanceId === null) return 'NONE'
    const error = this.commitOffsetsError({ ...identity, isMemberEpochKnown: true }, partitions)
    // TxnOffsetCommit has no newer error for it.
    return error === 'STALE_MEMBER_EPOCH' ? 'ILLEGAL_GENERATION' : error
  }

  /** Says whether a caller may read committed offsets; who does not say who it is may. */
  fetchOffsetsError(memberId: string | null, epoch: number): KafkaErrorName {
    if ((memberId === null || memberId === '') && epoch < 0) return 'NONE'
    const member = this.known.member(memberId ?? '')
    if (member === undefined) return 'UNKNOWN_MEMBER_ID'
    if (member.epoch === epoch) return 'NONE'
    return member.classic === null ? 'STALE_MEMBER_EPOCH' : 'ILLEGAL_GENERATION'
  }

  /** Names of the topics that some member subscribes to. */
  subscribedTopics(): Set<string> {
    return new Set([...this.known.members.values()].flatMap(member => [...topicNamesOf(member, this.known.regexes)]))
  }

  /**
   * Changes a member, then does what follows from it: the epoch, the target
   * assignment, and one step of the member towards it.
   */
  change(change: MemberChange, context: DecisionContext): ChangedMember {
    const { before, after, owned } = change
    const records: ConsumerGroupRecord[] = []
    const deadlines: DeadlineChange[] = []
    const isReplaced = before.memberId !== after.memberId
    if (isReplaced) records.push(...this.#replacement(before, after))
    if (isReplaced || !this.known.members.has(after.memberId) || !isMetadataEqual(before, after)) {
      records.push({ kind: 'member', memberId: after.memberId, value: metadataOf(after) })
    }
    const members = this.#membersWith(before, after)
    const regexes = this.#resolve(members, context, records)
    const areNamesChanged = before.topicNames.join(',') !== after.topicNames.join(',')
    const isSubscriptionChanged = areNamesChanged || before.topicRegex !== after.topicRegex
    const scope = { before, after, members, regexes, context, records }
    const target = this.#nextTarget(this.#nextEpoch(isSubscriptionChanged, scope), scope)
    const isSelf = (memberId: string): boolean => memberId === after.memberId || memberId === before.memberId
    const member = reconcile(after, {
      targetEpoch: target.epoch,
      target: target.own,
      topicIds: topicIdsOf(after, regexes, context.topics),
      isSubscriptionChanged,
      owned,
      isTaken: (topicId, partition) => {
        const owner = this.known.ownerOf(topicId, partition)
        return owner !== undefined && !isSelf(owner)
      }
    })
    if (isReplaced || !this.known.members.has(after.memberId) || !isCurrentEqual(before, member)) {
      records.push({ kind: 'current', memberId: member.memberId, value: currentOf(member) })
      deadlines.push(rebalanceDeadline(member, context.nowMs))
    }
    const isLookedAt = context.isVisible !== undefined || regexes.size === 0
    return { member, records, deadlines, ...(isLookedAt && { topicsVersion: context.topicsVersion }) }
  }

  /** The member that a heartbeat is about, as it is before it. */
  #callingMember(request: HeartbeatRequest): ConsumerMember | GroupRefusal {
    const { memberId, memberEpoch, instanceId, owned } = request
    const isJoining = memberEpoch === 0
    if (instanceId === null) {
      const known = this.known.member(memberId)
      if (known === undefined) return isJoining ? blankMember(memberId) : this.#unknown(memberId)
      return epochRefusal(known, memberEpoch, owned) ?? known
    }
    const holder = this.known.staticMember(instanceId)
    if (!isJoining) {
      if (holder === undefined) return unknownInstance(instanceId)
      if (holder.memberId !== memberId) return fencedInstance(holder, memberId, instanceId)
      return epochRefusal(holder, memberEpoch, owned) ?? holder
    }
    if (holder === undefined) return this.known.member(memberId) ?? blankMember(memberId)
    if (holder.memberId === memberId) return holder
    // A classic holder is replaced as classic clients are: the newest one wins.
    if (holder.epoch === LEAVE_STATIC_EPOCH || holder.classic !== null) return { ...holder, epoch: 0, previousEpoch: 0 }
    const text =
      `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id ` +
      `is owned by ${holder.memberId} member.`
    return new GroupRefusal('UNRELEASED_INSTANCE_ID', text)
  }

  /** A static member under another id: the old one's records go, its target stays its target. */
  #replacement(before: ConsumerMember, after: ConsumerMember): ConsumerGroupRecord[] {
    const value = this.known.target(before.memberId)
    return [...removal(before.memberId), { kind: 'target', memberId: after.memberId, value }]
  }

  #membersWith(before: ConsumerMember, after: ConsumerMember): ConsumerMember[] {
    const isKnown = this.known.members.has(before.memberId)
    const members = [...this.known.members.values()].map(each => (each.memberId === before.memberId ? after : each))
    return isKnown ? members : [...members, after]
  }

  /** What the patterns match now. Patterns that nobody has any more are removed. */
  #resolve(
    members: readonly ConsumerMember[],
    { topics, topicsVersion, nowMs, isVisible }: DecisionContext,
    records: ConsumerGroupRecord[]
  ): ReadonlyMap<string, ResolvedRegex> {
    const patterns = new Set(members.map(({ topicRegex }) => topicRegex).filter(pattern => pattern !== ''))
    const isCurrent = topicsVersion === this.#topicsVersion
    const regexes = new Map<string, ResolvedRegex>()
    for (const pattern of patterns) {
      const known = this.known.regexes.get(pattern)
      if (known !== undefined && (isCurrent || isVisible === undefined)) {
        regexes.set(pattern, known)
        continue
      }
      const matched = matchingTopics(
        pattern,
        [...topics.names()].filter(name => isVisible?.(name) !== false)
      )
      const isSame = known !== undefined && known.topics.join(',') === matched.join(',')
      const value = isSame ? known : { topics: matched, version: BigInt(topicsVersion), timestampMs: nowMs }
      regexes.set(pattern, value)
      if (!isSame) records.push({ kind: 'regex', pattern, value })
    }
    for (const pattern of this.known.regexes.keys()) {
      if (!patterns.has(pattern)) records.push({ kind: 'regex', pattern, value: undefined })
    }
    return regexes
  }

  #nextEpoch(isSubscriptionChanged: boolean, { members, regexes, context, records }: ChangeScope): number {
    const { epoch } = this.known
    if (!isSubscriptionChanged && epoch > 0 && context.topicsVersion === this.#topicsVersion) return epoch
    const metadataHash = hashOf(members, regexes, context.topics)
    if (!isSubscriptionChanged && epoch > 0 && metadataHash === this.known.metadataHash) return epoch
    // As in Kafka, 1 is the epoch of a group that has been made and subscribes to nothing yet.
    const isBlank = members.every(member => topicNamesOf(member, regexes).length === 0)
    const next = epoch === 0 && !isBlank ? 2 : epoch + 1
    records.push({ kind: 'epoch', value: { epoch: next, metadataHash } })
    return next
  }

  /** The target assignment for an epoch of the group, or the one before while it is too early for another. */
  #nextTarget(epoch: number, scope: ChangeScope): { readonly epoch: number; readonly own: Partitions } {
    const { before, after, members, regexes, context, records } = scope
    const { assignmentEpoch, assignmentTimestampMs } = this.known
    const passedMs = context.nowMs - assignmentTimestampMs
    // Below 0, the clock was set back before a restart: how long it has been is not known.
    const isEarly = assignmentTimestampMs >= 0 && passedMs >= 0 && passedMs < this.settings.assignmentIntervalMs
    if (epoch === assignmentEpoch || isEarly) {
      return { epoch: assignmentEpoch, own: this.known.target(before.memberId) }
    }
    const targetOf = ({ memberId }: ConsumerMember): Partitions =>
      this.known.target(memberId === after.memberId ? before.memberId : memberId)
    const assignment = this.#assignor(members).assign({
      members: members.map(member => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        topicIds: topicIdsOf(member, regexes, context.topics),
        target: targetOf(member)
      })),
      partitionCount: topicId => context.topics.byId(topicId)?.partitionCount ?? 0
    })
    for (const member of members) {
      const { memberId } = member
      const value = assignment.get(memberId) ?? NO_PARTITIONS
      if (!areEqual(value, targetOf(member))) records.push({ kind: 'target', memberId, value })
    }
    records.push({ kind: 'targetEpoch', value: { epoch, timestampMs: context.nowMs } })
    return { epoch, own: assignment.get(after.memberId) ?? NO_PARTITIONS }
  }

  /** The assignor that most members ask for; among equals the one asked for first. */
  #assignor(members: Iterable<ConsumerMember>): Assignor {
    const votes = new Map<string, number>()
    for (const { assignor } of members) {
      if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1)
    }
    const [first] = [...votes].toSorted(([, left], [, right]) => right - left)
    const name = first?.[0] ?? this.settings.assignors[0]
    return ASSIGNORS.find(assignor => assignor.name === name) ?? uniformAssignor
  }

  #unknown(memberId: string): GroupRefusal {
    return new GroupRefusal('UNKNOWN_MEMBER_ID', `Member ${memberId} is not a member of group ${this.groupId}.`)
  }

  /** Why nobody else can join. */
  full(): GroupRefusal {
    const text = `The consumer group has reached its maximum capacity of ${this.settings.memberCountMax} members.`
    return new GroupRefusal('GROUP_MAX_SIZE_REACHED', text)
  }
}
