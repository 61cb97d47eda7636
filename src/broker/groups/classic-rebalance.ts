/**
 * The phases of a classic group: join, assignment, stable, and the state that
 * they share. `classic-group.ts` decides requests by it.
 *
 * Pure. In the join phase requests are parked until everyone who is known has
 * joined or the rebalance timeout is over; then the leader's assignment is
 * awaited and written, and only the written one is handed out.
 *
 * Invariants: generations only grow; a parked request is answered exactly once;
 * transitions follow `GROUP_TRANSITIONS`.
 */

import { invariant } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import { type Collected, failedJoin, failedSync, type PendingWrite } from './group-effects.ts'
import {
  GROUP_TRANSITIONS,
  type GroupMember,
  type GroupSettings,
  type GroupState,
  type JoinReply,
  NO_BYTES,
  type StoredGroup,
  type SyncReply
} from './group-types.ts'
import { MemberTable } from './member-table.ts'
import { electProtocol } from './protocol-vote.ts'

/** The join phase of a rebalance. */
export interface JoinRound {
  deadlineMs: number
  /** For the first rebalance of an empty group: what is left to prolong the wait by; otherwise `undefined`. */
  initialRemainingMs: number | undefined
}

/** State and phases of one classic group. */
export class ClassicRebalance {
  readonly groupId: string
  readonly settings: GroupSettings
  state: GroupState = 'Empty'
  stateTimestampMs: number
  generation = 0
  /** The next generation is above it: one that is written, and that no member must be in. */
  generationFloor = 0
  protocolType: string | null = null
  protocolName: string | null = null
  leaderId: string | null = null
  readonly members = new MemberTable()
  /** Members that were given an id and have not joined with it yet, with the time until which they may. */
  readonly pendingJoins = new Map<string, number>()
  /** Members that have joined and have not asked for their assignment yet. */
  readonly pendingSyncs = new Set<string>()
  round: JoinRound | undefined
  syncDeadlineMs: number | undefined
  /** Whether somebody new came during the first join phase. */
  isNewMemberAdded = false
  readonly pendingWrites = new Map<number, PendingWrite>()
  #ticket = 0

  constructor(groupId: string, settings: GroupSettings, nowMs: number) {
    this.groupId = groupId
    this.settings = settings
    this.stateTimestampMs = nowMs
  }

  /** The assignment is written: everyone who waits for it gets its part. */
  applyAssignment(stored: StoredGroup, nowMs: number, out: Collected): void {
    this.transition('Stable', nowMs)
    for (const { memberId, assignment } of stored.members) {
      const member = this.members.find(memberId)
      if (member === undefined) continue
      member.assignment = assignment
      if (member.syncToken === undefined) continue
      out.replies.push(this.syncReply(member.syncToken, assignment))
      member.syncToken = undefined
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
    }
  }

  /** Somebody joined: a rebalance begins, or the one under way may be complete. */
  prepareOrCompleteJoin(nowMs: number, out: Collected): void {
    if (this.state === 'PreparingRebalance') this.maybeCompleteJoin(nowMs, out)
    else this.prepareRebalance(nowMs, out)
  }

  /** Begins the join phase. */
  prepareRebalance(nowMs: number, out: Collected): void {
    // From a stable group members go on with what they have until they join again.
    if (this.state === 'CompletingRebalance') this.failSyncs('REBALANCE_IN_PROGRESS', nowMs, out)
    this.syncDeadlineMs = undefined
    this.pendingSyncs.clear()
    const isInitial = this.state === 'Empty'
    this.transition('PreparingRebalance', nowMs)
    if (isInitial) {
      const delayMs = this.settings.initialRebalanceDelayMs
      const initialRemainingMs = Math.max(0, this.members.rebalanceTimeoutMs() - delayMs)
      this.round = { deadlineMs: nowMs + delayMs, initialRemainingMs }
      return
    }
    this.round = { deadlineMs: nowMs + this.members.rebalanceTimeoutMs(), initialRemainingMs: undefined }
    this.maybeCompleteJoin(nowMs, out)
  }

  /** Ends the join phase if nobody is missing. */
  maybeCompleteJoin(nowMs: number, out: Collected): void {
    if (this.state !== 'PreparingRebalance' || this.round?.initialRemainingMs !== undefined) return
    if (this.pendingJoins.size > 0) return
    for (const member of this.members.list()) if (member.joinToken === undefined) return
    this.completeJoin(nowMs, out)
  }

  /** The join phase has lasted as long as it may; the first one waits on while new members come. */
  expireRound(round: JoinRound, nowMs: number, out: Collected): void {
    const remainingMs = round.initialRemainingMs ?? 0
    if (this.isNewMemberAdded && remainingMs > 0) {
      this.isNewMemberAdded = false
      const delayMs = Math.min(this.settings.initialRebalanceDelayMs, remainingMs)
      round.deadlineMs = nowMs + delayMs
      round.initialRemainingMs = Math.max(0, remainingMs - delayMs)
      return
    }
    this.completeJoin(nowMs, out)
  }

