/** A coordinator over a log in memory, on a virtual clock, with requests of members of both protocols. */

import assert from 'node:assert/strict'
import {
  type CoordinatorSettings,
  GroupCoordinator,
  type GroupRecord,
  type HeartbeatReply,
  type HeartbeatRequest,
  type OffsetsLog
} from '../../../src/broker/groups/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import {
  consumerProtocolAssignmentCodec,
  consumerProtocolSubscriptionCodec,
  decodeConsumerProtocol,
  encodeVersioned,
  type KafkaErrorName
} from '../../../src/protocol/index.ts'
import { silentLogger } from '../../../src/telemetry/index.ts'
import { namesOf, TestTopics } from './consumer-support.ts'

/** `__consumer_offsets` in memory. */
export class MemoryLog implements OffsetsLog {
  readonly partitionCount = 1
  readonly records: GroupRecord[] = []
  /** Every append fails with it while it is set. */
  error: KafkaErrorName = 'NONE'
  /** Appends end when it does. */
  #gate: Promise<void> | undefined

  append(_partition: number, records: readonly GroupRecord[]): Promise<KafkaErrorName> {
    const { error } = this
    if (error === 'NONE') this.records.push(...records)
    return this.#gate === undefined ? Promise.resolve(error) : this.#gate.then(() => error)
  }

  /** Lets appends wait from now on, until the answer is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gate = promise
    return () => {
      this.#gate = undefined
      resolve()
    }
  }

  appendMarker(): Promise<KafkaErrorName> {
    return Promise.resolve('NONE')
  }

  replay(visit: Parameters<OffsetsLog['replay']>[0]): Promise<void> {
    for (const { key, value } of this.records) visit(key, value, { partition: 0, producerId: undefined })
    return Promise.resolve()
  }

  /** Keeps the last record of each key only, as a compacted topic does; tombstones may be gone too. */
  compact(areTombstonesKept: boolean): void {
    const last = new Map(this.records.map((record, index) => [record.key.toString('hex'), index]))
    const kept = this.records.filter(
      ({ key, value }, index) => last.get(key.toString('hex')) === index && (areTombstonesKept || value !== null)
    )
    this.records.splice(0, this.records.length, ...kept)
  }
}

const SETTINGS: CoordinatorSettings = {
  initialRebalanceDelayMs: 0,
  sessionTimeoutMinMs: 6000,
  sessionTimeoutMaxMs: 1_800_000,
  memberCountMax: 100,
  offsetsRetentionMs: 7 * 86_400_000,
  retentionCheckMs: 600_000,
  migrationPolicy: 'bidirectional',
  consumer: {
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 5000,
    memberCountMax: 100,
    assignors: ['uniform', 'range'],
    assignmentIntervalMs: 0
  }
}

/** A coordinator that can be started again on its log. */
export class CoordinatorWorld {
  readonly log = new MemoryLog()
  readonly clock = new VirtualClock()
  readonly topics = new TestTopics()
  readonly settings: CoordinatorSettings
  groups: GroupCoordinator

  constructor(settings: Partial<CoordinatorSettings> = {}) {
    this.settings = { ...SETTINGS, ...settings }
    this.groups = this.#coordinator()
    this.topics.set('t', 4)
  }

  #coordinator(): GroupCoordinator {
    const { log, clock, topics, settings } = this
    return new GroupCoordinator({ settings, log, topics, clock, logger: silentLogger })
  }

  /** Ends the coordinator and starts another one. */
  async restart(): Promise<void> {
    this.groups.close()
    this.groups = this.#coordinator()
    await this.groups.load()
  }

  /** Lets decisions that a timer began come to their end. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
    await new Promise(resolve => setImmediate(resolve))
  }

  /** One heartbeat of the consumer protocol; joins unless told otherwise. */
  heartbeat(memberId: string, fields: Partial<HeartbeatRequest> = {}): Promise<HeartbeatReply> {
    const isJoining = (fields.memberEpoch ?? 0) === 0
    return this.groups.consumerHeartbeat('g', {
      memberId,
      memberEpoch: 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: isJoining ? 60_000 : -1,
      topicNames: isJoining ? ['t'] : null,
      topicRegex: null,
      assignor: null,
      owned: isJoining ? new Map() : null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      isVisible: () => true,
      ...fields
    })
  }

  /** What a reply hands out, as `topic-partition`; nothing if it says that all is as before. */
  names({ assignment }: HeartbeatReply): string[] | undefined {
    return assignment === null ? undefined : namesOf(assignment, this.topics)
  }

  /** State of the group, with its type. */
  get state(): string {
    const group = this.groups.find('g')?.group
    return group === undefined ? 'none' : `${group.type} ${group.state}`
  }
}

/** A member of the classic protocol. */
export class ClassicClient {
  readonly #world: CoordinatorWorld
  readonly #instanceId: string | null
  readonly sessionTimeoutMs = 10_000
  memberId = ''
  generation = -1
  owned: number[] = []
  #leader = ''

  constructor(world: CoordinatorWorld, instanceId: string | null = null) {
    this.#world = world
    this.#instanceId = instanceId
  }

  get #identity(): { memberId: string; groupInstanceId: string | null; generation: number } {
    return { memberId: this.memberId, groupInstanceId: this.#instanceId, generation: this.generation }
  }

  async join(): Promise<KafkaErrorName> {
    const metadata = encodeVersioned(consumerProtocolSubscriptionCodec, 1, {
      topics: ['t'],
      ownedPartitions: this.owned.length === 0 ? [] : [{ topic: 't', partitions: this.owned }]
    })
    const joining = this.#world.groups.join('g', {
      memberId: this.memberId,
      groupInstanceId: this.#instanceId,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: this.sessionTimeoutMs,
      rebalanceTimeoutMs: 30_000,
      protocolType: 'consumer',
      protocols: [{ name: 'cooperative-sticky', metadata }],
      isKnownMemberIdRequired: false,
      canSkipAssignment: true
    })
    await this.#world.pass(0)
    const joined = await joining
    if (joined.error !== 'NONE') return joined.error
    this.memberId = joined.memberId
    this.generation = joined.generation
    this.#leader = joined.leader
    return 'NONE'
  }

  /** Asks for the assignment; a leader takes everything. */
  async sync(): Promise<KafkaErrorName> {
    const everything = { assignedPartitions: [{ topic: 't', partitions: [0, 1, 2, 3] }] }
    const isLeader = this.#leader !== '' && this.#leader === this.memberId
    const assignment = encodeVersioned(consumerProtocolAssignmentCodec, 1, everything)
    const synced = await this.#world.groups.sync('g', {
      ...this.#identity,
      protocolType: 'consumer',
      protocolName: 'cooperative-sticky',
      assignments: isLeader ? [{ memberId: this.memberId, assignment }] : []
    })
    if (synced.error === 'NONE') {
      const read = decodeConsumerProtocol(consumerProtocolAssignmentCodec, synced.assignment)
      this.owned = read.assignedPartitions.flatMap(({ partitions }) => partitions)
    }
    return synced.error
  }

  heartbeat(): Promise<KafkaErrorName> {
    return this.#world.groups.heartbeat('g', this.#identity)
  }

  /** Joins, and has what it shall have. */
  async start(): Promise<void> {
    assert.equal(await this.join(), 'NONE')
    assert.equal(await this.sync(), 'NONE')
  }
}
