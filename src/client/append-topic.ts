/**
 * Which partition a record goes to, for one topic. Pure: no I/O, no clock.
 *
 * A record with a key goes where Kafka's own producer would put it (murmur2 of
 * the key modulo the partition count). Records without a key go to one partition
 * until a batch of it is full, or batches of as many bytes in all have been sent;
 * then to another one (KIP-794). So a partition gets the same number of bytes each
 * time it is chosen, however slow its broker is: were it left with every batch
 * that is sent, slow brokers, whose batches fill up while they wait, would get most.
 *
 * It is chosen at random among those that have a leader, with a chance that falls
 * with the batches that wait for it already; one whose batches have waited for too
 * long is left out as long as there are others.
 * When a topic grows, records that already have their partition stay there.
 * Source: Kafka `partitioner.adaptive.partitioning.enable`, `partitioner.availability.timeout.ms`.
 */

import { type Random, randomInt } from '../core/index.ts'
import { partitionForKey } from '../protocol/index.ts'
import type { TopicMetadata } from './cluster-options.ts'

/** What is waiting for a partition. */
export interface PartitionLoad {
  /** Batches that are not sent yet. */
  readonly waitingCount: number
  /** How long the oldest of them has been waiting, in milliseconds. */
  readonly waitingMs: number
}

/** How a router spreads records without a key. */
export interface TopicRouterOptions {
  readonly random: Random
  /** Bytes after which another partition is chosen. */
  readonly stickyBytes: number
  /** What waits for a partition. Default: nothing, so that all are alike. */
  readonly loadOf?: (partition: number) => PartitionLoad
  /** A partition whose batches have waited for longer is left out, in milliseconds; 0 = never. Default 0. */
  readonly availabilityTimeoutMs?: number
}

const NO_LOAD: PartitionLoad = { waitingCount: 0, waitingMs: 0 }

/** Chooses partitions of one topic. */
export class TopicRouter {
  readonly #options: TopicRouterOptions
  #partitionCount: number
  /** Partitions that have a leader; all of them if none has. */
  #available: readonly number[]
  #sticky: number
  /** Bytes of the batches that were sent to it since it was chosen. */
  #sentBytes = 0

  constructor(metadata: TopicMetadata, options: TopicRouterOptions) {
    this.#options = options
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

  /** A batch of a partition is full: records without a key go elsewhere from now on. */
  batchFull(partition: number): void {
    if (partition === this.#sticky) this.#sticky = this.#choose()
  }

  /** A batch of a partition is sent before it is full: records without a key go elsewhere after enough bytes. */
  batchSent(partition: number, bytes: number): void {
    if (partition !== this.#sticky) return
    this.#sentBytes += bytes
    if (this.#sentBytes >= this.#options.stickyBytes) this.#sticky = this.#choose()
  }

  #choose(): number {
    this.#sentBytes = 0
    const { random, loadOf = () => NO_LOAD, availabilityTimeoutMs = 0 } = this.#options
    const loads = this.#available.map(loadOf)
    const isStuck = ({ waitingMs }: PartitionLoad): boolean =>
      availabilityTimeoutMs > 0 && waitingMs > availabilityTimeoutMs
    const isLeftOut = loads.every(isStuck) ? () => false : isStuck
    const longest = Math.max(...loads.map(({ waitingCount }) => waitingCount))
    const weights = loads.map(load => (isLeftOut(load) ? 0 : longest + 1 - load.waitingCount))
    let at = randomInt(
      random,
      weights.reduce((sum, weight) => sum + weight, 0)
    )
    for (const [index, weight] of weights.entries()) {
      at -= weight
      if (at < 0) return this.#available[index] ?? 0
    }
    return this.#available[0] ?? 0
  }
}

function availableOf(metadata: TopicMetadata): readonly number[] {
  const available = metadata.partitions.filter(partition => partition.leaderId >= 0)
  return (available.length > 0 ? available : metadata.partitions).map(partition => partition.partition)
}
