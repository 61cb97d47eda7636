/**
 * The members of one group in order of joining, by member id and by instance id.
 *
 * Pure bookkeeping for `classic-group.ts`; iteration order is part of the
 * contract, because the oldest member becomes leader when the leader goes.
 */

import { invariant } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import { type GroupMember, type JoinReply, type JoinRequest, NO_BYTES, type StoredMember } from './group-types.ts'

/** Members of one group. */
export class MemberTable {
  readonly #members = new Map<string, GroupMember>()
  readonly #staticIds = new Map<string, string>()

  /** How many members there are. */
  get size(): number {
    return this.#members.size
  }

  /** The members, oldest first. The list is a copy: members may be removed while it is walked. */
  list(): GroupMember[] {
    return [...this.#members.values()]
  }

  /** Whether a member id is known. */
  has(memberId: string): boolean {
    return this.#members.has(memberId)
  }

  /** The member of an id, if there is one. */
  find(memberId: string): GroupMember | undefined {
    return this.#members.get(memberId)
  }

  /** The member of an id that was checked before. */
  get(memberId: string): GroupMember {
    const member = this.#members.get(memberId)
    invariant(member !== undefined, `a group member exists after its identity was checked (${memberId})`)
    return member
  }

  /** The static member that owns an instance id, if there is one. */
  findStatic(groupInstanceId: string): GroupMember | undefined {
    const memberId = this.#staticIds.get(groupInstanceId)
    return memberId === undefined ? undefined : this.#members.get(memberId)
  }

  /** Adds a member as the youngest. */
  add(member: GroupMember): void {
    this.#members.set(member.memberId, member)
    if (member.groupInstanceId !== null) this.#staticIds.set(member.groupInstanceId, member.memberId)
  }

  /** Removes a member. */
  remove(member: GroupMember): void {
    this.#members.delete(member.memberId)
    if (member.groupInstanceId !== null) this.#staticIds.delete(member.groupInstanceId)
  }

  /** Removes all. */
  clear(): void {
    this.#members.clear()
    this.#staticIds.clear()
  }

  /** Puts a member in another's place, keeping the order of joining. */
  replace(old: GroupMember, member: GroupMember): void {
    const all = this.list()
    this.clear()
    for (const each of all) this.add(each === old ? member : each)
  }

  /** Why a caller is not who it says it is; `undefined` if it is. */
  identityError(memberId: string, groupInstanceId: string | null): KafkaErrorName | undefined {
    if (groupInstanceId !== null) {
      const knownId = this.#staticIds.get(groupInstanceId)
      if (knownId === undefined) return 'UNKNOWN_MEMBER_ID'
      if (knownId !== memberId) return 'FENCED_INSTANCE_ID'
    }
    return this.#members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID'
  }

  /** The longest rebalance timeout of all members, in milliseconds: how long a rebalance may take. */
  rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const member of this.#members.values()) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs)
    return longestMs
  }

  /** What the leader is told about the members. */
  forLeader(protocolName: string | null): JoinReply['members'] {
    return this.list().map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: subscriptionOf(member, protocolName)
    }))
  }

  /** The members as they are written to disk, with the given assignments. */
  stored(protocolName: string | null, assignmentOf: (member: GroupMember) => Buffer): StoredMember[] {
    return this.list().map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
      subscription: subscriptionOf(member, protocolName),
      assignment: assignmentOf(member)
    }))
  }

  /** Brings a member back from disk with a fresh session. */
  restore(stored: StoredMember, protocolName: string | null, nowMs: number): void {
    const { subscription, ...kept } = stored
    this.add({
      ...kept,
      protocols: [{ name: protocolName ?? '', metadata: subscription }],
      sessionDeadlineMs: nowMs + stored.sessionTimeoutMs,
      joinToken: undefined,
      syncToken: undefined,
      isNew: false
    })
  }
}

/** The bytes a member sent for one strategy; empty if it sent none. */
export function subscriptionOf(member: Readonly<GroupMember>, protocolName: string | null): Buffer {
  return member.protocols.find(protocol => protocol.name === protocolName)?.metadata ?? NO_BYTES
}

/** Takes over what a member says about itself when it joins again. */
export function updateMember(member: GroupMember, request: JoinRequest, nowMs: number): void {
  member.protocols = request.protocols
  member.sessionTimeoutMs = request.sessionTimeoutMs
  member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
  member.clientId = request.clientId
  member.clientHost = request.clientHost
  // A new member that asks again waits as long as before: the rebalance may take longer than its session.
  if (!member.isNew) member.sessionDeadlineMs = nowMs + request.sessionTimeoutMs
}

/** A member that has just arrived and waits for its first generation. */
export function newMember(request: JoinRequest, memberId: string, sessionDeadlineMs: number): GroupMember {
  return {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: request.protocols,
    assignment: NO_BYTES,
    sessionDeadlineMs,
    joinToken: request.token,
    syncToken: undefined,
    isNew: true
  }
}

/** A member whose own request is parked is alive by definition; a new one may not wait for ever, though. */
export function isExpirable(member: GroupMember): boolean {
  return member.isNew || (member.joinToken === undefined && member.syncToken === undefined)
}
