/**
 * State machine of one classic group: members, generations and rebalances.
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

import { invariant } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import {
  GROUP_TRANSITIONS,
  type GroupEffects,
  type GroupMember,
  type GroupSettings,
  type GroupState,
  type JoinReply,
  type JoinRequest,
  type LeavingMember,
  type MemberIdentity,
  NO_BYTES,
  type StoredGroup,
  type SyncReply,
  type SyncRequest
} from './group-types.ts'
import { collect, type Collected, failedJoin, failedSync, type PendingWrite } from './group-effects.ts'
import { isExpirable, MemberTable, newMember, updateMember } from './member-table.ts'
import { areProtocolsEqual, commonProtocols, electProtocol } from './protocol-vote.ts'

/** How long a member may wait in its first rebalance before it is given up, as in Kafka: 5 minutes. */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000

/** The join phase of a rebalance. */
interface JoinRound {
  deadlineMs: number
  /** For the first rebalance of an empty group: what is left to prolong the wait by; otherwise `undefined`. */
  initialRemainingMs: number | undefined
}

/** One classic group. */
export class ClassicGroup {
  /** Name of the group. */
  readonly groupId: string
  readonly #settings: GroupSettings
  #state: GroupState = 'Empty'
  #stateTimestampMs: number
  #generation = 0
  #protocolType: string | null = null
  #protocolName: string | null = null
  #leaderId: string | null = null
  readonly #members = new MemberTable()
  /** Members that were given an id and have not joined with it yet, with the time until which they may. */
  readonly #pendingJoins = new Map<string, number>()
  readonly #pendingSyncs = new Set<string>()
  #round: JoinRound | undefined
  #syncDeadlineMs: number | undefined
  #isNewMemberAdded = false
  #ticket = 0
  readonly #pendingWrites = new Map<number, PendingWrite>()

  constructor(groupId: string, settings: GroupSettings, nowMs: number) {
    this.groupId = groupId
    this.#settings = settings
    this.#stateTimestampMs = nowMs
  }

  /** State of the group. */
  get state(): GroupState {
    return this.#state
  }

  /** When the group entered its state, in epoch milliseconds. */
  get stateTimestampMs(): number {
    return this.#stateTimestampMs
  }

  /** Current generation; 0 before the first. */
  get generation(): number {
    return this.#generation
  }

  /** `consumer`, `connect`, `sr`, …: opaque to the broker. `null` for a group that only stores offsets. */
  get protocolType(): string | null {
    return this.#protocolType
  }

  /** Elected assignment strategy, or `null` between generations of an empty group. */
  get protocolName(): string | null {
    return this.#protocolName
  }

  /** Member id of the leader, or `null`. */
  get leaderId(): string | null {
    return this.#leaderId
  }

  /** The members, for DescribeGroups. */
  get members(): Iterable<Readonly<GroupMember>> {
    return this.#members.list()
  }

  /** Whether nothing at all is known but stored offsets. */
  get isUnused(): boolean {
    return this.#members.size === 0 && this.#pendingJoins.size === 0 && this.#pendingWrites.size === 0
  }

