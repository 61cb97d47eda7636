/**
 * The first record at or behind an offset, of many partitions at once: its time,
 * for how long a time a move spans; its key and the head of its value, for who is
 * about to skip it.
 *
 * Reads one batch of each partition. Bounded: so many partitions, so long; what
 * has not come by then is not known, which is never an error of the operation.
 */

import { type Cluster, type FetchedChunk, Fetcher, partitionKeyOf, type TopicPartition } from '../../client/index.ts'
import { type Clock, sleep } from '../../core/index.ts'
import { RecordCursor } from '../../protocol/index.ts'

/** Most partitions that are read for one plan. */
export const HEADS_MAX = 256
/** Longest wait for them, in milliseconds. */
const PATIENCE_MS = 5_000
/** The first batch of a partition comes whole, whatever its size: more than that is not wanted. */
const PARTITION_BYTES = 1_024

/** What a record begins with. */
export interface RecordHead extends TopicPartition {
  readonly offset: bigint
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** Where to look. */
export type HeadQuestion = TopicPartition & { readonly offset: bigint }

/** Bytes of a key or value that are kept. */
const KEPT_BYTES = 512

/**
 * Reads the first record at or behind each offset.
 *
 * @param questions - One for each partition at most; what is beyond `HEADS_MAX` is left out.
 * @returns By `partitionKeyOf`; a partition without such a record, or that did not answer in time, is not in it.
 */
export async function readHeads(
  cluster: Cluster,
  questions: readonly HeadQuestion[],
  options: { readonly clock?: Clock; readonly signal?: AbortSignal; readonly patienceMs?: number } = {}
): Promise<ReadonlyMap<string, RecordHead>> {
  const heads = new Map<string, RecordHead>()
  const asked = new Map(questions.slice(0, HEADS_MAX).map(question => [partitionKeyOf(question), question]))
  if (asked.size === 0) return heads
  const clock = options.clock ?? cluster.clock
  const done = new AbortController()
  const settle = (partition: TopicPartition): void => {
    asked.delete(partitionKeyOf(partition))
    fetcher.remove(partition.topic, partition.partition)
    if (asked.size === 0) done.abort()
  }
  const fetcher = new Fetcher({
    cluster,
    partitionBytesMax: PARTITION_BYTES,
    maxWaitMs: 50,
    onRecords: chunk => {
      const question = asked.get(partitionKeyOf(chunk))
      if (question !== undefined) {
        const head = headOf(chunk, question.offset)
        if (head !== undefined) heads.set(partitionKeyOf(chunk), head)
        if (head !== undefined || chunk.nextOffset >= chunk.highWatermark) settle(chunk)
      }
      chunk.lease?.release()
    },
    onPartitionError: failure => {
      if (!failure.willRetry) settle(failure)
    }
  })
  options.signal?.addEventListener('abort', () => done.abort(), { once: true })
  for (const question of asked.values()) fetcher.add(question)
  fetcher.start()
  try {
    await sleep(clock, options.patienceMs ?? PATIENCE_MS, done.signal)
  } finally {
    await fetcher.close()
  }
  return heads
}

/** A batch that cannot be read has no head: a plan does not end for it. */
function headOf({ topic, partition, records }: FetchedChunk, offset: bigint): RecordHead | undefined {
  const cursor = new RecordCursor({ isCrcChecked: false })
  cursor.reset(records)
  try {
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        if (cursor.offset() < offset) continue
        const { timestampMs } = cursor
        return {
          topic,
          partition,
          offset: cursor.offset(),
          timestampMs,
          key: kept(cursor.key()),
          value: kept(cursor.value())
        }
      }
    }
  } catch {
    // Corrupt, or of a codec that is not known.
  }
  return undefined
}

/** A view's bytes go with the answer that they lie in. */
function kept(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes.subarray(0, KEPT_BYTES))
}
