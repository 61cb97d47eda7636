/**
 * State machine of one classic group: members, generations and rebalances. This
 * file decides requests; the phases of a rebalance are in `classic-rebalance.ts`.
 *
 * Pure: no clock, no I/O, no callbacks. Each decision takes the time and
 * returns replies to send now and records to append; the runtime
 * (`group-coordinator.ts`) owns sockets, timers and the disk. Two things wait
 * for the disk: an assignment becomes the group's only in `completeWrite`, and a
 * returning static member learns its new id only then. Who is joining, pending
 * or silent is volatile, as in Kafka: after a restart `restore` brings back the
 * last written generation, and every member gets a fresh session.
 *
 * Invariants: generations only grow; a parked request is answered exactly once;
 * a member is never expired while its own request is parked; transitions follow
 * `GROUP_TRANSITIONS`.
 *
 * Source: Kafka's classic group protocol (KIP-62, 134, 345, 394, 814) and
 * `GroupMetadataManager`.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import {
  type GroupEffects,
  type GroupMember,
  type GroupSettings,
  type GroupState,
  type JoinReply,
  type JoinRequest,
  type LeavingMember,
  type MemberIdentity,
  type MemberProtocol,
  NO_BYTES,
  type StoredGroup,
  type SyncRequest
} from './group-types.ts'
import { ClassicRebalance } from './classic-rebalance.ts'
import { collect, type Collected, failedJoin, failedSync } from './group-effects.ts'
import { isExpirable, newMember, updateMember } from './member-table.ts'
import { areProtocolsEqual, commonProtocols, electProtocol } from './protocol-vote.ts'

/** How long a member may wait in its first rebalance before it is given up, as in Kafka: 5 minutes. */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000

/** One classic group. */
export class ClassicGroup {
  readonly type = 'classic'
  /** Name of the group. */
  readonly groupId: string
  readonly #settings: GroupSettings
  readonly #core: ClassicRebalance

  constructor(groupId: string, settings: GroupSettings, nowMs: number) {
    this.groupId = groupId
    this.#settings = settings
    this.#core = new ClassicRebalance(groupId, settings, nowMs)
  }

  /** State of the group. */
  get state(): GroupState {
    return this.#core.state
  }

  /** When the group entered its state, in epoch milliseconds. */
  get stateTimestampMs(): number {
    return this.#core.stateTimestampMs
  }

  /** Current generation; 0 before the first. */
  get generation(): number {
    return this.#core.generation
  }

  /** `consumer`, `connect`, `sr`, …: opaque to the broker. `null` for a group that only stores offsets. */
  get protocolType(): string | null {
    return this.#core.protocolType
  }

  /** Elected assignment strategy, or `null` between generations of an empty group. */
  get protocolName(): string | null {
    return this.#core.protocolName
  }

  /** Member id of the leader, or `null`. */
  get leaderId(): string | null {
    return this.#core.leaderId
  }

  /** The members, for DescribeGroups. */
  get members(): Iterable<Readonly<GroupMember>> {
    return this.#core.members.list()
  }

  /** Whether nothing at all is known but stored offsets. */
  get isUnused(): boolean {
    return this.#core.members.size === 0 && this.#core.pendingJoins.size === 0 && this.#core.pendingWrites.size === 0
  }

  /**
   * Brings back a group from its last record. Sessions start anew.
   *
   * @param protocols - All strategies that members offer, where more is known than the record says.
   */
  restore(stored: StoredGroup, nowMs: number, protocols?: ReadonlyMap<string, readonly MemberProtocol[]>): void {
    this.#core.generation = stored.generation
    this.#core.protocolType = stored.protocolType === '' ? null : stored.protocolType
    this.#core.protocolName = stored.protocolName
    this.#core.leaderId = stored.leader
    this.#core.stateTimestampMs = stored.stateTimestampMs === -1 ? nowMs : stored.stateTimestampMs
    this.#core.members.clear()
    for (const member of stored.members) this.#core.members.restore(member, stored.protocolName, nowMs)
    for (const member of this.#core.members.list()) {
      member.protocols = protocols?.get(member.memberId) ?? member.protocols
    }
    this.#core.state = this.#core.members.size === 0 ? 'Empty' : 'Stable'
  }

