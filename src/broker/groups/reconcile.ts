/**
 * One step of a member towards the target assignment.
 *
 * A member first gives back what it shall not have, and stays in its epoch until
 * its heartbeat no longer lists it. Then it enters the epoch of the target and
 * gets what is free; what others have not given back yet comes with a later step.
 * So no partition ever has two owners. Pure.
 *
 * Source: KIP-848, *Member state machine*; topics that the member no longer
 * subscribes to count as not its own, whatever the target says.
 */

import type { ConsumerMember, MemberState, OwnedPartitions, Partitions } from './consumer-group-types.ts'
import { overlaps, unionOwned } from './partition-maps.ts'

/** What a step depends on. */
export interface ReconcileContext {
  /** Epoch of the target assignment. */
  readonly targetEpoch: number
  /** What the member shall have. */
  readonly target: Partitions
  /** Ids of the topics that the member subscribes to and that exist. */
  readonly topicIds: ReadonlySet<string>
  /** Set when the subscription has changed: topics that are no longer in it are taken from the member at once. */
  readonly isSubscriptionChanged: boolean
  /** What the member said it has; `null` if that is as before. */
  readonly owned: Partitions | null
  /** Whether somebody else has the partition, or has not given it back. */
  isTaken(topicId: string, partition: number): boolean
}

/** The member after the step; the same object if nothing changes. */
export function reconcile(member: ConsumerMember, context: ReconcileContext): ConsumerMember {
  const { targetEpoch, isSubscriptionChanged, owned } = context
  if (member.state === 'stable') {
    if (member.epoch !== targetEpoch) return nextAssignment(member, context)
    return isSubscriptionChanged ? withoutUnsubscribed(member, context) : member
  }
  if (member.state === 'unrevoked' && stillOwns(owned, member.pendingRevocation)) {
    return isSubscriptionChanged ? withoutUnsubscribed(member, context) : member
  }
  return nextAssignment(member, context)
}

/** A member that does not say what it has still has what it was told to give back. */
function stillOwns(owned: Partitions | null, revoked: OwnedPartitions): boolean {
  return owned === null || overlaps(owned, revoked)
}

/** Takes topics from the member that it no longer subscribes to, and leaves the rest of its way as it is. */
function withoutUnsubscribed(member: ConsumerMember, { topicIds, owned }: ReconcileContext): ConsumerMember {
  const kept = new Map([...member.assigned].filter(([topicId]) => topicIds.has(topicId)))
  if (kept.size === member.assigned.size) return member
  const gone = new Map([...member.assigned].filter(([topicId]) => !topicIds.has(topicId)))
  const pendingRevocation = unionOwned(member.pendingRevocation, gone)
  if (!stillOwns(owned, pendingRevocation)) return { ...member, assigned: kept, previousEpoch: member.epoch }
  return { ...member, state: 'unrevoked', previousEpoch: member.epoch, assigned: kept, pendingRevocation }
}

function nextAssignment(member: ConsumerMember, context: ReconcileContext): ConsumerMember {
  const assigned = new Map<string, Map<number, number>>()
  const revoked = new Map<string, Map<number, number>>()
  const added = new Map<string, number[]>()
  let isWaiting = false
  for (const topicId of new Set([...context.target.keys(), ...member.assigned.keys()])) {
    const target = new Set(context.topicIds.has(topicId) ? context.target.get(topicId) : [])
    const had = member.assigned.get(topicId)
    for (const [partition, epoch] of had ?? []) {
      epochsOf(target.has(partition) ? assigned : revoked, topicId).set(partition, epoch)
    }
    for (const partition of target) {
      if (had?.has(partition) === true) continue
      // What the member itself is giving back may come straight back to it.
      const isOwn = member.pendingRevocation.get(topicId)?.has(partition) === true
      if (!isOwn && context.isTaken(topicId, partition)) isWaiting = true
      else added.set(topicId, [...(added.get(topicId) ?? []), partition])
    }
  }
  if (revoked.size > 0 && stillOwns(context.owned, revoked)) {
    return step(member, member.epoch, { state: 'unrevoked', assigned, pendingRevocation: revoked })
  }
  for (const [topicId, partitions] of added) {
    for (const partition of partitions) epochsOf(assigned, topicId).set(partition, context.targetEpoch)
  }
  const state = isWaiting ? 'unreleased' : 'stable'
  return step(member, context.targetEpoch, { state, assigned, pendingRevocation: new Map() })
}

function step(
  member: ConsumerMember,
  epoch: number,
  next: { state: MemberState; assigned: OwnedPartitions; pendingRevocation: OwnedPartitions }
): ConsumerMember {
  return { ...member, ...next, epoch, previousEpoch: member.epoch }
}

function epochsOf(topics: Map<string, Map<number, number>>, topicId: string): Map<number, number> {
  const known = topics.get(topicId)
  if (known !== undefined) return known
  const epochs = new Map<number, number>()
  topics.set(topicId, epochs)
  return epochs
}
