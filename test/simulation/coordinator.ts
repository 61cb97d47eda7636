/**
 * The coordinator of one group, in two protocols.
 *
 * - `consumer` (as KIP-848): each heartbeat is answered with what the member may hold now; a partition is free for
 *   the next member only when its holder says that it has let go, or is removed.
 * - `classic` (cooperative): a round begins, each member joins with what it holds, the last one closes the round, and
 *   what is to move is handed out in the round after.
 *
 * A partition has one holder at a time as far as the coordinator knows; whoever is removed may not know it yet.
 */

import { PipelineError, type VirtualClock } from '../../src/core/index.ts'

/** A committed offset. */
export interface Committed {
  readonly offset: number
  readonly metadata: string
}

/** A member as the coordinator sees it. */
interface Member {
  readonly id: string
  /** Generation or member epoch that it was told last. */
  epoch: number
  /** What it is to have. */
  target: ReadonlySet<string>
  /** What it was told to hold, or has not let go yet. */
  readonly holds: Set<string>
  lastBeatMs: number
  /** Since when it has something to let go. */
  revokingSinceMs: number | undefined
  /** Number of its last heartbeat: older ones that come late are ignored. */
  sequence: number
  /** Set while it waits for the round to close. */
  joined: ((answer: JoinAnswer) => void) | undefined
}

/** What a member is told when a round closes. */
export interface JoinAnswer {
  readonly epoch: number
  readonly assigned: readonly string[]
}

/** Limits of a group, in milliseconds. */
export interface CoordinatorOptions {
  readonly protocol: 'consumer' | 'classic'
  readonly clock: VirtualClock
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Partitions that are to be shared out, by name. */
  readonly partitions: () => readonly string[]
  /** Told when a member is removed without having said goodbye. */
  readonly onRemoved: (memberId: string, why: string) => void
  /** Told of each offset that is accepted. */
  readonly onCommitted: (partition: string, committed: Committed) => void
}

/** Error codes of Kafka that the model uses. */
const CODE = { UNKNOWN_MEMBER_ID: 25, ILLEGAL_GENERATION: 22, REBALANCE_IN_PROGRESS: 27, NOT_AVAILABLE: 15 } as const

/** An answer with an error code. */
export function kafkaAnswer(code: keyof typeof CODE): PipelineError {
  return new PipelineError('ERR_CLIENT_KAFKA', code, {
    kafkaCode: CODE[code],
    retriable: code === 'REBALANCE_IN_PROGRESS' || code === 'NOT_AVAILABLE'
  })
}

/** The coordinator. */
export class Coordinator {
  readonly committed = new Map<string, Committed>()
  /** Share of commits that are refused although nothing is wrong with them: a broker in trouble. */
  refuseCommits: () => boolean = () => false
  readonly #options: CoordinatorOptions
  readonly #members = new Map<string, Member>()
  #epoch = 0
  #ids = 0
  #turn = 0
  /** Partitions when they were shared out last. */
  #sharedCount = 0
  /** A classic round that waits for members since then. */
  #roundSinceMs: number | undefined

  constructor(options: CoordinatorOptions) {
    this.#options = options
  }

  get memberCount(): number {
    return this.#members.size
  }

  /** Whether a member belongs to the group. */
  knows(memberId: string): boolean {
    return this.#members.has(memberId)
  }

  /** Moves partitions around for no reason, as assignors do. */
  shake(): void {
    this.#turn += 1
    this.#rebalance()
  }

