/**
 * How long a time of appends lies between two offsets: by the times of the
 * records at both of them, for as many partitions as can be read at once, those
 * with the longest way first.
 */

import { partitionKeyOf } from '../../client/index.ts'
import type { EndsByPartition, OffsetsOpen } from './group-look.ts'
import type { LogEnds, OffsetMove } from './offset-move.ts'
import { type HeadQuestion, HEADS_MAX, readHeads } from './record-heads.ts'

interface Way {
  readonly move: OffsetMove
  readonly low: bigint
  readonly high: bigint
  readonly ends: LogEnds
}

/**
 * Spans in seconds, by move. What is not known is not in it: no offset on one side, nothing in between, no record
 * there, or too many partitions.
 */
export async function timeSpans(
  open: OffsetsOpen,
  moves: readonly OffsetMove[],
  ends: EndsByPartition
): Promise<ReadonlyMap<OffsetMove, number>> {
  const seen = new Set<string>()
  const ways = moves
    .flatMap(move => wayOf(move, ends.get(partitionKeyOf(move))))
    .toSorted((left, right) => (right.high - right.low > left.high - left.low ? 1 : -1))
    // Groups that read the same partition: the longest way of it stands.
    .filter(({ move }) => !seen.has(partitionKeyOf(move)) && seen.add(partitionKeyOf(move)))
    .slice(0, HEADS_MAX)
  const spans = new Map<OffsetMove, number>()
  if (ways.length === 0) return spans
  const [lows, highs] = await Promise.all([
    timesAt(
      open,
      ways.map(({ move, low }) => ({ ...placeOf(move), offset: low }))
    ),
    endTimes(open, ways)
  ])
  for (const { move } of ways) {
    const low = lows.get(partitionKeyOf(move))
    const high = highs.get(partitionKeyOf(move))
    if (low !== undefined && high !== undefined) spans.set(move, Math.max(0, high - low) / 1000)
  }
  return spans
}

function placeOf({ topic, partition }: OffsetMove): Pick<OffsetMove, 'topic' | 'partition'> {
  return { topic, partition }
}

/** The way that a move goes inside of the log. */
function wayOf(move: OffsetMove, ends: LogEnds | undefined): Way[] {
  const { before, after } = move
  if (ends === undefined || before === undefined || after === undefined) return []
  const inside = (offset: bigint): bigint => {
    if (offset < ends.logStartOffset) return ends.logStartOffset
    return offset > ends.highWatermark ? ends.highWatermark : offset
  }
  const [from, to] = [inside(before.offset), inside(after.offset)]
  const [low, high] = from < to ? [from, to] : [to, from]
  return high > low ? [{ move, low, high, ends }] : []
}

async function timesAt(open: OffsetsOpen, questions: readonly HeadQuestion[]): Promise<Map<string, number>> {
  const heads = await readHeads(open.cluster, questions, open.signal === undefined ? {} : { signal: open.signal })
  return new Map([...heads].map(([key, head]) => [key, head.timestampMs]))
}

/** The time of the record at the upper end, or of the youngest one where that is the end of the log. */
async function endTimes(open: OffsetsOpen, ways: readonly Way[]): Promise<Map<string, number>> {
  const inner = ways.filter(({ high, ends }) => high < ends.highWatermark)
  const outer = ways.filter(({ high, ends }) => high >= ends.highWatermark)
  const [times, youngest] = await Promise.all([
    timesAt(
      open,
      inner.map(({ move, high }) => ({ ...placeOf(move), offset: high }))
    ),
    outer.length === 0
      ? []
      : open.admin.listOffsets(outer.map(({ move }) => ({ ...placeOf(move), at: 'maxTimestamp' as const })))
  ])
  for (const found of youngest) {
    if (found.errorCode === 0 && found.timestamp >= 0n) times.set(partitionKeyOf(found), Number(found.timestamp))
  }
  return times
}
