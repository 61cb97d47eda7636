/** What a partition's log is opened with, and what its calls take and answer. */

import type { AppendOrigin } from './batch-validator.ts'
import type { LogEnvironment } from './log-environment.ts'
import type { LogConfig } from './topic-config.ts'

/** What opens a partition. */
export interface PartitionLogOptions {
  readonly folder: string
  readonly topic: string
  readonly partition: number
  /** Kafka's base64url form. */
  readonly topicId: string
  readonly config: LogConfig
  readonly environment: LogEnvironment
  /** Everything below was durable at the last flush. 0 has the whole log checked. */
  readonly recoveryPoint: bigint
  /** First offset that may be read, from its checkpoint. */
  readonly logStartOffset: bigint
  /** Whether the broker was stopped in good order: if not, a new leader epoch begins. */
  readonly wasCleanStop: boolean
}

/** How to append. */
export interface AppendOptions {
  /** Default `client`: all checks. The broker's own appends may be control batches and have no sequences. */
  readonly origin?: AppendOrigin
}

/** Answer to DeleteRecords. */
export interface DeleteRecordsResult {
  /** 0, OFFSET_OUT_OF_RANGE(1) or KAFKA_STORAGE_ERROR(56). */
  readonly errorCode: number
  /** The log start offset now; -1 with an error. */
  readonly lowWatermark: bigint
}
