/**
 * Runtime of the classic groups: one map of groups, their timers, their parked
 * requests, and the log `__consumer_offsets` under them. Their committed offsets
 * are in `offset-store.ts`.
 *
 * Each call runs a pure decision (`classic-group.ts`, `committed-offsets.ts`),
 * appends the records it asks for, and only then applies what depends on them
 * and answers. Appends of one partition keep their order, so the log replays
 * into the same state. `load` runs before the broker listens, which is why no
 * client ever sees COORDINATOR_LOAD_IN_PROGRESS.
 *
 * Limits: parked requests are bounded by the members, members by
 * `group.max.size`; groups that hold nothing are dropped; what a restart has to
 * replay is kept within a small multiple of what is alive by `compact`.
 */

import { randomUUID } from 'node:crypto'
import type { Clock, Timer } from '../../core/index.ts'
import type { KafkaErrorName } from '../../protocol/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { ClassicGroup } from './classic-group.ts'
import type { CommittedOffsets, TopicPartition } from './committed-offsets.ts'
import { subscriptionTopics } from './consumer-subscription.ts'
import { failedJoin, failedSync } from './group-effects.ts'
import { GroupLog, type OffsetsLog, type OffsetsMarker, type OffsetsProducer, type RecordOrigin } from './group-log.ts'
import { encodeGroup, type GroupRecord, readGroupRecord } from './group-records.ts'
import type {
  GroupEffects,
  GroupSettings,
  JoinReply,
  JoinRequest,
  LeavingMember,
  MemberIdentity,
  StoredGroup,
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
}

/** What the coordinator needs. */
export interface CoordinatorOptions {
  readonly settings: CoordinatorSettings
  readonly log: OffsetsLog
  readonly clock: Clock
  readonly logger: Logger
}

/** A JoinGroup or SyncGroup that waits for its group. */
interface ParkedRequest {
  readonly answer: (reply: JoinReply | SyncReply) => void
  readonly refuse: () => void
}

interface GroupEntry {
  readonly group: ClassicGroup
  /** The generation that was written last. */
  stored: StoredGroup | undefined
  timer: Timer | undefined
  timerMs: number
}

/** A group and its offsets, for DescribeGroups, ListGroups and OffsetFetch. */
export interface GroupView {
  readonly group: ClassicGroup
  readonly offsets: CommittedOffsets
}

