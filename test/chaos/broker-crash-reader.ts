/** Reads partitions as a consumer does: everything, or committed records only. */

import assert from 'node:assert/strict'
import {
  fetchApi,
  type FetchResponsePartitionData,
  isControl,
  isTransactional,
  listOffsetsApi,
  RecordCursor
} from '../../src/protocol/index.ts'
import { assertOk, type Link } from './broker-crash-link.ts'

const FETCH_BYTES = 4_000_000
const NOTHING = Buffer.alloc(0)

/** A record as it was read. */
export interface ReadRecord {
  readonly offset: bigint
  readonly key: string | null
  readonly value: string
  readonly timestampMs: number
}

/** Everything of one partition. */
export interface ReadPartition {
  readonly logStartOffset: bigint
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  /** Where reading ended: the high watermark, the last stable offset, or before a gap that cleaning left. */
  readonly nextOffset: bigint
  /** In order of offsets; control records and, with `isReadCommitted`, those of aborted transactions left out. */
  readonly records: readonly ReadRecord[]
}

/** Which partition, and how. */
export interface ReadWish {
  readonly topic: string
  readonly partition: number
  readonly isReadCommitted?: boolean
}

/** Offset of a partition: -1 for the end, -2 for the start. */
export async function offsetOf(link: Link, wish: ReadWish, timestamp: bigint): Promise<bigint> {
  const topics = [{ name: wish.topic, partitions: [{ partitionIndex: wish.partition, timestamp }] }]
  const answer = await link.request(listOffsetsApi, { version: 5, message: { replicaId: -1, topics } })
  const found = answer.topics[0]?.partitions[0]
  assertOk(found, `${wish.topic}-${wish.partition} has offsets`)
  return found?.offset ?? -1n
}

/** Reads a partition from its first offset to its end. */
export async function readPartition(link: Link, wish: ReadWish): Promise<ReadPartition> {
  const logStartOffset = await offsetOf(link, wish, -2n)
  const records: ReadRecord[] = []
  for (let offset = logStartOffset; ;) {
    const found = await fetchAt(link, wish, offset)
    const next = takeRecords(found, { offset, wish, records })
    if (next === offset) {
      const { highWatermark, lastStableOffset } = found
      // Cleaned away records leave gaps, also at the end of what can be read.
      assert.ok(offset <= highWatermark, `${wish.topic}-${wish.partition}: read beyond the high watermark`)
      return { logStartOffset, highWatermark, lastStableOffset, nextOffset: offset, records }
    }
    offset = next
  }
}

async function fetchAt(link: Link, wish: ReadWish, fetchOffset: bigint): Promise<FetchResponsePartitionData> {
  const { topic, partition, isReadCommitted = false } = wish
  const partitions = [{ partition, fetchOffset, partitionMaxBytes: FETCH_BYTES }]
  const message = {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: FETCH_BYTES,
    isolationLevel: isReadCommitted ? 1 : 0,
    topics: [{ topic, partitions }]
  }
  const answer = await link.request(fetchApi, { version: 11, message })
  const found = answer.responses[0]?.partitions[0]
  assertOk(found, `${topic}-${partition} is read at ${fetchOffset}`)
  if (found === undefined) throw new Error('assertOk passes no undefined')
  return found
}

/** Adds what a fetch brought and answers where to go on. Source of the filter: Kafka's `CompletedFetch`. */
function takeRecords(
  found: FetchResponsePartitionData,
  to: { offset: bigint; wish: ReadWish; records: ReadRecord[] }
): bigint {
  const aborted = (found.abortedTransactions ?? []).toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const open = new Set<bigint>()
  const cursor = new RecordCursor()
  cursor.reset(found.records ?? NOTHING)
  let next = to.offset
  while (cursor.nextBatch()) {
    const { producerId, attributes, lastOffsetDelta } = cursor.header
    const lastOffset = cursor.baseOffset + BigInt(lastOffsetDelta)
    while (aborted[0] !== undefined && aborted[0].firstOffset <= lastOffset) {
      open.add(aborted.shift()?.producerId ?? -1n)
    }
    if (isControl(attributes)) {
      // A marker ends what its producer had open: type 0 is an abort.
      while (cursor.nextRecord()) if (cursor.key()?.readInt16BE(2) === 0) open.delete(producerId)
    } else if (!(to.wish.isReadCommitted === true && isTransactional(attributes) && open.has(producerId))) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < to.offset) continue
        const value = cursor.value()?.toString() ?? ''
        const key = cursor.key()?.toString() ?? null
        to.records.push({ offset: cursor.offset(), key, value, timestampMs: cursor.timestampMs })
      }
    }
    next = lastOffset + 1n
  }
  return next
}
