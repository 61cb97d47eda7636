/**
 * Runtime of the consumer groups, and of conversions between the two types.
 *
 * One decision of a group at a time: it is taken, its records are appended, they
 * are applied, the answer goes out. A write that fails leaves everything as it
 * was, and the member asks again.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { ClassicGroup } from './classic-group.ts'
import { heartbeatClassic, joinClassic, leaveClassic, syncClassic } from './classic-in-consumer.ts'
import type { ClassicRuntime } from './classic-runtime.ts'
import { ConsumerGroup, type Decision, type DecisionContext } from './consumer-group.ts'
import { encodeConsumerGroupRecord } from './consumer-group-records.ts'
import {
  type ConsumerGroupSettings,
  GroupRefusal,
  type HeartbeatReply,
  type HeartbeatRequest,
  LEAVE_STATIC_EPOCH,
  type TopicsView
} from './consumer-group-types.ts'
import { failedJoin, failedSync } from './group-effects.ts'
import type { GroupLog } from './group-log.ts'
import { downgrade, type MigrationPolicy, upgrade } from './group-migration.ts'
import { encodeGroup, type GroupRecord } from './group-records.ts'
import type { GroupEntry, GroupTable } from './group-table.ts'
import type {
  JoinReply,
  JoinRequest,
  LeavingMember,
  MemberIdentity,
  StoredGroup,
  SyncReply,
  SyncRequest
} from './group-types.ts'

/** The topics of the cluster, and how often they have changed. */
export interface ClusterTopics extends TopicsView {
  /** Grows whenever topics or their partition counts change. */
  readonly version: number
}

/** What the runtime needs. */
export interface ConsumerRuntimeOptions {
  readonly table: GroupTable
  readonly log: GroupLog
  readonly classic: ClassicRuntime
  readonly settings: ConsumerGroupSettings
  readonly migrationPolicy: MigrationPolicy
  /** `group.max.size`: more members cannot become a classic group. */
  readonly classicMemberCountMax: number
  readonly topics: ClusterTopics
  readonly logger: Logger
}

/** Serves the consumer groups. */
export class ConsumerRuntime {
  readonly #options: ConsumerRuntimeOptions

  constructor(options: ConsumerRuntimeOptions) {
    this.#options = options
  }

  /** A consumer group without anything. */
  newGroup(groupId: string): ConsumerGroup {
    return new ConsumerGroup(groupId, this.#options.settings)
  }

  /** ConsumerGroupHeartbeat of a request that is well-formed. */
  heartbeat(groupId: string, request: HeartbeatRequest): Promise<HeartbeatReply> {
    return this.#options.table.exclusive(groupId, async () => {
      const { table, classic } = this.#options
      const known = table.find(groupId)?.group
      // An assignment that is handed out when it is written must be known to an upgrade.
      if (known?.type === 'classic') await classic.settled(known)
      if (table.isClosed) return refused(request, 'COORDINATOR_NOT_AVAILABLE')
      const entry = table.find(groupId)
      if (request.memberEpoch < 0) return this.#leave(groupId, entry, request)
      const target = this.#groupFor(groupId, entry, request)
      if (target instanceof GroupRefusal) return refused(request, target.error, target.message)
      const { group, records } = target
      const decision = group.heartbeat(request, this.#context())
      if (decision instanceof GroupRefusal) return refused(request, decision.error, decision.message)
      const error = await this.#write(group, decision, records)
      return error === 'NONE' ? decision.reply : refused(request, error)
    })
  }

