/**
 * What a member of a consumer group (KIP-848) knows and says. Pure: no I/O, no clock.
 *
 * A member joins with epoch 0, says what it subscribes to and what it owns, and
 * is told what it may use and in which epoch. What it owns and is not told any
 * more it gives back, and its next heartbeat says so: only then is it another
 * member's. A heartbeat says only what is new; after one that was not answered,
 * or was refused, the next one says everything, because nobody knows what
 * arrived. One heartbeat is under way at a time.
 *
 * Invariant: what a heartbeat does not list is not in use and will not be
 * before the coordinator has assigned it anew.
 */

import { KAFKA } from './kafka-error.ts'

/** A partition as the protocol names it. */
export interface TopicIdPartition {
  readonly topicId: string
  readonly partition: number
}

/** Partitions as requests and answers list them. */
export interface TopicIdPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

/** What a member says about itself. */
export interface ConsumerMemberOptions {
  readonly memberId: string
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly topics: readonly string[]
  readonly serverAssignor: string | null
}

/** A heartbeat to send. */
export interface HeartbeatToSend {
  readonly fields: {
    readonly memberId: string
    readonly memberEpoch: number
    readonly instanceId: string | null
    readonly rackId?: string | null
    readonly rebalanceTimeoutMs?: number
    readonly subscribedTopicNames?: readonly string[]
    readonly serverAssignor?: string | null
    readonly topicPartitions?: readonly TopicIdPartitions[]
  }
  /** Which membership it is of: an answer to an earlier one means nothing. */
  readonly membership: number
  readonly ownedText: string
  readonly topicsText: string
}

/** The answer to a heartbeat, as far as it matters here. */
export interface HeartbeatAnswer {
  readonly errorCode: number
  readonly memberId: string | null
  readonly memberEpoch: number
  readonly assignment: { readonly topicPartitions: readonly TopicIdPartitions[] } | null
}

/**
 * What an answer means: `member` = all is well, `fenced` = what is held belongs to others, join again; `retry`;
 * `waiting` = the instance id is still another member's; `unsupported` = not by this protocol; `failed` = not at all.
 */
export type HeartbeatOutcome =
  | { readonly kind: 'member'; readonly isChanged: boolean }
  | { readonly kind: 'fenced' | 'retry' | 'waiting' | 'unsupported' | 'failed' }

const retriableCodes: ReadonlySet<number> = new Set([
  KAFKA.COORDINATOR_LOAD_IN_PROGRESS,
  KAFKA.COORDINATOR_NOT_AVAILABLE,
  KAFKA.NOT_COORDINATOR,
  KAFKA.REQUEST_TIMED_OUT,
  KAFKA.UNKNOWN_SERVER_ERROR,
  // An access rule that is missing may be added; a member that is one stays one meanwhile, as in Kafka's own client.
  KAFKA.TOPIC_AUTHORIZATION_FAILED
])
const fencingCodes: ReadonlySet<number> = new Set([KAFKA.UNKNOWN_MEMBER_ID, KAFKA.FENCED_MEMBER_EPOCH])

/** A member of a consumer group, from its first join to its leaving. */
export class ConsumerMemberState {
  readonly #options: ConsumerMemberOptions
  #memberId: string
  #topics: readonly string[]
  #epoch = 0
  #membership = 0
  #target = new Map<string, TopicIdPartition>()
  /** What the coordinator has confirmed to have heard; `undefined` = nobody knows, say everything. */
  #told: { readonly ownedText: string; readonly topicsText: string } | undefined

  constructor(options: ConsumerMemberOptions) {
    this.#options = options
    this.#memberId = options.memberId
    this.#topics = options.topics
  }

  get memberId(): string {
    return this.#memberId
  }

  /** Member epoch; 0 while not a member. */
  get epoch(): number {
    return this.#epoch
  }

  /** Topics that the member wants now. */
  get topics(): readonly string[] {
    return this.#topics
  }

  /** Wants nothing any more, and so is told to give everything back. */
  unsubscribe(): void {
    this.#topics = []
  }

  /** Whether the coordinator should hear something before the next heartbeat is due. */
  hasNews(owned: readonly TopicIdPartition[]): boolean {
    return this.#told?.ownedText !== textOf(this.#listed(owned)) || this.#told.topicsText !== this.#topics.join()
  }

