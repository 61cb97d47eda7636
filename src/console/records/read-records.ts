/** One page of records of a topic, in the direction that is asked for. */

import type { Admin, Cluster } from '../../client/index.ts'
import {
  type ReadRecord,
  type RecordBound,
  type RecordMatcher,
  type RecordRange,
  resolveRanges
} from '../../ops/index.ts'
import { type Positions, readPositions } from './positions.ts'
import { readBackward } from './read-backward.ts'
import { readForward } from './read-forward.ts'
import type { ReadingResult } from './reading.ts'
import type { ReadQuery } from './records-query.ts'

/** What a page is read with. */
export interface PageReading<T> {
  readonly cluster: Cluster
  readonly admin: Admin
  readonly matcher: RecordMatcher | undefined
  readonly keep: (record: ReadRecord) => T
  readonly signal: AbortSignal
}

/** A page, and what was left out of it. */
export interface ReadPage<T> extends ReadingResult<T> {
  readonly troubles: readonly string[]
}

const TROUBLES_MAX = 20

/**
 * Reads a page.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_REFUSED`, `ERR_CONSOLE_REQUEST`, and those of the reader.
 */
export async function readPage<T>(
  query: Pick<ReadQuery, 'topic' | 'partition' | 'from' | 'fromMs' | 'fromOffset' | 'toMs' | 'limit' | 'next'>,
  { admin, ...parts }: PageReading<T>
): Promise<ReadPage<T>> {
  const { topic, partition, toMs, limit, next } = query
  const isBackward = query.from === 'latest'
  const to: RecordBound = toMs === undefined ? { at: 'end' } : { at: 'time', timestampMs: toMs }
  const ranges = await resolveRanges(admin, {
    topics: [topic],
    ...(partition === undefined ? {} : { partitions: [partition] }),
    from: boundOf(query),
    to,
    isReadCommitted: true
  })
  const positions = next === undefined ? undefined : readPositions(next)
  const open = positions === undefined ? ranges : goOn(ranges, positions, isBackward)
  const troubles: string[] = []
  const onTrouble = (text: string): void => {
    if (troubles.length < TROUBLES_MAX) troubles.push(text)
  }
  const reading = { ...parts, limit, onTrouble }
  const result = isBackward ? await readBackward(reading, open) : await readForward(reading, open)
  return { ...result, troubles }
}

function boundOf({ from, fromMs, fromOffset }: Pick<ReadQuery, 'from' | 'fromMs' | 'fromOffset'>): RecordBound {
  if (from === 'offset') return { at: 'offset', offset: fromOffset }
  return from === 'datetime' ? { at: 'time', timestampMs: fromMs ?? 0 } : { at: 'beginning' }
}

/** Ranges without what was read before; those that were read to their end are gone. */
function goOn(ranges: readonly RecordRange[], positions: Positions, isBackward: boolean): RecordRange[] {
  return ranges.flatMap(range => {
    const at = positions.get(range.partition)
    if (at === undefined) return []
    const { from, to = range.endOffset } = range
    const inside = at < from ? from : at > to ? to : at
    return [isBackward ? { ...range, to: inside } : { ...range, from: inside }]
  })
}
