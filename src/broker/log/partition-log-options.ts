/** What a partition's log is opened with, and what its calls take and answer. */

import type { AppendOrigin } from './batch-validator.ts'
import type { MarkerFields } from './control-records.ts'
import type { LogEnvironment } from './log-environment.ts'
import type { TransactionProof } from './producer-state.ts'
import type { TransactionVerification } from './transaction-verification.ts'
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
  /** Default `client`: all checks. The broker's own appends have no sequences, and nobody checks their transaction. */
  readonly origin?: AppendOrigin
  /** What the transaction coordinator said about a transactional batch of a client. Default: it was not asked. */
  readonly transaction?: AppendTransaction
}

/** Whether a client's transactional batch may begin a transaction in this partition. */
export interface AppendTransaction extends TransactionProof {
  /** From `beginVerification`, taken before the coordinator was asked: a marker planned since makes the answer void. */
  readonly verification?: TransactionVerification
}

/** A marker that is to be appended. */
export interface AppendMarker extends MarkerFields {
  /** Version of the transaction protocol (`transaction.version`) that the coordinator says. Default 0: not strict. */
  readonly transactionVersion?: number
}

/** The open transaction of a producer. */
export interface OpenTransaction {
  readonly producerEpoch: number
  readonly firstOffset: bigint
}

/** Answer to DeleteRecords. */
export interface DeleteRecordsResult {
  /** 0, OFFSET_OUT_OF_RANGE(1) or KAFKA_STORAGE_ERROR(56). */
  readonly errorCode: number
  /** The log start offset now; -1 with an error. */
  readonly lowWatermark: bigint
}