  /** Brings back a group from its last record. Sessions start anew. */
  restore(stored: StoredGroup, nowMs: number): void {
    this.#generation = stored.generation
    this.#protocolType = stored.protocolType === '' ? null : stored.protocolType
    this.#protocolName = stored.protocolName
    this.#leaderId = stored.leader
    this.#stateTimestampMs = stored.stateTimestampMs === -1 ? nowMs : stored.stateTimestampMs
    this.#members.clear()
    for (const member of stored.members) this.#members.restore(member, stored.protocolName, nowMs)
    this.#state = this.#members.size === 0 ? 'Empty' : 'Stable'
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
    if (this.#state === 'Dead') return refuse('COORDINATOR_NOT_AVAILABLE')
    if (!this.#accepts(request)) return refuse('GROUP_MAX_SIZE_REACHED')
    if (!this.#isProtocolShared(request)) return refuse('INCONSISTENT_GROUP_PROTOCOL')
    if (request.memberId === '') {
      if (request.groupInstanceId !== null) this.#joinStatic(request, nowMs, out)
      else if (request.isKnownMemberIdRequired) {
        this.#pendingJoins.set(request.newMemberId, nowMs + request.sessionTimeoutMs)
        return refuse('MEMBER_ID_REQUIRED', request.newMemberId)
      } else this.#addMember(request, request.newMemberId, { nowMs, out })
      return out
    }
    if (this.#pendingJoins.has(request.memberId)) {
      this.#addMember(request, request.memberId, { nowMs, out })
      return out
    }
    const error = this.#members.identityError(request.memberId, request.groupInstanceId)
    if (error !== undefined) return refuse(error)
    this.#rejoin(this.#members.get(request.memberId), request, { nowMs, out })
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
    const member = this.#members.get(request.memberId)
    this.#pendingSyncs.delete(member.memberId)
    member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
    if (this.#state === 'Stable') {
      out.replies.push(this.#syncReply(request.token, member.assignment))
      return out
    }
    if (member.syncToken !== undefined) out.replies.push(failedSync(member.syncToken, 'REBALANCE_IN_PROGRESS'))
    member.syncToken = request.token
    const isAssignmentWritten = [...this.#pendingWrites.values()].some(write => write.kind === 'assignment')
    if (member.memberId === this.#leaderId && !isAssignmentWritten) {
      const given = new Map(request.assignments.map(entry => [entry.memberId, entry.assignment]))
      const stored = this.#stored(nowMs, each => given.get(each.memberId) ?? NO_BYTES)
      this.#write({ kind: 'assignment', stored }, stored, out)
    }
    return out
  }

  /** Decides a heartbeat. */
  heartbeat(identity: MemberIdentity, nowMs: number): KafkaErrorName {
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const error = this.#generationError(identity)
    if (error !== undefined) return error
    if (this.#state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    this.#touch(identity.memberId, nowMs)
    return this.#state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
  }

  /** Decides a LeaveGroup: one error per named member. */
  leave(leaving: readonly LeavingMember[], nowMs: number): GroupEffects & { readonly errors: KafkaErrorName[] } {
    const out = collect()
    const errors = leaving.map(({ memberId, groupInstanceId }): KafkaErrorName => {
      if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
      if (groupInstanceId === null && this.#pendingJoins.delete(memberId)) {
        this.#maybeCompleteJoin(nowMs, out)
        return 'NONE'
      }
      const member = groupInstanceId === null ? this.#members.find(memberId) : this.#members.findStatic(groupInstanceId)
      if (member === undefined) return 'UNKNOWN_MEMBER_ID'
      if (groupInstanceId !== null && memberId !== '' && memberId !== member.memberId) return 'FENCED_INSTANCE_ID'
      this.#removeAndRebalance(member, nowMs, out)
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
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    if (identity.generation < 0 && this.#state === 'Empty') return 'NONE'
    if (identity.generation < 0 && identity.memberId === '' && identity.groupInstanceId === null) {
      return 'UNKNOWN_MEMBER_ID'
    }
    const error = this.#generationError(identity)
    if (error !== undefined) return error
    if (this.#state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    if (this.#state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS'
    this.#touch(identity.memberId, nowMs)
    return 'NONE'
  }

  /** Ends an empty group: every later request finds it dead. Returns false if it has members. */
  tryKill(nowMs: number): boolean {
    if (this.#state !== 'Empty') return false
    this.#transition('Dead', nowMs)
    this.#pendingJoins.clear()
    return true
  }

  /** The earliest time at which `expire` has something to do, in epoch milliseconds. */
  nextDeadlineMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY
    for (const deadlineMs of this.#pendingJoins.values()) next = Math.min(next, deadlineMs)
    for (const member of this.#members.list()) {
      if (isExpirable(member)) next = Math.min(next, member.sessionDeadlineMs)
    }
    next = Math.min(next, this.#round?.deadlineMs ?? next, this.#syncDeadlineMs ?? next)
    return Number.isFinite(next) ? next : undefined
  }

  /** Does what time alone decides: silent members go, overdue phases end. */
  expire(nowMs: number): GroupEffects {
    const out = collect()
    for (const [memberId, deadlineMs] of this.#pendingJoins) {
      if (deadlineMs > nowMs) continue
      this.#pendingJoins.delete(memberId)
      this.#maybeCompleteJoin(nowMs, out)
    }
    for (const member of this.#members.list()) {
      const isOverdue = isExpirable(member) && member.sessionDeadlineMs <= nowMs
      if (isOverdue && this.#members.has(member.memberId)) this.#removeAndRebalance(member, nowMs, out)
    }
    if (this.#syncDeadlineMs !== undefined && this.#syncDeadlineMs <= nowMs) this.#expireSync(nowMs, out)
    if (this.#round !== undefined && this.#round.deadlineMs <= nowMs) this.#expireRound(this.#round, nowMs, out)
    return out
  }

  /** Tells the outcome of a write that an earlier decision asked for. */
  completeWrite(ticket: number, error: KafkaErrorName, nowMs: number): GroupEffects {
    const out = collect()
    const write = this.#pendingWrites.get(ticket)
    this.#pendingWrites.delete(ticket)
    if (write === undefined || write.kind === 'empty') return out
    if (write.kind === 'replacement') {
      // A failed write leaves the new id in memory only: the member is told to try again and finds itself again.
      out.replies.push(error === 'NONE' ? write.reply : failedJoin(write.reply.token, error, write.oldMemberId))
      return out
    }
    // A rebalance that began meanwhile has already answered everyone who waited for this assignment.
    if (this.#state !== 'CompletingRebalance' || this.#generation !== write.stored.generation) return out
    if (error !== 'NONE') {
      this.#failSyncs(error, nowMs, out)
      this.#prepareRebalance(nowMs, out)
      return out
    }
    this.#applyAssignment(write.stored, nowMs, out)
    return out
  }

  #applyAssignment(stored: StoredGroup, nowMs: number, out: Collected): void {
    this.#transition('Stable', nowMs)
    for (const { memberId, assignment } of stored.members) {
      const member = this.#members.find(memberId)
      if (member === undefined) continue
      member.assignment = assignment
      if (member.syncToken === undefined) continue
      out.replies.push(this.#syncReply(member.syncToken, assignment))
      member.syncToken = undefined
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
    }
  }

  #accepts(request: JoinRequest): boolean {
    if (this.#members.has(request.memberId)) return true
    if (request.groupInstanceId !== null && this.#members.findStatic(request.groupInstanceId) !== undefined) return true
    return this.#members.size < this.#settings.memberCountMax
  }

  #isProtocolShared(request: JoinRequest): boolean {
    if (request.protocolType === '' || request.protocols.length === 0) return false
    if (this.#members.size === 0) return true
    if (request.protocolType !== this.#protocolType) return false
    const common = commonProtocols(this.#members.list())
    return request.protocols.some(protocol => common.has(protocol.name))
  }

  #joinStatic(request: JoinRequest, nowMs: number, out: Collected): void {
    const old = this.#members.findStatic(request.groupInstanceId ?? '')
    if (old === undefined) {
      this.#addMember(request, request.newMemberId, { nowMs, out })
      return
    }
    this.#fence(old, out)
    const member: GroupMember = { ...old, memberId: request.newMemberId, joinToken: undefined, syncToken: undefined }
    this.#members.replace(old, member)
    const wasLeader = this.#leaderId === old.memberId
    if (wasLeader) this.#leaderId = member.memberId
    if (this.#pendingSyncs.delete(old.memberId)) this.#pendingSyncs.add(member.memberId)
    updateMember(member, request, nowMs)
    if (this.#state === 'Stable' && electProtocol(this.#members.list()) === this.#protocolName) {
      this.#replaceWhileStable(old.memberId, member, { request, wasLeader, nowMs, out })
      return
    }
    member.joinToken = request.token
    this.#prepareOrCompleteJoin(nowMs, out)
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
    const shownLeader = wasLeader && !request.canSkipAssignment ? oldMemberId : this.#leaderId
    const reply: JoinReply = {
      ...this.#joinReply(request.token, member),
      leader: shownLeader ?? '',
      isAssignmentSkipped,
      members: isAssignmentSkipped ? this.#members.forLeader(this.#protocolName) : []
    }
    const stored = this.#stored(nowMs, each => each.assignment)
    this.#write({ kind: 'replacement', oldMemberId, reply }, stored, out)
  }

  #addMember(request: JoinRequest, memberId: string, context: { nowMs: number; out: Collected }): void {
    const { nowMs, out } = context
    this.#pendingJoins.delete(memberId)
    const member = newMember(request, memberId, nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS)
    if (this.#members.size === 0) this.#protocolType = request.protocolType
    this.#members.add(member)
    this.#leaderId ??= memberId
    if (this.#state === 'PreparingRebalance' && this.#generation === 0) this.#isNewMemberAdded = true
    this.#prepareOrCompleteJoin(nowMs, out)
  }

  #rejoin(member: GroupMember, request: JoinRequest, context: { nowMs: number; out: Collected }): void {
    const { nowMs, out } = context
    const isSame = areProtocolsEqual(member.protocols, request.protocols)
    const isLeader = member.memberId === this.#leaderId
    const isCurrent =
      (this.#state === 'CompletingRebalance' && isSame) || (this.#state === 'Stable' && isSame && !isLeader)
    if (isCurrent) {
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      out.replies.push(this.#joinReply(request.token, member))
      return
    }
    if (member.joinToken !== undefined) {
      // The client asked again on a new connection; nobody reads the first answer, but its slot must be freed.
      out.replies.push(failedJoin(member.joinToken, 'REBALANCE_IN_PROGRESS', member.memberId))
    }
    updateMember(member, request, nowMs)
    member.joinToken = request.token
    this.#prepareOrCompleteJoin(nowMs, out)
  }

  #prepareOrCompleteJoin(nowMs: number, out: Collected): void {
    if (this.#state === 'PreparingRebalance') this.#maybeCompleteJoin(nowMs, out)
    else this.#prepareRebalance(nowMs, out)
  }

  #prepareRebalance(nowMs: number, out: Collected): void {
    this.#failSyncs('REBALANCE_IN_PROGRESS', nowMs, out)
    this.#syncDeadlineMs = undefined
    this.#pendingSyncs.clear()
    const isInitial = this.#state === 'Empty'
    this.#transition('PreparingRebalance', nowMs)
    if (isInitial) {
      const delayMs = this.#settings.initialRebalanceDelayMs
      const initialRemainingMs = Math.max(0, this.#members.rebalanceTimeoutMs() - delayMs)
      this.#round = { deadlineMs: nowMs + delayMs, initialRemainingMs }
      return
    }
    this.#round = { deadlineMs: nowMs + this.#members.rebalanceTimeoutMs(), initialRemainingMs: undefined }
    this.#maybeCompleteJoin(nowMs, out)
  }

  #maybeCompleteJoin(nowMs: number, out: Collected): void {
    if (this.#state !== 'PreparingRebalance' || this.#round?.initialRemainingMs !== undefined) return
    if (this.#pendingJoins.size > 0) return
    for (const member of this.#members.list()) if (member.joinToken === undefined) return
    this.#completeJoin(nowMs, out)
  }

  #expireRound(round: JoinRound, nowMs: number, out: Collected): void {
    const remainingMs = round.initialRemainingMs ?? 0
    if (this.#isNewMemberAdded && remainingMs > 0) {
      this.#isNewMemberAdded = false
      const delayMs = Math.min(this.#settings.initialRebalanceDelayMs, remainingMs)
      round.deadlineMs = nowMs + delayMs
      round.initialRemainingMs = Math.max(0, remainingMs - delayMs)
      return
    }
    this.#completeJoin(nowMs, out)
  }

  /** Ends the join phase: who has not joined is out (static members stay until their session ends). */
  #completeJoin(nowMs: number, out: Collected): void {
    for (const member of this.#members.list()) {
      if (member.joinToken === undefined && member.groupInstanceId === null) this.#removeMember(member, out)
    }
    if (this.#members.size > 0 && !this.#electJoinedLeader()) {
      this.#round = { deadlineMs: nowMs + this.#members.rebalanceTimeoutMs(), initialRemainingMs: undefined }
      return
    }
    this.#round = undefined
    this.#isNewMemberAdded = false
    this.#generation += 1
    if (this.#members.size === 0) {
      this.#protocolName = null
      this.#leaderId = null
      this.#transition('Empty', nowMs)
      this.#write(
        { kind: 'empty' },
        this.#stored(nowMs, () => NO_BYTES),
        out
      )
      return
    }
    this.#protocolName = electProtocol(this.#members.list()) ?? null
    this.#transition('CompletingRebalance', nowMs)
    this.#syncDeadlineMs = nowMs + this.#members.rebalanceTimeoutMs()
    for (const member of this.#members.list()) {
      this.#pendingSyncs.add(member.memberId)
      member.isNew = false
      if (member.joinToken === undefined) continue
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      out.replies.push(this.#joinReply(member.joinToken, member))
      member.joinToken = undefined
    }
  }

  /** Makes sure the leader is somebody who joined this round. */
  #electJoinedLeader(): boolean {
    const leader = this.#leaderId === null ? undefined : this.#members.find(this.#leaderId)
    if (leader?.joinToken !== undefined) return true
    for (const member of this.#members.list()) {
      if (member.joinToken === undefined) continue
      this.#leaderId = member.memberId
      return true
    }
    return false
  }

  #expireSync(nowMs: number, out: Collected): void {
    this.#syncDeadlineMs = undefined
    if (this.#pendingSyncs.size === 0) return
    for (const memberId of this.#pendingSyncs) {
      const member = this.#members.find(memberId)
      if (member !== undefined) this.#removeMember(member, out)
    }
    this.#prepareRebalance(nowMs, out)
  }

  #removeAndRebalance(member: GroupMember, nowMs: number, out: Collected): void {
    this.#removeMember(member, out)
    if (this.#state === 'Stable' || this.#state === 'CompletingRebalance') this.#prepareRebalance(nowMs, out)
    else this.#maybeCompleteJoin(nowMs, out)
  }

  #removeMember(member: GroupMember, out: Collected): void {
    if (member.joinToken !== undefined) {
      out.replies.push(failedJoin(member.joinToken, 'UNKNOWN_MEMBER_ID', member.memberId))
    }
    if (member.syncToken !== undefined) out.replies.push(failedSync(member.syncToken, 'UNKNOWN_MEMBER_ID'))
    this.#members.remove(member)
    this.#pendingSyncs.delete(member.memberId)
    if (this.#leaderId === member.memberId) this.#leaderId = this.#members.list()[0]?.memberId ?? null
  }

  /** Answers all who wait for the assignment. Their sessions stood still meanwhile, so they start anew. */
  #failSyncs(error: KafkaErrorName, nowMs: number, out: Collected): void {
    for (const member of this.#members.list()) {
      member.assignment = NO_BYTES
      if (member.syncToken === undefined) continue
      out.replies.push(failedSync(member.syncToken, error))
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      member.syncToken = undefined
    }
  }

  #write(write: PendingWrite, group: StoredGroup, out: Collected): void {
    this.#ticket += 1
    this.#pendingWrites.set(this.#ticket, write)
    out.writes.push({ ticket: this.#ticket, group })
  }

  #stored(nowMs: number, assignmentOf: (member: GroupMember) => Buffer): StoredGroup {
    return {
      protocolType: this.#protocolType ?? '',
      generation: this.#generation,
      protocolName: this.#protocolName,
      leader: this.#leaderId,
      stateTimestampMs: nowMs,
      members: this.#members.stored(this.#protocolName, assignmentOf)
    }
  }

  #joinReply(token: number, member: GroupMember): JoinReply {
    const isLeader = member.memberId === this.#leaderId
    return {
      kind: 'join',
      token,
      error: 'NONE',
      generation: this.#generation,
      protocolType: this.#protocolType,
      protocolName: this.#protocolName,
      leader: this.#leaderId ?? '',
      memberId: member.memberId,
      isAssignmentSkipped: false,
      members: isLeader ? this.#members.forLeader(this.#protocolName) : []
    }
  }

  #syncReply(token: number, assignment: Buffer): SyncReply {
    const { protocolType, protocolName } = this
    return { kind: 'sync', token, error: 'NONE', protocolType, protocolName, assignment }
  }

  #syncError(request: SyncRequest): KafkaErrorName | undefined {
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const error = this.#generationError(request)
    if (error !== undefined) return error
    if (request.protocolType !== null && request.protocolType !== this.#protocolType) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (request.protocolName !== null && request.protocolName !== this.#protocolName) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (this.#state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    return this.#state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined
  }

  #generationError(identity: MemberIdentity): KafkaErrorName | undefined {
    const error = this.#members.identityError(identity.memberId, identity.groupInstanceId)
    if (error !== undefined) return error
    return identity.generation === this.#generation ? undefined : 'ILLEGAL_GENERATION'
  }

  #touch(memberId: string, nowMs: number): void {
    const member = this.#members.get(memberId)
    member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
  }

  #transition(state: GroupState, nowMs: number): void {
    const isAllowed = GROUP_TRANSITIONS[this.#state].includes(state)
    invariant(isAllowed, `group ${this.groupId} goes from ${this.#state} to ${state}`)
    this.#state = state
    this.#stateTimestampMs = nowMs
  }
}
