/**
 * The vocabulary of classic groups: states and their transitions, members,
 * requests and replies of the state machine in `classic-group.ts`.
 *
 * Requests that may have to wait (JoinGroup, SyncGroup) carry a `token`. The
 * state machine keeps the token and names it in the reply, so it never holds a
 * callback, a promise or a socket.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'

/** State of a classic group, with Kafka's names as DescribeGroups and ListGroups show them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** Which state may follow which. Source: Kafka `ClassicGroupState`. */
export const GROUP_TRANSITIONS: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ['PreparingRebalance', 'Dead'],
  PreparingRebalance: ['CompletingRebalance', 'Empty', 'Dead'],
  CompletingRebalance: ['Stable', 'PreparingRebalance', 'Dead'],
  Stable: ['PreparingRebalance', 'Dead'],
  Dead: []
}

/** One assignment strategy a member offers, with the opaque bytes its client sent for it. */
export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

/** One member of a classic group. */
export interface GroupMember {
  memberId: string
  readonly groupInstanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: readonly MemberProtocol[]
  assignment: Buffer
  /** Epoch milliseconds at which the session ends, unless a request is parked for the member. */
  sessionDeadlineMs: number
  joinToken: number | undefined
  syncToken: number | undefined
  /** True until the first generation of the member is complete. */
  isNew: boolean
}

/** JoinGroup as the state machine sees it. */
export interface JoinRequest {
  readonly token: number
  /** Empty for a member that has no id yet. */
  readonly memberId: string
  /** The id to hand out if the member needs one. */
  readonly newMemberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly MemberProtocol[]
  /** Version 4 and later: a dynamic member first gets its id, then joins with it (KIP-394). */
  readonly isKnownMemberIdRequired: boolean
  /** Version 9 and later: a returning static leader may be told to skip the assignment (KIP-814). */
  readonly canSkipAssignment: boolean
}

/** Reply to JoinGroup. */
export interface JoinReply {
  readonly kind: 'join'
  readonly token: number
  readonly error: KafkaErrorName
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly memberId: string
  readonly isAssignmentSkipped: boolean
  /** All members for the leader, nothing for the others. */
  readonly members: readonly { memberId: string; groupInstanceId: string | null; metadata: Buffer }[]
}

/** SyncGroup as the state machine sees it. */
export interface SyncRequest {
  readonly token: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignments: readonly { memberId: string; assignment: Buffer }[]
}

/** Reply to SyncGroup. */
export interface SyncReply {
  readonly kind: 'sync'
  readonly token: number
  readonly error: KafkaErrorName
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

/** What identifies a caller towards the group. */
export interface MemberIdentity {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generation: number
}

/** One member that LeaveGroup names. */
export interface LeavingMember {
  /** May be empty when only the instance id is known (Admin `removeMembersFromConsumerGroup`). */
  readonly memberId: string
  readonly groupInstanceId: string | null
}

/** A member as it is stored in `__consumer_offsets`. */
export interface StoredMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly subscription: Buffer
  readonly assignment: Buffer
}

/** A group as it is stored in `__consumer_offsets`. */
export interface StoredGroup {
  readonly protocolType: string
  readonly generation: number
  readonly protocolName: string | null
  readonly leader: string | null
  /** When the group entered its state, in epoch milliseconds; -1 if the record does not say. */
  readonly stateTimestampMs: number
  readonly members: readonly StoredMember[]
}

/** A record the runtime must append before it calls `completeWrite` with the same ticket. */
export interface GroupWrite {
  readonly ticket: number
  readonly group: StoredGroup
}

/** What a decision leads to: replies to send now, records to write first. */
export interface GroupEffects {
  readonly replies: readonly (JoinReply | SyncReply)[]
  readonly writes: readonly GroupWrite[]
}

/** Settings of the group coordinator. Names and defaults are Kafka's. */
export interface GroupSettings {
  /** `group.initial.rebalance.delay.ms`, default 3000: how long the first rebalance waits for more members. */
  readonly initialRebalanceDelayMs: number
  /** `group.min.session.timeout.ms`, default 6000. */
  readonly sessionTimeoutMinMs: number
  /** `group.max.session.timeout.ms`, default 1_800_000. */
  readonly sessionTimeoutMaxMs: number
  /** `group.max.size`, default 2147483647. */
  readonly memberCountMax: number
}

/** Bytes of nothing: the assignment of a member that was given none. */
export const NO_BYTES: Buffer = Buffer.alloc(0)
