/**
 * A committed offset that moves: what every operation on offsets comes down to.
 *
 * What is committed is an offset and a text beside it. The dispatcher says in the
 * text which later records are finished already (`finished-ranges.ts` of `core`),
 * so what a group will read is not all that lies behind the offset. Pure.
 */

import type { TopicPartition } from '../../client/index.ts'
import { decodeFinished, encodeFinished, PipelineError } from '../../core/index.ts'
import type { Json } from '../change/change.ts'

/** What a group has committed for a partition. */
export interface StoredOffset {
  /** Next record to read. */
  readonly offset: bigint
  /** -1 = unknown. */
  readonly leaderEpoch: number
  readonly metadata: string
}

/** One committed offset, before and after. */
export interface OffsetMove extends TopicPartition {
  readonly groupId: string
  /** `undefined` = nothing is committed. */
  readonly before: StoredOffset | undefined
  /** `undefined` = nothing will be committed. */
  readonly after: StoredOffset | undefined
  /** Remark for people: clamped, and so on. */
  readonly note?: string
}

/** Where a log begins and ends. */
export interface LogEnds {
  readonly logStartOffset: bigint
  readonly highWatermark: bigint
}

/**
 * Whether both say the same to a group. The leader epoch only helps a consumer to notice a lost log: an offset that
 * was set by a tool has none.
 */
export function isSameOffset(left: StoredOffset | undefined, right: StoredOffset | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return left.offset === right.offset && left.metadata === right.metadata
}

/** Offsets that come again, or never come, because of a move. */
export interface ReadDifference {
  /** That were read before and are read again. */
  readonly again: bigint
  /** That were still to be read and never are. */
  readonly never: bigint
}

/**
 * What a move does to a reader. Offsets stand for records: control batches and compaction leave gaps, so that the
 * numbers are the most that it can be.
 *
 * @returns `undefined` where one side has no offset: the reader then starts where `auto.offset.reset` says.
 */
export function readDifference(
  { before, after }: Pick<OffsetMove, 'before' | 'after'>,
  ends: LogEnds
): ReadDifference | undefined {
  if (before === undefined || after === undefined) return undefined
  const doneBefore = doneRanges(before, ends)
  const doneAfter = doneRanges(after, ends)
  return { again: countOutside(doneBefore, doneAfter), never: countOutside(doneAfter, doneBefore) }
}

type Range = readonly [from: bigint, to: bigint]

/** What a reader takes for done: everything below the offset, and what the text says; only what is in the log. */
function doneRanges({ offset, metadata }: StoredOffset, { logStartOffset, highWatermark }: LogEnds): Range[] {
  const finished = decodeFinished(offset, metadata)
  const ranges: Range[] = [[logStartOffset, offset]]
  for (let index = 0; index + 1 < finished.length; index += 2) {
    ranges.push([offset + BigInt(finished[index] ?? 0), offset + BigInt(finished[index + 1] ?? 0)])
  }
  return ranges
    .map(([from, to]): Range => [
      from > logStartOffset ? from : logStartOffset,
      to < highWatermark ? to : highWatermark
    ])
    .filter(([from, to]) => to > from)
}

/** How much of some ranges lies in none of others. Both are ascending and apart. */
function countOutside(ranges: readonly Range[], others: readonly Range[]): bigint {
  let count = 0n
  for (const [from, to] of ranges) {
    count += to - from
    for (const [otherFrom, otherTo] of others) {
      const start = otherFrom > from ? otherFrom : from
      const end = otherTo < to ? otherTo : to
      if (end > start) count -= end - start
    }
  }
  return count
}

/** How many later records the text of an offset names as finished. */
export function finishedCountOf({ offset, metadata }: StoredOffset): number {
  const ranges = decodeFinished(offset, metadata)
  let count = 0
  for (let index = 0; index + 1 < ranges.length; index += 2) count += (ranges[index + 1] ?? 0) - (ranges[index] ?? 0)
  return count
}

/**
 * Where an offset that was saved goes now. Records below the beginning of the log are gone: a consumer that came from
 * there would go on as its `auto.offset.reset` says, perhaps at the end, so the first record that is left and not
 * finished takes its place. Offsets behind the end stay as they were.
 */
