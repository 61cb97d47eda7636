/**
 * The internal topic `__transaction_state` as the log under the transaction
 * coordinator: created at first use, one record per change, replayed at start.
 */

import { kafkaErrorName, type KafkaErrorName, RecordBatchBuilder } from '../../protocol/index.ts'
import type { Clock } from '../../core/index.ts'
import { groupPartition } from '../groups/java-hash.ts'
import { coordinatorError, replayBatches, visitRecords } from '../internal-topic.ts'
import type { LogManager, PartitionLog } from '../log/index.ts'
import type { BrokerSettings } from '../settings.ts'
import type { TransactionRecord } from './transaction-records.ts'

/** Name of the topic. */
export const TRANSACTION_STATE_TOPIC = '__transaction_state'

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
    for (const log of this.#options.logs.topic(TRANSACTION_STATE_TOPIC)?.logs ?? []) {
      await replayBatches(log, 'transactions would be left unfinished', batch => visitRecords(batch, visit))
    }
  }

  coordinatorEpochOf(transactionalId: string): number {
    return this.#log(transactionalId)?.leaderEpoch ?? 0
  }

  #log(transactionalId: string): PartitionLog | undefined {
    return this.#options.logs.topic(TRANSACTION_STATE_TOPIC)?.logs[this.partitionOf(transactionalId)]
  }
}
