/**
 * The `uniform` assignor: every partition has a subscriber, the counts of the
 * members are as even as their subscriptions allow, and as little as possible
 * moves.
 *
 * Three steps. Members keep what they have of topics that they still subscribe
 * to and that still exist; where all subscribe to the same topics, only as much
 * as an even share allows. What nobody has goes to the subscriber with the least.
 * Then partitions move from members with more to members with less, directly or
 * along a chain of members with shared topics, as long as a difference of two or
 * more can be closed: for unequal subscriptions this is the only way to an even
 * result, for equal ones nothing is left to do.
 *
 * Limits: equal subscriptions cost O(partitions + members log members); unequal
 * ones at worst O(moves × (members + shared topics)).
 *
 * Source: KIP-848, Kafka `UniformAssignor`: its goals, with an algorithm of our own.
 */

import type { Partitions } from '../consumer-group-types.ts'
import type { AssignmentInput, AssignmentMember, Assignor, GroupAssignment } from './assignor.ts'
import { compareMembers } from './range.ts'

/** `uniform`. */
export const uniformAssignor: Assignor = { name: 'uniform', assign }

/** What a member has been given so far. */
interface Share {
  readonly member: AssignmentMember
  readonly topics: Map<string, number[]>
  count: number
}

function assign(input: AssignmentInput): GroupAssignment {
  const shares = input.members
    .toSorted(compareMembers)
    .map((member): Share => ({ member, topics: new Map(), count: 0 }))
  const topicIds = new Set<string>()
  for (const { member } of shares) for (const topicId of member.topicIds) topicIds.add(topicId)
  const isEqual = shares.every(({ member }) => member.topicIds.size === topicIds.size)
  const subscribers = new Map<string, Share[]>()
  for (const topicId of topicIds) {
    subscribers.set(topicId, isEqual ? shares : shares.filter(({ member }) => member.topicIds.has(topicId)))
  }
  const quotas = isEqual ? evenQuotas(shares, totalOf(topicIds, input)) : undefined
  const free = keep(shares, { topicIds, input, quotas })
  handOut(free, { subscribers, shares, isEqual })
  if (!isEqual) level(subscribers)
  return new Map(shares.map(({ member, topics }) => [member.memberId, sorted(topics)]))
}

function totalOf(topicIds: ReadonlySet<string>, { partitionCount }: AssignmentInput): number {
  let total = 0
  for (const topicId of topicIds) total += partitionCount(topicId)
  return total
}

/** How much each member may keep: an even share, and one more for those who have most. */
function evenQuotas(shares: readonly Share[], total: number): ReadonlyMap<string, number> {
  const least = shares.length === 0 ? 0 : Math.floor(total / shares.length)
  const extra = shares.length === 0 ? 0 : total % shares.length
  const had = (share: Share): number => {
    let count = 0
    for (const [topicId, partitions] of share.member.target) {
      if (share.member.topicIds.has(topicId)) count += partitions.length
    }
    return count
  }
  // Who has more than the even share can make use of one more without a move.
  const ordered = shares.map(share => ({ share, count: had(share) })).toSorted((a, b) => b.count - a.count)
  return new Map(ordered.map(({ share }, index) => [share.member.memberId, least + (index < extra ? 1 : 0)]))
}

/** Lets members keep what they may; answers what is left, by topic. */
function keep(
  shares: readonly Share[],
  context: {
    topicIds: ReadonlySet<string>
    input: AssignmentInput
    quotas: ReadonlyMap<string, number> | undefined
  }
): Map<string, number[]> {
  const { topicIds, input, quotas } = context
  const taken = new Map<string, Set<number>>()
  for (const share of shares) {
    const quota = quotas?.get(share.member.memberId) ?? Number.POSITIVE_INFINITY
    for (const [topicId, partitions] of share.member.target) {
      if (!share.member.topicIds.has(topicId)) continue
      const limit = input.partitionCount(topicId)
      const others = taken.get(topicId) ?? new Set<number>()
      taken.set(topicId, others)
      for (const partition of partitions) {
        if (partition >= limit || others.has(partition) || share.count >= quota) continue
        others.add(partition)
        give(share, topicId, partition)
      }
    }
  }
  const free = new Map<string, number[]>()
  for (const topicId of topicIds) {
    const others = taken.get(topicId)
    const all = Array.from({ length: input.partitionCount(topicId) }, (_, partition) => partition)
    free.set(topicId, others === undefined ? all : all.filter(partition => !others.has(partition)))
  }
  return free
}

