/**
 * Which records of which partitions are read: where each partition begins, and where it ends.
 *
 * Bounds are resolved once, by looking. A time stands for the first record at
 * or after it; since producers set times, records may lie out of order: whoever
 * reads between two times also compares each record's own time. Bounds outside
 * of what the partition has are moved to its ends.
 */

import type { Admin, OffsetSpec, TopicPartition } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'

/** The part of the client's `Admin` that is needed. */
export type RangeAdmin = Pick<Admin, 'describeTopics' | 'listOffsets'>

/** Where a bound lies. */
export type RecordBound =
  /** The oldest record that is still there. */
  | { readonly at: 'beginning' }
  /** Behind the newest record as of now; behind the last stable one when reading committed. */
  | { readonly at: 'end' }
  | { readonly at: 'offset'; readonly offset: bigint }
  /** The first record at or after a time, in milliseconds since 1970. */
  | { readonly at: 'time'; readonly timestampMs: number }
  /** So many offsets before the end. */
  | { readonly at: 'last'; readonly count: number }

/** One partition and what of it is read. */
export interface RecordRange extends TopicPartition {
  /** Offset of the first record. */
  readonly from: bigint
  /** Offset behind the last one; `undefined`: no end, new records are waited for. */
  readonly to: bigint | undefined
  /** What the partition has, as it was looked at. */
  readonly logStartOffset: bigint
  readonly endOffset: bigint
}

/** What is to be read. */
export interface RangeRequest {
  readonly topics: readonly string[]
  /** Only these partitions. Default: all. */
  readonly partitions?: readonly number[]
  /** Default: the beginning. */
  readonly from?: RecordBound
  /** Not itself read. `undefined` with `isFollowing`: no end. Default: the end. */
  readonly to?: RecordBound
  /** Whether new records are waited for. Default `false`. */
  readonly isFollowing?: boolean
  /** Whether the end is the last stable offset. Default `false`. */
  readonly isReadCommitted?: boolean
}

/**
 * Finds out where each partition begins and ends. Ordered by topic as asked, then by partition.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if a topic or partition does not exist, `ERR_OPS_REFUSED` if Kafka does not
 *   tell.
 */
export async function resolveRanges(admin: RangeAdmin, request: RangeRequest): Promise<RecordRange[]> {
  const wanted = await partitionsOf(admin, request)
  const isReadCommitted = request.isReadCommitted === true
  const ask = (at: OffsetSpec): Promise<bigint[]> => offsetsOf(admin, wanted, { at, isReadCommitted })
  const { from = { at: 'beginning' }, to } = request
  const [starts, ends, froms, tos] = await Promise.all([
    ask('earliest'),
    ask('latest'),
    from.at === 'time' ? ask({ timestampMs: BigInt(Math.max(0, from.timestampMs)) }) : undefined,
    to?.at === 'time' ? ask({ timestampMs: BigInt(Math.max(0, to.timestampMs)) }) : undefined
  ])
  return wanted.map((partition, index) => {
    const span = { start: starts[index] ?? 0n, end: ends[index] ?? 0n }
    const first = placeOf(from, span, froms?.[index])
    const isEndless = request.isFollowing === true && to === undefined
    const last = isEndless ? undefined : placeOf(to ?? { at: 'end' }, span, tos?.[index])
    const range = { ...partition, from: first, logStartOffset: span.start, endOffset: span.end }
    return { ...range, to: last === undefined || last >= first ? last : first }
  })
}

/** How many offsets lie in ranges that have an end: at least as many as there are records. */
export function offsetCountOf(ranges: readonly RecordRange[]): bigint {
  return ranges.reduce((sum, { from, to }) => sum + (to === undefined ? 0n : to - from), 0n)
}

function placeOf(bound: RecordBound, span: { start: bigint; end: bigint }, found: bigint | undefined): bigint {
  switch (bound.at) {
    case 'beginning':
      return span.start
    case 'end':
      return span.end
    case 'offset':
      return clamp(bound.offset, span)
    case 'last':
      return clamp(span.end - BigInt(bound.count), span)
    case 'time':
      // No record is that young: the bound lies behind all there are.
      return found === undefined || found < 0n ? span.end : clamp(found, span)
  }
}

function clamp(offset: bigint, { start, end }: { start: bigint; end: bigint }): bigint {
  if (offset < start) return start
  return offset > end ? end : offset
}

async function partitionsOf(admin: RangeAdmin, request: RangeRequest): Promise<TopicPartition[]> {
  const { topics } = await admin.describeTopics(request.topics)
  const wanted: TopicPartition[] = []
  for (const topic of request.topics) {
    const found = topics.find(each => each.topic === topic)
    const name = kafkaErrorName(found?.errorCode ?? 3)
    if (name === 'TOPIC_AUTHORIZATION_FAILED') throw refused(`no right to describe topic ${topic}`)
    const count = found?.partitions.length ?? 0
    if (count === 0) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}`)
    for (const partition of request.partitions ?? Array.from({ length: count }, (_, index) => index)) {
      if (partition >= count) {
        throw new PipelineError('ERR_OPS_NOT_FOUND', `${topic} has no partition ${partition}: it has ${count}, from 0`)
      }
      wanted.push({ topic, partition })
    }
  }
  return wanted
}

async function offsetsOf(
  admin: RangeAdmin,
  partitions: readonly TopicPartition[],
  { at, isReadCommitted }: { at: OffsetSpec; isReadCommitted: boolean }
): Promise<bigint[]> {
  const questions = partitions.map(({ topic, partition }) => ({ topic, partition, at }))
  const listed = await admin.listOffsets(questions, { isReadCommitted })
  return listed.map(({ topic, partition, offset, errorCode }) => {
    if (errorCode !== 0) throw refused(`offsets of ${topic}-${partition}: ${kafkaErrorName(errorCode)}`)
    return offset
  })
}

function refused(message: string): PipelineError {
  return new PipelineError('ERR_OPS_REFUSED', message)
}
