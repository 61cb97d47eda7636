/**
 * What members of both protocols ask of the coordinator of their group:
 * commits and committed offsets, shaped by the version that it knows.
 */

import { PipelineError } from '../core/index.ts'
import { type Api, offsetCommitApi, offsetFetchApi } from '../protocol/index.ts'
import type { SendOptions } from './cluster-options.ts'
import type { Cluster } from './cluster.ts'
import { groupPartitions } from './group-protocol.ts'
import type { OffsetToCommit, TopicPartition } from './group-types.ts'
import { isCoordinatorMoved, KAFKA } from './kafka-error.ts'
import { partitionKey, partitionKeyOf } from './topic-partition.ts'

/** Who a member is at the moment. */
export interface MemberIdentity {
  readonly memberId: string
  /** Generation, or member epoch in the consumer protocol; -1 outside of the group. */
  readonly generation: number
}

/** Who a member is before it is one. */
export const NO_IDENTITY: MemberIdentity = { memberId: '', generation: -1 }

/** An offset that the group has committed. */
export interface CommittedOffset {
  /** Kafka error code: this partition's own, such as that a transaction is open. */
  readonly errorCode: number
  /** -1n if there is none. */
  readonly offset: bigint
  readonly metadata: string
}

/** Settings of the member that go into requests. */
export interface GroupRequestsOptions {
  readonly cluster: Cluster
  readonly groupId: string
  readonly groupInstanceId: string | undefined
  readonly rebalanceTimeoutMs: number
}

/** From the next version on topics are named by id; names are enough for us. */
const offsetVersionMax = 9
const groupListVersion = 8
const stableVersion = 7
/** First version that knows member epochs (KIP-848). */
const epochVersion = 9

/** Talks to the coordinator of one group. */
export class GroupRequests<O extends GroupRequestsOptions = GroupRequestsOptions> {
  readonly options: O
  readonly #lane: string

  constructor(options: O) {
    this.options = options
    this.#lane = options.cluster.newLane('group')
  }

  /** Closes the connections. */
  close(): void {
    this.options.cluster.closeLane(this.#lane)
  }

  /** @returns Kafka error code of every partition. */
  async commitOffsets(
    identity: MemberIdentity,
    offsets: readonly OffsetToCommit[]
  ): Promise<Map<OffsetToCommit, number>> {
    const byKey = new Map(offsets.map(offset => [partitionKeyOf(offset), offset]))
    const answer = await this.send(
      offsetCommitApi,
      {
        groupId: this.options.groupId,
        generationIdOrMemberEpoch: identity.generation,
        memberId: identity.memberId,
        ...this.instance(),
        topics: commitTopics(byKey)
      },
      { versionMax: offsetVersionMax }
    )
    const codes = new Map<OffsetToCommit, number>()
    for (const topic of answer.topics) {
      for (const { partitionIndex, errorCode } of topic.partitions) {
        const offset = byKey.get(partitionKey(topic.name, partitionIndex))
        if (offset !== undefined) codes.set(offset, errorCode)
        this.observe(errorCode)
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
   * Committed offsets; those that an open transaction may still change are not told (KIP-447).
   *
   * @param member - Whose question it is, in the consumer protocol: it is refused when its epoch has passed.
   * @returns Kafka error code of the group and, if it is 0, the offsets by `topic/partition`.
   */
  async fetchOffsets(
    partitions: readonly TopicPartition[],
    member?: MemberIdentity
  ): Promise<{ errorCode: number; offsets: Map<string, CommittedOffset> }> {
    const { groupId, cluster } = this.options
    const connection = await cluster.connectionTo({ to: { coordinator: 'group', key: groupId }, lane: this.#lane })
    const version = connection.versionOf(offsetFetchApi, offsetVersionMax)
    const topics = groupPartitions(partitions).map(item => ({ name: item.topic, partitionIndexes: item.partitions }))
    const epoch =
      version >= epochVersion && member !== undefined
        ? { memberId: member.memberId, memberEpoch: member.generation }
        : {}
    const answer = await connection.send(
      offsetFetchApi,
      {
        ...(version >= groupListVersion ? { groups: [{ groupId, ...epoch, topics }] } : { groupId, topics }),
        ...(version >= stableVersion ? { requireStable: true } : {})
      },
      { version }
    )
    const group = answer.groups[0] ?? answer
    const offsets = new Map<string, CommittedOffset>()
    for (const topic of group.topics) {
      for (const { partitionIndex, committedOffset: offset, metadata, errorCode } of topic.partitions) {
        offsets.set(`${topic.name}/${partitionIndex}`, { errorCode, offset, metadata: metadata ?? '' })
      }
    }
    this.observe(group.errorCode)
    return { errorCode: group.errorCode, offsets }
  }

  /** Sends a request to the coordinator. */
  send<Q, QI, S, SI>(api: Api<Q, QI, S, SI>, message: QI, options: Omit<SendOptions, 'to'> = {}): Promise<S> {
    const to = { coordinator: 'group', key: this.options.groupId } as const
    return this.options.cluster.send(api, message, { to, lane: this.#lane, ...options })
  }

  /** A connection to the coordinator, for a request that is shaped by its version. */
  connect(timeoutMs?: number): ReturnType<Cluster['connectionTo']> {
    const to = { coordinator: 'group', key: this.options.groupId } as const
    return this.options.cluster.connectionTo({
      to,
      lane: this.#lane,
      ...(timeoutMs === undefined ? {} : { timeoutMs })
    })
  }

  /** The instance id of a static member, as requests of the classic protocol and commits carry it. */
  instance(): { groupInstanceId?: string } {
    const { groupInstanceId } = this.options
    return groupInstanceId === undefined ? {} : { groupInstanceId }
  }

  /** No answer came: the coordinator may hang, or be another broker by now. The next request looks for it again. */
  suspect(): void {
    this.options.cluster.forgetCoordinator('group', this.options.groupId)
  }

  /** Looks at the code of an answer: a coordinator that has moved is looked for again. */
  observe(errorCode: number): void {
    if (isCoordinatorMoved(errorCode)) this.suspect()
  }
}

/** Whether a code of OffsetFetch means: ask again. */
export function isOffsetsRetriable(code: number): boolean {
  return code === KAFKA.STALE_MEMBER_EPOCH || code === KAFKA.UNSTABLE_OFFSET_COMMIT
}

/** One topic of a request that commits offsets. */
interface CommitTopic {
  readonly name: string
  readonly partitions: {
    readonly partitionIndex: number
    readonly committedOffset: bigint
    readonly committedLeaderEpoch: number
    readonly committedMetadata: string
  }[]
}

/** What OffsetCommit and TxnOffsetCommit say of the offsets, by the key of their partition. */
export function commitTopics(byKey: ReadonlyMap<string, OffsetToCommit>): CommitTopic[] {
  return groupPartitions([...byKey.values()]).map(({ topic, partitions }) => ({
    name: topic,
    partitions: partitions.map(partitionIndex => {
      const offset = byKey.get(partitionKey(topic, partitionIndex))
      return {
        partitionIndex,
        committedOffset: offset?.offset ?? -1n,
        committedLeaderEpoch: offset?.leaderEpoch ?? -1,
        committedMetadata: offset?.metadata ?? ''
      }
    })
  }))
}
