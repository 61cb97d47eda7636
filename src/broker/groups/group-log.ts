/**
 * The log under the group coordinator, as the coordinator uses it: records go
 * to the partition of their group, appends of one partition keep their order,
 * and what a record says is taken into memory only once it is written.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { GroupRecord } from './group-records.ts'
import { groupPartition } from './java-hash.ts'

/** A transactional producer that stores offsets. */
export interface OffsetsProducer {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** What ends a producer's transaction in a partition. */
export interface OffsetsMarker extends OffsetsProducer {
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  readonly transactionVersion?: number
}

/** A marker as a replay finds it. */
export interface ReadMarker {
  readonly producerId: bigint
  readonly isCommit: boolean
}

/** Where a record was found. */
export interface RecordOrigin {
  readonly partition: number
  /** Whose transaction it is part of, if any. */
  readonly producerId: bigint | undefined
}

/** The internal topic `__consumer_offsets`. */
export interface OffsetsLog {
  /** How many partitions the topic has, or will have once it is created. */
  readonly partitionCount: number
  /**
   * Appends one batch, in call order for each partition; resolves once it is written.
   *
   * @param producer - Whose transaction it is part of, if any.
   */
  append(partition: number, records: readonly GroupRecord[], producer?: OffsetsProducer): Promise<KafkaErrorName>
  /** Appends the marker that ends a transaction, in order with the appends; resolves once it is written. */
  appendMarker(partition: number, marker: OffsetsMarker): Promise<KafkaErrorName>
  /** Visits every record and marker of every partition, oldest first. */
  replay(
    visit: (key: Buffer, value: Buffer | null, origin: RecordOrigin) => void,
    visitMarker: (partition: number, marker: ReadMarker) => void
  ): Promise<void>
}

/** Appends of the coordinator. */
export class GroupLog {
  readonly #log: OffsetsLog
  readonly #logger: Logger
  /** When the last append of a partition has been taken into memory. */
  readonly #last = new Map<number, Promise<unknown>>()

  constructor(log: OffsetsLog, logger: Logger) {
    this.#log = log
    this.#logger = logger
  }

  /** The partition that holds a group. */
  partitionOf(groupId: string): number {
    return groupPartition(groupId, this.#log.partitionCount)
  }

  /**
   * Appends records of a group.
   *
   * @param applyWrite - Takes what was written into memory. It runs before the append counts as done.
   */
  append(
    groupId: string,
    records: readonly GroupRecord[],
    applyWrite: () => void = () => undefined
  ): Promise<KafkaErrorName> {
    const partition = this.partitionOf(groupId)
    return this.#apply(partition, this.#log.append(partition, records), { groupId, applyWrite })
  }

  /** Appends records of a group in the transaction of a producer. */
  appendTransactional(
    groupId: string,
    records: readonly GroupRecord[],
    { producer, applyWrite }: { readonly producer: OffsetsProducer; readonly applyWrite: () => void }
  ): Promise<KafkaErrorName> {
    const partition = this.partitionOf(groupId)
    return this.#apply(partition, this.#log.append(partition, records, producer), { groupId, applyWrite })
  }

  /** Appends the marker that ends a transaction in a partition. */
  appendMarker(partition: number, marker: OffsetsMarker, applyWrite: () => void): Promise<KafkaErrorName> {
    return this.#apply(partition, this.#log.appendMarker(partition, marker), { applyWrite })
  }

  /**
   * Takes what an append wrote into memory, in the order of the log: a marker
   * must not overtake the offsets that it settles.
   */
  #apply(
    partition: number,
    appending: Promise<KafkaErrorName>,
    { groupId, applyWrite }: { readonly groupId?: string; readonly applyWrite: () => void }
  ): Promise<KafkaErrorName> {
    const before = this.#last.get(partition)
    const apply = async (): Promise<KafkaErrorName> => {
      const error = await appending
      await before
      if (error === 'NONE') applyWrite()
      else this.#logger.error({ groupId, partition, error }, 'a record of a group was not written')
      return error
    }
    const applied = apply()
    // Who comes next waits for this one, whatever becomes of it.
    this.#last.set(
      partition,
      applied.catch(() => undefined)
    )
    return applied
  }

  /** Visits every record and marker of every partition, oldest first. */
  replay(...visitors: Parameters<OffsetsLog['replay']>): Promise<void> {
    return this.#log.replay(...visitors)
  }
}
