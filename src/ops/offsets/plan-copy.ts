/** Plans to give a group the offsets of another one, and to delete offsets. */

import { partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { Change } from '../change/change.ts'
import {
  blockersOf,
  endsOf,
  type GroupLook,
  isGroupThere,
  lookAtGroups,
  type OffsetsOpen,
  partitionsThere
} from './group-look.ts'
import type { OffsetMove } from './offset-move.ts'
import { offsetsChange } from './offsets-change.ts'
import { type OffsetsScope, scopeOf, uniquePartitions } from './plan-reset.ts'

/** Whose offsets go to whom. */
export interface CopyRequest {
  readonly from: string
  /** Made if it is not there. */
  readonly to: string
  readonly scope: OffsetsScope
}

/**
 * Plans a copy: offsets, leader epochs and metadata as they are, wherever they lie. What the other group has and the
 * first one has not stays.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is nothing to copy.
 */
export async function planCopy(open: OffsetsOpen, { from, to, scope }: CopyRequest): Promise<Change> {
  const [source, target] = await lookAtGroups(open, [from, to])
  if (source === undefined || target === undefined || source.offsets.size === 0) {
    throw new PipelineError('ERR_OPS_NOT_FOUND', `group ${from} has no committed offsets`)
  }
  const { partitionsOf, warnings } = await scopeOf(open, [source], scope)
  const places = partitionsOf(source)
  const ends = await endsOf(open, places)
  const moves = places.flatMap((place): OffsetMove[] => {
    const key = partitionKeyOf(place)
    const stored = source.offsets.get(key)
    if (stored === undefined) return []
    const { offset, leaderEpoch, metadata } = stored
    return [{ ...place, groupId: to, before: target.offsets.get(key), after: { offset, leaderEpoch, metadata } }]
  })
  const busy = source.members.length > 0 ? [`group ${from} is at work: these are its offsets as of now`] : []
  const fresh = isGroupThere(target) ? [] : [`group ${to} is not there yet: it is made`]
  const title = `Copy from ${from}`
  return await offsetsChange({ open, groups: [target], moves, ends, title, warnings: [...warnings, ...busy, ...fresh] })
}

/** Whose offsets are deleted. */
export interface DeleteOffsetsRequest {
  readonly groupIds: readonly string[]
  readonly scope: OffsetsScope
}

/**
 * Plans to delete committed offsets. A group at work keeps those of topics that its members read; Kafka refuses the
 * others of such topics, too, and that is then told of each.
 */
export async function planDeleteOffsets(open: OffsetsOpen, { groupIds, scope }: DeleteOffsetsRequest): Promise<Change> {
  const groups = await lookAtGroups(open, groupIds)
  const { partitionsOf, warnings } = await scopeOf(open, groups, scope)
  const moves = groups.flatMap(group =>
    partitionsOf(group).flatMap((place): OffsetMove[] => {
      const before = group.offsets.get(partitionKeyOf(place))
      return before === undefined ? [] : [{ ...place, groupId: group.groupId, before, after: undefined }]
    })
  )
  const topics = new Set(moves.map(({ topic }) => topic))
  return await offsetsChange({
    open,
    groups,
    moves,
    ends: new Map(),
    title: 'Delete',
    warnings: [...warnings, 'where no offset is committed a group begins as its auto.offset.reset says'],
    blockersOfGroup: group => (readsOneOf(group, topics) || group.members.length === 0 ? blockersOf(group) : [])
  })
}

function readsOneOf({ members }: GroupLook, topics: ReadonlySet<string>): boolean {
  return members.some(({ assignment }) => assignment.some(({ topic }) => topics.has(topic)))
}

/**
 * Plans to delete groups with all that they have. Its undo commits the offsets again, in a group that is classic
 * and empty; a consumer of either protocol goes on from them.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` for a group that is not there.
 */
export async function planDeleteGroups(open: OffsetsOpen, groupIds: readonly string[]): Promise<Change> {
  const groups = await lookAtGroups(open, groupIds)
  const missing = groups.find(group => !isGroupThere(group) && group.problems.length === 0)
  if (missing !== undefined) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no group ${missing.groupId}`)
  const moves = groups.flatMap(({ groupId, offsets }) =>
    [...offsets.values()].map(({ topic, partition, ...before }): OffsetMove => ({
      groupId,
      topic,
      partition,
      before,
      after: undefined
    }))
  )
  const left = await unread(open, groups)
  return await offsetsChange({
    open,
    groups,
    moves,
    ends: new Map(),
    title: 'Delete',
    deletedGroups: groupIds,
    // Of Connect and others only the name is lost, which they make anew.
    blockersOfGroup: group => blockersOf(group.offsets.size === 0 ? { ...group, protocolType: '' } : group),
    warnings: left === 0n ? [] : [`${left} records lie behind these offsets, and nobody will know that they are unread`]
  })
}

/** How many offsets lie behind what groups have committed, where that can be told. */
async function unread(open: OffsetsOpen, groups: readonly GroupLook[]): Promise<bigint> {
  const committed = groups.flatMap(({ offsets }) => [...offsets.values()])
  const { there } = await partitionsThere<TopicPartition>(open, uniquePartitions(committed))
  const ends = await endsOf(open, there)
  let count = 0n
  for (const offset of committed) {
    const end = ends.get(partitionKeyOf(offset))
    if (end !== undefined && end.highWatermark > offset.offset) count += end.highWatermark - offset.offset
  }
  return count
}
