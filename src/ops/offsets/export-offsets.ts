/** What groups have committed, to look at and to keep. */

import { byTopicAndPartition, partitionKeyOf } from '../../client/index.ts'
import { endsOf, type GroupLook, lookAtGroups, type OffsetsOpen, partitionsThere } from './group-look.ts'
import { finishedCountOf, type LogEnds, type OffsetMove, type StoredOffset } from './offset-move.ts'
import type { FiledOffset } from './offsets-file.ts'
import { type OffsetsScope, scopeOf, uniquePartitions } from './plan-reset.ts'

/** One committed offset, and where it stands in its log. */
export interface ShownOffset extends Pick<OffsetMove, 'groupId' | 'topic' | 'partition'> {
  readonly stored: StoredOffset
  /** `undefined` where the topic is gone. */
  readonly ends: LogEnds | undefined
  /** Offsets behind it, those that are finished beyond it left out; `undefined` where the end is not known. */
  readonly lag: bigint | undefined
  /** Later records that the text names as finished. */
  readonly finishedCount: number
}

/** Looks at what groups have committed, by group, topic and partition. */
export async function showOffsets(
  open: OffsetsOpen,
  { groupIds, scope }: { readonly groupIds: readonly string[]; readonly scope: OffsetsScope }
): Promise<{ readonly groups: readonly GroupLook[]; readonly offsets: readonly ShownOffset[] }> {
  const groups = await lookAtGroups(open, groupIds)
  const isWanted = await wantedBy(open, groups, scope)
  const all = groups.flatMap(({ groupId, offsets }) =>
    [...offsets.values()]
      .filter(isWanted)
      .toSorted(byTopicAndPartition)
      .map(({ topic, partition, ...stored }) => ({ groupId, topic, partition, stored }))
  )
  const { there } = await partitionsThere(open, uniquePartitions(all))
  const ends = await endsOf(open, there)
  const offsets = all.map((each): ShownOffset => {
    const found = ends.get(partitionKeyOf(each))
    const finishedCount = finishedCountOf(each.stored)
    return { ...each, ends: found, finishedCount, lag: lagOf(each.stored, found, finishedCount) }
  })
  return { groups, offsets }
}

function lagOf({ offset }: StoredOffset, ends: LogEnds | undefined, finishedCount: number): bigint | undefined {
  if (ends === undefined) return undefined
  const left = ends.highWatermark - offset - BigInt(finishedCount)
  return left > 0n ? left : 0n
}

async function wantedBy(
  open: OffsetsOpen,
  groups: readonly GroupLook[],
  scope: OffsetsScope
): Promise<(place: { readonly topic: string; readonly partition: number }) => boolean> {
  if (scope === 'all') return () => true
  const [group] = groups
  if (group === undefined) return () => false
  const { partitionsOf } = await scopeOf(open, groups, scope)
  const keys = new Set(partitionsOf(group).map(partitionKeyOf))
  return place => keys.has(partitionKeyOf(place))
}

/** Shown offsets as a file has them. */
export function filedOf(
  offsets: readonly ShownOffset[],
  { isGroupNamed }: { readonly isGroupNamed: boolean }
): FiledOffset[] {
  return offsets.map(({ groupId, topic, partition, stored }) => ({
    groupId: isGroupNamed ? groupId : undefined,
    topic,
    partition,
    stored
  }))
}
