/** What an appender takes and reports. */

import type { Clock, PipelineError, Random } from '../core/index.ts'
import type { CompressionName } from '../protocol/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { LingerSetting } from './append-linger.ts'
import type { Cluster } from './cluster.ts'

/** A header of a record. */
export interface AppendHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** A record to append. Its partition follows from its key, as in Kafka's own producer. */
export interface AppendRecord {
  readonly topic: string
  /** `null`: the record goes to whatever partition is filled at the moment. */
  readonly key: Buffer | null
  /** `null` is a tombstone. */
  readonly value: Buffer | null
  readonly headers?: readonly AppendHeader[]
  /** Milliseconds since 1970. Default: now. */
  readonly timestampMs?: number
  /**
   * Partition to append to, whatever the key: only for topics whose partitions go with those of another topic (retry
   * topics), which nobody else writes. Events never choose theirs. Default: by the key.
   */
  readonly partition?: number
  /** In records that are handed back: which row they were, if they came by `appendRow`. */
  readonly row?: number
}

/** Values that lie in one Buffer, one behind the other or not: what `appendRow` takes records from. */
export interface RecordRows {
  /** Must not be changed before the last verdict of its rows. */
  readonly bytes: Buffer
  /** Start and end (exclusive) of each row's value in `bytes`: two numbers a row. */
  readonly spans: Uint32Array
}

/** Where a row goes, and what its record has besides its value. */
export interface RowPlace {
  readonly topic: string
  /** As `AppendRecord.key`. */
  readonly key: Buffer | null
  readonly headers: readonly AppendHeader[] | undefined
  /** As `AppendRecord.timestampMs`; `undefined`: now. */
  readonly timestampMs: number | undefined
  /** As `AppendRecord.partition`; `undefined`: by the key. */
  readonly partition: number | undefined
}

/** A record without a verdict. */
export interface OutstandingRecord {
  readonly record: AppendRecord
  readonly listener: DeliveryListener
}

/** Records of one listener that were acknowledged together. */
export interface DeliveredBatch {
  readonly topic: string
  readonly partition: number
  /** Offset of the first record of the batch; -1n when `acks` is 0. */
  readonly baseOffset: bigint
  /** How many records of this listener were in the batch. */
  readonly recordCount: number
}

/** Told once per batch what became of the records that were appended with it. */
export interface DeliveryListener {
  /** The records are in the log, acknowledged as `acks` asks. */
  delivered(batch: DeliveredBatch): void
  /** The records were given up, in the order they were appended; `ERR_CLIENT_DELIVERY_TIMEOUT` = may be in the log. */
  failed(error: PipelineError, records: AppendRecord[]): void
}

/** Options of `Appender`. */
export interface AppenderOptions {
  readonly cluster: Cluster
  /** Who must have a record before it counts: all in-sync replicas, the leader, nobody. Default `all`. */
  readonly acks?: 'all' | 'leader' | 'none'
  /** A record sent again after a lost answer is stored once, and order holds. Needs `acks: all`. Default `true`. */
  readonly isIdempotent?: boolean
  /**
   * Compression of batches; gzip and zstd compress in threads of Node's pool (`UV_THREADPOOL_SIZE`). Default `none`.
   * Source: Kafka `compression.type`.
   */
  readonly compression?: CompressionName
  /**
   * Longest wait for a batch to fill, in milliseconds; `adaptive`: 0 up to 5 MB/s, 5 from 20 MB/s on, between them in
   * proportion. Default 5. Source: Kafka `linger.ms`.
   */
  readonly lingerMs?: LingerSetting
  /** Size at which a batch is closed, in bytes before compression. Default 262_144. Source: Kafka `batch.size`. */
  readonly batchBytes?: number
  /** Most bytes of one produce request. Default 1_048_576. Source: Kafka `max.request.size`. */
  readonly requestBytesMax?: number
  /** Most bytes of records that are not acknowledged yet. Default 33_554_432. Source: Kafka `buffer.memory`. */
  readonly bufferBytes?: number
  /** Longest time from `append` to a verdict, in milliseconds. Default 120_000. Source: `delivery.timeout.ms`. */
  readonly deliveryTimeoutMs?: number
  /** Requests in flight per connection, 1 to 5. Default 5. Source: `max.in.flight.requests.per.connection`. */
  readonly inFlightMax?: number
  /** Connections to each broker, 1 to 8. A partition always uses the same one. Default 2. */
  readonly connectionsPerBroker?: number
  /** Wait after a failure, in milliseconds; doubles with jitter up to `retryBackoffMaxMs`. Default 100. */
  readonly retryBackoffMs?: number
  /** Longest such wait, in milliseconds. Default 1_000. */
  readonly retryBackoffMaxMs?: number
  /**
   * Partitions whose batches have waited for longer than this are not chosen for records without a key, as long as
   * there are others, in milliseconds; 0 = never left out. Default 0.
   * Source: Kafka `partitioner.availability.timeout.ms`.
   */
  readonly availabilityTimeoutMs?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}