/** Coordinates all classic groups of this broker. */
export class GroupCoordinator {
  readonly #options: CoordinatorOptions
  readonly #groups = new Map<string, GroupEntry>()
  readonly #parked = new Map<number, ParkedRequest>()
  readonly #log: GroupLog
  readonly #offsets: OffsetStore
  readonly #startMs: number
  readonly #startMonotonicMs: number
  #token = 0
  #isClosed = false
  #retentionTimer: Timer | undefined

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.#log = new GroupLog(options.log, options.logger)
    this.#offsets = new OffsetStore(this.#log)
    this.#startMs = options.clock.now()
    this.#startMonotonicMs = options.clock.monotonicMs()
  }

  /** Replays `__consumer_offsets`, then starts timers. Call once, before clients are served. */
  async load(): Promise<void> {
    const { clock, settings, logger } = this.#options
    const nowMs = this.#nowMs()
    await this.#log.replay(
      (key, value, origin) => this.#replayRecord({ key, value }, origin, nowMs),
      (partition, marker) => this.#offsets.replayMarker(partition, marker)
    )
    for (const groupId of this.#offsets.groupIds) this.#entry(groupId)
    for (const [groupId, entry] of this.#groups) {
      if (entry.group.isUnused && entry.group.protocolType === null && !this.#offsets.has(groupId)) {
        this.#groups.delete(groupId)
      } else this.#arm(entry)
    }
    if (this.#groups.size > 0) logger.info({ groups: this.#groups.size }, 'groups and committed offsets were loaded')
    this.#retentionTimer = clock.every(settings.retentionCheckMs, () => void this.#tidy()).unref()
    await this.compact()
  }

  async #tidy(): Promise<void> {
    await this.expireOffsets()
    await this.compact()
  }

  #replayRecord({ key, value }: GroupRecord, origin: RecordOrigin, nowMs: number): void {
    const record = readGroupRecord(key, value)
    if (record === undefined) return
    if (record.kind === 'offset') {
      this.#offsets.replay(record, origin)
      return
    }
    if (record.group === undefined) {
      this.#groups.delete(record.groupId)
      return
    }
    const entry = this.#entry(record.groupId)
    entry.group.restore(record.group, nowMs)
    entry.stored = record.group
  }

  /** Stops all timers and lets parked requests go; members find the next broker by themselves. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#retentionTimer?.cancel()
    for (const entry of this.#groups.values()) entry.timer?.cancel()
    for (const parked of this.#parked.values()) parked.refuse()
    this.#parked.clear()
  }

  /** JoinGroup. `request.newMemberId` is made here. */
  join(groupId: string, request: Omit<JoinRequest, 'token' | 'newMemberId'>): Promise<JoinReply> {
    const token = this.#nextToken()
    const refused = (error: KafkaErrorName): JoinReply => failedJoin(token, error, request.memberId)
    if (groupId === '') return Promise.resolve(refused('INVALID_GROUP_ID'))
    if (this.#isClosed) return Promise.resolve(refused('COORDINATOR_NOT_AVAILABLE'))
    const isFirst = !this.#groups.has(groupId)
    if (isFirst && request.memberId !== '') return Promise.resolve(refused('UNKNOWN_MEMBER_ID'))
    const newMemberId = `${request.groupInstanceId ?? request.clientId}-${randomUUID()}`
    const entry = this.#entry(groupId)
    return new Promise(resolve => {
      this.#parked.set(token, {
        answer: reply => {
          if (reply.kind === 'join') resolve(reply)
        },
        refuse: () => resolve(refused('COORDINATOR_NOT_AVAILABLE'))
      })
      this.#perform(entry, entry.group.join({ ...request, token, newMemberId }, this.#nowMs()))
    })
  }

  /** SyncGroup. */
  sync(groupId: string, request: Omit<SyncRequest, 'token'>): Promise<SyncReply> {
    const token = this.#nextToken()
    const entry = this.#groups.get(groupId)
    if (groupId === '') return Promise.resolve(failedSync(token, 'INVALID_GROUP_ID'))
    if (this.#isClosed) return Promise.resolve(failedSync(token, 'COORDINATOR_NOT_AVAILABLE'))
    if (entry === undefined) return Promise.resolve(failedSync(token, 'UNKNOWN_MEMBER_ID'))
    return new Promise(resolve => {
      this.#parked.set(token, {
        answer: reply => {
          if (reply.kind === 'sync') resolve(reply)
        },
        refuse: () => resolve(failedSync(token, 'COORDINATOR_NOT_AVAILABLE'))
      })
      this.#perform(entry, entry.group.sync({ ...request, token }, this.#nowMs()))
    })
  }

  /** Heartbeat. */
  heartbeat(groupId: string, identity: MemberIdentity): KafkaErrorName {
    if (groupId === '') return 'INVALID_GROUP_ID'
    const entry = this.#groups.get(groupId)
    return entry === undefined ? 'UNKNOWN_MEMBER_ID' : entry.group.heartbeat(identity, this.#nowMs())
  }

  /** LeaveGroup: one error per named member. */
  leave(groupId: string, leaving: readonly LeavingMember[]): KafkaErrorName[] {
    if (groupId === '') return leaving.map(() => 'INVALID_GROUP_ID')
    const entry = this.#groups.get(groupId)
    if (entry === undefined) return leaving.map(() => 'UNKNOWN_MEMBER_ID')
    const effects = entry.group.leave(leaving, this.#nowMs())
    this.#perform(entry, effects)
    return effects.errors
  }

  /**
   * OffsetCommit: checks the caller, appends, then makes the offsets visible.
   * Offsets must have been checked one by one before (`metadata` size, topic).
   */
  async commitOffsets(
    groupId: string,
    identity: MemberIdentity,
    offsets: readonly OffsetToCommit[]
  ): Promise<KafkaErrorName> {
    if (groupId === '') return 'INVALID_GROUP_ID'
    if (!this.#groups.has(groupId) && identity.generation >= 0) return 'ILLEGAL_GENERATION'
    const entry = this.#entry(groupId)
    const error = entry.group.commitOffsetsError(identity, this.#nowMs())
    const result = error === 'NONE' ? await this.#offsets.commitOffsets(groupId, offsets) : error
    this.#dropIfBlank(entry)
    return result
  }

  /**
   * TxnOffsetCommit: like `commitOffsets`, but the offsets count when the
   * transaction of the producer is committed. The coordinator of the transaction
   * must have said that the partition of the group is part of it.
   */
  async commitTransactionalOffsets(
    groupId: string,
    { identity, producer }: { readonly identity: MemberIdentity; readonly producer: OffsetsProducer },
    offsets: readonly OffsetToCommit[]
  ): Promise<KafkaErrorName> {
    if (groupId === '') return 'INVALID_GROUP_ID'
    if (!this.#groups.has(groupId) && identity.generation >= 0) return 'ILLEGAL_GENERATION'
    const entry = this.#entry(groupId)
    const error = entry.group.transactionalCommitError(identity, this.#nowMs())
    const result = error === 'NONE' ? await this.#offsets.commitTransactional(groupId, producer, offsets) : error
    this.#dropIfBlank(entry)
    return result
  }

  /**
   * Appends the marker that ends a producer's transaction in a partition of
   * `__consumer_offsets`; its offsets count then, or are forgotten.
   */
  completeTransaction(partition: number, marker: OffsetsMarker): Promise<KafkaErrorName> {
    return this.#offsets.completeTransaction(partition, marker)
  }

  /** Whether an open transaction holds an offset of a partition: UNSTABLE_OFFSET_COMMIT for who requires stable ones. */
  hasPendingOffset(groupId: string, partition: TopicPartition): boolean {
    return this.#offsets.isPending(groupId, partition)
  }

  /** The partition of `__consumer_offsets` that holds a group. */
  partitionOf(groupId: string): number {
    return this.#log.partitionOf(groupId)
  }

  /** A group and its offsets, if the group is known. */
  find(groupId: string): GroupView | undefined {
    const entry = this.#groups.get(groupId)
    return entry === undefined || entry.group.state === 'Dead' ? undefined : this.#view(entry)
  }

  /** All groups. */
  list(): GroupView[] {
    return [...this.#groups.values()].filter(entry => entry.group.state !== 'Dead').map(entry => this.#view(entry))
  }

  #view({ group }: GroupEntry): GroupView {
    return { group, offsets: this.#offsets.of(group.groupId) }
  }

  /** DeleteGroups: removes an empty group with its offsets. */
  async deleteGroup(groupId: string): Promise<KafkaErrorName> {
    if (groupId === '') return 'INVALID_GROUP_ID'
    const entry = this.#groups.get(groupId)
    if (entry === undefined || entry.group.state === 'Dead') return 'GROUP_ID_NOT_FOUND'
    if (!entry.group.tryKill(this.#nowMs())) return 'NON_EMPTY_GROUP'
    this.#drop(entry)
    return this.#log.append(groupId, [...this.#offsets.drop(groupId), encodeGroup(groupId, undefined)])
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
    if (groupId === '') return refused('INVALID_GROUP_ID')
    const entry = this.#groups.get(groupId)
    if (entry === undefined || entry.group.state === 'Dead') return refused('GROUP_ID_NOT_FOUND')
    const subscribed = subscribedTopics(entry.group)
    if (entry.group.state !== 'Empty' && entry.group.protocolType !== 'consumer') return refused('NON_EMPTY_GROUP')
    const errors = partitions.map(({ topic }): KafkaErrorName =>
      entry.group.state !== 'Empty' && subscribed?.has(topic) !== false ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'
    )
    const offsets = this.#offsets.of(groupId)
    const known = partitions.filter(
      ({ topic, partition }, index) => errors[index] === 'NONE' && offsets.get(topic, partition) !== undefined
    )
    const error = await this.#offsets.remove(groupId, known)
    return error === 'NONE' ? { error, errors } : refused(error)
  }

  /** Forgets all offsets of topics that were deleted. */
  forgetTopic(topic: string): Promise<void> {
    return this.#offsets.forgetTopic(topic)
  }

  /** Removes offsets that have outlived `offsets.retention.minutes`, and groups that have nothing left. */
  async expireOffsets(): Promise<void> {
    const { settings } = this.#options
    for (const entry of this.#groups.values()) {
      const { group } = entry
      const nowMs = this.#nowMs()
      const { groupId, state, stateTimestampMs, protocolType } = group
      const view = { state, stateTimestampMs, protocolType, subscribedTopics: subscribedTopics(group) }
      const expired = this.#offsets.of(groupId).expired(view, nowMs, settings.offsetsRetentionMs)
      const settled = expired.filter(partition => !this.#offsets.isPending(groupId, partition))
      await this.#offsets.remove(groupId, settled)
      if (this.#offsets.has(groupId) || !group.isUnused || !group.tryKill(nowMs)) continue
      this.#drop(entry)
      if (protocolType !== null) await this.#log.append(groupId, [encodeGroup(groupId, undefined)])
    }
  }

  /** Carries out a decision: writes, replies, timer. */
  #perform(entry: GroupEntry, effects: GroupEffects): void {
    for (const write of effects.writes) {
      const { groupId } = entry.group
      const applyWrite = (): void => {
        entry.stored = write.group
      }
      void this.#log
        .append(groupId, [encodeGroup(groupId, write.group)], applyWrite)
        .then(error => this.#perform(entry, entry.group.completeWrite(write.ticket, error, this.#nowMs())))
    }
    for (const reply of effects.replies) {
      const parked = this.#parked.get(reply.token)
      this.#parked.delete(reply.token)
      parked?.answer(reply)
    }
    this.#arm(entry)
    this.#dropIfBlank(entry)
  }

  /** Rewrites partitions of `__consumer_offsets` that hold mostly what later records have replaced. */
  async compact(): Promise<void> {
    // A rewrite would take the offsets of an open transaction with it.
    const isKept = (partition: number): boolean => this.#isClosed || this.#offsets.isOpen(partition)
    await this.#log.compact(partition => (isKept(partition) ? undefined : this.#aliveRecords(partition)))
  }

  #aliveRecords(partition: number): GroupRecord[] {
    const records: GroupRecord[] = []
    for (const [groupId, { stored }] of this.#groups) {
      if (this.#log.partitionOf(groupId) !== partition) continue
      if (stored !== undefined) records.push(encodeGroup(groupId, stored))
      records.push(...this.#offsets.aliveRecords(groupId))
    }
    return records
  }

  /** Keeps one timer per group at its next deadline; later deadlines are found when it fires. */
  #arm(entry: GroupEntry): void {
    const nextMs = entry.group.nextDeadlineMs()
    if (this.#isClosed || nextMs === undefined || (entry.timer !== undefined && entry.timerMs <= nextMs)) return
    entry.timer?.cancel()
    entry.timerMs = nextMs
    const delayMs = Math.max(0, nextMs - this.#nowMs())
    entry.timer = this.#options.clock.after(delayMs, () => this.#expire(entry)).unref()
  }

  #expire(entry: GroupEntry): void {
    entry.timer = undefined
    this.#perform(entry, entry.group.expire(this.#nowMs()))
  }

  #entry(groupId: string): GroupEntry {
    const known = this.#groups.get(groupId)
    if (known !== undefined && known.group.state !== 'Dead') return known
    const group = new ClassicGroup(groupId, this.#options.settings, this.#nowMs())
    const entry: GroupEntry = { group, stored: undefined, timer: undefined, timerMs: 0 }
    this.#groups.set(groupId, entry)
    return entry
  }

  #drop(entry: GroupEntry): void {
    entry.timer?.cancel()
    const { groupId } = entry.group
    if (this.#groups.get(groupId) === entry) this.#groups.delete(groupId)
  }

  /** A group that never held anything leaves no trace, however many ids a client tries. */
  #dropIfBlank(entry: GroupEntry): void {
    const { group } = entry
    if (group.isUnused && group.generation === 0 && !this.#offsets.has(group.groupId)) this.#drop(entry)
  }

  /** Epoch milliseconds that never jump: a corrected wall clock must not end every session at once. */
  #nowMs(): number {
    return Math.floor(this.#startMs + this.#options.clock.monotonicMs() - this.#startMonotonicMs)
  }

  #nextToken(): number {
    this.#token += 1
    return this.#token
  }
}

/** Topics that the members of a consumer group subscribe to, or `undefined` if that cannot be known. */
export function subscribedTopics(group: ClassicGroup): Set<string> | undefined {
  if (group.protocolType !== 'consumer' || group.protocolName === null) return undefined
  const topics = new Set<string>()
  for (const member of group.members) {
    const names = subscriptionTopics(subscriptionOf(member, group.protocolName))
    if (names === undefined) return undefined
    for (const name of names) topics.add(name)
  }
  return topics
}