  /** Looks for members that have been silent or slow for too long, and for new partitions. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    for (const member of this.#members.values()) {
      if (member.joined === undefined && nowMs - member.lastBeatMs > sessionTimeoutMs) this.#remove(member, 'session')
      else if (member.revokingSinceMs !== undefined && nowMs - member.revokingSinceMs > rebalanceTimeoutMs) {
        this.#remove(member, 'rebalance')
      }
    }
    const since = this.#roundSinceMs
    if (since !== undefined && nowMs - since > rebalanceTimeoutMs) {
      for (const member of this.#members.values()) if (member.joined === undefined) this.#remove(member, 'rebalance')
      this.#closeRound()
    }
    if (this.#options.partitions().length !== this.#sharedCount) this.#rebalance()
  }

  /** Takes a heartbeat of the `consumer` protocol; an empty member id joins. */
  beat(request: { memberId: string; epoch: number; sequence: number; holds: readonly string[] }): {
    memberId: string
    epoch: number
    assigned: readonly string[]
  } {
    const member = request.memberId === '' ? this.#add() : this.#members.get(request.memberId)
    if (member === undefined) throw kafkaAnswer('UNKNOWN_MEMBER_ID')
    // One that comes late, over a connection that was given up: nobody reads the answer.
    if (request.sequence < member.sequence) throw kafkaAnswer('NOT_AVAILABLE')
    member.sequence = request.sequence
    member.lastBeatMs = this.#options.clock.monotonicMs()
    const held = new Set(request.holds)
    for (const name of member.holds) if (!member.target.has(name) && !held.has(name)) member.holds.delete(name)
    for (const name of member.target) if (this.#holderOf(name) === undefined) member.holds.add(name)
    const assigned = [...member.holds].filter(name => member.target.has(name))
    const hasToLetGo = assigned.length < member.holds.size
    member.revokingSinceMs = hasToLetGo ? (member.revokingSinceMs ?? member.lastBeatMs) : undefined
    member.epoch = this.#epoch
    return { memberId: member.id, epoch: member.epoch, assigned }
  }

  /** Takes a heartbeat of the `classic` protocol. */
  classicBeat(memberId: string, epoch: number): void {
    const member = this.#members.get(memberId)
    if (member === undefined) throw kafkaAnswer('UNKNOWN_MEMBER_ID')
    if (epoch !== member.epoch) throw kafkaAnswer('ILLEGAL_GENERATION')
    member.lastBeatMs = this.#options.clock.monotonicMs()
    if (this.#roundSinceMs !== undefined) throw kafkaAnswer('REBALANCE_IN_PROGRESS')
  }

  /** Joins a round of the `classic` protocol: answered when it closes. */
  join(request: { memberId: string; epoch: number; holds: readonly string[] }): Promise<JoinAnswer & { id: string }> {
    const member = request.memberId === '' ? this.#add() : this.#members.get(request.memberId)
    if (member === undefined) throw kafkaAnswer('UNKNOWN_MEMBER_ID')
    // It knows itself what it holds, whatever it was last told to; what others hold already is not its own any more.
    member.holds.clear()
    for (const name of request.holds) if (this.#holderOf(name) === undefined) member.holds.add(name)
    this.#roundSinceMs ??= this.#options.clock.monotonicMs()
    return new Promise(resolve => {
      member.joined = answer => resolve({ ...answer, id: member.id })
      this.#closeRound()
    })
  }

  leave(memberId: string): void {
    const member = this.#members.get(memberId)
    if (member === undefined) return
    this.#members.delete(memberId)
    this.#rebalance()
  }

  /** Commits; a member that is gone or of another generation is refused. */
  commit(
    request: { memberId: string; epoch: number },
    offsets: readonly { partition: string; offset: number; metadata: string }[]
  ): void {
    if (this.refuseCommits()) throw kafkaAnswer('NOT_AVAILABLE')
    const member = this.#members.get(request.memberId)
    if (member === undefined) throw kafkaAnswer('UNKNOWN_MEMBER_ID')
    const isOld = request.epoch < member.epoch
    // With member epochs that is no more than a heartbeat whose answer is on its way.
    if (isOld) throw kafkaAnswer(this.#options.protocol === 'consumer' ? 'REBALANCE_IN_PROGRESS' : 'ILLEGAL_GENERATION')
    for (const { partition, offset, metadata } of offsets) {
      this.committed.set(partition, { offset, metadata })
      this.#options.onCommitted(partition, { offset, metadata })
    }
  }

  #add(): Member {
    this.#ids += 1
    const member: Member = {
      id: `m${this.#ids}`,
      epoch: -1,
      target: new Set(),
      holds: new Set(),
      lastBeatMs: this.#options.clock.monotonicMs(),
      revokingSinceMs: undefined,
      sequence: 0,
      joined: undefined
    }
    this.#members.set(member.id, member)
    this.#rebalance()
    return member
  }

  #remove(member: Member, why: string): void {
    this.#members.delete(member.id)
    this.#options.onRemoved(member.id, why)
    this.#rebalance()
  }

  #holderOf(name: string): Member | undefined {
    for (const member of this.#members.values()) if (member.holds.has(name)) return member
    return undefined
  }

  #rebalance(): void {
    this.#sharedCount = this.#options.partitions().length
    if (this.#options.protocol === 'classic') {
      this.#roundSinceMs ??= this.#options.clock.monotonicMs()
      this.#closeRound()
      return
    }
    this.#epoch += 1
    this.#shareOut(member => member.target)
  }

  /** Gives each member its target: as many as the others, and what it has as far as that goes. */
  #shareOut(before: (member: Member) => ReadonlySet<string>): void {
    const members = [...this.#members.values()]
    if (members.length === 0) return
    const names = this.#options.partitions()
    const quota = Math.ceil(names.length / members.length)
    const targets = members.map(member => {
      const kept = names.filter(name => before(member).has(name))
      // A turn takes one partition away from each member, so that something moves.
      return { member, names: kept.slice(this.#turn % 2 === 1 && members.length > 1 ? 1 : 0).slice(0, quota) }
    })
    this.#turn = 0
    const taken = new Set(targets.flatMap(each => each.names))
    const free = names.filter(name => !taken.has(name))
    for (const name of free.toReversed()) {
      const smallest = targets.toSorted((a, b) => a.names.length - b.names.length)[0]
      smallest?.names.push(name)
    }
    for (const { member, names: given } of targets) member.target = new Set(given)
  }

  /** Closes a classic round when each member has joined. */
  #closeRound(): void {
    if (this.#roundSinceMs === undefined) return
    const members = [...this.#members.values()]
    if (members.length === 0) this.#roundSinceMs = undefined
    if (members.length === 0 || members.some(member => member.joined === undefined)) return
    this.#roundSinceMs = undefined
    this.#epoch += 1
    this.#shareOut(member => member.holds)
    for (const member of members) {
      const assigned = [...member.target].filter(name => {
        const holder = this.#holderOf(name)
        return holder === undefined || holder === member
      })
      for (const name of assigned) member.holds.add(name)
      member.epoch = this.#epoch
      member.lastBeatMs = this.#options.clock.monotonicMs()
      member.joined?.({ epoch: this.#epoch, assigned })
      member.joined = undefined
    }
  }
}
