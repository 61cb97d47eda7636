/**
 * How a batch is kept from being done twice: it is claimed before its records are delivered, and marked as done after
 * the targets have answered. One claim and one mark for a batch, not for a record.
 *
 * A claim ends by itself when the invocation that made it must have ended. Nothing is ever dropped because a store
 * fails: a batch that cannot be claimed is not delivered and comes again.
 */

/** The records of one partition that are about to be delivered. */
export interface GuardedPartition {
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  /** Business ids, where records are told apart by them and not by their offsets; `null` or empty for one without. */
  readonly ids: readonly (string | null)[] | undefined
}

/** What a store knows of a record: it is ours to deliver, it was done before, or another invocation is at it. */
export type RecordState = 'claimed' | 'done' | 'held'

/** What became of a record in this invocation. */
export interface GuardedResult {
  /**
   * Done for good: delivered everywhere, or skipped. Otherwise it comes again: so may a dead letter, whose answer the
   * caller has yet to act on, and which would be lost if it counted as done.
   */
  readonly isDone: boolean
  /** Of a record that comes again: the targets that need not get it again. */
  readonly targetsDone: readonly string[]
}

/** A batch that was claimed. Indexes count partitions and records as they were given. */
export interface GuardedBatch {
  state(partition: number, index: number): RecordState
  /** When a record in state `held` is free at the latest, in milliseconds from now. */
  heldForMs(partition: number, index: number): number
  /** Targets that took a claimed record in an earlier invocation; empty for almost all records. */
  targetsDone(partition: number, index: number): ReadonlySet<string>
  /**
   * Marks what was done and gives up the rest. Rejects when the store fails; the records are delivered all the same,
   * and the claim ends by itself.
   */
  finish(resultOf: (partition: number, index: number) => GuardedResult): Promise<void>
}

/** Keeps batches from being done twice. */
export interface BatchGuard {
  /**
   * Claims a batch until `deadlineMs` (epoch milliseconds), when the invocation will have ended.
   *
   * @throws PipelineError `ERR_LAMBDA_IDEMPOTENCY_STORE` if the store does not answer; nothing may be delivered then.
   */
  begin(partitions: readonly GuardedPartition[], deadlineMs: number): Promise<GuardedBatch>
  close(): Promise<void>
}
