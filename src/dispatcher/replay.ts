/**
 * Bounded replay: a part of a topic through the same path again, under a group of its own.
 *
 * The plan fixes where each partition begins and ends. Applying it commits the
 * beginnings for the replay's group, which must have no members; from then on
 * the group's offsets are the progress, so a replay that was stopped or killed
 * goes on where it was when it is started with the same bounds. The offsets of
 * the group that serves live records are never touched.
 */

import { type Admin, type OffsetSpec, partitionKeyOf, type TopicPartition } from '../client/index.ts'
import { type Clock, PipelineError, sleep } from '../core/index.ts'
import { kafkaErrorName } from '../protocol/index.ts'

/** The part of the client's `Admin` that a replay needs. */
export type ReplayAdmin = Pick<
  Admin,
  'alterGroupOffsets' | 'describeGroups' | 'describeTopics' | 'fetchGroupOffsets' | 'listOffsets'
>

/** Where a bound lies: an end of the log, or the first record at or after a time in milliseconds since 1970. */
export type ReplayBound = 'earliest' | 'latest' | { readonly timestampMs: bigint }

/** What is to be replayed. */
export interface ReplayRequest {
  /** Group of the replay. Not the one that serves live records. */
  readonly groupId: string
  readonly topics: readonly string[]
  /** Only these partitions. Default: all. */
  readonly partitions?: readonly number[]
  /** First record. */
  readonly from: ReplayBound
  /** First record that is no longer replayed. */
  readonly to: ReplayBound
  /** Begin anew whatever an earlier run of the group has done. Default `false`. */
  readonly isRestarted?: boolean
}

/** One partition of a plan. */
export interface ReplayPartition extends TopicPartition {
  /** Offset of the first record. */
  readonly from: bigint
  /** Offset behind the last record. */
  readonly to: bigint
  /** Next record of this run: behind `from` if an earlier run of the group has begun. */
  readonly position: bigint
  /** What the group had committed when it was planned; -1n = nothing. */
  readonly committed: bigint
  /** Whether an earlier run has committed an offset. */
  readonly isBegun: boolean
}

/** What a replay will do. */
export interface ReplayPlan {
  readonly groupId: string
  /** Whether the group has offsets of an earlier run with the same bounds. */
  readonly isResumed: boolean
  /** Offsets to go, over all partitions: at least as many as there are records. */
  readonly offsetCount: bigint
  readonly partitions: readonly ReplayPartition[]
}

/**
 * Finds out what a replay would do. Changes nothing.
 *
 * @throws PipelineError `ERR_DISPATCHER_REPLAY_INVALID` if a topic or partition does not exist, nothing lies between
 *   the bounds, or the group is at work.
 */
export async function planReplay(admin: ReplayAdmin, request: ReplayRequest): Promise<ReplayPlan> {
  await checkGroup(admin, request.groupId)
  const wanted = await partitionsOf(admin, request)
  const [starts, ends, firsts, lasts] = await Promise.all([
    boundsOf(admin, wanted, request.from),
    boundsOf(admin, wanted, request.to),
    boundsOf(admin, wanted, 'earliest'),
    boundsOf(admin, wanted, 'latest')
  ])
  const committed = await admin.fetchGroupOffsets(request.groupId, wanted)
  let isResumed = false
  let offsetCount = 0n
  const partitions = wanted.map((at, index) => {
    const last = lasts[index] ?? 0n
    // No record at or after a time: the bound lies behind all there are.
    const from = clamp(starts[index] ?? last, firsts[index] ?? 0n, last)
    const to = clamp(ends[index] ?? last, from, last)
    const done = committed.find(each => each.topic === at.topic && each.partition === at.partition)?.offset ?? -1n
    const isBegun = request.isRestarted !== true && done >= from && done <= last
    if (isBegun) isResumed = true
    const position = isBegun ? done : from
    offsetCount += position < to ? to - position : 0n
    return { ...at, from, to, position, committed: done, isBegun }
  })
  if (partitions.every(({ from, to }) => from === to)) {
    throw invalid(`there is nothing between the bounds in ${request.topics.join(', ')}`)
  }
  return { groupId: request.groupId, isResumed, offsetCount, partitions }
}

/**
 * Commits the beginnings.
 *
 * @throws PipelineError `ERR_DISPATCHER_REPLAY_INVALID` if the group does not take them, or has moved since the plan:
 *   then somebody else has replayed, and would have done it for nothing.
 */