  /**
   * Begins a rebalance of a group that has just been restored.
   *
   * @param writtenGeneration - The generation of the group's record. No member is ever in it.
   */
  rebalance(nowMs: number, writtenGeneration: number): GroupEffects {
    const out = collect()
    this.#core.generationFloor = writtenGeneration
    this.#core.prepareRebalance(nowMs, out)
    return out
  }

  /** The group becomes one of another type: who waits is told to join that. */
  dissolve(): GroupEffects {
    const out = collect()
    for (const member of this.#core.members.list()) {
      const { joinToken, syncToken, memberId } = member
      if (joinToken !== undefined) out.replies.push(failedJoin(joinToken, 'REBALANCE_IN_PROGRESS', memberId))
      if (syncToken !== undefined) out.replies.push(failedSync(syncToken, 'REBALANCE_IN_PROGRESS'))
      member.joinToken = undefined
      member.syncToken = undefined
    }
    return out
  }

  /** Decides a JoinGroup. */
  join(request: JoinRequest, nowMs: number): GroupEffects {
    const out = collect()
    const refuse = (error: KafkaErrorName, memberId = request.memberId): GroupEffects => {
      out.replies.push(failedJoin(request.token, error, memberId))
      return out
    }
    const { sessionTimeoutMinMs, sessionTimeoutMaxMs } = this.#settings
    if (request.sessionTimeoutMs < sessionTimeoutMinMs || request.sessionTimeoutMs > sessionTimeoutMaxMs) {
      return refuse('INVALID_SESSION_TIMEOUT')
    }
    if (this.#core.state === 'Dead') return refuse('COORDINATOR_NOT_AVAILABLE')
    if (!this.#accepts(request)) return refuse('GROUP_MAX_SIZE_REACHED')
    if (!this.#isProtocolShared(request)) return refuse('INCONSISTENT_GROUP_PROTOCOL')
    if (request.memberId === '') {
      if (request.groupInstanceId !== null) this.#joinStatic(request, nowMs, out)
      else if (request.isKnownMemberIdRequired) {
        this.#core.pendingJoins.set(request.newMemberId, nowMs + request.sessionTimeoutMs)
        return refuse('MEMBER_ID_REQUIRED', request.newMemberId)
      } else this.#addMember(request, request.newMemberId, { nowMs, out })
      return out
    }
    // Ids are handed out to dynamic members only: with an instance id it would be a second owner of that.
    if (request.groupInstanceId === null && this.#core.pendingJoins.has(request.memberId)) {
      this.#addMember(request, request.memberId, { nowMs, out })
      return out
    }
    const error = this.#core.members.identityError(request.memberId, request.groupInstanceId)
    if (error !== undefined) return refuse(error)
    this.#rejoin(this.#core.members.get(request.memberId), request, { nowMs, out })
    return out
  }

  /** Decides a SyncGroup. */
  sync(request: SyncRequest, nowMs: number): GroupEffects {
    const out = collect()
    const error = this.#syncError(request)
    if (error !== undefined) {
      out.replies.push(failedSync(request.token, error))
      return out
    }
    const member = this.#core.members.get(request.memberId)
    this.#core.pendingSyncs.delete(member.memberId)
    member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
    if (this.#core.state === 'Stable') {
      out.replies.push(this.#core.syncReply(request.token, member.assignment))
      return out
    }
    if (member.syncToken !== undefined) out.replies.push(failedSync(member.syncToken, 'REBALANCE_IN_PROGRESS'))
    member.syncToken = request.token
    const isAssignmentWritten = [...this.#core.pendingWrites.values()].some(
      write => write.kind === 'assignment' && write.stored.generation === this.#core.generation
    )
    if (member.memberId === this.#core.leaderId && !isAssignmentWritten) {
      const given = new Map(request.assignments.map(entry => [entry.memberId, entry.assignment]))
      const stored = this.#core.stored(nowMs, each => given.get(each.memberId) ?? NO_BYTES)
      this.#core.write({ kind: 'assignment', stored }, stored, out)
    }
    return out
  }

  /** Decides a heartbeat. */
  heartbeat(identity: MemberIdentity, nowMs: number): KafkaErrorName {
    if (this.#core.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const error = this.#generationError(identity)
    if (error !== undefined) return error
    if (this.#core.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    this.#touch(identity.memberId, nowMs)
    return this.#core.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
  }

  /** Decides a LeaveGroup: one error per named member. */
  leave(leaving: readonly LeavingMember[], nowMs: number): GroupEffects & { readonly errors: KafkaErrorName[] } {
    const out = collect()
    const errors = leaving.map(({ memberId, groupInstanceId }): KafkaErrorName => {
      if (this.#core.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
      if (groupInstanceId === null && this.#core.pendingJoins.delete(memberId)) {
        this.#core.maybeCompleteJoin(nowMs, out)
        return 'NONE'
      }
      const member =
        groupInstanceId === null ? this.#core.members.find(memberId) : this.#core.members.findStatic(groupInstanceId)
      if (member === undefined) return 'UNKNOWN_MEMBER_ID'
      if (groupInstanceId !== null && memberId !== '' && memberId !== member.memberId) return 'FENCED_INSTANCE_ID'
      this.#core.removeAndRebalance(member, nowMs, out)
      return 'NONE'
    })
    return { ...out, errors }
  }

  /**
   * Says whether a caller may store offsets, and counts the call as a sign of life.
   * A generation below 0 without a member id is a client that only stores
   * offsets: allowed while the group is empty.
   */
  commitOffsetsError(identity: MemberIdentity, nowMs: number): KafkaErrorName {
    if (this.#core.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    if (identity.generation < 0 && this.#core.state === 'Empty') return 'NONE'
    if (identity.generation < 0 && identity.memberId === '' && identity.groupInstanceId === null) {
      return 'UNKNOWN_MEMBER_ID'
    }
    const error = this.#generationError(identity)
    if (error !== undefined) return error
    if (this.#core.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    if (this.#core.state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS'
    this.#touch(identity.memberId, nowMs)
    return 'NONE'
  }

  /**
   * Says whether a caller may store offsets in a transaction, and counts the call
   * as a sign of life. Who names neither generation nor member is not fenced:
   * clients before KIP-447 do not. A rebalance does not stop a transaction.
   */
  transactionalCommitError(identity: MemberIdentity, nowMs: number): KafkaErrorName {
    const { generation, memberId, groupInstanceId } = identity
    if (this.#core.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    if (generation < 0 && (this.#core.state === 'Empty' || (memberId === '' && groupInstanceId === null))) return 'NONE'
    const error = this.#generationError(identity)
    if (error !== undefined) return error
    this.#touch(memberId, nowMs)
    return 'NONE'
  }

  /** Ends an empty group: every later request finds it dead. Returns false if it has members. */
  tryKill(nowMs: number): boolean {
    if (this.#core.state !== 'Empty') return false
    this.#core.transition('Dead', nowMs)
    this.#core.pendingJoins.clear()
    return true
  }

  /** The earliest time at which `expire` has something to do, in epoch milliseconds. */
  nextDeadlineMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY
    for (const deadlineMs of this.#core.pendingJoins.values()) next = Math.min(next, deadlineMs)
    for (const member of this.#core.members.list()) {
      if (isExpirable(member)) next = Math.min(next, member.sessionDeadlineMs)
    }
    next = Math.min(next, this.#core.round?.deadlineMs ?? next, this.#core.syncDeadlineMs ?? next)
    return Number.isFinite(next) ? next : undefined
  }

  /** Does what time alone decides: silent members go, overdue phases end. */
  expire(nowMs: number): GroupEffects {
    const out = collect()
    for (const [memberId, deadlineMs] of this.#core.pendingJoins) {
      if (deadlineMs > nowMs) continue
      this.#core.pendingJoins.delete(memberId)
      this.#core.maybeCompleteJoin(nowMs, out)
    }
    for (const member of this.#core.members.list()) {
      const isOverdue = isExpirable(member) && member.sessionDeadlineMs <= nowMs
      if (isOverdue && this.#core.members.has(member.memberId)) this.#core.removeAndRebalance(member, nowMs, out)
    }
    if (this.#core.syncDeadlineMs !== undefined && this.#core.syncDeadlineMs <= nowMs) this.#core.expireSync(nowMs, out)
    if (this.#core.round !== undefined && this.#core.round.deadlineMs <= nowMs)
      this.#core.expireRound(this.#core.round, nowMs, out)
    return out
  }

  /** Tells the outcome of a write that an earlier decision asked for. */
  completeWrite(ticket: number, error: KafkaErrorName, nowMs: number): GroupEffects {
    const out = collect()
    const write = this.#core.pendingWrites.get(ticket)
    this.#core.pendingWrites.delete(ticket)
    if (write === undefined || write.kind === 'empty') return out
    if (write.kind === 'replacement') {
      // A failed write leaves the new id in memory only: the member is told to try again and finds itself again.
      out.replies.push(error === 'NONE' ? write.reply : failedJoin(write.reply.token, error, write.oldMemberId))
      return out
    }
    // A rebalance that began meanwhile has already answered everyone who waited for this assignment.
    if (this.#core.state !== 'CompletingRebalance' || this.#core.generation !== write.stored.generation) return out
    if (error !== 'NONE') {
      this.#core.failSyncs(error, nowMs, out)
      this.#core.prepareRebalance(nowMs, out)
      return out
    }
    this.#core.applyAssignment(write.stored, nowMs, out)
    return out
  }

  /**
   * Whether there is room. While members join, places go to whoever joins first:
   * after a restart with a lower `group.max.size` the group must shrink. A static
   * member that comes back takes no place of its own.
   */
  #accepts({ memberId, groupInstanceId }: JoinRequest): boolean {
    const { members, state } = this.#core
    const { memberCountMax } = this.#settings
    const known = members.find(memberId)
    if (state === 'PreparingRebalance') {
      const joined = members.list().filter(({ joinToken }) => joinToken !== undefined)
      return known?.joinToken !== undefined || joined.length < memberCountMax
    }
    const isBack = groupInstanceId !== null && members.findStatic(groupInstanceId) !== undefined
    return known !== undefined || isBack || members.size < memberCountMax
  }

  #isProtocolShared(request: JoinRequest): boolean {
    if (request.protocolType === '' || request.protocols.length === 0) return false
    if (this.#core.members.size === 0) return true
    if (request.protocolType !== this.#core.protocolType) return false
    const common = commonProtocols(this.#core.members.list())
    return request.protocols.some(protocol => common.has(protocol.name))
  }

  #joinStatic(request: JoinRequest, nowMs: number, out: Collected): void {
    const old = this.#core.members.findStatic(request.groupInstanceId ?? '')
    if (old === undefined) {
      this.#addMember(request, request.newMemberId, { nowMs, out })
      return
    }
    this.#fence(old, out)
    const member: GroupMember = { ...old, memberId: request.newMemberId, joinToken: undefined, syncToken: undefined }
    this.#core.members.replace(old, member)
    const wasLeader = this.#core.leaderId === old.memberId
    if (wasLeader) this.#core.leaderId = member.memberId
    if (this.#core.pendingSyncs.delete(old.memberId)) this.#core.pendingSyncs.add(member.memberId)
    updateMember(member, request, nowMs)
    if (this.#core.state === 'Stable' && electProtocol(this.#core.members.list()) === this.#core.protocolName) {
      this.#replaceWhileStable(old.memberId, member, { request, wasLeader, nowMs, out })
      return
    }
    member.joinToken = request.token
    this.#core.prepareOrCompleteJoin(nowMs, out)
  }

  /** Answers the old owner of an instance id that somebody else has taken it. */
  #fence(old: GroupMember, out: Collected): void {
    if (old.joinToken !== undefined) {
      out.replies.push(failedJoin(old.joinToken, 'FENCED_INSTANCE_ID', old.memberId))
    }
    if (old.syncToken !== undefined) out.replies.push(failedSync(old.syncToken, 'FENCED_INSTANCE_ID'))
  }

  /**
   * A static member came back to a stable group: same assignment, no rebalance.
   * Clients below version 9 cannot be told to skip the assignment, so they are
   * shown the old leader id and behave as followers.
   */
  #replaceWhileStable(
    oldMemberId: string,
    member: GroupMember,
    context: { request: JoinRequest; wasLeader: boolean; nowMs: number; out: Collected }
  ): void {
    const { request, wasLeader, nowMs, out } = context
    const isAssignmentSkipped = request.canSkipAssignment && wasLeader
    const shownLeader = wasLeader && !request.canSkipAssignment ? oldMemberId : this.#core.leaderId
    const reply: JoinReply = {
      ...this.#core.joinReply(request.token, member),
      leader: shownLeader ?? '',
      isAssignmentSkipped,
      members: isAssignmentSkipped ? this.#core.members.forLeader(this.#core.protocolName) : []
    }
    const stored = this.#core.stored(nowMs, each => each.assignment)
    this.#core.write({ kind: 'replacement', oldMemberId, reply }, stored, out)
  }

  #addMember(request: JoinRequest, memberId: string, context: { nowMs: number; out: Collected }): void {
    const { nowMs, out } = context
    this.#core.pendingJoins.delete(memberId)
    const member = newMember(request, memberId, nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS)
    if (this.#core.members.size === 0) this.#core.protocolType = request.protocolType
    this.#core.members.add(member)
    this.#core.leaderId ??= memberId
    if (this.#core.state === 'PreparingRebalance' && this.#core.generation === 0) this.#core.isNewMemberAdded = true
    this.#core.prepareOrCompleteJoin(nowMs, out)
  }

  #rejoin(member: GroupMember, request: JoinRequest, context: { nowMs: number; out: Collected }): void {
    const { nowMs, out } = context
    const isSame = areProtocolsEqual(member.protocols, request.protocols)
    const isLeader = member.memberId === this.#core.leaderId
    const isCurrent =
      (this.#core.state === 'CompletingRebalance' && isSame) || (this.#core.state === 'Stable' && isSame && !isLeader)
    if (isCurrent) {
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      out.replies.push(this.#core.joinReply(request.token, member))
      return
    }
    if (member.joinToken !== undefined) {
      // The client asked again on a new connection; nobody reads the first answer, but its slot must be freed.
      out.replies.push(failedJoin(member.joinToken, 'REBALANCE_IN_PROGRESS', member.memberId))
    }
    updateMember(member, request, nowMs)
    member.joinToken = request.token
    this.#core.prepareOrCompleteJoin(nowMs, out)
  }

  #syncError(request: SyncRequest): KafkaErrorName | undefined {
    if (this.#core.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const error = this.#generationError(request)
    if (error !== undefined) return error
    if (request.protocolType !== null && request.protocolType !== this.#core.protocolType) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (request.protocolName !== null && request.protocolName !== this.#core.protocolName) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (this.#core.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    return this.#core.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined
  }

  #generationError(identity: MemberIdentity): KafkaErrorName | undefined {
    const error = this.#core.members.identityError(identity.memberId, identity.groupInstanceId)
    if (error !== undefined) return error
    return identity.generation === this.#core.generation ? undefined : 'ILLEGAL_GENERATION'
  }

  #touch(memberId: string, nowMs: number): void {
    const member = this.#core.members.get(memberId)
    member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
  }
}
