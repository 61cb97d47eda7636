/**
 * Runtime of the classic groups: parked requests and writes.
 *
 * Each call runs a decision of `classic-group.ts`, appends the records it asks
 * for, and only then lets what depends on them happen.
 *
 * Limits: parked requests are bounded by the members, members by `group.max.size`.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import type { ClassicGroup } from './classic-group.ts'
import { failedJoin, failedSync } from './group-effects.ts'
import type { GroupLog } from './group-log.ts'
import { encodeGroup } from './group-records.ts'
import type { GroupEntry, GroupTable } from './group-table.ts'
import type {
  GroupEffects,
  JoinReply,
  JoinRequest,
  LeavingMember,
  StoredGroup,
  SyncReply,
  SyncRequest
} from './group-types.ts'

/** A JoinGroup or SyncGroup that waits for its group. */
interface ParkedRequest {
  readonly answer: (reply: JoinReply | SyncReply) => void
  readonly refuse: () => void
}

/** Serves the classic groups. */
export class ClassicRuntime {
  readonly #table: GroupTable
  readonly #log: GroupLog
  readonly #parked = new Map<number, ParkedRequest>()
  /** The last write of a group, with what it led to. */
  readonly #writes = new WeakMap<ClassicGroup, Promise<void>>()

  constructor(table: GroupTable, log: GroupLog) {
    this.#table = table
    this.#log = log
  }

  /** JoinGroup. Resolves when the join phase ends. */
  join(entry: GroupEntry, group: ClassicGroup, request: JoinRequest): Promise<JoinReply> {
    return new Promise(resolve => {
      this.#parked.set(request.token, {
        answer: reply => {
          if (reply.kind === 'join') resolve(reply)
        },
        refuse: () => resolve(failedJoin(request.token, 'COORDINATOR_NOT_AVAILABLE', request.memberId))
      })
      this.perform(entry, group, group.join(request, this.#table.nowMs()))
    })
  }

  /** SyncGroup. Resolves when the assignment is written. */
  sync(entry: GroupEntry, group: ClassicGroup, request: SyncRequest): Promise<SyncReply> {
    return new Promise(resolve => {
      this.#parked.set(request.token, {
        answer: reply => {
          if (reply.kind === 'sync') resolve(reply)
        },
        refuse: () => resolve(failedSync(request.token, 'COORDINATOR_NOT_AVAILABLE'))
      })
      this.perform(entry, group, group.sync(request, this.#table.nowMs()))
    })
  }

  /** LeaveGroup: one error per named member. */
  leave(entry: GroupEntry, group: ClassicGroup, leaving: readonly LeavingMember[]): KafkaErrorName[] {
    const effects = group.leave(leaving, this.#table.nowMs())
    this.perform(entry, group, effects)
    return effects.errors
  }

  /** Resolves when nothing that the group has decided waits for the disk. */
  async settled(group: ClassicGroup): Promise<void> {
    await this.#writes.get(group)
  }

  /** What time alone decides. */
  expire(entry: GroupEntry, group: ClassicGroup): void {
    this.perform(entry, group, group.expire(this.#table.nowMs()))
  }

  /** Carries out a decision: writes, replies, timer. */
  perform(entry: GroupEntry, group: ClassicGroup, effects: GroupEffects): void {
    for (const write of effects.writes) this.#write(entry, group, write)
    for (const reply of effects.replies) {
      const parked = this.#parked.get(reply.token)
      this.#parked.delete(reply.token)
      parked?.answer(reply)
    }
    // A group that was converted meanwhile answers what it has promised, and no more.
    if (entry.group !== group) return
    this.#table.arm(entry)
    this.#table.dropIfBlank(entry)
  }

  /** Lets parked requests go; members find the next broker by themselves. */
  close(): void {
    for (const parked of this.#parked.values()) parked.refuse()
    this.#parked.clear()
  }

  #write(
    entry: GroupEntry,
    group: ClassicGroup,
    { ticket, group: stored }: { readonly ticket: number; readonly group: StoredGroup }
  ): void {
    const { groupId } = entry
    const applyWrite = (): void => {
      if (entry.group === group) entry.stored = stored
    }
    const writing = this.#log
      .append(groupId, [encodeGroup(groupId, stored)], applyWrite)
      .then(error => this.perform(entry, group, group.completeWrite(ticket, error, this.#table.nowMs())))
    this.#writes.set(group, writing)
  }
}
