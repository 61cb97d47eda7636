/**
 * The vocabulary of consumer groups (KIP-848): members, assignments, requests
 * and replies of the state machine in `consumer-group.ts`.
 *
 * A group has an epoch that grows with everything that may change its
 * assignment; a target assignment with the epoch it was computed for; and
 * members that move towards the target one heartbeat at a time, each with an
 * epoch of its own.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import type { MemberProtocol } from './group-types.ts'

/** State of a consumer group, with Kafka's names as ConsumerGroupDescribe and ListGroups show them. */
export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead'

/**
 * Where a member stands on its way to the target: it has arrived, it must first
 * give partitions back, or it waits for partitions that others have not given back.
 */
export type MemberState = 'stable' | 'unrevoked' | 'unreleased'

/** Partitions by topic id. */
export type Partitions = ReadonlyMap<string, readonly number[]>

/** Partitions by topic id, each with the assignment epoch at which the member got it. */
export type OwnedPartitions = ReadonlyMap<string, ReadonlyMap<number, number>>

/** What a member of the classic protocol in a consumer group has said about itself. */
export interface ClassicMetadata {
  readonly sessionTimeoutMs: number
  readonly protocols: readonly MemberProtocol[]
}

/** One member, without its identity: everything that its heartbeats have said. */
export interface MemberMetadata {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Sorted, each once. */
  readonly topicNames: readonly string[]
  /** RE2 pattern; empty for none. */
  readonly topicRegex: string
  readonly rebalanceTimeoutMs: number
  readonly assignor: string | null
  /** Set while the member speaks the classic protocol. */
  readonly classic: ClassicMetadata | null
}

/** What a member has, and on which way it is. */
export interface CurrentAssignment {
  readonly epoch: number
  readonly previousEpoch: number
  readonly state: MemberState
  readonly assigned: OwnedPartitions
  /** What it was told to give back and still has. */
  readonly pendingRevocation: OwnedPartitions
}

/** One member of a consumer group. Never changed in place. */
export interface ConsumerMember extends MemberMetadata, CurrentAssignment {
  readonly memberId: string
}

/** Topics that a pattern matched when it was last looked at. */
export interface ResolvedRegex {
  /** Sorted. */
  readonly topics: readonly string[]
  /** Counts changes of the topics of the cluster. */
  readonly version: bigint
  readonly timestampMs: number
}

/** The topics of the cluster. */
export interface TopicsView {
  byName(name: string): TopicView | undefined
  byId(id: string): TopicView | undefined
  /** Names of all topics. */
  names(): Iterable<string>
}

/** One topic of the cluster. */
export interface TopicView {
  readonly name: string
  readonly id: string
  readonly partitionCount: number
}

/** Settings of consumer groups, under Kafka's names. */
export interface ConsumerGroupSettings {
  /** `group.consumer.session.timeout.ms`, default 45_000. */
  readonly sessionTimeoutMs: number
  /** `group.consumer.heartbeat.interval.ms`, default 5000. */
  readonly heartbeatIntervalMs: number
  /** `group.consumer.max.size`, default 2147483647. */
  readonly memberCountMax: number
  /** `group.consumer.assignors`, default uniform and range; the first one is the default. */
  readonly assignors: readonly string[]
  /** `group.consumer.assignment.interval.ms`: shortest time between two target assignments. */
  readonly assignmentIntervalMs: number
}

/** ConsumerGroupHeartbeat as the state machine sees it. */
export interface HeartbeatRequest {
  readonly memberId: string
  /** 0 joins, -1 leaves, -2 leaves for a moment (static members). */
  readonly memberEpoch: number
  readonly instanceId: string | null
  readonly rackId: string | null
  /** -1 if it is as before. */
  readonly rebalanceTimeoutMs: number
  readonly topicNames: readonly string[] | null
  readonly topicRegex: string | null
  readonly assignor: string | null
  /** What the member has; `null` if that is as before. */
  readonly owned: Partitions | null
  readonly clientId: string
  readonly clientHost: string
  /** Whether the caller may know of a topic: patterns match no other ones. */
  readonly isVisible: (topic: string) => boolean
}

/** Answer to a ConsumerGroupHeartbeat. */
export interface HeartbeatReply {
  readonly error: KafkaErrorName
  readonly message: string | null
  readonly memberId: string
  readonly memberEpoch: number
  readonly heartbeatIntervalMs: number
  /** Everything the member may use; `null` if that is as before. */
  readonly assignment: Partitions | null
}

/** What of a member stays the same while it joins, is fenced, or comes back under another id. */
export const LEAVE_EPOCH = -1
/** A static member that will be back. */
export const LEAVE_STATIC_EPOCH = -2

/** Nothing owned. */
export const NOTHING_OWNED: OwnedPartitions = new Map()
/** No partitions. */
export const NO_PARTITIONS: Partitions = new Map()

/** A refusal of the state machine: the request changes nothing. */
export class GroupRefusal {
  readonly error: KafkaErrorName
  readonly message: string

  constructor(error: KafkaErrorName, message: string) {
    this.error = error
    this.message = message
  }
}
