/** Takes a change of offsets back: every offset as it was, with its metadata. */

import { partitionKeyOf } from '../../client/index.ts'
import type { Change, Json } from '../change/change.ts'
import { endsOf, lookAtGroups, type OffsetsOpen, partitionsThere } from './group-look.ts'
import { groupsOfSnapshot, isSameOffset, type OffsetMove, type StoredOffset } from './offset-move.ts'
import { offsetsChange } from './offsets-change.ts'
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
  const known = new Set(there.map(partitionKeyOf))
  const ends = await endsOf(open, there)
  const conflicts: string[] = []
  const moves: OffsetMove[] = []
  for (const [index, { groupId, moves: savedMoves }] of saved.entries()) {
    const present = groups[index]?.offsets
    for (const { topic, partition, before, after } of savedMoves) {
      const key = partitionKeyOf({ topic, partition })
      // Kafka has forgotten the offsets of a topic that was deleted, and takes none.
      if (!known.has(key)) continue
      const now = present?.get(key)
      if (isSameOffset(now, before)) continue
      if (!isSameOffset(now, after)) {
        conflicts.push(
          `${groupId} ${topic}-${partition} is at ${textOf(now)} now; the change left it at ${textOf(after)}`
        )
      }
      moves.push({ groupId, topic, partition, before: now, after: before })
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

function textOf(stored: StoredOffset | undefined): string {
  if (stored === undefined) return 'no offset'
  return stored.metadata === '' ? `${stored.offset}` : `${stored.offset} with a text`
}
