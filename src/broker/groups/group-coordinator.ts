/**
 * The group coordinator: which runtime serves a request, and what concerns groups
 * of both types (offsets, lists, removal, retention, restart).
 *
 *   classic-runtime.ts   JoinGroup, SyncGroup, Heartbeat, LeaveGroup of classic groups
 *   consumer-runtime.ts  ConsumerGroupHeartbeat, classic members of consumer groups, conversions
 *   offset-store.ts      committed offsets
 *   group-log.ts         appends to `__consumer_offsets`
 *
 * Appends of one partition keep their order, so the log replays into the same
 * state. `load` runs before the broker listens, which is why no client ever sees
 * COORDINATOR_LOAD_IN_PROGRESS.
 *
 * Limits: groups that hold nothing are dropped; what a restart has to replay is
 * kept within a small multiple of what is alive by `compact`.
 */

import { randomUUID } from 'node:crypto'
import type { Clock, Timer } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { ClassicGroup } from './classic-group.ts'
import { ClassicRuntime } from './classic-runtime.ts'
import type { CommittedOffsets, TopicPartition } from './committed-offsets.ts'
import type { CommitIdentity, ConsumerGroup } from './consumer-group.ts'
import {
  type ConsumerGroupRecord,
  encodeConsumerGroupRecord,
  readConsumerGroupRecord
} from './consumer-group-records.ts'
import type { ConsumerGroupSettings, HeartbeatReply, HeartbeatRequest } from './consumer-group-types.ts'
import { type ClusterTopics, ConsumerRuntime } from './consumer-runtime.ts'
import { subscriptionTopics } from './consumer-subscription.ts'
import { failedJoin, failedSync } from './group-effects.ts'
import { GroupLog, type OffsetsLog, type OffsetsMarker, type OffsetsProducer, type RecordOrigin } from './group-log.ts'
import type { MigrationPolicy } from './group-migration.ts'
import { encodeGroup, type GroupRecord, readGroupRecord } from './group-records.ts'
import { type GroupEntry, GroupTable } from './group-table.ts'
import type {
  GroupSettings,
  JoinReply,
  JoinRequest,
  LeavingMember,
  MemberIdentity,
  SyncReply,
  SyncRequest
} from './group-types.ts'
import { subscriptionOf } from './member-table.ts'
import { OffsetStore, type OffsetToCommit } from './offset-store.ts'

/** Settings of the coordinator beyond those of single groups. */
export interface CoordinatorSettings extends GroupSettings {
  /** `offsets.retention.minutes`, here in milliseconds. Default 7 days. */
  readonly offsetsRetentionMs: number
  /** `offsets.retention.check.interval.ms`. Default 600_000. */
  readonly retentionCheckMs: number
  /** `group.consumer.*`. */
  readonly consumer: ConsumerGroupSettings
  /** `group.consumer.migration.policy`. Default bidirectional. */
  readonly migrationPolicy: MigrationPolicy
}

/** What the coordinator needs. */
export interface CoordinatorOptions {
  readonly settings: CoordinatorSettings
  readonly log: OffsetsLog
  readonly topics: ClusterTopics
  readonly clock: Clock
  readonly logger: Logger
}

/** A group and its offsets, for descriptions, lists and OffsetFetch. */
export interface GroupView {
  readonly group: ClassicGroup | ConsumerGroup
  readonly offsets: CommittedOffsets
}

/** Who stores offsets in a transaction. */
export interface TransactionalCommit {
  readonly identity: MemberIdentity
  readonly producer: OffsetsProducer
  /** Whether the transaction has ended since its coordinator was asked. */
  readonly isVoid: () => boolean
}

/** Coordinates all groups of this broker. */
export class GroupCoordinator {
  readonly #options: CoordinatorOptions
  readonly #log: GroupLog
  readonly #offsets: OffsetStore
  readonly #table: GroupTable
  readonly #classic: ClassicRuntime
  readonly #consumer: ConsumerRuntime
  #token = 0
  #retentionTimer: Timer | undefined