export async function applyReplay(admin: ReplayAdmin, plan: ReplayPlan): Promise<void> {
  const now = new Map(
    (await admin.fetchGroupOffsets(plan.groupId, plan.partitions)).map(each => [partitionKeyOf(each), each.offset])
  )
  const moved = plan.partitions.find(each => (now.get(partitionKeyOf(each)) ?? -1n) !== each.committed)
  if (moved !== undefined) {
    const where = `${moved.topic}-${moved.partition}`
    throw invalid(`somebody else has moved group ${plan.groupId} in ${where} since the plan: plan it again`)
  }
  // What has begun is left alone: with its offset the group may have kept what it has done beyond it.
  const offsets = plan.partitions
    .filter(({ isBegun }) => !isBegun)
    .map(({ topic, partition, position }) => ({ topic, partition, offset: position }))
  if (offsets.length === 0) return
  const altered = await admin.alterGroupOffsets(plan.groupId, offsets)
  const failed = altered.find(({ errorCode }) => errorCode !== 0)
  if (failed === undefined) return
  const name = kafkaErrorName(failed.errorCode)
  throw invalid(`group ${plan.groupId} did not take the offset of ${failed.topic}-${failed.partition}: ${name}`)
}

/** Where a plan's partitions end: for `startDispatcher`. Partitions that are not replayed end where they begin. */
export function endsOf(plan: ReplayPlan): (at: TopicPartition) => bigint | undefined {
  const ends = new Map(plan.partitions.map(each => [partitionKeyOf(each), each.to]))
  return at => ends.get(partitionKeyOf(at)) ?? 0n
}

/**
 * Waits until the group has committed the end of every partition.
 *
 * @param onProgress - Told after each look at the group how many offsets are left.
 * @returns `false` if the signal aborted before.
 */
export async function untilReplayed(
  admin: ReplayAdmin,
  plan: ReplayPlan,
  options: { readonly clock: Clock; readonly signal: AbortSignal; readonly onProgress?: (left: bigint) => void }
): Promise<boolean> {
  while (!options.signal.aborted) {
    const committed = await admin.fetchGroupOffsets(plan.groupId, plan.partitions)
    const offsets = new Map(committed.map(each => [partitionKeyOf(each), each.offset]))
    let left = 0n
    for (const each of plan.partitions) {
      const offset = offsets.get(partitionKeyOf(each)) ?? each.position
      if (offset < each.to) left += each.to - (offset < each.position ? each.position : offset)
    }
    options.onProgress?.(left)
    if (left === 0n) return true
    await sleep(options.clock, 250, options.signal)
  }
  return false
}

async function checkGroup(admin: ReplayAdmin, groupId: string): Promise<void> {
  const [group] = await admin.describeGroups([groupId])
  const count = group?.members.length ?? 0
  if (count > 0) throw invalid(`group ${groupId} has ${count} members at work: stop them, or name another group`)
}

async function partitionsOf(admin: ReplayAdmin, request: ReplayRequest): Promise<TopicPartition[]> {
  const { topics } = await admin.describeTopics(request.topics)
  const wanted: TopicPartition[] = []
  for (const topic of request.topics) {
    const count = topics.find(each => each.topic === topic)?.partitions.length ?? 0
    if (count === 0) throw invalid(`there is no topic ${topic}`)
    for (const partition of request.partitions ?? Array.from({ length: count }, (_, index) => index)) {
      if (partition >= count) throw invalid(`${topic} has no partition ${partition}: it has ${count}`)
      wanted.push({ topic, partition })
    }
  }
  return wanted
}

/** Offsets of a bound; `undefined` where no record is that young. */
async function boundsOf(
  admin: ReplayAdmin,
  partitions: readonly TopicPartition[],
  at: OffsetSpec
): Promise<(bigint | undefined)[]> {
  const listed = await admin.listOffsets(
    partitions.map(partition => ({ ...partition, at })),
    // What is in an open transaction may never count.
    { isReadCommitted: true }
  )
  return listed.map(({ topic, partition, offset, errorCode }) => {
    if (errorCode !== 0) throw invalid(`offsets of ${topic}-${partition}: ${kafkaErrorName(errorCode)}`)
    return offset < 0n ? undefined : offset
  })
}

function clamp(value: bigint, min: bigint, max: bigint): bigint {
  if (value < min) return min
  return value > max ? max : value
}

function invalid(message: string): PipelineError {
  return new PipelineError('ERR_DISPATCHER_REPLAY_INVALID', `replay: ${message}`)
}
