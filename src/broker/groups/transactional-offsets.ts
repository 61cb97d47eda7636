/**
 * Offsets that are part of a transaction: they are in the log already, and count
 * once the commit marker of their producer follows in the same partition of
 * `__consumer_offsets`. Pure.
 *
 * Everything is applied in the order of the log. So an offset that was committed
 * without a transaction after one of these, and before its marker, is the newer
 * of the two and stays; and a tombstone takes what is pending with it.
 *
 * Source: KIP-98, KIP-447; Kafka `OffsetMetadataManager`.
 * Limit: as many as producers with open transactions have named.
 */

import type { CommittedOffset, TopicPartition } from './committed-offsets.ts'

/** An offset of a transaction, as it is settled by a commit. */
export interface SettledOffset extends TopicPartition {
  readonly groupId: string
  readonly committed: CommittedOffset
}

/** A partition's offset in an open transaction; no offset once something newer was committed. */
interface PendingOffset extends TopicPartition {
  readonly groupId: string
  committed: CommittedOffset | undefined
}

/** Offsets of one producer by a name of group and partition. */
type ProducerOffsets = Map<string, PendingOffset>

/** The offsets of all open transactions. */
export class TransactionalOffsets {
  /** By partition of `__consumer_offsets`, then by producer id: a marker ends a transaction in one partition. */
  readonly #open = new Map<number, Map<bigint, ProducerOffsets>>()
  /** How many transactions hold something of a group. */
  readonly #groups = new Map<string, number>()

  /** Whether there is none at all. */
  get isEmpty(): boolean {
    return this.#groups.size === 0
  }

  /** Whether an open transaction holds an offset of a group. */
  hasGroup(groupId: string): boolean {
    return this.#groups.has(groupId)
  }

  /** Ids of the groups with offsets in open transactions. */
  get groupIds(): IterableIterator<string> {
    return this.#groups.keys()
  }

  /** Whether an open transaction holds an offset of a partition: which offset counts next is not known yet. */
  isPending(groupId: string, { topic, partition }: TopicPartition): boolean {
    if (!this.hasGroup(groupId)) return false
    const name = nameOf(groupId, { topic, partition })
    return this.#all().some(offsets => offsets.has(name))
  }

  /** The partitions of a group in open transactions. */
  partitionsOf(groupId: string): TopicPartition[] {
    if (!this.hasGroup(groupId)) return []
    return this.#all().flatMap(offsets => [...offsets.values()].filter(each => each.groupId === groupId))
  }

  /** Takes over an offset that was written in a transaction. */
  add(offsetsPartition: number, producerId: bigint, { groupId, committed, ...partition }: SettledOffset): void {
    const producers = this.#open.get(offsetsPartition) ?? new Map<bigint, ProducerOffsets>()
    const offsets: ProducerOffsets = producers.get(producerId) ?? new Map()
    const name = nameOf(groupId, partition)
    if (!offsets.has(name)) this.#count(groupId, 1)
    offsets.set(name, { groupId, topic: partition.topic, partition: partition.partition, committed })
    this.#open.set(offsetsPartition, producers.set(producerId, offsets))
  }

  /**
   * Ends the transaction of a producer in a partition of `__consumer_offsets`.
   *
   * @returns What counts from now on: nothing after an abort.
   */
  complete(offsetsPartition: number, producerId: bigint, isCommit: boolean): SettledOffset[] {
    const producers = this.#open.get(offsetsPartition)
    const offsets = producers?.get(producerId)
    if (producers === undefined || offsets === undefined) return []
    producers.delete(producerId)
    if (producers.size === 0) this.#open.delete(offsetsPartition)
    for (const { groupId } of offsets.values()) this.#count(groupId, -1)
    if (!isCommit) return []
    return [...offsets.values()].flatMap(({ committed, ...rest }) =>
      committed === undefined ? [] : [{ ...rest, committed }]
    )
  }

  /** An offset was committed without a transaction: what is pending is older. */
  supersede(groupId: string, partition: TopicPartition): void {
    if (!this.hasGroup(groupId)) return
    const name = nameOf(groupId, partition)
    for (const offsets of this.#all()) {
      const pending = offsets.get(name)
      if (pending !== undefined) pending.committed = undefined
    }
  }

  /** An offset was removed: what is pending of it goes too. */
  remove(groupId: string, partition: TopicPartition): void {
    if (!this.hasGroup(groupId)) return
    const name = nameOf(groupId, partition)
    for (const offsets of this.#all()) if (offsets.delete(name)) this.#count(groupId, -1)
  }

  #all(): ProducerOffsets[] {
    return [...this.#open.values()].flatMap(producers => [...producers.values()])
  }

  #count(groupId: string, change: number): void {
    const count = (this.#groups.get(groupId) ?? 0) + change
    if (count === 0) this.#groups.delete(groupId)
    else this.#groups.set(groupId, count)
  }
}

/** No topic has a slash in its name, a group id may have anything. */
function nameOf(groupId: string, { topic, partition }: TopicPartition): string {
  return `${topic}/${partition}/${groupId}`
}
