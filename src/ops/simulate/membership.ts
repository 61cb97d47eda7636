/**
 * The group of a simulation: who is a member, what a rebalance pauses and moves,
 * how long it lasts.
 *
 * A member that leaves says so and is gone at once; one that was killed is
 * missed after its session, and a rebalance that begins before waits for that. A
 * rebalance that begins while another runs takes its place. Eager: everything
 * pauses. Cooperative and consumer: only what moves.
 */

import { type Ownership } from './data-plane.ts'
import { rangeAssignment, stickyAssignment } from './assignment.ts'
import type { SimulationScenario } from './simulation-types.ts'

/** What the group needs from the run. */
export interface MembershipPort {
  nowS(): number
  partitionCount(): number
  /** Calls at a time. */
  at(timeS: number, run: () => void): void
  /** Drops what is under way for a partition. */
  abandon(partition: number): void
  /** Owners or pauses have changed. */
  changed(): void
  /** Mean time of an invocation now, in seconds: what a drain waits for. */
  invocationS(): number
  rebalanced(fact: { readonly startS: number; readonly endS: number; readonly isNew: boolean }): void
  note(text: string): void
}

interface Member {
  state: 'up' | 'dead' | 'gone'
  /** When the coordinator misses a member that is dead. */
  missedAtS: number
}

/** Members and their partitions. */
export class Membership {
  readonly ownership: Ownership
  readonly #scenario: SimulationScenario
  readonly #port: MembershipPort
  readonly #members: Member[] = []
  #rebalanceStartS = 0
  #rebalanceEndS = -1
  #isSettled = true

  constructor(scenario: SimulationScenario, port: MembershipPort) {
    this.#scenario = scenario
    this.#port = port
    const { partitions } = scenario.topic
    for (let index = 0; index < scenario.group.instances; index++) this.#members.push({ state: 'up', missedAtS: 0 })
    this.ownership = {
      owners: rangeAssignment(this.#up(), partitions),
      paused: new Uint8Array(partitions),
      instanceCount: this.#members.length
    }
  }

  /** Members that are at work. */
  get upCount(): number {
    return this.#up().length
  }

  /** Whether a rebalance is under way. */
  get isRebalancing(): boolean {
    return !this.#isSettled
  }

  /** Indexes of the members at work, in order. */
  up(): readonly number[] {
    return this.#up()
  }

  /** New instances join. */
  join(count: number): void {
    if (count <= 0) return
    for (let index = 0; index < count; index++) this.#members.push({ state: 'up', missedAtS: 0 })
    this.ownership.instanceCount = this.#members.length
    this.rebalance()
  }

  /** Instances drain and leave. */
  leave(indexes: readonly number[]): void {
    if (indexes.length === 0) return
    for (const index of indexes) this.#set(index, { state: 'gone', missedAtS: 0 })
    this.rebalance()
  }

  /**
   * An instance stops without a word: what it had is missed after its session.
   *
   * @param isDrained - Batches under way are finished first, as a static member that is stopped does.
   */
  stop(index: number, isDrained: boolean): void {
    const missedAtS = this.#port.nowS() + this.#scenario.group.sessionTimeoutMs / 1000
    this.#set(index, { state: 'dead', missedAtS })
    this.#release(index, isDrained)
    this.#port.changed()
    this.#port.at(missedAtS, () => {
      const member = this.#members[index]
      if (member?.state !== 'dead' || member.missedAtS !== missedAtS) return
      this.#set(index, { state: 'gone', missedAtS: 0 })
      this.#port.note(`instance ${index + 1} is missed: its session is over`)
      if (this.#isSettled) this.rebalance()
    })
  }

  /** An instance is back: a static one takes its own, another joins. */
  comeBack(index: number): void {
    const member = this.#members[index]
    const isSame = this.#scenario.group.isStatic && member?.state === 'dead'
    this.#set(index, { state: 'up', missedAtS: 0 })
    if (!isSame) {
      this.rebalance()
      return
    }
    const { owners, paused } = this.ownership
    owners.forEach((owner, partition) => {
      if (owner === index) paused[partition] = 0
    })
    this.#port.changed()
  }

  /** Starts a rebalance, or starts the one that runs anew. */
  rebalance(): void {
    const nowS = this.#port.nowS()
    const { group } = this.#scenario
    const partitionCount = this.#port.partitionCount()
    const isNew = this.#isSettled
    if (isNew) this.#rebalanceStartS = nowS
    this.#isSettled = false
    const { owners, paused } = this.ownership
    const next = this.#assign()
    for (let partition = 0; partition < partitionCount; partition++) {
      const isMoved = owners[partition] !== next[partition]
      if (paused[partition] === 1 || (group.protocol !== 'eager' && !isMoved)) continue
      paused[partition] = 1
      if (!group.drainsOnRevoke) this.#port.abandon(partition)
    }
    const drainS = group.drainsOnRevoke ? this.#port.invocationS() : 0
    // An eager group waits for everybody it knows; the dead are known until they are missed.
    const missedS = this.#members.reduce(
      (latest, { state, missedAtS }) => (state === 'dead' ? Math.max(latest, missedAtS) : latest),
      0
    )
    const endS = Math.max(nowS, group.isStatic ? 0 : missedS) + group.rebalanceMs / 1000 + drainS
    this.#rebalanceEndS = endS
    this.#port.rebalanced({ startS: this.#rebalanceStartS, endS, isNew })
    this.#port.changed()
    this.#port.at(endS, () => {
      if (this.#rebalanceEndS === endS && !this.#isSettled) this.#settle()
    })
  }

  #settle(): void {
    this.#isSettled = true
    this.ownership.owners.set(this.#assign())
    this.ownership.paused.fill(0)
    this.#port.changed()
    const lastedS = this.#port.nowS() - this.#rebalanceStartS
    this.#port.note(`rebalance complete after ${lastedS.toFixed(0)} s: ${this.upCount} instances`)
  }

  /** More partitions: nobody has the new ones yet. */
  grow(partitionCount: number): void {
    const owners = new Int32Array(partitionCount).fill(-1)
    owners.set(this.ownership.owners)
    const paused = new Uint8Array(partitionCount)
    paused.set(this.ownership.paused)
    this.ownership.owners = owners
    this.ownership.paused = paused
    this.#port.changed()
    this.rebalance()
  }

  #assign(): Int32Array {
    const members = this.#holders()
    const count = this.#port.partitionCount()
    return this.#scenario.group.protocol === 'eager'
      ? rangeAssignment(members, count)
      : stickyAssignment(members, this.ownership.owners, count)
  }

  /** Static members that are away hold their place for their session. */
  #holders(): number[] {
    if (!this.#scenario.group.isStatic) return this.#up()
    return this.#members.flatMap(({ state }, index) => (state === 'gone' ? [] : [index]))
  }

  #up(): number[] {
    return this.#members.flatMap(({ state }, index) => (state === 'up' ? [index] : []))
  }

  #set(index: number, member: Member): void {
    this.#members[index] = member
  }

  #release(index: number, isDrained: boolean): void {
    const { owners, paused } = this.ownership
    owners.forEach((owner, partition) => {
      if (owner !== index) return
      paused[partition] = 1
      if (!isDrained) this.#port.abandon(partition)
    })
  }
}
