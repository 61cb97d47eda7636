/** What an append answers: an offset, or a code of Kafka's protocol with its reason. */

/** A record that made its whole batch be refused (Produce v8 and later tell the client). */
export interface RecordError {
  /** Index of the record in its batch, from 0. */
  readonly batchIndex: number
  readonly message: string
}

/** The batch is in the log, or a retry of it was recognised. */
export interface AppendedBatch {
  readonly errorCode: 0
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  /** Time of the append in epoch milliseconds under LogAppendTime, else -1. */
  readonly logAppendTimeMs: bigint
  readonly logStartOffset: bigint
  /** Whether this was a retry of a batch that is in the log already: `baseOffset` is that of the original. */
  readonly isDuplicate: boolean
}

/** The batch is not in the log. */
export interface RefusedBatch {
  /** Kafka's error code, never 0. */
  readonly errorCode: number
  readonly errorMessage: string
  /** The records at fault, where the reason is in single records. */
  readonly recordErrors: readonly RecordError[]
  /** -1 where Kafka does not tell it: refused before the log was asked, or no working log. */
  readonly logStartOffset: bigint
}

/** Outcome of an append. */
export type AppendResult = AppendedBatch | RefusedBatch
