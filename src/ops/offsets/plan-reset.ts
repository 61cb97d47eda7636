/** Plans resets: every scenario of Kafka's tool, for one group or many. */

import { byTopicAndPartition, type ListedOffset, partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import type { Change } from '../change/change.ts'
import {
  type EndsByPartition,
  endsOf,
  type GroupLook,
  lookAtGroups,
  type OffsetsOpen,
  partitionsThere
} from './group-look.ts'
import type { OffsetMove } from './offset-move.ts'
import { offsetsChange } from './offsets-change.ts'
import type { FiledOffset } from './offsets-file.ts'
import type { TopicScope } from './partition-names.ts'
import { clampInto, type ResetTo, resolveReset } from './reset-rules.ts'

/** Which partitions: `all` = those that the group has committed something for. */
export type OffsetsScope = 'all' | readonly TopicScope[]

/** What is reset, and where to. */
export interface ResetRequest {
  readonly groupIds: readonly string[]
  readonly scope: OffsetsScope
  readonly to: ResetTo
}

/**
 * Plans a reset. A partition that it cannot be done for is a blocker, as with Kafka's tool: all or none.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if a topic or partition that was named is not there, `ERR_OPS_REFUSED`.
 */
export async function planReset(open: OffsetsOpen, { groupIds, scope, to }: ResetRequest): Promise<Change> {
  const groups = await lookAtGroups(open, groupIds)
  const { partitionsOf, warnings } = await scopeOf(open, groups, scope)
  const all = uniquePartitions(groups.flatMap(partitionsOf))
  const [ends, times] = await Promise.all([endsOf(open, all), timesOf(open, all, to)])
  const blockers = scope === 'all' ? groups.filter(isAbsent).map(absentText) : []
  const moves = groups.flatMap(group =>
    partitionsOf(group).flatMap((place): OffsetMove[] => {
      const key = partitionKeyOf(place)
      const found = ends.get(key)
      if (found === undefined) return []
      const committed = group.offsets.get(key)
      const name = `${place.topic}-${place.partition}`
      const atTime = times.get(key)
      const outcome = resolveReset(to, { ...found, name, committed, ...(atTime === undefined ? {} : { atTime }) })
      if (outcome.kind === 'impossible') {
        blockers.push(`group ${group.groupId}: ${outcome.reason}`)
        return []
      }
      // The text belongs to the offset that it was committed with, and to no other.
      const isKept = to.kind === 'current' && committed !== undefined
      return [
        {
          ...place,
          groupId: group.groupId,
          before: committed,
          after: isKept ? committed : { offset: outcome.offset, leaderEpoch: -1, metadata: '' },
          ...(outcome.note === undefined ? {} : { note: outcome.note })
        }
      ]
    })
  )
  return await offsetsChange({ open, groups, moves, ends, title: titleOf(to), warnings, blockers })
}

/** A name that was mistyped has no offsets: that nothing changes would be the wrong comfort. */
function isAbsent({ state, offsets }: GroupLook): boolean {
  return state === 'Dead' && offsets.size === 0
}

function absentText({ groupId }: GroupLook): string {
  return `group ${groupId} is not there (comporta groups list); a new one needs its topics: --topic`
}

function titleOf(to: ResetTo): string {
  switch (to.kind) {
    case 'earliest':
      return 'Reset to the beginning'
    case 'latest':
      return 'Reset to the end'
    case 'current':
      return 'Reset to what is committed'
    case 'offset':
      return `Reset to offset ${to.offset}`
    case 'shift':
      return `Shift by ${to.by}`
    case 'time':
      return `Reset to ${new Date(Number(to.timestampMs)).toISOString()}`
  }
}

async function timesOf(
  { admin }: OffsetsOpen,
  partitions: readonly TopicPartition[],
  to: ResetTo
): Promise<ReadonlyMap<string, bigint>> {
  if (to.kind !== 'time') return new Map()
  const at = { timestampMs: to.timestampMs }
  const found = await admin.listOffsets(partitions.map(({ topic, partition }) => ({ topic, partition, at })))
  return new Map(found.map((each: ListedOffset) => [partitionKeyOf(each), each.offset]))
}

/** The partitions that a scope means for a group, and what of it was left out. */
export async function scopeOf(
  open: OffsetsOpen,
  groups: readonly GroupLook[],
  scope: OffsetsScope
): Promise<{ readonly partitionsOf: (group: GroupLook) => TopicPartition[]; readonly warnings: readonly string[] }> {
  if (scope !== 'all') {
    const named = await namedPartitions(open, scope)
    return { partitionsOf: () => named, warnings: [] }
  }
  const committed = uniquePartitions(groups.flatMap(({ offsets }) => [...offsets.values()]))
  const { there, missing, leaderless } = await partitionsThere(open, committed)
  if (leaderless.length > 0) throw withoutLeader(leaderless)
  const keys = new Set(there.map(partitionKeyOf))
  return {
    partitionsOf: ({ offsets }) =>
      [...offsets.values()]
        .filter(each => keys.has(partitionKeyOf(each)))
        .map(placeOf)
        .toSorted(byTopicAndPartition),
    warnings: missing.length === 0 ? [] : [`left out, for they are no longer there: ${namesOf(missing)}`]
  }
}

async function namedPartitions(open: OffsetsOpen, scope: readonly TopicScope[]): Promise<TopicPartition[]> {
  const names = [...new Set(scope.map(({ topic }) => topic))]
  const metadata = await open.admin.describeTopics(names)
  const known = new Map(metadata.topics.map(topic => [topic.topic, topic.partitions]))
  const wanted = scope.flatMap(({ topic, partitions }) => {
    const all = known.get(topic) ?? []
    if (all.length === 0) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}`)
    return (partitions ?? all.map(({ partition }) => partition)).map(partition => ({ topic, partition }))
  })
  const unique = uniquePartitions(wanted)
  await needThere(open, unique)
  return unique
}

/** @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_REFUSED` unless all are there, with a leader. */
export async function needThere(open: OffsetsOpen, partitions: readonly TopicPartition[]): Promise<void> {
  const { missing, leaderless } = await partitionsThere(open, partitions)
  if (missing.length > 0) {
    throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no such partition: ${namesOf(missing)}`)
  }
  if (leaderless.length > 0) throw withoutLeader(leaderless)
}

function withoutLeader(partitions: readonly TopicPartition[]): PipelineError {
  const message = `without a leader nothing is known of ${namesOf(partitions)}: try again when its brokers are back`
  return new PipelineError('ERR_OPS_REFUSED', message, { retriable: true })
}

const NAMES_MAX = 10

function namesOf(partitions: readonly TopicPartition[]): string {
  const named = partitions.slice(0, NAMES_MAX).map(({ topic, partition }) => `${topic}-${partition}`)
  const more = partitions.length > NAMES_MAX ? `, … (${partitions.length} in all)` : ''
  return `${named.join(', ')}${more}`
}

function placeOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition }
}

/** Each partition once, by topic and number. */
export function uniquePartitions(partitions: readonly TopicPartition[]): TopicPartition[] {
  const found = new Map(partitions.map(each => [partitionKeyOf(each), placeOf(each)]))
  return [...found.values()].toSorted(byTopicAndPartition)
}

/** Offsets that are given one by one: from a file, or from the command line. */
export interface PlaceRequest {
  /** The group of offsets that name none. */
  readonly groupId: string | undefined
  readonly offsets: readonly FiledOffset[]
  /** How the plan begins: `Set`, `Import offsets.csv`. */
  readonly title: string
}

/**
 * Plans to put offsets where a list says. One outside of its log is moved into it, with a warning; its metadata then
 * goes, for it belongs to another offset.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_INVALID` if an offset has no group, or a partition has two.
 */
export async function planPlace(open: OffsetsOpen, { groupId, offsets, title }: PlaceRequest): Promise<Change> {
  const owned = offsets.map(offset => {
    const owner = offset.groupId ?? groupId
    if (owner === undefined) throw new PipelineError('ERR_OPS_INVALID', 'these offsets name no group: say --group')
    return { ...offset, groupId: owner }
  })
  const seen = new Set<string>()
  for (const { groupId: owner, topic, partition } of owned) {
    const key = JSON.stringify([owner, topic, partition])
    if (seen.has(key)) throw new PipelineError('ERR_OPS_INVALID', `${topic}-${partition} is named twice for ${owner}`)
    seen.add(key)
  }
  const groups = await lookAtGroups(open, [...new Set(owned.map(offset => offset.groupId))])
  const places = uniquePartitions(owned)
  await needThere(open, places)
  const ends = await endsOf(open, places)
  const byId = new Map(groups.map(group => [group.groupId, group]))
  const moves = owned.map(({ groupId: owner, topic, partition, stored }): OffsetMove => {
    const key = partitionKeyOf({ topic, partition })
    const outcome = clampInto(stored.offset, needEnds(ends, key))
    const offset = outcome.kind === 'to' ? outcome.offset : stored.offset
    return {
      groupId: owner,
      topic,
      partition,
      before: byId.get(owner)?.offsets.get(key),
      after: offset === stored.offset ? stored : { offset, leaderEpoch: -1, metadata: '' },
      ...(outcome.kind === 'to' && outcome.note !== undefined ? { note: outcome.note } : {})
    }
  })
  return await offsetsChange({ open, groups, moves, ends, title })
}

function needEnds(ends: EndsByPartition, key: string): { logStartOffset: bigint; highWatermark: bigint } {
  const found = ends.get(key)
  if (found === undefined) throw new PipelineError('ERR_OPS_NOT_FOUND', 'a partition has gone while it was looked at')
  return found
}
