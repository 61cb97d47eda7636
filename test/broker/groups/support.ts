/** A classic group on its own, with the defaults that its tests do not care about. */

import { ClassicGroup } from '../../../src/broker/groups/classic-group.ts'
import type {
  GroupEffects,
  GroupSettings,
  JoinReply,
  JoinRequest,
  SyncReply,
  SyncRequest
} from '../../../src/broker/groups/group-types.ts'

const SETTINGS: GroupSettings = {
  initialRebalanceDelayMs: 3000,
  sessionTimeoutMinMs: 6000,
  sessionTimeoutMaxMs: 1_800_000,
  memberCountMax: 1000
}

/** A group with a clock that the test moves, and all replies it has sent. */
export class GroupHarness {
  readonly group: ClassicGroup
  nowMs = 1_000_000
  #token = 0
  readonly replies = new Map<number, JoinReply | SyncReply>()
  readonly writes: GroupEffects['writes'][number][] = []

  constructor(settings: Partial<GroupSettings> = {}) {
    this.group = new ClassicGroup('g', { ...SETTINGS, ...settings }, this.nowMs)
  }

  /** Sends JoinGroup; returns the token to find the reply by. */
  join(request: Partial<JoinRequest> = {}): number {
    const token = ++this.#token
    this.take(
      this.group.join(
        {
          token,
          memberId: '',
          newMemberId: `member-${token}`,
          groupInstanceId: null,
          clientId: 'client',
          clientHost: '/127.0.0.1',
          sessionTimeoutMs: 10_000,
          rebalanceTimeoutMs: 60_000,
          protocolType: 'consumer',
          protocols: [{ name: 'range', metadata: Buffer.from('topics') }],
          isKnownMemberIdRequired: false,
          canSkipAssignment: false,
          ...request
        },
        this.nowMs
      )
    )
    return token
  }

  /** Sends SyncGroup; returns the token. */
  sync(memberId: string, assignments: Record<string, string> = {}, request: Partial<SyncRequest> = {}): number {
    const token = ++this.#token
    this.take(
      this.group.sync(
        {
          token,
          memberId,
          groupInstanceId: null,
          generation: this.group.generation,
          protocolType: null,
          protocolName: null,
          assignments: Object.entries(assignments).map(([id, text]) => ({
            memberId: id,
            assignment: Buffer.from(text)
          })),
          ...request
        },
        this.nowMs
      )
    )
    return token
  }

  heartbeat(memberId: string, generation: number = this.group.generation): string {
    return this.group.heartbeat({ memberId, groupInstanceId: null, generation }, this.nowMs)
  }

  leave(...memberIds: string[]): string[] {
    const effects = this.group.leave(
      memberIds.map(memberId => ({ memberId, groupInstanceId: null })),
      this.nowMs
    )
    this.take(effects)
    return effects.errors
  }

  /** Moves time and lets the group do what time decides. */
  pass(ms: number): void {
    const until = this.nowMs + ms
    for (
      let next = this.group.nextDeadlineMs();
      next !== undefined && next <= until;
      next = this.group.nextDeadlineMs()
    ) {
      this.nowMs = Math.max(this.nowMs, next)
      this.take(this.group.expire(this.nowMs))
    }
    this.nowMs = until
  }

  /** Completes the oldest write. */
  written(error: Parameters<ClassicGroup['completeWrite']>[1] = 'NONE'): void {
    const write = this.writes.shift()
    if (write === undefined) throw new Error('nothing was to be written')
    this.take(this.group.completeWrite(write.ticket, error, this.nowMs))
  }

  joined(token: number): JoinReply {
    const reply = this.replies.get(token)
    if (reply?.kind !== 'join') throw new Error(`JoinGroup ${token} has no reply`)
    return reply
  }

  synced(token: number): SyncReply {
    const reply = this.replies.get(token)
    if (reply?.kind !== 'sync') throw new Error(`SyncGroup ${token} has no reply`)
    return reply
  }

  isParked(token: number): boolean {
    return !this.replies.has(token)
  }

  take(effects: GroupEffects): void {
    for (const reply of effects.replies) {
      if (this.replies.has(reply.token)) throw new Error(`request ${reply.token} was answered twice`)
      this.replies.set(reply.token, reply)
    }
    this.writes.push(...effects.writes)
  }

  /** A stable group of `count` dynamic members; the first is the leader. */
  stable(count: number, request: Partial<JoinRequest> = {}): string[] {
    const tokens = Array.from({ length: count }, () => this.join(request))
    while (tokens.some(token => this.isParked(token))) this.pass(500)
    const ids = tokens.map(token => this.joined(token).memberId)
    this.syncAll(ids)
    return ids
  }

  /** Everyone syncs, the first as leader, and the assignment is written. */
  syncAll(ids: readonly string[]): number[] {
    const leader = this.group.leaderId
    const assignments = Object.fromEntries(ids.map(id => [id, `for ${id}`]))
    const tokens = ids.map(id => this.sync(id, id === leader ? assignments : {}))
    this.written()
    return tokens
  }
}
