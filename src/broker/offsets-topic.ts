/**
 * The internal topic `__consumer_offsets` as the log under the group
 * coordinator: created at first use, appended to in batches, replayed at start.
 */

import {
  isControl,
  isTransactional,
  kafkaErrorName,
  type KafkaErrorName,
  RecordBatchBuilder
} from '../protocol/index.ts'
import { type Clock, messageOf } from '../core/index.ts'
import type { Logger } from '../telemetry/index.ts'
import type { GroupRecord, OffsetsLog, OffsetsMarker, OffsetsProducer } from './groups/index.ts'
import type { AppendSignals } from './handlers/append-signals.ts'
import { coordinatorError, replayBatches, type ReplayedBatch, visitRecords } from './internal-topic.ts'
import { decodeMarker } from './log/control-records.ts'
import type { LogManager, PartitionLog } from './log/index.ts'
import type { BrokerSettings } from './settings.ts'

/** Name of the topic. */
export const OFFSETS_TOPIC = '__consumer_offsets'
/** Below the default of `max.message.bytes`. */
const BATCH_BYTES = 1_000_000

/** What the topic needs. */
export interface OffsetsTopicOptions {
  readonly logs: LogManager
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly signals: AppendSignals
  readonly logger: Logger
}

interface WaitingAppend {
  readonly partition: number
  readonly records: readonly GroupRecord[]
  readonly producer: OffsetsProducer | undefined
  readonly resolve: (error: KafkaErrorName) => void
}

/** The log of committed offsets and groups. */
export class OffsetsTopic implements OffsetsLog {
  readonly #options: OffsetsTopicOptions
  /** Appends that came before the topic was there. */
  readonly #waiting: WaitingAppend[] = []
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

  /** Creates the topic unless it is there. Resolves with whether it is there now: a full disk may refuse it. */
  async ensureCreated(): Promise<boolean> {
    if (this.#options.logs.topic(OFFSETS_TOPIC) === undefined) {
      this.#creating ??= this.#create()
      await this.#creating
    }
    return this.#options.logs.topic(OFFSETS_TOPIC) !== undefined
  }

  async #create(): Promise<void> {
    try {
      const partitionCount = this.partitionCount
      // Source: Kafka `GroupCoordinatorConfig`: compacted, small segments so that they load fast, no compression.
      const segmentBytes = this.#options.settings.text('offsets.topic.segment.bytes')
      const configs = { 'cleanup.policy': 'compact', 'compression.type': 'producer', 'segment.bytes': segmentBytes }
      await this.#options.logs.createTopic({ name: OFFSETS_TOPIC, partitionCount, configs })
    } finally {
      this.#creating = undefined
    }
  }

  /** Appends records; see `OffsetsLog`. Appends that wait for the topic to be created keep their order too. */
  append(partition: number, records: readonly GroupRecord[], producer?: OffsetsProducer): Promise<KafkaErrorName> {
    const log = this.#log(partition)
    if (log !== undefined && this.#waiting.length === 0) return this.#appendTo(log, records, producer)
    return new Promise(resolve => {
      this.#waiting.push({ partition, records, producer, resolve })
      if (this.#waiting.length === 1) void this.#appendWaiting()
    })
  }

  async #appendWaiting(): Promise<void> {
    try {
      await this.ensureCreated()
    } catch (error) {
      // Whatever the reason, whoever waits gets an answer, and the next append tries again.
      this.#options.logger.error({ error: messageOf(error) }, `${OFFSETS_TOPIC} could not be created`)
    }
    for (const { partition, records, producer, resolve } of this.#waiting.splice(0)) {
      const log = this.#log(partition)
      if (log === undefined) resolve('COORDINATOR_NOT_AVAILABLE')
      else void this.#appendTo(log, records, producer).then(resolve)
    }
  }

  async #appendTo(
    log: PartitionLog,
    records: readonly GroupRecord[],
    producer: OffsetsProducer | undefined
  ): Promise<KafkaErrorName> {
    const batches = this.#batches(records, producer)
    const { messageBytesMax, segmentBytes } = log.config
    // All or nothing: the caller takes a refusal for one of all records, and so must the next replay.
    if (batches.some(({ length }) => length > Math.min(messageBytesMax, segmentBytes))) {
      return coordinatorError('MESSAGE_TOO_LARGE')
    }
    const errors = await Promise.all(batches.map(batch => this.#appendBatch(log, batch)))
    return errors.find(error => error !== 'NONE') ?? 'NONE'
  }

  /** Appends a marker; see `OffsetsLog`. A topic that is not there holds no transaction to end. */
  async appendMarker(partition: number, marker: OffsetsMarker): Promise<KafkaErrorName> {
    const log = this.#log(partition)
    if (log === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    const result = await log.appendMarker(marker)
    if (result.errorCode === 0) this.#options.signals.changed(log)
    return kafkaErrorName(result.errorCode)
  }

  async #appendBatch(log: PartitionLog, batch: Buffer): Promise<KafkaErrorName> {
    const result = await log.append(batch, { origin: 'coordinator' })
    if (result.errorCode !== 0) return coordinatorError(kafkaErrorName(result.errorCode))
    this.#options.signals.appended(log, batch.length)
    return 'NONE'
  }

  #batches(records: readonly GroupRecord[], producer?: OffsetsProducer): Buffer[] {
    const builder = this.#builder
    const stamp = producer === undefined ? {} : { ...producer, baseSequence: -1, isTransactional: true }
    const nowMs = this.#options.clock.now()
    const batches: Buffer[] = []
    for (const { key, value } of records) {
      if (builder.tryAppend(nowMs, key, value)) continue
      batches.push(builder.build(stamp))
      builder.reset()
      builder.tryAppend(nowMs, key, value)
    }
    if (builder.recordCount > 0) batches.push(builder.build(stamp))
    builder.reset()
    return batches
  }

  /**
   * Visits every record and marker of every partition, oldest first.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if not all of them can be read: groups that go on from a part of
   *   their offsets would read records again, or skip some.
   */
  async replay(...visitors: Parameters<OffsetsLog['replay']>): Promise<void> {
    for (const log of this.#options.logs.topic(OFFSETS_TOPIC)?.logs ?? []) {
      await replayBatches(log, 'committed offsets would be lost', batch => visitBatch(log, batch, visitors))
    }
  }

  #log(partition: number): PartitionLog | undefined {
    return this.#options.logs.topic(OFFSETS_TOPIC)?.logs[partition]
  }
}

function visitBatch(
  { partition }: PartitionLog,
  batch: ReplayedBatch,
  [visit, visitMarker]: Parameters<OffsetsLog['replay']>
): void {
  const { attributes, producerId } = batch.cursor.header
  if (isControl(attributes)) {
    const marker = decodeMarker(batch.bytes)
    if (marker !== undefined) visitMarker(partition, marker)
    return
  }
  const origin = { partition, producerId: isTransactional(attributes) ? producerId : undefined }
  visitRecords(batch, (key, value) => visit(key, value, origin))
}
