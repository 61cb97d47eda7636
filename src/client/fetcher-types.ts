/** What a fetcher is told and hands out. */

import type { Clock, PipelineError, Random } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { Lease } from './answer-memory.ts'
import type { Cluster } from './cluster.ts'

/**
 * Whole record batches of one partition, as they came from the broker. Chunks leave no gap: each begins at the
 * `nextOffset` of the one before, although not every offset between has a record.
 */
export interface FetchedChunk {
  readonly topic: string
  readonly partition: number
  /** The first batch may hold older records: skip those with a lower offset. */
  readonly fromOffset: bigint
  /**
   * Whole record batches, a view into the answer of the broker. Control batches, and aborted records when reading
   * committed, are already left out; it is empty if nothing else was there. Treat as read-only.
   */
  readonly records: Buffer
  /**
   * The records lie in lent memory, and whoever takes the chunk is one of its holders: `release` when the records are
   * needed no more and their memory is used again. Not to do so costs time, not correctness.
   */
  readonly lease?: Lease
  /** Offset from which the fetch goes on: everything below has been handed out, or was not for us. */
  readonly nextOffset: bigint
  readonly highWatermark: bigint
  /** Where the partition ends for readers of committed records; the high watermark if the broker does not say. */
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
}

/** A partition that could not be fetched. */
export interface FetchPartitionError {
  readonly topic: string
  readonly partition: number
  /** Offset that was asked for. */
  readonly offset: bigint
  /** `ERR_CLIENT_OFFSET_OUT_OF_RANGE`, `ERR_CLIENT_TOPIC_UNKNOWN`, `ERR_CLIENT_KAFKA`, `ERR_CLIENT_RECORDS_CORRUPT`. */
  readonly error: PipelineError
  /** Whether the fetcher tries again by itself. If not, the partition rests until it is removed and added again. */
  readonly willRetry: boolean
}

/** Options of `Fetcher`. */
export interface FetcherOptions {
  readonly cluster: Cluster
  /** The broker answers once it has this many bytes, or after `maxWaitMs`. Default 1. Source: `fetch.min.bytes`. */
  readonly minBytes?: number
  /** Most bytes of one answer; the first batch always comes whole. Default 16_777_216. Source: `fetch.max.bytes`. */
  readonly maxBytes?: number
  /** Most bytes of one partition in one answer. Default 1_048_576. Source: `max.partition.fetch.bytes`. */
  readonly partitionBytesMax?: number
  /** Longest wait of the broker for `minBytes`, in milliseconds. Default 500. Source: `fetch.max.wait.ms`. */
  readonly maxWaitMs?: number
  /** Leaves out records of open and aborted transactions. Default `false`. Source: `isolation.level`. */
  readonly isReadCommitted?: boolean
  /** Verifies the CRC-32C of every batch here. Default `false`: `RecordCursor` does it where records are read. */
  readonly isCrcChecked?: boolean
  /** Name of the rack of this client, to read from a near replica (KIP-392). Default none: always the leader. */
  readonly rackId?: string
  /** Wait after a failure, in milliseconds; doubles with jitter up to `retryBackoffMaxMs`. Default 100. */
  readonly retryBackoffMs?: number
  /** Longest such wait, in milliseconds. Default 1_000. */
  readonly retryBackoffMaxMs?: number
  /** Called for every chunk, in offset order per partition. Synchronous: pause the partition to slow it down. */
  readonly onRecords: (chunk: FetchedChunk) => void
  /** Called for every failure of a partition. */
  readonly onPartitionError: (failure: FetchPartitionError) => void
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}
