/**
 * A group of pure members and a model of its coordinator, for property tests: every message may be late or lost.
 *
 * The coordinator is written after KIP-848, apart from the broker's: a partition is given to a member only when no
 * other one has it, and counts as given back when its owner's heartbeat no longer lists it.
 */

import assert from 'node:assert/strict'
import {
  ConsumerMemberState,
  type HeartbeatAnswer,
  type HeartbeatToSend,
  type TopicIdPartition,
  type TopicIdPartitions
} from '../../src/client/consumer-member-state.ts'

const NONE = 0
const UNKNOWN_MEMBER_ID = 25
const FENCED_MEMBER_EPOCH = 110

/** A member at the coordinator. */
interface Registered {
  epoch: number
  previousEpoch: number
  assigned: Set<number>
  revoking: Set<number>
  /** What the last answer said, so that only news are told. */
  told: string
}

/** The coordinator's side. One topic. */
export class ModelCoordinator {
  readonly topicId = 'topic-id'
  readonly members = new Map<string, Registered>()
  #groupEpoch = 1
  #target = new Map<string, Set<number>>()

  /** A new plan: who shall have what. */
  retarget(target: ReadonlyMap<string, ReadonlySet<number>>): void {
    this.#groupEpoch += 1
    this.#target = new Map([...target].map(([id, partitions]) => [id, new Set(partitions)]))
  }

  /** A session ends. */
  remove(memberId: string): void {
    this.members.delete(memberId)
  }

  targetOf(memberId: string): ReadonlySet<number> {
    return this.#target.get(memberId) ?? new Set()
  }

  heartbeat({ fields }: HeartbeatToSend): HeartbeatAnswer {
    const { memberId, memberEpoch } = fields
    const listed = fields.topicPartitions?.flatMap(({ partitions }) => partitions)
    let member = this.members.get(memberId)
    if (memberEpoch === 0) {
      assert.deepEqual(listed, [], 'who joins owns nothing')
      member ??= { epoch: 0, previousEpoch: 0, assigned: new Set(), revoking: new Set(), told: '' }
      this.members.set(memberId, member)
    }
    if (member === undefined) return refusal(UNKNOWN_MEMBER_ID)
    const isRepeat = memberEpoch === member.previousEpoch && listed?.every(index => member.assigned.has(index)) === true
    if (memberEpoch !== 0 && memberEpoch !== member.epoch && !isRepeat) return refusal(FENCED_MEMBER_EPOCH)
    this.#reconcile(memberId, member, listed)
    const text = [...member.assigned].toSorted((left, right) => left - right).join()
    const isFull = fields.subscribedTopicNames !== undefined
    const isTold = isFull || text !== member.told
    member.told = text
    const topicPartitions = [{ topicId: this.topicId, partitions: [...member.assigned] }]
    return {
      errorCode: NONE,
      memberId,
      memberEpoch: member.epoch,
      assignment: isTold ? { topicPartitions } : null
    }
  }

  #reconcile(memberId: string, member: Registered, listed: readonly number[] | undefined): void {
    const hasGivenBack = listed !== undefined && !listed.some(index => member.revoking.has(index))
    if (member.revoking.size > 0 && !hasGivenBack) return
    member.revoking = new Set()
    const target = this.targetOf(memberId)
    const gone = [...member.assigned].filter(index => !target.has(index))
    if (gone.length > 0) {
      member.assigned = new Set([...member.assigned].filter(index => target.has(index)))
      const isStillUsed = listed === undefined || listed.some(index => gone.includes(index))
      if (isStillUsed) {
        member.revoking = new Set(gone)
        return
      }
    }
    for (const index of target) if (!this.#isTaken(memberId, index)) member.assigned.add(index)
    if (member.epoch === this.#groupEpoch) return
    member.previousEpoch = member.epoch
    member.epoch = this.#groupEpoch
  }

  #isTaken(memberId: string, index: number): boolean {
    return [...this.members].some(([id, { assigned, revoking }]) => {
      return id !== memberId && (assigned.has(index) || revoking.has(index))
    })
  }
}

function refusal(errorCode: number): HeartbeatAnswer {
  return { errorCode, memberId: null, memberEpoch: 0, assignment: null }
}

/** A member and what is on its way between it and the coordinator. */
export class ModelMember {
  readonly id: string
  readonly state: ConsumerMemberState
  readonly #coordinator: ModelCoordinator
  /** What it uses. */
  owned: TopicIdPartition[] = []
  request: HeartbeatToSend | undefined
  answer: { sent: HeartbeatToSend; answer: HeartbeatAnswer } | undefined

  constructor(id: string, coordinator: ModelCoordinator) {
    this.id = id
    this.#coordinator = coordinator
    this.state = new ConsumerMemberState({
      memberId: id,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: 1,
      topics: ['t'],
      serverAssignor: null
    })
  }

  /** Whether the coordinator counts on it: a member that was removed does not know that yet. */
  get isCounted(): boolean {
    return this.state.epoch > 0 && this.#coordinator.members.has(this.id)
  }

  /** What may happen next, with nothing but this member and its messages. */
  steps(): (() => void)[] {
    const steps: (() => void)[] = []
    const { request, answer } = this
    if (request === undefined && answer === undefined) steps.push(() => void (this.request = this.#beat()))
    if (request !== undefined) {
      steps.push(
        () => this.#deliver(request),
        () => this.#drop()
      )
    }
    if (answer !== undefined) {
      steps.push(
        () => this.#take(answer),
        () => this.#drop()
      )
    }
    const { gone, added } = this.state.plan(this.owned)
    const [first] = gone
    if (first !== undefined) steps.push(() => void (this.owned = this.owned.filter(each => each !== first)))
    const [wanted] = added
    if (wanted !== undefined) steps.push(() => void this.owned.push(wanted))
    return steps
  }

  #beat(): HeartbeatToSend {
    return this.state.heartbeat(this.owned)
  }

  #deliver(sent: HeartbeatToSend): void {
    this.request = undefined
    this.answer = { sent, answer: this.#coordinator.heartbeat(sent) }
  }

  #drop(): void {
    this.request = undefined
    this.answer = undefined
    this.state.unanswered()
  }

  #take({ sent, answer }: { sent: HeartbeatToSend; answer: HeartbeatAnswer }): void {
    this.answer = undefined
    if (this.state.answered(sent, answer).kind !== 'fenced') return
    this.state.rejoin()
    this.owned = []
  }
}

/** No partition is used by two members that the coordinator counts on. */
export function checkOwners(members: readonly ModelMember[]): void {
  const owners = new Map<number, string>()
  for (const { id, owned, isCounted } of members) {
    for (const { partition } of isCounted ? owned : []) {
      assert.equal(
        owners.get(partition),
        undefined,
        `partition ${partition} is used by ${owners.get(partition)} and ${id}`
      )
      owners.set(partition, id)
    }
  }
}

/** Partitions of a heartbeat as plain numbers. */
export function numbersOf(topics: readonly TopicIdPartitions[] | undefined): number[] | undefined {
  return topics?.flatMap(({ partitions }) => partitions).sort((left, right) => left - right)
}
