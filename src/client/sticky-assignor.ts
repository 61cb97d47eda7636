/**
 * Sticky assignment: balanced first, then with as few moves as possible. Pure.
 *
 * 1. Every partition stays with the member that holds it, if that member still
 *    wants the topic. If several claim it, the claim of the newest generation
 *    counts; if that is not unique, none does.
 * 2. Partitions without an owner go to the member with the fewest among those
 *    that want the topic, the choosiest topics first.
 * 3. While some member has at least two more than another one that its
 *    partitions can reach, directly or over members in between, one partition
 *    moves along that path. Each step lowers the sum of squared loads, so this
 *    ends; with equal subscriptions all loads then differ by one at most.
 */

import { invariant } from '../core/index.ts'
import type { AssignorMember, GroupAssignment, PartitionCounts } from './assignor-types.ts'
import type { TopicPartition } from './group-types.ts'

interface Slot {
  readonly topic: string
  readonly partition: number
  /** Index of the member that held it before, -1 if none. */
  heldBy: number
  owner: number
}

/** Assigns all partitions of the wanted topics. `members` must be in an order that is stable between rounds. */
export function assignSticky(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const state = new StickyState(members, counts)
  state.keepHeld()
  state.assignRest()
  state.balance()
  return state.result()
}

class StickyState {
  readonly #members: readonly AssignorMember[]
  readonly #wants: readonly ReadonlySet<string>[]
  readonly #slots: Slot[] = []
  readonly #byKey = new Map<string, Slot>()
  /** Slots of each member. */
  readonly #owned: Set<Slot>[]
  /** Indexes of the members that want a topic. */
  readonly #takers = new Map<string, number[]>()

  constructor(members: readonly AssignorMember[], counts: PartitionCounts) {
    this.#members = members
    this.#wants = members.map(member => new Set(member.topics))
    this.#owned = members.map(() => new Set())
    for (const [topic, count] of [...counts].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const takers = members.flatMap((_, index) => (this.#wants[index]?.has(topic) === true ? [index] : []))
      if (takers.length === 0) continue
      this.#takers.set(topic, takers)
      for (let partition = 0; partition < count; partition++) {
        const slot: Slot = { topic, partition, heldBy: -1, owner: -1 }
        this.#slots.push(slot)
        this.#byKey.set(`${topic}/${partition}`, slot)
      }
    }
  }

  keepHeld(): void {
    const claims = new Map<Slot, { member: number; generation: number; isUnique: boolean }>()
    for (const [member, { owned, generation }] of this.#members.entries()) {
      for (const { topic, partition } of owned) {
        const slot = this.#byKey.get(`${topic}/${partition}`)
        if (slot === undefined) continue
        const best = claims.get(slot)
        if (best === undefined || generation > best.generation) claims.set(slot, { member, generation, isUnique: true })
        else if (generation === best.generation) best.isUnique = false
      }
    }
    for (const [slot, { member, isUnique }] of claims) {
      if (!isUnique || this.#wants[member]?.has(slot.topic) !== true) continue
      slot.heldBy = member
      this.#give(slot, member)
    }
  }

  assignRest(): void {
    const takerCount = (slot: Slot): number => this.#takers.get(slot.topic)?.length ?? 0
    const rest = this.#slots.filter(slot => slot.owner < 0).sort((left, right) => takerCount(left) - takerCount(right))
    for (const slot of rest) {
      let best = -1
      for (const member of this.#takers.get(slot.topic) ?? []) {
        if (best < 0 || this.#load(member) < this.#load(best)) best = member
      }
      this.#give(slot, best)
    }
  }

  balance(): void {
    // Each move takes one partition one step; the bound is far above what the falling sum of squares allows.
    const movesMax = (this.#slots.length + 1) * (this.#members.length + 1)
    for (let moves = 0; this.#improve(); moves++) invariant(moves <= movesMax, 'sticky balancing does not end')
  }

  result(): GroupAssignment {
    const assignment: GroupAssignment = new Map(this.#members.map(({ memberId }) => [memberId, []]))
    for (const { topic, partition, owner } of this.#slots) {
      const list: TopicPartition[] | undefined = assignment.get(this.#members[owner]?.memberId ?? '')
      list?.push({ topic, partition })
    }
    return assignment
  }

  /** Moves one partition away from the most loaded member that can be relieved. */
  #improve(): boolean {
    const byLoad = this.#members.map((_, index) => index).sort((left, right) => this.#load(right) - this.#load(left))
    const least = this.#load(byLoad.at(-1) ?? 0)
    for (const start of byLoad) {
      if (this.#load(start) - least < 2) return false
      const path = this.#pathFrom(start)
      if (path === undefined) continue
      for (const [index, from] of path.entries()) {
        const to = path[index + 1]
        if (to !== undefined) this.#move(from, to)
      }
      return true
    }
    return false
  }

  /** Members from `start` to the least loaded one with at least two less, over members that can pass a partition on. */
  #pathFrom(start: number): number[] | undefined {
    const cameFrom = new Map<number, number>([[start, start]])
    let found = -1
    const queue = [start]
    for (const member of queue) {
      for (const next of this.#reachableFrom(member)) {
        if (cameFrom.has(next)) continue
        cameFrom.set(next, member)
        queue.push(next)
        const isRelief = this.#load(next) <= this.#load(start) - 2
        if (isRelief && (found < 0 || this.#load(next) < this.#load(found))) found = next
      }
      // The first level that relieves is enough: longer paths move more partitions.
      if (found >= 0) break
    }
    if (found < 0) return undefined
    const path = [found]
    for (let at = found; at !== start; path.unshift(at)) at = cameFrom.get(at) ?? start
    return path
  }

  #reachableFrom(member: number): Set<number> {
    const reachable = new Set<number>()
    const topics = new Set<string>()
    for (const slot of this.#owned[member] ?? []) topics.add(slot.topic)
    for (const topic of topics) for (const taker of this.#takers.get(topic) ?? []) reachable.add(taker)
    return reachable
  }

  /** Passes one partition on: rather one that comes back to where it was, or moves anyway, than one held so far. */
  #move(from: number, to: number): void {
    let best: Slot | undefined
    let bestCost = Number.POSITIVE_INFINITY
    for (const slot of this.#owned[from] ?? []) {
      if (this.#wants[to]?.has(slot.topic) !== true) continue
      const cost = slot.heldBy === to ? 0 : slot.heldBy === from ? 2 : 1
      if (cost < bestCost) {
        best = slot
        bestCost = cost
      }
    }
    invariant(best !== undefined, 'a sticky path has nothing to pass on')
    this.#give(best, to)
  }

  #give(slot: Slot, member: number): void {
    if (slot.owner >= 0) this.#owned[slot.owner]?.delete(slot)
    slot.owner = member
    this.#owned[member]?.add(slot)
  }

  #load(member: number): number {
    return this.#owned[member]?.size ?? 0
  }
}
