/**
 * Assignors: which member of a group reads which partition. Pure.
 *
 * The leader of a group runs the assignor that all members know. `range` and
 * `roundrobin` give the same result as Kafka's assignors of that name;
 * `sticky` and `cooperative-sticky` are compatible with Kafka's in what members
 * tell each other, and have their own balancing (see sticky-assignor.ts).
 */

import { PipelineError } from '../core/index.ts'
import type { AssignorMember, GroupAssignment, PartitionCounts } from './assignor-types.ts'
import type { AssignorName, TopicPartition } from './group-types.ts'
import { assignSticky } from './sticky-assignor.ts'

export type { AssignorMember, GroupAssignment, PartitionCounts } from './assignor-types.ts'

/** Whether the members of an assignor keep their partitions while they join again (KIP-429). */
export function isCooperative(assignor: string): boolean {
  return assignor === 'cooperative-sticky'
}

/**
 * Runs an assignor, then keeps every partition that changes hands from its new owner until the old one has given it
 * back: the old owner is not assigned it, gives it back and joins again, and in that next round it is free.
 *
 * The second step is part of the cooperative protocol. It is applied to every assignor, because members may still
 * hold partitions when a group falls back to an eager one; where nobody holds anything it changes nothing.
 *
 * @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID` for an unknown name.
 */
export function assign(name: string, members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  return withholdHeld(assignFreely(name, members, counts), members)
}

function assignFreely(name: string, members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const sorted = [...members].sort(compareMembers)
  const known: Record<AssignorName, () => GroupAssignment> = {
    'cooperative-sticky': () => assignSticky(sorted, counts),
    sticky: () => assignSticky(sorted, counts),
    range: () => assignRange(sorted, counts),
    roundrobin: () => assignRoundRobin(sorted, counts)
  }
  const run = Object.entries(known).find(([known]) => known === name)?.[1]
  if (run === undefined) throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', `unknown assignor ${name}`)
  return run()
}

/** Kafka `AbstractPartitionAssignor.MemberInfo`: static members first, by instance id; then the others by member id. */
function compareMembers(left: AssignorMember, right: AssignorMember): number {
  if (left.groupInstanceId !== null && right.groupInstanceId !== null) {
    return compareText(left.groupInstanceId, right.groupInstanceId)
  }
  if (left.groupInstanceId !== null) return -1
  if (right.groupInstanceId !== null) return 1
  return compareText(left.memberId, right.memberId)
}

/** Java's order of strings: by UTF-16 code unit, as JavaScript's. */
function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** Per topic, a contiguous range for each member; the first members get one more where it does not come out even. */
function assignRange(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const assignment = emptyAssignment(members)
  const topicsOf = new Map(members.map(member => [member, new Set(member.topics)]))
  for (const [topic, count] of counts) {
    const consumers = members.filter(member => topicsOf.get(member)?.has(topic))
    if (consumers.length === 0) continue
    const share = Math.floor(count / consumers.length)
    const extra = count % consumers.length
    let next = 0
    for (const [index, { memberId }] of consumers.entries()) {
      const end = next + share + (index < extra ? 1 : 0)
      for (; next < end; next++) assignment.get(memberId)?.push({ topic, partition: next })
    }
  }
  return assignment
}

/** All partitions in order of topic and number, dealt out in turn to the members that want the topic. */
function assignRoundRobin(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const assignment = emptyAssignment(members)
  let turn = 0
  for (const [topic, count] of [...counts].sort(([left], [right]) => compareText(left, right))) {
    if (!members.some(member => member.topics.includes(topic))) continue
    for (let partition = 0; partition < count; partition++) {
      while (members[turn % members.length]?.topics.includes(topic) === false) turn += 1
      assignment.get(members[turn % members.length]?.memberId ?? '')?.push({ topic, partition })
      turn += 1
    }
  }
  return assignment
}

function withholdHeld(assignment: GroupAssignment, members: readonly AssignorMember[]): GroupAssignment {
  // Only the newest claims count: a member that missed a generation has lost what another one was given in it.
  const claims = new Map<string, { generation: number; ids: Set<string> }>()
  for (const { memberId, owned, generation } of members) {
    for (const { topic, partition } of owned) {
      const key = `${topic}/${partition}`
      const newest = claims.get(key)
      if (newest === undefined || generation > newest.generation) {
        claims.set(key, { generation, ids: new Set([memberId]) })
      } else if (generation === newest.generation) newest.ids.add(memberId)
    }
  }
  if (claims.size === 0) return assignment
  const isFree = (memberId: string, { topic, partition }: TopicPartition): boolean => {
    const ids = claims.get(`${topic}/${partition}`)?.ids
    return ids === undefined || (ids.has(memberId) && ids.size === 1)
  }
  return new Map([...assignment].map(([id, partitions]) => [id, partitions.filter(partition => isFree(id, partition))]))
}

function emptyAssignment(members: readonly AssignorMember[]): GroupAssignment {
  return new Map(members.map(({ memberId }) => [memberId, []]))
}
