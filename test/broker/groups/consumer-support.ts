/** A consumer group on its own with clients that follow the protocol, as the pure tests need it. */

import assert from 'node:assert/strict'
import { ConsumerGroup } from '../../../src/broker/groups/consumer-group.ts'
import {
  encodeConsumerGroupRecord,
  readConsumerGroupRecord
} from '../../../src/broker/groups/consumer-group-records.ts'
import {
  type ConsumerGroupSettings,
  GroupRefusal,
  type HeartbeatReply,
  type HeartbeatRequest,
  type Partitions,
  type TopicsView,
  type TopicView
} from '../../../src/broker/groups/consumer-group-types.ts'
import type { GroupRecord } from '../../../src/broker/groups/group-records.ts'

const SETTINGS: ConsumerGroupSettings = {
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 5000,
  memberCountMax: 1000,
  assignors: ['uniform', 'range'],
  assignmentIntervalMs: 0
}

/** Topics that a test makes up. The id of a topic is its name and how often it was made. */
export class TestTopics implements TopicsView {
  readonly #topics = new Map<string, TopicView>()
  version = 0

  set(name: string, partitionCount: number): void {
    this.version += 1
    const id = this.#topics.get(name)?.id ?? idOf(`${name} ${this.version}`)
    this.#topics.set(name, { name, id, partitionCount })
  }

  remove(name: string): void {
    this.version += 1
    this.#topics.delete(name)
  }

  byName(name: string): TopicView | undefined {
    return this.#topics.get(name)
  }

  byId(id: string): TopicView | undefined {
    return [...this.#topics.values()].find(topic => topic.id === id)
  }

  names(): string[] {
    return [...this.#topics.keys()]
  }
}

/** 16 bytes in the form that records hold ids in. */
function idOf(text: string): string {
  return Buffer.from(text.padEnd(16, '_').slice(0, 16)).toString('base64url')
}

/** A group whose records are kept, so that it can be started again from them. */
export class ConsumerHarness {
  readonly topics = new TestTopics()
  readonly log: GroupRecord[] = []
  readonly settings: ConsumerGroupSettings
  group: ConsumerGroup
  nowMs = 1_000_000

  constructor(settings: Partial<ConsumerGroupSettings> = {}) {
    this.settings = { ...SETTINGS, ...settings }
    this.group = new ConsumerGroup('g', this.settings)
  }

  get context(): { nowMs: number; topics: TopicsView; topicsVersion: number } {
    return { nowMs: this.nowMs, topics: this.topics, topicsVersion: this.topics.version }
  }

  /** One heartbeat as the coordinator would run it: decide, write, apply. */
  heartbeat(request: Partial<HeartbeatRequest> & { memberId: string }): HeartbeatReply | GroupRefusal {
    const full: HeartbeatRequest = {
      memberEpoch: 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topicNames: null,
      topicRegex: null,
      assignor: null,
      owned: null,
      clientId: 'client',
      clientHost: '/127.0.0.1',
      isVisible: () => true,
      ...request
    }
    if (full.memberEpoch < 0) return this.#leave(full)
    const decision = this.group.heartbeat(full, this.context)
    if (decision instanceof GroupRefusal) return decision
    this.#write(decision)
    return decision.reply
  }

  /** A heartbeat that joins. */
  join(memberId: string, request: Partial<HeartbeatRequest> = {}): HeartbeatReply {
    const joining = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, topicNames: ['t'], owned: new Map() }
    const reply = this.heartbeat({ ...joining, ...request, memberId })
    assert.ok(!(reply instanceof GroupRefusal), reply instanceof GroupRefusal ? reply.message : '')
    return reply
  }

  #leave(request: HeartbeatRequest): HeartbeatReply | GroupRefusal {
    const member = this.group.checkLeave(request)
    if (member instanceof GroupRefusal) return member
    if (request.memberEpoch === -2) this.#write(this.group.leaveForAMoment(member))
    else this.fence([member.memberId])
    return {
      error: 'NONE',
      message: null,
      memberId: member.memberId,
      memberEpoch: request.memberEpoch,
      heartbeatIntervalMs: 0,
      assignment: null
    }
  }

  fence(memberIds: string[]): void {
    this.#write({ records: this.group.fence(memberIds, this.context), deadlines: [] })
  }

  /** Moves time; members that miss a deadline are fenced. Answers who was. */
  pass(ms: number): string[] {
    this.nowMs += ms
    const expired = this.group.takeExpired(this.nowMs)
    if (expired.length > 0) this.fence(expired)
    return expired
  }

  /** Starts the group again from its records, in the bytes that are in the log. */
  restart(): void {
    const restarted = new ConsumerGroup('g', this.settings)
    for (const { key, value } of this.log) {
      const read = readConsumerGroupRecord(key, value)
      assert.ok(read !== undefined)
      restarted.known.apply(read.record)
    }
    restarted.startSessions(this.nowMs)
    this.group = restarted
  }

  #write(decision: Parameters<ConsumerGroup['complete']>[0]): void {
    for (const record of decision.records) this.log.push(encodeConsumerGroupRecord('g', record))
    this.group.complete(decision)
  }
}

/** What partitions there are, as `topic-partition`. */
export function namesOf(partitions: Partitions, topics: TopicsView): string[] {
  return [...partitions]
    .flatMap(([id, each]) => each.map(partition => `${topics.byId(id)?.name ?? id}-${partition}`))
    .toSorted()
}

/** A client of the consumer protocol that does what clients do. */
export class TestConsumer {
  readonly #harness: ConsumerHarness
  memberId: string
  readonly instanceId: string | null
  epoch = 0
  owned: Partitions = new Map()
  topicNames: readonly string[]
  #isFullDue = true

  constructor(
    harness: ConsumerHarness,
    memberId: string,
    options: { topicNames: readonly string[]; instanceId?: string }
  ) {
    this.#harness = harness
    this.memberId = memberId
    this.instanceId = options.instanceId ?? null
    this.topicNames = options.topicNames
  }

  subscribe(topicNames: readonly string[]): void {
    this.topicNames = topicNames
    this.#isFullDue = true
  }

  /** Sends one heartbeat. With `isLost` the answer does not arrive. */
  beat(isLost = false): HeartbeatReply | GroupRefusal {
    const isJoining = this.epoch === 0
    if (isJoining) this.owned = new Map()
    const reply = this.#harness.heartbeat({
      memberId: this.memberId,
      memberEpoch: this.epoch,
      instanceId: this.instanceId,
      rebalanceTimeoutMs: this.#isFullDue || isJoining ? 60_000 : -1,
      topicNames: this.#isFullDue || isJoining ? this.topicNames : null,
      owned: this.owned
    })
    if (isLost) {
      this.#isFullDue = true
      return reply
    }
    if (reply instanceof GroupRefusal) {
      // Fenced: everything is given up, and the member joins anew.
      this.epoch = 0
      this.owned = new Map()
      this.#isFullDue = true
      return reply
    }
    this.epoch = reply.memberEpoch
    this.#isFullDue = false
    if (reply.assignment !== null) this.owned = reply.assignment
    return reply
  }

  leave(epoch: -1 | -2 = -1): void {
    this.#harness.heartbeat({ memberId: this.memberId, instanceId: this.instanceId, memberEpoch: epoch })
    this.owned = new Map()
  }
}
