/**
 * The internal topic `__transaction_state` as the log under the transaction
 * coordinator: created at first use, one record per change, replayed at start.
 */

import {
  KAFKA_ERRORS,
  kafkaErrorName,
  type KafkaErrorName,
  RecordBatchBuilder,
  RecordCursor
} from '../../protocol/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import { groupPartition } from '../groups/java-hash.ts'
import type { LogManager, PartitionLog } from '../log/index.ts'
import type { BrokerSettings } from '../settings.ts'
import type { TransactionRecord } from './transaction-records.ts'

/** Name of the topic. */
export const TRANSACTION_STATE_TOPIC = '__transaction_state'
const REPLAY_BYTES = 1024 * 1024

/** The log under the coordinator. */
export interface TransactionLog {
  /** Creates the topic unless it is there. Resolves with whether it is there now: a full disk may refuse it. */
  ensureCreated(): Promise<boolean>
  /** Appends the record of a transactional id, in call order for each; resolves once it is written. */
  append(transactionalId: string, record: TransactionRecord): Promise<KafkaErrorName>
  /** Visits every record of every partition, oldest first. */
  replay(visit: (key: Buffer, value: Buffer | null) => void): Promise<void>
  /** Counts the coordinators that an id has had: markers of an older one are refused. */
  coordinatorEpochOf(transactionalId: string): number
}

/** What the topic needs. */
export interface StateTopicOptions {
  readonly logs: LogManager
  readonly settings: BrokerSettings
  readonly clock: Clock
  /** Tells waiting fetches that a partition has grown. */
  readonly signals: { appended(partition: object, bytes: number): void }
}

/** The log of transactional ids. */
export class StateTopic implements TransactionLog {
  readonly #options: StateTopicOptions
  #creating: Promise<unknown> | undefined

  constructor(options: StateTopicOptions) {
    this.#options = options
  }

  /** How many partitions the topic has, or will have. */
  get partitionCount(): number {
    const topic = this.#options.logs.topic(TRANSACTION_STATE_TOPIC)
    return topic?.logs.length ?? this.#options.settings.number('transaction.state.log.num.partitions')
  }

  /** The partition of a transactional id. Source: Kafka `TransactionStateManager.partitionFor`. */
  partitionOf(transactionalId: string): number {
    return groupPartition(transactionalId, this.partitionCount)
  }

  async ensureCreated(): Promise<boolean> {
    const { logs, settings } = this.#options
    if (logs.topic(TRANSACTION_STATE_TOPIC) !== undefined) return true
    // Source: Kafka `TransactionStateManager.transactionTopicConfigs`.
    const configs = {
      'cleanup.policy': 'compact',
      'compression.type': 'uncompressed',
      'segment.bytes': settings.text('transaction.state.log.segment.bytes'),
      'unclean.leader.election.enable': 'false'
    }
    const topic = { name: TRANSACTION_STATE_TOPIC, partitionCount: this.partitionCount, configs }
    this.#creating ??= logs.createTopic(topic).finally(() => {
      this.#creating = undefined
    })
    await this.#creating
    return logs.topic(TRANSACTION_STATE_TOPIC) !== undefined
  }

  async append(transactionalId: string, { key, value }: TransactionRecord): Promise<KafkaErrorName> {
    const log = this.#log(transactionalId)
    if (log === undefined) return 'COORDINATOR_NOT_AVAILABLE'
    const builder = new RecordBatchBuilder({})
    builder.tryAppend(this.#options.clock.now(), key, value)
    const batch = builder.build()
    const result = await log.append(batch, { origin: 'coordinator' })
    if (result.errorCode !== 0) return coordinatorError(kafkaErrorName(result.errorCode))
    this.#options.signals.appended(log, batch.length)
    return 'NONE'
  }

  /**
   * Visits every record of every partition, oldest first.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if not all of them can be read: a transaction that is forgotten
   *   would stay open for ever in its partitions.
   */
  async replay(visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
    for (const log of this.#options.logs.topic(TRANSACTION_STATE_TOPIC)?.logs ?? []) await replayLog(log, visit)
  }

  coordinatorEpochOf(transactionalId: string): number {
    return this.#log(transactionalId)?.leaderEpoch ?? 0
  }

  #log(transactionalId: string): PartitionLog | undefined {
    return this.#options.logs.topic(TRANSACTION_STATE_TOPIC)?.logs[this.partitionOf(transactionalId)]
  }
}

async function replayLog(log: PartitionLog, visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
  const cursor = new RecordCursor()
  let offset = log.logStartOffset
  while (offset < log.highWatermark) {
    const { records, errorCode } = await log.read(offset, REPLAY_BYTES)
    if (errorCode !== KAFKA_ERRORS.NONE.code || records.length === 0) throw unreadable(log, offset, errorCode)
    cursor.reset(records)
    while (cursor.nextBatch()) {
      while (cursor.nextRecord()) {
        const key = cursor.key()
        if (key !== null && cursor.offset() >= offset) visit(key, cursor.value())
      }
      offset = cursor.header.baseOffset + BigInt(cursor.header.lastOffsetDelta) + 1n
    }
  }
}

function unreadable({ folder }: PartitionLog, offset: bigint, errorCode: number): PipelineError {
  const reason = errorCode === KAFKA_ERRORS.NONE.code ? 'nothing is there' : kafkaErrorName(errorCode)
  const text = `${folder} cannot be read at offset ${offset} (${reason}): transactions would be left unfinished`
  return new PipelineError('ERR_BROKER_DATA_DAMAGED', text, { fields: { folder, offset: offset.toString() } })
}

/** What a failed write means to a producer. Source: Kafka `TransactionStateManager.appendTransactionToLog`. */
const COORDINATOR_ERRORS: Partial<Record<KafkaErrorName, KafkaErrorName>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS: 'COORDINATOR_NOT_AVAILABLE',
  REQUEST_TIMED_OUT: 'COORDINATOR_NOT_AVAILABLE',
  KAFKA_STORAGE_ERROR: 'NOT_COORDINATOR',
  NOT_LEADER_OR_FOLLOWER: 'NOT_COORDINATOR',
  MESSAGE_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  RECORD_LIST_TOO_LARGE: 'UNKNOWN_SERVER_ERROR'
}

function coordinatorError(error: KafkaErrorName): KafkaErrorName {
  return COORDINATOR_ERRORS[error] ?? error
}
