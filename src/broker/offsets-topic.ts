/**
 * The internal topic `__consumer_offsets` as the log under the group
 * coordinator: created at first use, appended to in batches, replayed at start.
 */

import {
  KAFKA_ERRORS,
  kafkaErrorName,
  type KafkaErrorName,
  RecordBatchBuilder,
  RecordCursor
} from '../protocol/index.ts'
import type { Clock } from '../core/index.ts'
import type { GroupRecord, OffsetsLog } from './groups/index.ts'
import type { AppendSignals } from './handlers/append-signals.ts'
import type { LogManager, PartitionLog } from './log/index.ts'
import type { BrokerSettings } from './settings.ts'

const OFFSETS_TOPIC = '__consumer_offsets'
const REPLAY_BYTES = 1024 * 1024
/** Below the default of `max.message.bytes`. */
const BATCH_BYTES = 1_000_000
/** Source: Kafka `GroupCoordinatorConfig`: compacted, small segments so that they load fast, no compression. */
const OVERRIDES = { 'cleanup.policy': 'compact', 'compression.type': 'producer', 'segment.bytes': '104857600' }

/** What the topic needs. */
export interface OffsetsTopicOptions {
  readonly logs: LogManager
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly signals: AppendSignals
}

/** The log of committed offsets and groups. */
export class OffsetsTopic implements OffsetsLog {
  readonly #options: OffsetsTopicOptions
  readonly #builder = new RecordBatchBuilder({ sizeBytesMax: BATCH_BYTES })
  #creating: Promise<void> | undefined

  constructor(options: OffsetsTopicOptions) {
    this.#options = options
  }

  /** How many partitions the topic has, or will have. */
  get partitionCount(): number {
    const topic = this.#options.logs.topic(OFFSETS_TOPIC)
    return topic?.logs.length ?? this.#options.settings.number('offsets.topic.num.partitions')
  }

  /** Creates the topic unless it is there. */
  async ensureCreated(): Promise<void> {
    if (this.#options.logs.topic(OFFSETS_TOPIC) !== undefined) return
    this.#creating ??= this.#create()
    await this.#creating
  }

  async #create(): Promise<void> {
    try {
      const partitionCount = this.partitionCount
      await this.#options.logs.createTopic({ name: OFFSETS_TOPIC, partitionCount, configs: OVERRIDES })
    } finally {
      this.#creating = undefined
    }
  }

  /** Appends one batch; see `OffsetsLog`. */
  async append(partition: number, records: readonly GroupRecord[]): Promise<KafkaErrorName> {
    const log = this.#log(partition)
    // No await when the topic exists: appends keep the order of the calls.
    if (log !== undefined) return this.#appendTo(log, records)
    await this.ensureCreated()
    const created = this.#log(partition)
    return created === undefined ? 'COORDINATOR_NOT_AVAILABLE' : this.#appendTo(created, records)
  }

  async #appendTo(log: PartitionLog, records: readonly GroupRecord[]): Promise<KafkaErrorName> {
    const errors = await Promise.all(this.#batches(records).map(batch => this.#appendBatch(log, batch)))
    return errors.find(error => error !== 'NONE') ?? 'NONE'
  }

  async #appendBatch(log: PartitionLog, batch: Buffer): Promise<KafkaErrorName> {
    const result = await log.append(batch, { origin: 'coordinator' })
    if (result.errorCode !== 0) return coordinatorError(kafkaErrorName(result.errorCode))
    this.#options.signals.appended(log, batch.length)
    return 'NONE'
  }

  #batches(records: readonly GroupRecord[]): Buffer[] {
    const builder = this.#builder
    const nowMs = this.#options.clock.now()
    const batches: Buffer[] = []
    for (const { key, value } of records) {
      if (builder.tryAppend(nowMs, key, value)) continue
      batches.push(builder.build())
      builder.reset()
      builder.tryAppend(nowMs, key, value)
    }
    if (builder.recordCount > 0) batches.push(builder.build())
    builder.reset()
    return batches
  }

  /** Visits every record of every partition, oldest first. */
  async replay(visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
    for (const log of this.#options.logs.topic(OFFSETS_TOPIC)?.logs ?? []) await replayLog(log, visit)
  }

  #log(partition: number): PartitionLog | undefined {
    return this.#options.logs.topic(OFFSETS_TOPIC)?.logs[partition]
  }
}

async function replayLog(log: PartitionLog, visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
  const cursor = new RecordCursor()
  let offset = log.logStartOffset
  while (offset < log.highWatermark) {
    const { records, errorCode } = await log.read(offset, REPLAY_BYTES)
    if (errorCode !== KAFKA_ERRORS.NONE.code || records.length === 0) return
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

/** What a failed write means to a group member. Source: Kafka `CoordinatorOperationExceptionHelper`. */
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

function coordinatorError(error: KafkaErrorName): KafkaErrorName {
  return COORDINATOR_ERRORS[error] ?? error
}