  constructor(options: CoordinatorOptions) {
    const { settings, clock, logger, topics } = options
    this.#options = options
    this.#log = new GroupLog(options.log, logger)
    this.#offsets = new OffsetStore(this.#log)
    const onDeadline = (entry: GroupEntry): void => this.#expire(entry)
    this.#table = new GroupTable({ settings, offsets: this.#offsets, clock, onDeadline })
    this.#classic = new ClassicRuntime(this.#table, this.#log)
    this.#consumer = new ConsumerRuntime({
      table: this.#table,
      log: this.#log,
      classic: this.#classic,
      settings: settings.consumer,
      migrationPolicy: settings.migrationPolicy,
      classicMemberCountMax: settings.memberCountMax,
      topics,
      logger
    })
  }

  /** Replays `__consumer_offsets`, then starts timers. Call once, before clients are served. */
  async load(): Promise<void> {
    const { clock, settings, logger } = this.#options
    const nowMs = this.#table.nowMs()
    await this.#log.replay(
      (key, value, origin) => this.#replayRecord({ key, value }, origin, nowMs),
      (partition, marker) => this.#offsets.replayMarker(partition, marker)
    )
    for (const groupId of this.#offsets.groupIds) this.#table.get(groupId)
    for (const entry of this.#table.list()) {
      const { group, groupId } = entry
      if (group.type === 'consumer') group.startSessions(nowMs)
      const isClassicTrace = group.type === 'classic' && group.isUnused && group.protocolType === null
      if (isClassicTrace && !this.#offsets.has(groupId)) this.#table.drop(entry)
      else this.#table.arm(entry)
    }
    if (this.#table.size > 0) logger.info({ groups: this.#table.size }, 'groups and committed offsets were loaded')
    this.#retentionTimer = clock.every(settings.retentionCheckMs, () => void this.expireOffsets()).unref()
  }

  #replayRecord({ key, value }: GroupRecord, origin: RecordOrigin, nowMs: number): void {
    const change = readConsumerGroupRecord(key, value)
    if (change !== undefined) return this.#replayConsumer(change.groupId, change.record)
    const record = readGroupRecord(key, value)
    if (record === undefined) return
    if (record.kind === 'offset') {
      this.#offsets.replay(record, origin)
      return
    }
    const known = this.#table.find(record.groupId)
    if (record.group === undefined) {
      // The tombstone of a classic group that became a consumer group comes before the records of that.
      if (known?.group.type === 'classic') this.#table.drop(known)
      return
    }
    const group = known?.group.type === 'classic' ? known.group : this.#table.newClassic(record.groupId)
    group.restore(record.group, nowMs)
    this.#table.put(record.groupId, group).stored = record.group
  }

  #replayConsumer(groupId: string, record: ConsumerGroupRecord): void {
    const known = this.#table.find(groupId)
    if (known?.group.type === 'consumer') {
      known.group.known.apply(record)
      // The last of the tombstones of a group.
      if (record.kind === 'epoch' && record.value === undefined) this.#table.drop(known)
      return
    }
    if (record.value === undefined) return
    const group = this.#consumer.newGroup(groupId)
    group.known.apply(record)
    this.#table.put(groupId, group)
  }

  /** Stops all timers and lets parked requests go; members find the next broker by themselves. Idempotent. */
  close(): void {
    this.#retentionTimer?.cancel()
    this.#table.close()
    this.#classic.close()
  }

  #expire(entry: GroupEntry): void {
    const { group, groupId } = entry
    if (group.type === 'consumer' || this.#table.isBusy(groupId)) void this.#expireLater(entry)
    else this.#classic.expire(entry, group)
  }

  async #expireLater(entry: GroupEntry): Promise<void> {
    await this.#consumer.expire(entry)
    if (entry.group.type === 'classic' && this.#table.find(entry.groupId) === entry) {
      this.#classic.expire(entry, entry.group)
    }
  }

  /** JoinGroup. `request.newMemberId` is made here. */
  async join(groupId: string, request: Omit<JoinRequest, 'token' | 'newMemberId'>): Promise<JoinReply> {
    const token = this.#nextToken()
    const refuse = (error: KafkaErrorName): JoinReply => failedJoin(token, error, request.memberId)
    const { sessionTimeoutMinMs, sessionTimeoutMaxMs } = this.#options.settings
    const isSessionOk =
      request.sessionTimeoutMs >= sessionTimeoutMinMs && request.sessionTimeoutMs <= sessionTimeoutMaxMs
    if (!isGroupId(groupId)) return refuse('INVALID_GROUP_ID')
    if (!isSessionOk) return refuse('INVALID_SESSION_TIMEOUT')
    const newMemberId = `${request.groupInstanceId ?? request.clientId}-${randomUUID()}`
    // No generation with such a member could be written: its group would never get past its rebalance.
    const texts = [newMemberId, request.protocolType, ...request.protocols.map(({ name }) => name)]
    if (!texts.every(isStorable)) return refuse('INVALID_REQUEST')
    const full = { ...request, token, newMemberId }
    for (;;) {
      while (this.#table.isBusy(groupId)) await this.#table.idle(groupId)
      if (this.#table.isClosed) return refuse('COORDINATOR_NOT_AVAILABLE')
      const known = this.#table.find(groupId)
      if (known === undefined && request.memberId !== '') return refuse('UNKNOWN_MEMBER_ID')
      const entry = known ?? this.#table.get(groupId)
      if (entry.group.type === 'classic') return this.#classic.join(entry, entry.group, full)
      const reply = await this.#consumer.join(groupId, full)
      if (reply !== undefined) return reply
    }
  }

  /** SyncGroup. */
  async sync(groupId: string, request: Omit<SyncRequest, 'token'>): Promise<SyncReply> {
    const full = { ...request, token: this.#nextToken() }
    if (!isGroupId(groupId)) return failedSync(full.token, 'INVALID_GROUP_ID')
    for (;;) {
      while (this.#table.isBusy(groupId)) await this.#table.idle(groupId)
      if (this.#table.isClosed) return failedSync(full.token, 'COORDINATOR_NOT_AVAILABLE')
      const entry = this.#table.find(groupId)
      if (entry === undefined) return failedSync(full.token, 'UNKNOWN_MEMBER_ID')
      if (entry.group.type === 'classic') return this.#classic.sync(entry, entry.group, full)
      const reply = await this.#consumer.sync(groupId, full)
      if (reply !== undefined) return reply
    }
  }

  /** Heartbeat. */
  async heartbeat(groupId: string, identity: MemberIdentity): Promise<KafkaErrorName> {
    if (!isGroupId(groupId)) return 'INVALID_GROUP_ID'
    for (;;) {
      while (this.#table.isBusy(groupId)) await this.#table.idle(groupId)
      const group = this.#table.find(groupId)?.group
      if (group === undefined) return 'UNKNOWN_MEMBER_ID'
      if (group.type === 'classic') return group.heartbeat(identity, this.#table.nowMs())
      const error = await this.#consumer.heartbeatClassic(groupId, identity)
      if (error !== undefined) return error
    }
  }

  /** LeaveGroup: one error per named member. */
  async leave(groupId: string, leaving: readonly LeavingMember[]): Promise<KafkaErrorName[]> {
    if (!isGroupId(groupId)) return leaving.map(() => 'INVALID_GROUP_ID')
    for (;;) {
      while (this.#table.isBusy(groupId)) await this.#table.idle(groupId)
      const entry = this.#table.find(groupId)
      if (entry === undefined) return leaving.map(() => 'UNKNOWN_MEMBER_ID')
      if (entry.group.type === 'classic') return this.#classic.leave(entry, entry.group, leaving)
      const errors = await this.#consumer.leave(groupId, leaving)
      if (errors !== undefined) return errors
    }
  }

  /** Names of the assignors that members may ask for. */
  get assignors(): readonly string[] {
    return this.#options.settings.consumer.assignors
  }

  /** ConsumerGroupHeartbeat of a request that is well-formed. */
  consumerHeartbeat(groupId: string, request: HeartbeatRequest): Promise<HeartbeatReply> {
    return this.#consumer.heartbeat(groupId, request)
  }

  /**
   * OffsetCommit: checks the caller, appends, then makes the offsets visible.
   * Offsets must have been checked one by one before (`metadata` size, topic).
   */
  async commitOffsets(
    groupId: string,
    identity: CommitIdentity,
    offsets: readonly OffsetToCommit[]
  ): Promise<KafkaErrorName> {
    const check = ({ group }: GroupEntry): KafkaErrorName => {
      if (group.type === 'classic') return group.commitOffsetsError(identity, this.#table.nowMs())
      return group.commitOffsetsError(identity, this.#byId(offsets))
    }
    return this.#commit(groupId, identity, { check, write: () => this.#offsets.commitOffsets(groupId, offsets) })
  }

  /**
   * TxnOffsetCommit: like `commitOffsets`, but the offsets count when the
   * transaction of the producer is committed. The coordinator of the transaction
   * must have said that the partition of the group is part of it.
   */
  async commitTransactionalOffsets(
    groupId: string,
    { identity, producer, isVoid }: TransactionalCommit,
    offsets: readonly OffsetToCommit[]
  ): Promise<KafkaErrorName> {
    const check = ({ group }: GroupEntry): KafkaErrorName => {
      // The transaction may have ended while the group was busy: the offsets would begin one that nobody ends.
      if (isVoid()) return 'INVALID_TXN_STATE'
      if (group.type === 'classic') return group.transactionalCommitError(identity, this.#table.nowMs())
      return group.transactionalCommitError(identity, this.#byId(offsets))
    }
    const write = (): Promise<KafkaErrorName> => this.#offsets.commitTransactional(groupId, producer, offsets)
    return this.#commit(groupId, identity, { check, write })
  }

  #byId(offsets: readonly OffsetToCommit[]): { readonly topicId: string; readonly partition: number }[] {
    const { topics } = this.#options
    return offsets.map(({ topic, partition }) => ({ topicId: topics.byName(topic)?.id ?? '', partition }))
  }

  async #commit(
    groupId: string,
    identity: CommitIdentity,
    { check, write }: { check: (entry: GroupEntry) => KafkaErrorName; write: () => Promise<KafkaErrorName> }
  ): Promise<KafkaErrorName> {
    if (!isGroupId(groupId)) return 'INVALID_GROUP_ID'
    while (this.#table.isBusy(groupId)) await this.#table.idle(groupId)
    if (this.#table.find(groupId) === undefined && identity.generation >= 0) {
      return identity.isMemberEpochKnown === true ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION'
    }
    const entry = this.#table.get(groupId)
    const error = check(entry)
    const result = error === 'NONE' ? await write() : error
    this.#table.dropIfBlank(entry)
    return result
  }

  /** Whether a caller may read the offsets of a group; only members of consumer groups are asked who they are. */
  fetchOffsetsError(groupId: string, memberId: string | null, memberEpoch: number): KafkaErrorName {
    const group = this.#table.find(groupId)?.group
    return group?.type === 'consumer' ? group.fetchOffsetsError(memberId, memberEpoch) : 'NONE'
  }

  /**
   * Appends the marker that ends a producer's transaction in a partition of
   * `__consumer_offsets`; its offsets count then, or are forgotten.
   */
  completeTransaction(partition: number, marker: OffsetsMarker): Promise<KafkaErrorName> {
    return this.#offsets.completeTransaction(partition, marker)
  }

  /** Whether an open transaction holds an offset of a partition: who requires a stable one must wait. */
  hasPendingOffset(groupId: string, partition: TopicPartition): boolean {
    return this.#offsets.isPending(groupId, partition)
  }

  /** The partition of `__consumer_offsets` that holds a group. */
  partitionOf(groupId: string): number {
    return this.#log.partitionOf(groupId)
  }

  /** A group and its offsets, if the group is known. */
  find(groupId: string): GroupView | undefined {
    const entry = this.#table.find(groupId)
    return entry === undefined ? undefined : this.#view(entry)
  }

  /** All groups. */
  list(): GroupView[] {
    return this.#table.list().map(entry => this.#view(entry))
  }

  #view({ group, groupId }: GroupEntry): GroupView {
    return { group, offsets: this.#offsets.of(groupId) }
  }

  /** DeleteGroups: removes an empty group with its offsets. */
  async deleteGroup(groupId: string): Promise<KafkaErrorName> {
    if (!isGroupId(groupId)) return 'INVALID_GROUP_ID'
    return this.#table.exclusive(groupId, async () => {
      const entry = this.#table.find(groupId)
      if (entry === undefined) return 'GROUP_ID_NOT_FOUND'
      if (entry.group.state !== 'Empty') return 'NON_EMPTY_GROUP'
      // If they cannot be written, the group is there with its offsets, now and after a restart.
      return this.#log.append(groupId, [...this.#offsets.tombstones(groupId), ...tombstonesOf(entry)], () => {
        this.#offsets.drop(groupId)
        this.#kill(entry)
      })
    })
  }

  /** Takes an empty group out of use. */
  #kill(entry: GroupEntry): void {
    if (entry.group.type === 'classic') entry.group.tryKill(this.#table.nowMs())
    this.#table.drop(entry)
  }

  /** OffsetDelete: one error per partition, or one for all. */
  async deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[]
  ): Promise<{ error: KafkaErrorName; errors: KafkaErrorName[] }> {
    const refused = (error: KafkaErrorName): { error: KafkaErrorName; errors: KafkaErrorName[] } => ({
      error,
      errors: []
    })
    if (!isGroupId(groupId)) return refused('INVALID_GROUP_ID')
    const group = this.#table.find(groupId)?.group
    if (group === undefined) return refused('GROUP_ID_NOT_FOUND')
    const subscribed = subscribedTopics(group)
    if (group.state !== 'Empty' && group.protocolType !== 'consumer') return refused('NON_EMPTY_GROUP')
    const errors = partitions.map(({ topic }): KafkaErrorName =>
      group.state !== 'Empty' && subscribed?.has(topic) !== false ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'
    )
    const offsets = this.#offsets.of(groupId)
    const known = partitions.filter(
      (each, index) =>
        errors[index] === 'NONE' &&
        (offsets.get(each.topic, each.partition) !== undefined || this.#offsets.isPending(groupId, each))
    )
    const error = await this.#offsets.remove(groupId, known)
    return error === 'NONE' ? { error, errors } : refused(error)
  }

  /** Forgets all offsets of a topic that was deleted. */
  forgetTopic(topic: string): Promise<void> {
    return this.#offsets.forgetTopic(topic)
  }

  /** Forgets the offsets of topics that are gone: a stop may have come between the deletion of a topic and of these. */
  async forgetMissingTopics(isThere: (topic: string) => boolean): Promise<void> {
    for (const topic of this.#offsets.topics) if (!isThere(topic)) await this.forgetTopic(topic)
  }

  /** Removes offsets that have outlived `offsets.retention.minutes`, and groups that have nothing left. */
  async expireOffsets(): Promise<void> {
    const { settings } = this.#options
    for (const entry of this.#table.list()) {
      const { group, groupId } = entry
      const expired = this.#offsets
        .of(groupId)
        .expired(retentionView(group), this.#table.nowMs(), settings.offsetsRetentionMs)
      const settled = expired.filter(
        partition => !this.#offsets.isPending(groupId, partition) && !this.#offsets.isInFlight(groupId, partition)
      )
      await this.#offsets.remove(groupId, settled)
      await this.#table.exclusive(groupId, () => this.#removeIfSpent(entry))
    }
  }

  async #removeIfSpent(entry: GroupEntry): Promise<void> {
    const { group, groupId } = entry
    if (this.#offsets.has(groupId) || this.#table.find(groupId) !== entry) return
    if (group.type === 'classic' && !group.isUnused) return
    const isTrace = group.type === 'classic' && group.protocolType === null
    if (group.state !== 'Empty') return
    if (isTrace) this.#kill(entry)
    else await this.#log.append(groupId, tombstonesOf(entry), () => this.#kill(entry))
  }

  #nextToken(): number {
    this.#token += 1
    return this.#token
  }
}

/** The records that remove a group from the log. */
function tombstonesOf({ group, groupId }: GroupEntry): GroupRecord[] {
  if (group.type === 'classic') return [encodeGroup(groupId, undefined)]
  return group.known.tombstones().map(record => encodeConsumerGroupRecord(groupId, record))
}

/** What retention looks at. Offsets of a consumer group that nobody subscribes to expire after their own commit. */
function retentionView(group: ClassicGroup | ConsumerGroup): Parameters<CommittedOffsets['expired']>[0] {
  if (group.type === 'consumer') {
    return {
      state: 'Stable',
      stateTimestampMs: 0,
      protocolType: 'consumer',
      subscribedTopics: group.subscribedTopics()
    }
  }
  const { state, stateTimestampMs, protocolType } = group
  return { state, stateTimestampMs, protocolType, subscribedTopics: subscribedTopics(group) }
}

/** Topics that the members of a group subscribe to, or `undefined` if that cannot be known. */
export function subscribedTopics(group: ClassicGroup | ConsumerGroup): Set<string> | undefined {
  if (group.type === 'consumer') return group.subscribedTopics()
  if (group.protocolType !== 'consumer' || group.protocolName === null) return undefined
  const topics = new Set<string>()
  for (const member of group.members) {
    const names = subscriptionTopics(subscriptionOf(member, group.protocolName))
    if (names === undefined) return undefined
    for (const name of names) topics.add(name)
  }
  return topics
}

/** Records have the length of a text as an int16, flexible requests do not. */
const TEXT_BYTES_MAX = 0x7fff

function isStorable(text: string): boolean {
  return Buffer.byteLength(text) <= TEXT_BYTES_MAX
}

function isGroupId(text: string): boolean {
  return text !== '' && isStorable(text)
}
