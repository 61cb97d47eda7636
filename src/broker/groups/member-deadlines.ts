/**
 * What members of a consumer group must do by when. Pure: times are passed in.
 *
 *   session    say anything at all; of a static member that left for a moment: come back
 *   rebalance  give back what was revoked, unless its epoch has moved on since
 *   join       classic members: join again after they were told to
 *   sync       classic members: ask for the assignment after they joined
 */

/** What a member owes. */
export type DeadlineKind = 'session' | 'rebalance' | 'join' | 'sync'

/** A change of one deadline. */
export interface DeadlineChange {
  readonly memberId: string
  readonly kind: DeadlineKind
  /** Epoch milliseconds; `undefined` ends it. */
  readonly atMs: number | undefined
  /** Epoch of the member that a rebalance deadline belongs to. */
  readonly epoch?: number
  /** An earlier deadline of the kind stays as it is. */
  readonly isOnlyIfAbsent?: boolean
}

/** A deadline that has passed. */
export interface PassedDeadline {
  readonly memberId: string
  readonly kind: DeadlineKind
  readonly epoch: number
}

interface Deadline {
  readonly atMs: number
  readonly epoch: number
}

/** Deadlines of all members of a group. */
export class MemberDeadlines {
  readonly #members = new Map<string, Map<DeadlineKind, Deadline>>()

  /** Changes one. */
  change({ memberId, kind, atMs, epoch, isOnlyIfAbsent }: DeadlineChange): void {
    const known = this.#members.get(memberId)
    if (atMs === undefined) {
      known?.delete(kind)
      return
    }
    if (isOnlyIfAbsent === true && known?.has(kind) === true) return
    const deadlines = known ?? new Map<DeadlineKind, Deadline>()
    deadlines.set(kind, { atMs, epoch: epoch ?? 0 })
    this.#members.set(memberId, deadlines)
  }

  /** Ends all of a member. */
  forget(memberId: string): void {
    this.#members.delete(memberId)
  }

  /** The earliest one. */
  nextMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY
    for (const deadlines of this.#members.values()) {
      for (const { atMs } of deadlines.values()) next = Math.min(next, atMs)
    }
    return Number.isFinite(next) ? next : undefined
  }

  /** Takes those that have passed. */
  takePassed(nowMs: number): PassedDeadline[] {
    const passed: PassedDeadline[] = []
    for (const [memberId, deadlines] of this.#members) {
      for (const [kind, { atMs, epoch }] of deadlines) {
        if (atMs > nowMs) continue
        deadlines.delete(kind)
        passed.push({ memberId, kind, epoch })
      }
    }
    return passed
  }
}
