/**
 * Writes the markers that end a transaction into the logs of its partitions.
 *
 * A marker in `__consumer_offsets` also makes the offsets of the transaction
 * count, or drops them: the groups do both.
 */

import { KAFKA_ERRORS, kafkaErrorName, type KafkaErrorName } from '../../protocol/index.ts'
import type { LogManager, PartitionLog } from '../log/index.ts'
import { OFFSETS_TOPIC } from '../offsets-topic.ts'
import type { Marker, MarkerWriter } from './transaction-coordinator.ts'
import type { TopicPartition } from './transaction-state.ts'

/** What the writer needs. */
export interface PartitionMarkersOptions {
  readonly logs: LogManager
  readonly groups: {
    /** Appends a marker to a partition of `__consumer_offsets` and settles the offsets of its transaction. */
    completeTransaction(partition: number, marker: Marker): Promise<KafkaErrorName>
  }
  /** Tells waiting fetches that more can be read. */
  readonly signals: { markerAppended(partition: PartitionLog): void }
}

/** Markers into the partitions of this broker. */
export class PartitionMarkers implements MarkerWriter {
  readonly #options: PartitionMarkersOptions

  constructor(options: PartitionMarkersOptions) {
    this.#options = options
  }

  async write({ topic, partition }: TopicPartition, decided: Marker): Promise<KafkaErrorName> {
    const { logs, groups, signals } = this.#options
    const log = logs.log(topic, partition)
    if (log === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    // There is one coordinator: a partition that knows a higher epoch has it from this one, before it forgot. Its
    // epoch is the leader epoch of a partition, which goes back when `leader-epoch-checkpoint` is damaged.
    const knownEpoch = log.producers.get(decided.producerId)?.coordinatorEpoch ?? -1
    const marker = { ...decided, coordinatorEpoch: Math.max(decided.coordinatorEpoch, knownEpoch) }
    if (topic === OFFSETS_TOPIC) return groups.completeTransaction(partition, marker)
    const { errorCode } = await log.appendMarker(marker)
    if (errorCode === KAFKA_ERRORS.NONE.code) signals.markerAppended(log)
    return kafkaErrorName(errorCode)
  }
}