  /** What to give back, and what to take over. */
  plan(owned: readonly TopicIdPartition[]): { gone: TopicIdPartition[]; added: TopicIdPartition[] } {
    const keys = new Set(owned.map(keyOf))
    return {
      gone: owned.filter(partition => !this.#target.has(keyOf(partition))),
      added: [...this.#target.values()].filter(partition => !keys.has(keyOf(partition)))
    }
  }

  /** Whether the member may use a partition, as far as it knows. */
  isAssigned(partition: TopicIdPartition): boolean {
    return this.#target.has(keyOf(partition))
  }

  /** The heartbeat to send now, by a member that owns these partitions. */
  heartbeat(owned: readonly TopicIdPartition[]): HeartbeatToSend {
    const { instanceId, rackId, rebalanceTimeoutMs, serverAssignor } = this.#options
    const isFull = this.#told === undefined
    const listed = this.#listed(owned)
    const ownedText = textOf(listed)
    const topicsText = this.#topics.join()
    return {
      fields: {
        memberId: this.#memberId,
        memberEpoch: this.#epoch,
        instanceId,
        ...(isFull ? { rackId, rebalanceTimeoutMs, serverAssignor } : {}),
        ...(isFull || this.#told?.topicsText !== topicsText ? { subscribedTopicNames: this.#topics } : {}),
        ...(isFull || this.#told?.ownedText !== ownedText ? { topicPartitions: groupById(listed) } : {})
      },
      membership: this.#membership,
      ownedText,
      topicsText
    }
  }

  /** Nobody knows whether the heartbeat arrived. */
  unanswered(): void {
    this.#told = undefined
  }

  /** Takes the answer to a heartbeat. The caller acts on what it means; after `fenced` it calls `rejoin`. */
  answered(sent: HeartbeatToSend, answer: HeartbeatAnswer): HeartbeatOutcome {
    // Meanwhile the membership was found to be lost: whatever this says is about that one.
    if (sent.membership !== this.#membership) return { kind: 'retry' }
    if (answer.errorCode !== KAFKA.NONE) {
      this.#told = undefined
      return { kind: this.#verdict(answer.errorCode) }
    }
    this.#told = { ownedText: sent.ownedText, topicsText: sent.topicsText }
    const isChanged = answer.memberEpoch !== this.#epoch || answer.assignment !== null
    if (answer.memberId !== null && answer.memberId !== '') this.#memberId = answer.memberId
    this.#epoch = answer.memberEpoch
    if (answer.assignment !== null) this.#assign(answer.assignment.topicPartitions)
    return { kind: 'member', isChanged }
  }

  /** The membership is lost, and everything with it: the next heartbeat joins again, under the same id. */
  rejoin(): void {
    this.#membership += 1
    this.#epoch = 0
    this.#target.clear()
    this.#told = undefined
  }

  /**
   * What a heartbeat lists: what is owned, and what may be at any moment while the heartbeat is on its way. A list
   * without the latter could give a partition to somebody else that is just being taken over here.
   */
  #listed(owned: readonly TopicIdPartition[]): TopicIdPartition[] {
    const listed = new Map(this.#target)
    for (const partition of owned) listed.set(keyOf(partition), partition)
    return [...listed.values()]
  }

  #verdict(code: number): Exclude<HeartbeatOutcome['kind'], 'member'> {
    if (retriableCodes.has(code)) return 'retry'
    if (fencingCodes.has(code)) return 'fenced'
    if (code === KAFKA.UNRELEASED_INSTANCE_ID) return 'waiting'
    // A group that is gone can be joined anew; one that is refused to a joining member is of another type.
    if (code === KAFKA.GROUP_ID_NOT_FOUND && this.#epoch > 0) return 'fenced'
    const isOtherProtocol =
      code === KAFKA.GROUP_ID_NOT_FOUND ||
      code === KAFKA.INCONSISTENT_GROUP_PROTOCOL ||
      code === KAFKA.UNSUPPORTED_VERSION
    return isOtherProtocol ? 'unsupported' : 'failed'
  }

  #assign(topics: readonly TopicIdPartitions[]): void {
    this.#target = new Map()
    for (const { topicId, partitions } of topics) {
      for (const partition of partitions) this.#target.set(`${topicId}/${partition}`, { topicId, partition })
    }
  }
}

function keyOf({ topicId, partition }: TopicIdPartition): string {
  return `${topicId}/${partition}`
}

/** The same text for the same partitions in any order. */
function textOf(partitions: readonly TopicIdPartition[]): string {
  return partitions.map(keyOf).sort().join()
}

function groupById(partitions: readonly TopicIdPartition[]): TopicIdPartitions[] {
  const topics = new Map<string, number[]>()
  for (const { topicId, partition } of partitions) {
    const numbers = topics.get(topicId)
    if (numbers === undefined) topics.set(topicId, [partition])
    else numbers.push(partition)
  }
  return [...topics].map(([topicId, numbers]) => ({ topicId, partitions: numbers }))
}
