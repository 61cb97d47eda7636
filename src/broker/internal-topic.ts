/**
 * What the topics under the coordinators (`__consumer_offsets`,
 * `__transaction_state`) share: reading everything again at a start, and what a
 * failed write means to whoever asked the coordinator.
 */

import { PipelineError } from '../core/index.ts'
import { KAFKA_ERRORS, kafkaErrorName, type KafkaErrorName, RecordCursor } from '../protocol/index.ts'
import type { PartitionLog } from './log/index.ts'

const REPLAY_BYTES = 1024 * 1024

/** A batch that a replay has before it. */
export interface ReplayedBatch {
  readonly cursor: RecordCursor
  readonly bytes: Buffer
  /** Records below are not part of the log any more. */
  readonly fromOffset: bigint
}

/**
 * Visits the batches of one partition, oldest first.
 *
 * @param loss - What going on with a part of them would mean, for the error.
 * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if not all of them can be read.
 */
export async function replayBatches(
  log: PartitionLog,
  loss: string,
  visit: (batch: ReplayedBatch) => void
): Promise<void> {
  const cursor = new RecordCursor()
  let offset = log.logStartOffset
  while (offset < log.highWatermark) {
    const { records, errorCode } = await log.read(offset, REPLAY_BYTES)
    if (errorCode !== KAFKA_ERRORS.NONE.code || records.length === 0) {
      const reason = errorCode === KAFKA_ERRORS.NONE.code ? 'nothing is there' : kafkaErrorName(errorCode)
      const text = `${log.folder} cannot be read at offset ${offset} (${reason}): ${loss}`
      const fields = { folder: log.folder, offset: offset.toString() }
      throw new PipelineError('ERR_BROKER_DATA_DAMAGED', text, { fields })
    }
    cursor.reset(records)
    let position = 0
    while (cursor.nextBatch()) {
      const { sizeBytes, baseOffset, lastOffsetDelta } = cursor.header
      visit({ cursor, bytes: records.subarray(position, position + sizeBytes), fromOffset: offset })
      position += sizeBytes
      offset = baseOffset + BigInt(lastOffsetDelta) + 1n
    }
  }
}

/** Visits the records of a batch that have a key and are part of the log. */
export function visitRecords(
  { cursor, fromOffset }: ReplayedBatch,
  visit: (key: Buffer, value: Buffer | null) => void
): void {
  while (cursor.nextRecord()) {
    const key = cursor.key()
    if (key !== null && cursor.offset() >= fromOffset) visit(key, cursor.value())
  }
}

/** Source: Kafka `CoordinatorOperationExceptionHelper`, `TransactionStateManager.appendTransactionToLog`. */
const COORDINATOR_ERRORS: Partial<Record<KafkaErrorName, KafkaErrorName>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS: 'COORDINATOR_NOT_AVAILABLE',
  REQUEST_TIMED_OUT: 'COORDINATOR_NOT_AVAILABLE',
  KAFKA_STORAGE_ERROR: 'NOT_COORDINATOR',
  NOT_LEADER_OR_FOLLOWER: 'NOT_COORDINATOR',
  MESSAGE_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  RECORD_LIST_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  INVALID_FETCH_SIZE: 'UNKNOWN_SERVER_ERROR'
}

/** What a failed write means to a group member or a producer. */
export function coordinatorError(error: KafkaErrorName): KafkaErrorName {
  return COORDINATOR_ERRORS[error] ?? error
}