  /** Ends the join phase: who has not joined is out (static members stay until their session ends). */
  completeJoin(nowMs: number, out: Collected): void {
    for (const member of this.members.list()) {
      if (member.joinToken === undefined && member.groupInstanceId === null) this.removeMember(member, out)
    }
    if (this.members.size > 0 && !this.#electJoinedLeader()) {
      this.round = { deadlineMs: nowMs + this.members.rebalanceTimeoutMs(), initialRemainingMs: undefined }
      return
    }
    this.round = undefined
    this.isNewMemberAdded = false
    this.generation = Math.max(this.generation, this.generationFloor) + 1
    if (this.members.size === 0) {
      this.protocolName = null
      this.leaderId = null
      this.transition('Empty', nowMs)
      this.write(
        { kind: 'empty' },
        this.stored(nowMs, () => NO_BYTES),
        out
      )
      return
    }
    this.protocolName = electProtocol(this.members.list()) ?? null
    this.transition('CompletingRebalance', nowMs)
    this.syncDeadlineMs = nowMs + this.members.rebalanceTimeoutMs()
    for (const member of this.members.list()) {
      this.pendingSyncs.add(member.memberId)
      member.isNew = false
      if (member.joinToken === undefined) continue
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      out.replies.push(this.joinReply(member.joinToken, member))
      member.joinToken = undefined
    }
  }

  /** Makes sure the leader is somebody who joined this round. */
  #electJoinedLeader(): boolean {
    const leader = this.leaderId === null ? undefined : this.members.find(this.leaderId)
    if (leader?.joinToken !== undefined) return true
    for (const member of this.members.list()) {
      if (member.joinToken === undefined) continue
      this.leaderId = member.memberId
      return true
    }
    return false
  }

  /** Who has joined and has not asked for its assignment in time is out. */
  expireSync(nowMs: number, out: Collected): void {
    this.syncDeadlineMs = undefined
    if (this.pendingSyncs.size === 0) return
    for (const memberId of this.pendingSyncs) {
      const member = this.members.find(memberId)
      if (member !== undefined) this.removeMember(member, out)
    }
    this.prepareRebalance(nowMs, out)
  }

  /** Removes a member; the others share out anew. */
  removeAndRebalance(member: GroupMember, nowMs: number, out: Collected): void {
    this.removeMember(member, out)
    if (this.state === 'Stable' || this.state === 'CompletingRebalance') this.prepareRebalance(nowMs, out)
    else this.maybeCompleteJoin(nowMs, out)
  }

  removeMember(member: GroupMember, out: Collected): void {
    if (member.joinToken !== undefined) {
      out.replies.push(failedJoin(member.joinToken, 'UNKNOWN_MEMBER_ID', member.memberId))
    }
    if (member.syncToken !== undefined) out.replies.push(failedSync(member.syncToken, 'UNKNOWN_MEMBER_ID'))
    this.members.remove(member)
    this.pendingSyncs.delete(member.memberId)
    if (this.leaderId === member.memberId) this.leaderId = this.members.list()[0]?.memberId ?? null
  }

  /** Answers all who wait for the assignment. Their sessions stood still meanwhile, so they start anew. */
  failSyncs(error: KafkaErrorName, nowMs: number, out: Collected): void {
    for (const member of this.members.list()) {
      member.assignment = NO_BYTES
      if (member.syncToken === undefined) continue
      out.replies.push(failedSync(member.syncToken, error))
      member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
      member.syncToken = undefined
    }
  }

  /** Asks for a record; what depends on it happens when it is written. */
  write(write: PendingWrite, group: StoredGroup, out: Collected): void {
    this.#ticket += 1
    this.pendingWrites.set(this.#ticket, write)
    out.writes.push({ ticket: this.#ticket, group })
  }

  /** The group as its record says it. */
  stored(nowMs: number, assignmentOf: (member: GroupMember) => Buffer): StoredGroup {
    return {
      protocolType: this.protocolType ?? '',
      generation: this.generation,
      protocolName: this.protocolName,
      leader: this.leaderId,
      stateTimestampMs: nowMs,
      members: this.members.stored(this.protocolName, assignmentOf)
    }
  }

  /** What a member is told when the join phase ends. */
  joinReply(token: number, member: GroupMember): JoinReply {
    const isLeader = member.memberId === this.leaderId
    return {
      kind: 'join',
      token,
      error: 'NONE',
      generation: this.generation,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      leader: this.leaderId ?? '',
      memberId: member.memberId,
      isAssignmentSkipped: false,
      members: isLeader ? this.members.forLeader(this.protocolName) : []
    }
  }

  /** The part of a member. */
  syncReply(token: number, assignment: Buffer): SyncReply {
    const { protocolType, protocolName } = this
    return { kind: 'sync', token, error: 'NONE', protocolType, protocolName, assignment }
  }

  /** Enters a state. */
  transition(state: GroupState, nowMs: number): void {
    const isAllowed = GROUP_TRANSITIONS[this.state].includes(state)
    invariant(isAllowed, `group ${this.groupId} goes from ${this.state} to ${state}`)
    this.state = state
    this.stateTimestampMs = nowMs
  }
}
