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
 * 4. Step 3 runs with the partitions that nobody held, then with all. So a
 *    round that follows one in which partitions were withheld leaves all
 *    others where they are: the balance of that round can be reached with the
 *    withheld ones alone, and two rounds always settle a group.
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
  /** Whether partitions stay with the members that held them before. */
  #isHeldFixed = true
  /** Indexes of the members that want a topic; the same array for topics that the same members want. */
  readonly #takers = new Map<string, readonly number[]>()

  constructor(members: readonly AssignorMember[], counts: PartitionCounts) {
    this.#members = members
    this.#wants = members.map(member => new Set(member.topics))
    this.#owned = members.map(() => new Set())
    const takersByIndexes = new Map<string, readonly number[]>()
    for (const [topic, count] of [...counts].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const found = members.flatMap((_, index) => (this.#wants[index]?.has(topic) === true ? [index] : []))
      if (found.length === 0) continue
      const takers = takersByIndexes.get(found.join()) ?? found
      takersByIndexes.set(found.join(), takers)
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
    for (const [member, { owned, generation: now, previous }] of this.#members.entries()) {
      const { partitions, generation } = previous ?? { partitions: owned, generation: now }
      for (const { topic, partition } of partitions) {
        const slot = this.#byKey.get(`${topic}/${partition}`)
        if (slot === undefined) continue
        const best = claims.get(slot)
        if (best === undefined || generation > best.generation) claims.set(slot, { member, generation, isUnique: true })
        else if (generation === best.generation) best.isUnique = false
      }
    }
    // In the order of the slots, not of the claims: what moves later must not depend on how members list theirs.
    for (const slot of this.#slots) {
      const claim = claims.get(slot)
      if (claim?.isUnique !== true || this.#wants[claim.member]?.has(slot.topic) !== true) continue
      slot.heldBy = claim.member
      this.#give(slot, claim.member)
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

  /** In two passes: otherwise a partition withheld before could go elsewhere now and drive others out, for ever. */
  balance(): void {
    this.#isHeldFixed = true
    this.#balanceMovable()
    this.#isHeldFixed = false
    this.#balanceMovable()
  }

  #balanceMovable(): void {
    // Each move takes one partition one step; the bound is far above what the falling sum of squares allows.
    const movesMax = (this.#slots.length + 1) * (this.#members.length + 1)
    // Members that could not be relieved. Moves elsewhere rarely change that, so they are looked at again only when
    // nobody else is left; the end is reached when that finds nothing either.
    const stuck = new Set<number>()
    let moves = 0
    for (let movesBefore = -1; moves > movesBefore; stuck.clear()) {
      movesBefore = moves
      for (let start = this.#mostLoaded(stuck); start >= 0; start = this.#mostLoaded(stuck)) {
        const path = this.#pathFrom(start)
        if (path === undefined) {
          stuck.add(start)
          continue
        }
        this.#moveAlong(path)
        moves += 1
        invariant(moves <= movesMax, 'sticky balancing does not end')
      }
    }
  }

  result(): GroupAssignment {
    const assignment: GroupAssignment = new Map(this.#members.map(({ memberId }) => [memberId, []]))
    for (const { topic, partition, owner } of this.#slots) {
      const list: TopicPartition[] | undefined = assignment.get(this.#members[owner]?.memberId ?? '')
      list?.push({ topic, partition })
    }
    return assignment
  }

  /** The most loaded member that is not stuck and has two more than the least loaded one; -1 if there is none. */
  #mostLoaded(stuck: ReadonlySet<number>): number {
    let most = -1
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < this.#members.length; index++) {
      const load = this.#load(index)
      least = Math.min(least, load)
      if (!stuck.has(index) && (most < 0 || load > this.#load(most))) most = index
    }
    return most >= 0 && this.#load(most) - least >= 2 ? most : -1
  }

  #moveAlong(path: readonly number[]): void {
    for (const [index, from] of path.entries()) {
      const to = path[index + 1]
      if (to !== undefined) this.#move(from, to)
    }
  }

  /** Members from `start` to one that has at least two less, over members that can pass a partition on. */
  #pathFrom(start: number): number[] | undefined {
    const cameFrom = new Map<number, number>([[start, start]])
    let found = -1
    const queue = [start]
    const seen = new Set<readonly number[]>()
    for (const member of queue) {
      for (const next of this.#reachableFrom(member, seen)) {
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

  /** Members that one of a member's partitions can go to, without those in `seen`, which grows. */
  #reachableFrom(member: number, seen: Set<readonly number[]>): number[] {
    const reachable: number[] = []
    for (const slot of this.#owned[member] ?? []) {
      const takers = this.#takers.get(slot.topic)
      if (takers === undefined || !this.#isMovable(slot) || seen.has(takers)) continue
      seen.add(takers)
      for (const taker of takers) reachable.push(taker)
    }
    return reachable
  }

  /** Passes one partition on: rather one that gets back where it was, or was moved anyway, than one held so far. */
  #move(from: number, to: number): void {
    let best: Slot | undefined
    let bestCost = Number.POSITIVE_INFINITY
    for (const slot of this.#owned[from] ?? []) {
      if (this.#wants[to]?.has(slot.topic) !== true || !this.#isMovable(slot)) continue
      const cost = slot.heldBy === to ? 0 : slot.heldBy === from ? 2 : 1
      if (cost < bestCost) {
        best = slot
        bestCost = cost
      }
    }
    invariant(best !== undefined, 'a sticky path has nothing to pass on')
    this.#give(best, to)
  }

  #isMovable(slot: Slot): boolean {
    return !this.#isHeldFixed || slot.heldBy !== slot.owner
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