/** Gives what is left to whoever has least. Topics with few subscribers go first: the others can make up for it. */
function handOut(
  free: ReadonlyMap<string, readonly number[]>,
  context: { subscribers: ReadonlyMap<string, Share[]>; shares: readonly Share[]; isEqual: boolean }
): void {
  const { subscribers, shares, isEqual } = context
  const few = (topicId: string): number => subscribers.get(topicId)?.length ?? 0
  const topics = [...free].toSorted(([left], [right]) => few(left) - few(right))
  const heap = isEqual ? new LeastHeap(shares) : undefined
  for (const [topicId, partitions] of topics) {
    if (few(topicId) === 0 || partitions.length === 0) continue
    const queue = heap ?? new LeastHeap(subscribers.get(topicId) ?? [])
    for (const partition of partitions) queue.giveToLeast(share => give(share, topicId, partition))
  }
}

/**
 * Closes differences of two or more. From each member, a breadth-first search
 * along shared topics finds the nearest one with at least two partitions less;
 * every member on the way hands one partition on, so only the ends change.
 *
 * A search that finds nobody has seen all that the members on its way could
 * find, so those of them who have no more are not searched from again until
 * something has moved: it is most of the time that large groups would take.
 */
function level(subscribers: ReadonlyMap<string, readonly Share[]>): void {
  const shares = new Set([...subscribers.values()].flat())
  for (let isMoved = true; isMoved;) {
    isMoved = false
    const settled = new Set<Share>()
    for (const share of [...shares].toSorted((a, b) => b.count - a.count)) {
      while (!settled.has(share) && moveAway(share, { subscribers, settled })) {
        isMoved = true
        settled.clear()
      }
    }
  }
}

interface Step {
  readonly share: Share
  readonly from: Step | undefined
  /** The topic of which `from` hands a partition on. */
  readonly topicId: string
}

function moveAway(
  start: Share,
  { subscribers, settled }: { subscribers: ReadonlyMap<string, readonly Share[]>; settled: Set<Share> }
): boolean {
  const seenTopics = new Set<string>()
  const seen = new Set<Share>([start])
  const queue: Step[] = [{ share: start, from: undefined, topicId: '' }]
  for (const step of queue) {
    for (const [topicId, partitions] of step.share.topics) {
      if (partitions.length === 0 || seenTopics.has(topicId)) continue
      seenTopics.add(topicId)
      for (const share of subscribers.get(topicId) ?? []) {
        if (seen.has(share)) continue
        seen.add(share)
        const next = { share, from: step, topicId }
        if (share.count <= start.count - 2) {
          handOver(next)
          return true
        }
        queue.push(next)
      }
    }
  }
  for (const share of seen) if (share.count <= start.count) settled.add(share)
  return false
}

function handOver(last: Step): void {
  for (let step: Step | undefined = last; step?.from !== undefined; step = step.from) {
    const giver = step.from.share
    const partition = giver.topics.get(step.topicId)?.pop()
    if (partition === undefined) return
    giver.count -= 1
    give(step.share, step.topicId, partition)
  }
}

function give(share: Share, topicId: string, partition: number): void {
  const partitions = share.topics.get(topicId)
  if (partitions === undefined) share.topics.set(topicId, [partition])
  else partitions.push(partition)
  share.count += 1
}

function sorted(topics: ReadonlyMap<string, readonly number[]>): Partitions {
  const result = new Map<string, readonly number[]>()
  for (const [topicId, partitions] of topics) {
    if (partitions.length > 0)
      result.set(
        topicId,
        partitions.toSorted((a, b) => a - b)
      )
  }
  return result
}

/** A binary heap of shares, the smallest count first; among equals, the earlier member. */
class LeastHeap {
  readonly #items: { readonly share: Share; readonly order: number }[]

  constructor(shares: readonly Share[]) {
    this.#items = shares
      .map((share, order) => ({ share, order }))
      .toSorted((a, b) => a.share.count - b.share.count || a.order - b.order)
  }

  /** Lets the smallest one take something, and puts it in its new place. */
  giveToLeast(take: (share: Share) => void): void {
    const [least] = this.#items
    if (least === undefined) return
    take(least.share)
    this.#sink()
  }

  #sink(): void {
    const items = this.#items
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      let smallest = index
      for (const child of [left, left + 1]) if (this.#isBefore(child, smallest)) smallest = child
      const upper = items[index]
      const lower = items[smallest]
      if (smallest === index || upper === undefined || lower === undefined) return
      items[index] = lower
      items[smallest] = upper
      index = smallest
    }
  }

  #isBefore(left: number, right: number): boolean {
    const a = this.#items[left]
    const b = this.#items[right]
    if (a === undefined || b === undefined) return false
    return a.share.count - b.share.count < 0 || (a.share.count === b.share.count && a.order < b.order)
  }
}
