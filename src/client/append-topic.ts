/**
 * Which partition a record goes to, for one topic. Pure: no I/O, no clock.
 *
 * A record with a key goes where Kafka's own producer would put it (murmur2 of
 * the key modulo the partition count). A record without a key goes to one
 * partition until its batch is closed, then to another one chosen at random
 * among those that have a leader: full batches, spread evenly (KIP-480, KIP-794).
 * When a topic grows, records that already have their partition stay there.
 */

import { type Random, randomInt } from '../core/index.ts'
import { partitionForKey } from '../protocol/index.ts'
import type { TopicMetadata } from './cluster-options.ts'

/** Chooses partitions of one topic. */
export class TopicRouter {
  readonly #random: Random
  #partitionCount: number
  /** Partitions that have a leader; all of them if none has. */
  #available: readonly number[]
  #sticky: number

  constructor(metadata: TopicMetadata, random: Random) {
    this.#random = random
    this.#partitionCount = metadata.partitions.length
    this.#available = availableOf(metadata)
    this.#sticky = this.#choose()
  }

  get partitionCount(): number {
    return this.#partitionCount
  }

  /** Takes note of new metadata. */
  update(metadata: TopicMetadata): void {
    if (metadata.partitions.length === 0) return
    this.#partitionCount = metadata.partitions.length
    this.#available = availableOf(metadata)
    if (!this.#available.includes(this.#sticky)) this.#sticky = this.#choose()
  }

  /** The partition of a record with this key. */
  partitionOf(key: Buffer | null): number {
    return key === null ? this.#sticky : partitionForKey(key, this.#partitionCount)
  }

  /** The batch of a partition was closed: records without a key go elsewhere from now on. */
  batchClosed(partition: number): void {
    if (partition === this.#sticky) this.#sticky = this.#choose()
  }

  #choose(): number {
    return this.#available[randomInt(this.#random, this.#available.length)] ?? 0
  }
}

function availableOf(metadata: TopicMetadata): readonly number[] {
  const available = metadata.partitions.filter(partition => partition.leaderId >= 0)
  return (available.length > 0 ? available : metadata.partitions).map(partition => partition.partition)
}
