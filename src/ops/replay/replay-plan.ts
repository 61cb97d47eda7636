/**
 * What a replay says before it begins, and how its group is taken away again.
 *
 * The replay itself is the dispatcher's; here is what it has in common with all
 * changes. What was delivered cannot be called back: the undo is about the
 * group alone, which otherwise stays in lists, and in lag, for ever.
 */

import { partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import type { ApplyContext, Change, ChangeEffect, ChangePlan, ChangeResult, Json } from '../change/change.ts'
import { endsOf, lookAtGroups, type OffsetsOpen, partitionsThere } from '../offsets/group-look.ts'
import { isSameOffset, type OffsetMove, offsetLeft, type StoredOffset } from '../offsets/offset-move.ts'
import { offsetsChange } from '../offsets/offsets-change.ts'
import { damaged, memberOf } from '../topics/snapshot.ts'

/** What a replay will do, as `planReplay` of `comporta/dispatcher` gives it. */
export interface ReplayFacts {
  readonly groupId: string
  readonly isResumed: boolean
  readonly offsetCount: bigint
  readonly partitions: readonly (TopicPartition & {
    readonly from: bigint
    readonly to: bigint
    readonly position: bigint
  })[]
}

/** All that the group had committed before; -1n = nothing. */
export type OffsetsBefore = readonly (TopicPartition & StoredOffset)[]

/** A replay as a change: `apply` is the caller's, who has a dispatcher. */
export function replayChange(
  facts: ReplayFacts,
  before: OffsetsBefore,
  apply: (context: ApplyContext) => Promise<ChangeResult>
): Change {
  const held = before.filter(({ offset }) => offset >= 0n)
  const offsets = new Map(held.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  const effects = facts.partitions.map(({ topic, partition, position, to }): ChangeEffect => {
    const what = `${topic}-${partition}`
    const records = position < to ? to - position : 0n
    return { what, before: offsets.get(what)?.toString() ?? '', after: `${position} to ${to}`, records }
  })
  const plan: ChangePlan = {
    kind: 'replay',
    confirmWord: facts.groupId,
    summary: `Up to ${facts.offsetCount} records are delivered again as group ${facts.groupId}.`,
    effects,
    warnings: ['what is delivered again cannot be called back: the undo takes the group of the replay away'],
    blockers: [],
    undo: { kind: 'possible' }
  }
  const all = new Map(held.map(each => [partitionKeyOf(each), each]))
  const saved = facts.partitions.map(({ topic, partition }) => {
    const found = all.get(partitionKeyOf({ topic, partition }))
    if (found === undefined) return { topic, partition, offset: null }
    const { offset, leaderEpoch, metadata } = found
    return { topic, partition, offset: offset.toString(), leaderEpoch, metadata }
  })
  return { plan, snapshot: { groupId: facts.groupId, existed: held.length > 0, before: saved }, apply }
}

/**
 * Takes away what a replay has committed: its partitions get the offsets back that the group had before, or none. A
 * group that the replay has made goes with them; whatever else a group has stays.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED`.
 */
export async function undoReplay(snapshot: Json, open: OffsetsOpen): Promise<Change> {
  const groupId = memberOf(snapshot, 'groupId')
  const saved = memberOf(snapshot, 'before')
  if (typeof groupId !== 'string' || groupId === '' || !Array.isArray(saved)) throw damaged('it names no group')
  const before = saved.map(readOffset)
  const groups = await lookAtGroups(open, [groupId])
  const { there } = await partitionsThere(open, before)
  const ends = await endsOf(open, there)
  const moves = before.flatMap(({ stored, ...place }): OffsetMove[] => {
    const found = ends.get(partitionKeyOf(place))
    const now = groups[0]?.offsets.get(partitionKeyOf(place))
    if (found === undefined || isSameOffset(now, stored)) return []
    const { offset, note } = stored === undefined ? { offset: stored } : offsetLeft(stored, found)
    return [{ ...place, groupId, before: now, after: offset, ...(note === undefined ? {} : { note }) }]
  })
  return await offsetsChange({
    open,
    groups,
    moves,
    ends,
    title: 'Take the offsets of the replay back',
    warnings: ['what the replay has delivered stays delivered'],
    emptiedGroups: memberOf(snapshot, 'existed') === true ? [] : [groupId]
  })
}

function readOffset(value: Json): TopicPartition & { readonly stored: StoredOffset | undefined } {
  const of = (name: string): Json | undefined => memberOf(value, name)
  const [topic, partition, offset, leaderEpoch, metadata] = [
    of('topic'),
    of('partition'),
    of('offset'),
    of('leaderEpoch'),
    of('metadata')
  ]
  if (typeof topic !== 'string' || typeof partition !== 'number') throw damaged('a partition of it is not one')
  if (offset === null) return { topic, partition, stored: undefined }
  const isSound = typeof offset === 'string' && typeof leaderEpoch === 'number' && typeof metadata === 'string'
  if (!isSound || !/^\d{1,19}$/.test(offset)) throw damaged('an offset of it is not one')
  return { topic, partition, stored: { offset: BigInt(offset), leaderEpoch, metadata } }
}
