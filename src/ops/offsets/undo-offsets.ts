/** Takes a change of offsets back: every offset as it was, with its metadata. */

import { partitionKeyOf } from '../../client/index.ts'
import type { Change, Json } from '../change/change.ts'
import {
  endsOf,
  type GroupLook,
  isOtherTopic,
  lookAtGroups,
  type OffsetsOpen,
  partitionsThere,
  topicIdsOf
} from './group-look.ts'
import {
  type GroupSnapshot,
  groupsOfSnapshot,
  isSameOffset,
  type OffsetMove,
  offsetLeft,
  storedText,
  topicIdsOfSnapshot
} from './offset-move.ts'
import { NO_ENDS, offsetsChange } from './offsets-change.ts'
import { uniquePartitions } from './plan-reset.ts'

/**
 * Plans the way back from the snapshot of a change of offsets.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the snapshot is none of those.
 */
export async function undoOffsets(snapshot: Json, open: OffsetsOpen): Promise<Change> {
  const saved = groupsOfSnapshot(snapshot)
  const groups = await lookAtGroups(
    open,
    saved.map(({ groupId }) => groupId)
  )
  const moved = saved.flatMap(({ moves }) => moves)
  const { there, missing } = await partitionsThere(open, uniquePartitions(moved))
  const [ends, ids] = await Promise.all([endsOf(open, there), topicIdsOf(open, there)])
  const savedIds = topicIdsOfSnapshot(snapshot)
  const conflicts: string[] = []
  const moves: OffsetMove[] = []
  for (const [index, group] of saved.entries()) {
    for (const move of group.moves) {
      const found = ends.get(partitionKeyOf(move))
      // Kafka has forgotten the offsets of a topic that was deleted, and takes none.
      if (found === undefined) continue
      const isRemade = isOtherTopic(savedIds.get(move.topic), ids.get(move.topic))
      const back = wayBack(move, { group: groups[index], ends: found, isRemade })
      if (back === undefined) continue
      if (back.conflict !== undefined) conflicts.push(back.conflict)
      moves.push(back.move)
    }
  }
  return await offsetsChange({
    open,
    groups,
    moves,
    ends,
    title: 'Put back',
    warnings: missing.length === 0 ? [] : [`${missing.length} partitions are no longer there and are left out`],
    conflicts,
    emptiedGroups: saved.filter(({ existed }) => !existed).map(({ groupId }) => groupId)
  })
}

interface Present {
  readonly group: GroupLook | undefined
  readonly ends: typeof NO_ENDS
  /** Whether the topic is another one of the same name. */
  readonly isRemade: boolean
}

/** How one offset goes back; `undefined` where it is there already. */
function wayBack(
  saved: GroupSnapshot['moves'][number],
  { group, ends, isRemade }: Present
): { readonly move: OffsetMove; readonly conflict?: string } | undefined {
  const { groupId, topic, partition, before, after } = saved
  const now = group?.offsets.get(partitionKeyOf(saved))
  if (isSameOffset(now, before)) return undefined
  // The text speaks of records of the topic that was.
  const kept = isRemade && before !== undefined ? { ...before, leaderEpoch: -1, metadata: '' } : before
  const { offset, note } = kept === undefined ? { offset: undefined } : offsetLeft(kept, ends)
  if (isSameOffset(now, offset)) return undefined
  const move = { groupId, topic, partition, before: now, after: offset, ...(note === undefined ? {} : { note }) }
  const name = `${groupId} ${topic}-${partition}`
  if (isRemade && before !== undefined) {
    const conflict = `topic ${topic} was made anew since: ${name} was at ${storedText(before)} of the topic that was`
    return { move, conflict }
  }
  if (isSameOffset(now, after)) return { move }
  return { move, conflict: `${name} is at ${storedText(now)} now; the change left it at ${storedText(after)}` }
}
