/**
 * The requests of a group member, shaped by the version the coordinator knows.
 *
 * Join and sync may wait for other members for minutes, so they have a
 * connection of their own; heartbeats and commits use a second one and are
 * never stuck behind them.
 */

import { PipelineError } from '../core/index.ts'
import {
  type Api,
  heartbeatApi,
  joinGroupApi,
  type JoinGroupResponse,
  leaveGroupApi,
  offsetCommitApi,
  offsetFetchApi,
  syncGroupApi
} from '../protocol/index.ts'
import type { SendOptions } from './cluster-options.ts'
import type { Cluster } from './cluster.ts'
import { CONSUMER_PROTOCOL, encodeSubscription, groupPartitions, type Subscription } from './group-protocol.ts'
import type { AssignorName, OffsetToCommit, TopicPartition } from './group-types.ts'
import { isCoordinatorMoved, KAFKA } from './kafka-error.ts'

/** Who a member is at the moment. */
export interface MemberIdentity {
  readonly memberId: string
  readonly generation: number
}

/** An offset that the group has committed. */
export interface CommittedOffset {
  /** -1n if there is none. */
  readonly offset: bigint
  readonly metadata: string
}

/** Settings of the member that go into requests. */
export interface GroupRequestsOptions {
  readonly cluster: Cluster
  readonly groupId: string
  readonly groupInstanceId: string | undefined
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly assignors: readonly AssignorName[]
}

/** Extra time for the answer to a join, in milliseconds: it may come only when the rebalance timeout has passed. */
const joinMarginMs = 5_000
/** From this version on topics are named by id; names are enough for us. */
const offsetVersionMax = 9
const groupListVersion = 8
const leaveListVersion = 3

/** Talks to the coordinator of one group. */
export class GroupRequests {
  readonly #options: GroupRequestsOptions
  readonly #joinLane: string
  readonly #lane: string

  constructor(options: GroupRequestsOptions) {
    this.#options = options
    this.#joinLane = options.cluster.newLane('join')
    this.#lane = options.cluster.newLane('group')
  }

  /** Closes the connections. */
  close(): void {
    this.closeJoin()
    this.#options.cluster.closeLane(this.#lane)
  }

  /** Gives a join or sync up: the coordinator sees the connection end. */
  closeJoin(): void {
    this.#options.cluster.closeLane(this.#joinLane)
  }

