/** What a transactional appender takes and reports. */

import type { LingerSetting } from './append-linger.ts'
import type { Clock, Random } from '../core/index.ts'
import type { CompressionName } from '../protocol/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { Cluster } from './cluster.ts'

/** A member of a group, as a transaction that commits for it has to name it (KIP-447). */
export interface GroupMetadata {
  readonly groupId: string
  readonly memberId: string
  /** Generation, or member epoch. */
  readonly generation: number
  /** `undefined` for dynamic members. */
  readonly groupInstanceId?: string | undefined
}

/** Options of `TransactionalAppender`. */
export interface TransactionalAppenderOptions {
  readonly cluster: Cluster
  /**
   * Name of the producer across restarts: whoever starts with it last fences all others and ends their transaction.
   * One per producer that runs at a time. Source: Kafka `transactional.id`.
   */
  readonly transactionalId: string
  /**
   * Longest a transaction may be open before the coordinator aborts it, in milliseconds: so long do readers of
   * committed records, and the next owner of the offsets, wait for a producer that crashed. Default 60_000; at most the
   * broker's `transaction.max.timeout.ms`. Source: Kafka `transaction.timeout.ms`.
   */
  readonly transactionTimeoutMs?: number
  /** Compression of batches. Default `none`. */
  readonly compression?: CompressionName
  /** As in `AppenderOptions`; the commit does not wait for it. Default 5. */
  readonly lingerMs?: LingerSetting
  /** Size at which a batch is closed, in bytes before compression. Default 262_144. */
  readonly batchBytes?: number
  /** Most bytes of one produce request. Default 1_048_576. */
  readonly requestBytesMax?: number
  /** Most bytes of records that are not acknowledged yet. Default 33_554_432. */
  readonly bufferBytes?: number
  /** Highest transaction protocol to use. Default 2, where the cluster has it. */
  readonly protocolMax?: 1 | 2
  /** Wait after a failure, in milliseconds; doubles with jitter up to `retryBackoffMaxMs`. Default 20. */
  readonly retryBackoffMs?: number
  /** Longest such wait, in milliseconds. Default 1_000. */
  readonly retryBackoffMaxMs?: number
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}