export function offsetLeft(
  saved: StoredOffset,
  { logStartOffset, highWatermark }: LogEnds
): { readonly offset: StoredOffset; readonly note?: string } {
  if (saved.offset > highWatermark) return { offset: saved, note: `lies behind the end ${highWatermark}` }
  if (saved.offset >= logStartOffset) return { offset: saved }
  const gone = Number(logStartOffset - saved.offset)
  const finished = decodeFinished(saved.offset, saved.metadata)
  let begin = gone
  const beyond: number[] = []
  for (let index = 0; index + 1 < finished.length; index += 2) {
    const [from = 0, to = 0] = finished.slice(index, index + 2)
    if (from > begin) beyond.push(from, to)
    else if (to > begin) begin = to
  }
  const offset = saved.offset + BigInt(begin)
  const text = encodeFinished(
    offset,
    beyond.map(at => at - begin)
  )
  return {
    offset: { offset, leaderEpoch: -1, metadata: text ?? '' },
    note: `${saved.offset} was deleted meanwhile: set to ${offset}`
  }
}

/** An offset for people. */
export function storedText(stored: StoredOffset | undefined): string {
  if (stored === undefined) return 'no offset'
  return stored.metadata === '' ? `${stored.offset}` : `${stored.offset} with a text`
}

/** One group in a snapshot. */
export interface GroupSnapshot {
  readonly groupId: string
  /** Whether the group was there before: if not, its undo removes what is left of it. */
  readonly existed: boolean
  readonly moves: readonly OffsetMove[]
}

/** Ids of topics by name: whether a topic is still the one that it was. */
export type TopicIds = ReadonlyMap<string, string>

/** Groups as JSON, for the undo. */
export function snapshotOf(groups: readonly GroupSnapshot[], topicIds: TopicIds = new Map()): Json {
  return {
    topicIds: Object.fromEntries(topicIds),
    groups: groups.map(({ groupId, existed, moves }) => ({
      groupId,
      existed,
      moves: moves.map(({ topic, partition, before, after }) => ({
        topic,
        partition,
        before: storedJson(before),
        after: storedJson(after)
      }))
    }))
  }
}

function storedJson(stored: StoredOffset | undefined): Json {
  if (stored === undefined) return null
  return { offset: stored.offset.toString(), leaderEpoch: stored.leaderEpoch, metadata: stored.metadata }
}

/**
 * Groups from the snapshot of a change.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if it is none.
 */
export function groupsOfSnapshot(snapshot: Json): GroupSnapshot[] {
  return listOf(fieldOf(snapshot, 'groups')).map(group => {
    const groupId = textOf(fieldOf(group, 'groupId'))
    return {
      groupId,
      existed: fieldOf(group, 'existed') !== false,
      moves: listOf(fieldOf(group, 'moves')).map(move => ({
        groupId,
        topic: textOf(fieldOf(move, 'topic')),
        partition: numberOf(fieldOf(move, 'partition')),
        before: storedOf(fieldOf(move, 'before')),
        after: storedOf(fieldOf(move, 'after'))
      }))
    }
  })
}

/** Ids of the topics from the snapshot of a change; what it does not say is not in it. */
export function topicIdsOfSnapshot(snapshot: Json): TopicIds {
  const ids = fieldOf(snapshot, 'topicIds')
  if (typeof ids !== 'object' || ids === null || Array.isArray(ids)) return new Map()
  return new Map(Object.entries(ids).map(([topic, id]) => [topic, textOf(id)]))
}

function storedOf(json: Json | undefined): StoredOffset | undefined {
  if (json === null) return undefined
  const offset = textOf(fieldOf(json, 'offset'))
  if (!/^\d{1,19}$/.test(offset)) throw damaged()
  return {
    offset: BigInt(offset),
    leaderEpoch: numberOf(fieldOf(json, 'leaderEpoch')),
    metadata: textOf(fieldOf(json, 'metadata'))
  }
}

function fieldOf(json: Json | undefined, name: string): Json | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw damaged()
  // The check above leaves an object whose values are JSON.
  return (json as Readonly<Record<string, Json>>)[name]
}

function listOf(json: Json | undefined): readonly Json[] {
  if (!Array.isArray(json)) throw damaged()
  // Elements of a JSON list are JSON.
  return json as readonly Json[]
}

function textOf(json: Json | undefined): string {
  if (typeof json !== 'string') throw damaged()
  return json
}

function numberOf(json: Json | undefined): number {
  if (typeof json !== 'number' || !Number.isInteger(json)) throw damaged()
  return json
}

function damaged(): PipelineError {
  return new PipelineError('ERR_OPS_UNDO_DAMAGED', 'what was saved is not about committed offsets')
}
