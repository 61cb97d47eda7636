/** One record, by its place. */

import type { Cluster, TopicPartition } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import { keptRecord, type ReadRecord, recordAt } from './read-record.ts'
import { type RangeAdmin, resolveRanges } from './record-range.ts'
import { RecordReader } from './record-reader.ts'

/** Where the record lies. */
export interface GetRecordRequest {
  readonly cluster: Cluster
  readonly admin: RangeAdmin
  readonly at: TopicPartition & { readonly offset: bigint }
  readonly signal?: AbortSignal
}

/**
 * Reads the record at an offset, whatever transaction it is of.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if there is none: too old, not yet written, removed by compaction, or a
 *   marker of a transaction.
 */
export async function getRecord({ cluster, admin, at, signal }: GetRecordRequest): Promise<ReadRecord> {
  const { topic, partition, offset } = at
  const [whole] = await resolveRanges(admin, { topics: [topic], partitions: [partition] })
  const place = `${topic}-${partition}@${offset}`
  if (whole === undefined || offset < whole.logStartOffset || offset >= whole.endOffset) {
    const span = `it has ${whole?.logStartOffset ?? 0n} to ${(whole?.endOffset ?? 0n) - 1n}`
    const isEmpty = whole === undefined || whole.logStartOffset === whole.endOffset
    throw missing(`there is no record ${place}: ${isEmpty ? 'the partition is empty' : span}`)
  }
  let found: ReadRecord | undefined
  const troubles: string[] = []
  const reader = new RecordReader({
    cluster,
    ranges: [{ ...whole, from: offset, to: offset + 1n }],
    onTrouble: text => void troubles.push(text),
    onRecord: (cursor, range) => {
      found = keptRecord(recordAt(cursor, range))
      return false
    },
    ...(signal === undefined ? {} : { signal })
  })
  const end = await reader.run()
  if (found !== undefined) return found
  if (end === 'aborted') throw missing(`${place} was not read in time`)
  if (troubles[0] !== undefined) throw missing(troubles[0])
  throw missing(`there is no record ${place}: compaction has removed it, or it is the marker of a transaction`)
}

function missing(message: string): PipelineError {
  return new PipelineError('ERR_OPS_NOT_FOUND', message)
}
