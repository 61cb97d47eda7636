/**
 * The `range` assignor: each topic is cut into contiguous ranges, one per
 * subscribed member in order, so that partition n of topics with the same
 * subscribers and the same count lands with the same member (for joins).
 *
 * Members are ordered by instance id, then by member id, so a static member that
 * comes back has its ranges again. The first `count % members` members get one
 * partition more.
 */

import type { AssignmentInput, AssignmentMember, Assignor, GroupAssignment } from './assignor.ts'

/** `range`. Source: KIP-848, Kafka `RangeAssignor`. */
export const rangeAssignor: Assignor = { name: 'range', assign }

function assign({ members, partitionCount }: AssignmentInput): GroupAssignment {
  const ordered = members.toSorted(compareMembers)
  const assignment = new Map(ordered.map(({ memberId }) => [memberId, new Map<string, number[]>()]))
  const topicIds = new Set<string>()
  for (const member of ordered) for (const topicId of member.topicIds) topicIds.add(topicId)
  for (const topicId of topicIds) {
    const subscribers = ordered.filter(member => member.topicIds.has(topicId))
    const count = partitionCount(topicId)
    const least = Math.floor(count / subscribers.length)
    const extra = count % subscribers.length
    let next = 0
    for (const [index, { memberId }] of subscribers.entries()) {
      const size = least + (index < extra ? 1 : 0)
      if (size === 0) break
      const first = next
      const range = Array.from({ length: size }, (_, offset) => first + offset)
      assignment.get(memberId)?.set(topicId, range)
      next += size
    }
  }
  return assignment
}

/** Static members first, by instance id; then the others by member id. */
export function compareMembers(left: AssignmentMember, right: AssignmentMember): number {
  if (left.instanceId !== null && right.instanceId !== null) return compare(left.instanceId, right.instanceId)
  if (left.instanceId !== null) return -1
  if (right.instanceId !== null) return 1
  return compare(left.memberId, right.memberId)
}

function compare(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
