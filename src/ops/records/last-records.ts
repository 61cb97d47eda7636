/**
 * The last records of some partitions, by time.
 *
 * Offsets are no counts: transactions and compaction leave gaps. So a partition
 * that gave fewer records than wanted is read again from further back, each time
 * four times as far, until it has enough or there are no more.
 */

import type { Cluster } from '../../client/index.ts'
import type { RecordMatcher } from './record-query.ts'
import { type RangeAdmin, type RecordRange, resolveRanges } from './record-range.ts'
import { bytesOf, keptRecord, type ReadRecord, recordAt } from './read-record.ts'
import { RecordReader } from './record-reader.ts'

/** What is wanted. */
export interface LastRecordsRequest {
  readonly cluster: Cluster
  readonly admin: RangeAdmin
  readonly topics: readonly string[]
  readonly partitions?: readonly number[]
  /** How many, over all partitions. At least 1. */
  readonly count: number
  readonly isReadCommitted?: boolean
  readonly matcher?: RecordMatcher
  readonly onTrouble?: (text: string) => void
  readonly signal?: AbortSignal
}

/** The last records, and where each partition ends: where a reader goes on that follows. */
export interface LastRecords {
  /** Oldest first. */
  readonly records: readonly ReadRecord[]
  readonly ranges: readonly RecordRange[]
}

/** Bytes of records that may be held besides those that are wanted. */
const HELD_BYTES = 16_777_216
/** Most rounds back: 4^8 offsets for each record. */
const ROUNDS_MAX = 8

/**
 * Reads the last records.
 *
 * @throws PipelineError of `resolveRanges` and `RecordReader`.
 */
export async function readLastRecords(request: LastRecordsRequest): Promise<LastRecords> {
  const { admin, topics, partitions, count, isReadCommitted = false } = request
  const where = { topics, ...(partitions === undefined ? {} : { partitions }), isReadCommitted }
  const ranges = await resolveRanges(admin, { ...where, from: { at: 'last', count } })
  const kept = new Newest(count)
  let open: readonly RecordRange[] = ranges
  let distance = BigInt(count)
  for (let round = 0; round < ROUNDS_MAX && open.length > 0; round += 1) {
    const counts = await readInto(kept, open, request)
    if (request.signal?.aborted === true) break
    distance *= 4n
    // A partition of which all are known has no more; one with enough may still have newer ones than the others.
    open = open.flatMap(range => {
      if ((counts.get(range) ?? 0) >= count || range.from <= range.logStartOffset) return []
      const further = range.endOffset - distance
      const from = further > range.logStartOffset ? further : range.logStartOffset
      return [{ ...range, from, to: range.from }]
    })
  }
  return { records: kept.inOrder(), ranges }
}

async function readInto(
  kept: Newest,
  ranges: readonly RecordRange[],
  request: LastRecordsRequest
): Promise<Map<RecordRange, number>> {
  const { cluster, matcher, isReadCommitted, onTrouble, signal } = request
  const counts = new Map<RecordRange, number>()
  const reader = new RecordReader({
    cluster,
    ranges,
    ...(isReadCommitted === undefined ? {} : { isReadCommitted }),
    matcher,
    ...(onTrouble === undefined ? {} : { onTrouble }),
    ...(signal === undefined ? {} : { signal }),
    onRecord: (cursor, range) => {
      counts.set(range, (counts.get(range) ?? 0) + 1)
      if (kept.takes(cursor.timestampMs)) kept.add(keptRecord(recordAt(cursor, range)))
      return true
    }
  })
  await reader.run()
  return counts
}

/** The newest records of all that were added. */
class Newest {
  readonly #count: number
  #records: ReadRecord[] = []
  #bytes = 0
  /** From so many bytes on the older ones go: what is wanted may be more than this by itself. */
  #bytesMax = HELD_BYTES
  /** Older ones need not be added: there are enough newer ones. */
  #oldestMs = Number.NEGATIVE_INFINITY

  constructor(count: number) {
    this.#count = count
  }

  takes(timestampMs: number): boolean {
    return timestampMs >= this.#oldestMs
  }

  add(record: ReadRecord): void {
    this.#records.push(record)
    this.#bytes += bytesOf(record)
    if (this.#records.length <= this.#count) return
    if (this.#records.length < 2 * this.#count + 1000 && this.#bytes < this.#bytesMax) return
    this.#records = this.inOrder()
    this.#bytes = this.#records.reduce((sum, each) => sum + bytesOf(each), 0)
    // Not at every record: the next time that it has doubled.
    this.#bytesMax = Math.max(HELD_BYTES, 2 * this.#bytes)
    this.#oldestMs = this.#records[0]?.timestampMs ?? this.#oldestMs
  }

  inOrder(): ReadRecord[] {
    return this.#records.toSorted(byTime).slice(-this.#count)
  }
}

function byTime(left: ReadRecord, right: ReadRecord): number {
  if (left.timestampMs !== right.timestampMs) return left.timestampMs - right.timestampMs
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1
  if (left.partition !== right.partition) return left.partition - right.partition
  return left.offset < right.offset ? -1 : Number(left.offset > right.offset)
}
