/** Records from a place on, the oldest first, until there are enough or the time is over. */

import { partitionKeyOf } from '../../client/index.ts'
import { type ReadRecord, recordAt, type RecordRange, RecordReader } from '../../ops/index.ts'
import type { Reading, ReadingResult } from './reading.ts'

/** See the module. */
export async function readForward<T>(reading: Reading<T>, ranges: readonly RecordRange[]): Promise<ReadingResult<T>> {
  const { cluster, matcher, limit, keep, signal, onTrouble } = reading
  const kept: T[] = []
  const behind = new Map<string, bigint>()
  const reader = new RecordReader({
    cluster,
    ranges,
    isReadCommitted: true,
    order: 'time',
    matcher,
    signal,
    onTrouble,
    onRecord: (cursor, range) => {
      const record: ReadRecord = recordAt(cursor, range)
      kept.push(keep(record))
      behind.set(partitionKeyOf(range), record.offset + 1n)
      return kept.length < limit
    }
  })
  const end = await reader.run()
  const positions = new Map<number, bigint>()
  for (const range of end === 'all' ? [] : ranges) {
    const reached = reader.reachedOf(range)
    const taken = behind.get(partitionKeyOf(range)) ?? range.from
    const position = taken > reached ? taken : reached
    if (position < (range.to ?? range.endOffset)) positions.set(range.partition, position)
  }
  return { kept, positions, searched: reader.recordCount }
}