  async join(memberId: string, subscription: Subscription, signal: AbortSignal): Promise<JoinGroupResponse> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs, assignors, groupInstanceId, cluster } = this.#options
    const answer = await this.#send(
      joinGroupApi,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
        protocolType: CONSUMER_PROTOCOL,
        protocols: assignors.map(name => ({ name, metadata: encodeSubscription(name, subscription) }))
      },
      { lane: this.#joinLane, signal, timeoutMs: Math.max(cluster.requestTimeoutMs, rebalanceTimeoutMs + joinMarginMs) }
    )
    this.#observe(answer.errorCode)
    return answer
  }

  /** Gives the assignment of this member; the leader brings those of all. */
  async sync(
    identity: MemberIdentity,
    round: {
      readonly protocolName: string
      /** What the leader assigns, by member id; empty for everybody else. */
      readonly assignments: ReadonlyMap<string, Buffer>
      readonly signal: AbortSignal
    }
  ): Promise<{ errorCode: number; assignment: Buffer }> {
    const { groupId, rebalanceTimeoutMs, cluster } = this.#options
    const { protocolName, assignments, signal } = round
    const answer = await this.#send(
      syncGroupApi,
      {
        groupId,
        generationId: identity.generation,
        memberId: identity.memberId,
        ...this.#instance(),
        protocolType: CONSUMER_PROTOCOL,
        protocolName,
        assignments: [...assignments].map(([memberId, assignment]) => ({ memberId, assignment }))
      },
      { lane: this.#joinLane, signal, timeoutMs: Math.max(cluster.requestTimeoutMs, rebalanceTimeoutMs + joinMarginMs) }
    )
    this.#observe(answer.errorCode)
    return { errorCode: answer.errorCode, assignment: answer.assignment }
  }

  /** @returns Kafka error code. */
  async heartbeat(identity: MemberIdentity): Promise<number> {
    const { groupId, sessionTimeoutMs, cluster } = this.#options
    const { memberId, generation: generationId } = identity
    const message = { groupId, generationId, memberId, ...this.#instance() }
    const timeoutMs = Math.min(cluster.requestTimeoutMs, sessionTimeoutMs)
    const { errorCode } = await this.#send(heartbeatApi, message, { timeoutMs })
    this.#observe(errorCode)
    return errorCode
  }

  async leave(memberId: string, timeoutMs: number): Promise<void> {
    const { groupId, cluster } = this.#options
    const to = { coordinator: 'group', key: groupId } as const
    const connection = await cluster.connectionTo({ to, lane: this.#lane, timeoutMs })
    const version = connection.versionOf(leaveGroupApi)
    const members = [{ memberId, reason: 'the member is closing' }]
    const message = version >= leaveListVersion ? { groupId, members } : { groupId, memberId }
    await connection.send(leaveGroupApi, message, { version, timeoutMs })
  }

  /** @returns Kafka error code of every partition. */
  async commitOffsets(
    identity: MemberIdentity,
    offsets: readonly OffsetToCommit[]
  ): Promise<Map<OffsetToCommit, number>> {
    const byKey = new Map(offsets.map(offset => [`${offset.topic}/${offset.partition}`, offset]))
    const answer = await this.#send(
      offsetCommitApi,
      {
        groupId: this.#options.groupId,
        generationIdOrMemberEpoch: identity.generation,
        memberId: identity.memberId,
        ...this.#instance(),
        topics: groupPartitions([...byKey.values()]).map(({ topic, partitions }) => ({
          name: topic,
          partitions: partitions.map(partition => commitPartition(byKey.get(`${topic}/${partition}`), partition))
        }))
      },
      { versionMax: offsetVersionMax }
    )
    const codes = new Map<OffsetToCommit, number>()
    for (const topic of answer.topics) {
      for (const { partitionIndex, errorCode } of topic.partitions) {
        const offset = byKey.get(`${topic.name}/${partitionIndex}`)
        if (offset !== undefined) codes.set(offset, errorCode)
        this.#observe(errorCode)
      }
    }
    for (const offset of byKey.values()) {
      if (codes.has(offset)) continue
      throw new PipelineError(
        'ERR_CLIENT_RESPONSE_INVALID',
        `OffsetCommit: no answer for ${offset.topic}-${offset.partition}`
      )
    }
    return codes
  }

  /**
   * Committed offsets, waiting out open transactions (KIP-447).
   *
   * @returns Kafka error code and, if it is 0, the offsets by `topic/partition`.
   */
  async fetchOffsets(
    partitions: readonly TopicPartition[]
  ): Promise<{ errorCode: number; offsets: Map<string, CommittedOffset> }> {
    const { groupId, cluster } = this.#options
    const connection = await cluster.connectionTo({ to: { coordinator: 'group', key: groupId }, lane: this.#lane })
    const version = connection.versionOf(offsetFetchApi, offsetVersionMax)
    const topics = groupPartitions(partitions).map(item => ({ name: item.topic, partitionIndexes: item.partitions }))
    const answer = await connection.send(
      offsetFetchApi,
      {
        ...(version >= groupListVersion ? { groups: [{ groupId, topics }] } : { groupId, topics }),
        ...(version >= 7 ? { requireStable: true } : {})
      },
      { version }
    )
    const group = answer.groups[0] ?? answer
    const offsets = new Map<string, CommittedOffset>()
    let { errorCode } = group
    for (const topic of group.topics) {
      for (const partition of topic.partitions) {
        if (partition.errorCode !== KAFKA.NONE) errorCode = partition.errorCode
        const { committedOffset: offset, metadata } = partition
        offsets.set(`${topic.name}/${partition.partitionIndex}`, { offset, metadata: metadata ?? '' })
      }
    }
    this.#observe(errorCode)
    return { errorCode, offsets }
  }

  #send<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: Omit<SendOptions, 'to'>): Promise<S> {
    const to = { coordinator: 'group', key: this.#options.groupId } as const
    return this.#options.cluster.send(api, message, { to, lane: this.#lane, ...options })
  }

  #instance(): { groupInstanceId?: string } {
    const { groupInstanceId } = this.#options
    return groupInstanceId === undefined ? {} : { groupInstanceId }
  }

  #observe(errorCode: number): void {
    if (isCoordinatorMoved(errorCode)) this.#options.cluster.forgetCoordinator('group', this.#options.groupId)
  }
}

function commitPartition(
  offset: OffsetToCommit | undefined,
  partitionIndex: number
): { partitionIndex: number; committedOffset: bigint; committedLeaderEpoch: number; committedMetadata: string } {
  return {
    partitionIndex,
    committedOffset: offset?.offset ?? -1n,
    committedLeaderEpoch: offset?.leaderEpoch ?? -1,
    committedMetadata: offset?.metadata ?? ''
  }
}