  /** JoinGroup of a member of the classic protocol. `undefined` if the group is not a consumer group any more. */
  join(groupId: string, request: JoinRequest): Promise<JoinReply | undefined> {
    return this.#options.table.exclusive(groupId, async () => {
      const entry = this.#options.table.find(groupId)
      const group = entry?.group
      if (entry === undefined || group?.type !== 'consumer') return undefined
      if (group.known.members.size === 0) return this.#becomeClassic(entry, group, request)
      const decision = joinClassic(group, request, this.#context())
      if (!('records' in decision)) return decision
      const error = await this.#write(group, decision)
      if (error !== 'NONE') return failedJoin(request.token, error, request.memberId)
      if (group.isClassicWithout(new Set())) await this.#downgrade(entry, group, [])
      return decision.reply
    })
  }

  /** SyncGroup of a member of the classic protocol. */
  sync(groupId: string, request: SyncRequest): Promise<SyncReply | undefined> {
    return this.#options.table.exclusive(groupId, async () => {
      const group = this.#options.table.find(groupId)?.group
      if (group?.type !== 'consumer') return undefined
      const decision = syncClassic(group, request, this.#context())
      const error = await this.#write(group, decision)
      return error === 'NONE' ? decision.reply : failedSync(request.token, error)
    })
  }

  /** Heartbeat of a member of the classic protocol. */
  heartbeatClassic(groupId: string, identity: MemberIdentity): Promise<KafkaErrorName | undefined> {
    return this.#options.table.exclusive(groupId, async () => {
      const group = this.#options.table.find(groupId)?.group
      if (group?.type !== 'consumer') return undefined
      const decision = heartbeatClassic(group, identity, this.#options.table.nowMs())
      const error = await this.#write(group, decision)
      return error === 'NONE' ? decision.reply : error
    })
  }

  /** LeaveGroup: one error per named member. */
  leave(groupId: string, leaving: readonly LeavingMember[]): Promise<KafkaErrorName[] | undefined> {
    return this.#options.table.exclusive(groupId, async () => {
      const entry = this.#options.table.find(groupId)
      const group = entry?.group
      if (entry === undefined || group?.type !== 'consumer') return undefined
      const { errors, memberIds } = leaveClassic(group, leaving)
      const error = await this.#remove(entry, group, memberIds)
      return error === 'NONE' ? errors : errors.map(each => (each === 'NONE' ? error : each))
    })
  }

  /** Removes members that have missed a deadline. */
  async expire(entry: GroupEntry): Promise<void> {
    const { table, logger } = this.#options
    await table.exclusive(entry.groupId, async () => {
      const { group, groupId } = entry
      if (table.isClosed || table.find(groupId) !== entry || group.type !== 'consumer') return
      const memberIds = group.takeExpired(table.nowMs())
      if (memberIds.length > 0) logger.info({ groupId, memberIds }, 'members of the group missed a deadline')
      const error = await this.#remove(entry, group, memberIds)
      // They are looked at again when another session has passed.
      if (error !== 'NONE') group.restartSessions(memberIds, table.nowMs())
      table.arm(entry)
    })
  }

  #context(): DecisionContext {
    const { table, topics } = this.#options
    return { nowMs: table.nowMs(), topics, topicsVersion: topics.version }
  }

  /** The consumer group that a heartbeat is for, with the records that make it one. */
  #groupFor(
    groupId: string,
    entry: GroupEntry | undefined,
    { memberEpoch }: HeartbeatRequest
  ): { readonly group: ConsumerGroup; readonly records: GroupRecord[] } | GroupRefusal {
    const { settings, topics, table, migrationPolicy: policy } = this.#options
    if (entry?.group.type === 'consumer') return { group: entry.group, records: [] }
    if (memberEpoch > 0) return notFound(groupId, entry)
    const tombstone = entry?.stored === undefined ? [] : [encodeGroup(groupId, undefined)]
    if (entry === undefined || entry.group.state === 'Empty')
      return { group: this.newGroup(groupId), records: tombstone }
    const upgraded = upgrade(entry.group, { policy, settings, topics, nowMs: table.nowMs() })
    if (upgraded instanceof GroupRefusal) return upgraded
    const records = upgraded.records.map(record => encodeConsumerGroupRecord(groupId, record))
    return { group: upgraded.group, records: [encodeGroup(groupId, undefined), ...records] }
  }

  async #leave(groupId: string, entry: GroupEntry | undefined, request: HeartbeatRequest): Promise<HeartbeatReply> {
    if (entry === undefined || entry.group.type !== 'consumer') {
      const { error, message } = notFound(groupId, entry)
      return refused(request, error, message)
    }
    const { group } = entry
    const member = group.checkLeave(request)
    if (member instanceof GroupRefusal) return refused(request, member.error, member.message)
    const isForAMoment = request.memberEpoch === LEAVE_STATIC_EPOCH
    const error = isForAMoment
      ? await this.#write(group, { ...group.leaveForAMoment(member), reply: undefined })
      : await this.#remove(entry, group, [member.memberId])
    return { ...refused(request, error), memberEpoch: error === 'NONE' ? request.memberEpoch : 0 }
  }

  /** Removes members; if only classic ones are left, the group becomes a classic one. */
  async #remove(entry: GroupEntry, group: ConsumerGroup, memberIds: readonly string[]): Promise<KafkaErrorName> {
    if (memberIds.length === 0) return 'NONE'
    if (group.isClassicWithout(new Set(memberIds)) && this.#mayDowngrade(group.known.members.size - memberIds.length)) {
      return this.#downgrade(entry, group, memberIds)
    }
    return this.#write(group, { records: group.fence(memberIds, this.#context()), deadlines: [], reply: undefined })
  }

  #mayDowngrade(memberCount: number): boolean {
    const { migrationPolicy, classicMemberCountMax } = this.#options
    const isOn = migrationPolicy === 'bidirectional' || migrationPolicy === 'downgrade'
    return isOn && memberCount <= classicMemberCountMax
  }

  async #downgrade(entry: GroupEntry, group: ConsumerGroup, leaving: readonly string[]): Promise<KafkaErrorName> {
    const { table, topics, classic, logger } = this.#options
    if (!this.#mayDowngrade(group.known.members.size - leaving.length)) return 'NONE'
    const { groupId } = entry
    const { stored, protocols } = downgrade(group, new Set(leaving), { topics, nowMs: table.nowMs() })
    const next = table.newClassic(groupId)
    const isSettled = leaving.length === 0 && group.state === 'Stable'
    // Who has to join again must after a restart too: nobody is in the generation that is written, and a leader that
    // joins again begins a rebalance.
    const written = isSettled ? stored : { ...stored, generation: stored.generation + 1 }
    const records = [...tombstonesOf(group), encodeGroup(groupId, written)]
    const error = await this.#replace(entry, { next, stored, records })
    if (error !== 'NONE') return error
    next.restore(stored, table.nowMs(), protocols)
    logger.info({ groupId, members: stored.members.length }, 'the consumer group became a classic group')
    if (!isSettled) classic.perform(entry, next, next.rebalance(table.nowMs(), written.generation))
    table.arm(entry)
    return 'NONE'
  }

  /** An empty consumer group gives way to a classic one. */
  async #becomeClassic(entry: GroupEntry, group: ConsumerGroup, request: JoinRequest): Promise<JoinReply | undefined> {
    const next = this.#options.table.newClassic(entry.groupId)
    const error = await this.#replace(entry, { next, records: tombstonesOf(group) })
    return error === 'NONE' ? undefined : failedJoin(request.token, error, request.memberId)
  }

  /** Puts a classic group in the place of a consumer group, once the records of that are written. */
  #replace(
    entry: GroupEntry,
    { next, stored, records }: { next: ClassicGroup; stored?: StoredGroup; records: readonly GroupRecord[] }
  ): Promise<KafkaErrorName> {
    const { log, table } = this.#options
    return log.append(entry.groupId, records, () => {
      table.put(entry.groupId, next)
      entry.stored = stored
    })
  }

  /** Appends what a decision asks for, then makes it so; `before` are records of a conversion. */
  async #write(
    group: ConsumerGroup,
    decision: Decision<unknown>,
    before: readonly GroupRecord[] = []
  ): Promise<KafkaErrorName> {
    const { table, log, classic, logger } = this.#options
    const { groupId } = group
    const records = [...before, ...decision.records.map(record => encodeConsumerGroupRecord(groupId, record))]
    const old = table.find(groupId)?.group
    const apply = (): void => {
      group.complete(decision)
      const entry = table.put(groupId, group)
      if (old?.type !== 'classic') return
      logger.info({ groupId, members: group.known.members.size }, 'the classic group became a consumer group')
      classic.perform(entry, old, old.dissolve())
    }
    if (records.length === 0) group.complete(decision)
    else {
      const error = await log.append(groupId, records, apply)
      if (error !== 'NONE') return error
    }
    const entry = table.find(groupId)
    if (entry !== undefined) table.arm(entry)
    return 'NONE'
  }
}

function tombstonesOf(group: ConsumerGroup): GroupRecord[] {
  return group.known.tombstones().map(record => encodeConsumerGroupRecord(group.groupId, record))
}

function notFound(groupId: string, entry: GroupEntry | undefined): GroupRefusal {
  const text =
    entry === undefined ? `Consumer group ${groupId} not found.` : `Group ${groupId} is not a consumer group.`
  return new GroupRefusal('GROUP_ID_NOT_FOUND', text)
}

function refused(request: HeartbeatRequest, error: KafkaErrorName, message: string | null = null): HeartbeatReply {
  const memberId = error === 'NONE' ? request.memberId : ''
  return { error, message, memberId, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
}
