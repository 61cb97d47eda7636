/**
 * Committed offsets of all groups: their runtime over the log.
 *
 * A commit becomes visible once it is written. Whoever removes offsets covers
 * the commits that are being appended too: they come before the removal in the
 * log. Which callers may commit, and when offsets expire, is decided by the
 * groups. Offsets of a transaction become visible with its marker.
 *
 * Limits: a group that has neither offsets nor commits under way takes no memory.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import { type CommittedOffset, CommittedOffsets, type TopicPartition } from './committed-offsets.ts'
import type { GroupLog, OffsetsMarker, OffsetsProducer, ReadMarker, RecordOrigin } from './group-log.ts'
import { encodeOffset, type GroupRecord } from './group-records.ts'
import { TransactionalOffsets } from './transactional-offsets.ts'

/** One offset that a client commits. */
export interface OffsetToCommit extends TopicPartition {
  readonly committed: CommittedOffset
}

/** An offset of a group as a replay finds it; `undefined` for a tombstone. */
interface ReplayedOffset {
  readonly groupId: string
  readonly committed: CommittedOffset | undefined
}

interface GroupOffsets {
  readonly offsets: CommittedOffsets
  /** Partitions of commits that are being appended. */
  readonly inFlight: Set<readonly TopicPartition[]>
}

/** What a group without offsets shows. Never written to. */
const NO_OFFSETS = new CommittedOffsets()

/** The committed offsets of all groups. */
export class OffsetStore {
  readonly #log: GroupLog
  readonly #groups = new Map<string, GroupOffsets>()
  readonly #transactional = new TransactionalOffsets()

  constructor(log: GroupLog) {
    this.#log = log
  }

  /** Ids of the groups that have offsets, or commits under way, or offsets in open transactions. */
  get groupIds(): string[] {
    return [...new Set([...this.#groups.keys(), ...this.#transactional.groupIds])]
  }

  /** The offsets of a group, for reading. */
  of(groupId: string): CommittedOffsets {
    return this.#groups.get(groupId)?.offsets ?? NO_OFFSETS
  }

  /** Whether a group has offsets, or commits under way, or offsets in open transactions. */
  has(groupId: string): boolean {
    return this.#groups.has(groupId) || this.#transactional.hasGroup(groupId)
  }

  /** Whether an open transaction holds an offset of a partition: a consumer must wait for its end. */
  isPending(groupId: string, partition: TopicPartition): boolean {
    return this.#transactional.isPending(groupId, partition)
  }

  /** Whether a commit of a partition is being appended: a removal decided before it is in effect would undo it. */
  isInFlight(groupId: string, { topic, partition }: TopicPartition): boolean {
    const commits = [...(this.#groups.get(groupId)?.inFlight ?? [])]
    return commits.some(offsets => offsets.some(each => each.topic === topic && each.partition === partition))
  }

  /** Takes over a record of the log. */
  replay(
    { groupId, topic, partition, committed }: TopicPartition & ReplayedOffset,
    { partition: offsetsPartition, producerId }: RecordOrigin
  ): void {
    if (producerId !== undefined && committed !== undefined) {
      this.#transactional.add(offsetsPartition, producerId, { groupId, topic, partition, committed })
    } else this.#applyTo(this.#slot(groupId), { groupId, topic, partition, committed })
    this.#dropIfBlank(groupId)
  }

  /** Takes over a marker of the log. */
  replayMarker(offsetsPartition: number, { producerId, isCommit }: ReadMarker): void {
    for (const { groupId, committed, ...partition } of this.#transactional.complete(
      offsetsPartition,
      producerId,
      isCommit
    )) {
      this.#slot(groupId).offsets.apply(partition, committed)
    }
  }

  /** Stores offsets in a producer's transaction: resolves once they are written, visible when that is committed. */
  async commitTransactional(
    groupId: string,
    producer: OffsetsProducer,
    offsets: readonly OffsetToCommit[]
  ): Promise<KafkaErrorName> {
    if (offsets.length === 0) return 'NONE'
    const slot = this.#slot(groupId)
    slot.inFlight.add(offsets)
    const records = offsets.map(each => encodeOffset(groupId, each, each.committed))
    const offsetsPartition = this.#log.partitionOf(groupId)
    const applyWrite = (): void => {
      // The group may have been deleted meanwhile: its tombstones come later in the log.
      if (this.#groups.get(groupId) !== slot) return
      for (const each of offsets) this.#transactional.add(offsetsPartition, producer.producerId, { groupId, ...each })
    }
    const error = await this.#log.appendTransactional(groupId, records, { producer, applyWrite })
    slot.inFlight.delete(offsets)
    this.#dropIfBlank(groupId)
    return error
  }

  /** Ends a producer's transaction in a partition of the log: resolves once the marker is written and in effect. */
  completeTransaction(offsetsPartition: number, marker: OffsetsMarker): Promise<KafkaErrorName> {
    return this.#log.appendMarker(offsetsPartition, marker, () => this.replayMarker(offsetsPartition, marker))
  }

  /** Stores offsets: resolves once they are written and visible. */
  async commitOffsets(groupId: string, offsets: readonly OffsetToCommit[]): Promise<KafkaErrorName> {
    if (offsets.length === 0) return 'NONE'
    const slot = this.#slot(groupId)
    slot.inFlight.add(offsets)
    const records = offsets.map(each => encodeOffset(groupId, each, each.committed))
    const error = await this.#log.append(groupId, records, () => {
      for (const each of offsets) this.#applyTo(slot, { groupId, ...each })
    })
    slot.inFlight.delete(offsets)
    this.#dropIfBlank(groupId)
    return error
  }

  /** Removes offsets: resolves once that is written. */
  async remove(groupId: string, partitions: readonly TopicPartition[]): Promise<KafkaErrorName> {
    if (partitions.length === 0) return 'NONE'
    const slot = this.#slot(groupId)
    const tombstones = partitions.map(partition => encodeOffset(groupId, partition, undefined))
    const error = await this.#log.append(groupId, tombstones, () => {
      for (const partition of partitions) this.#applyTo(slot, { groupId, ...partition, committed: undefined })
    })
    this.#dropIfBlank(groupId)
    return error
  }

  /** Records that remove all offsets of a group from the log. */
  tombstones(groupId: string): GroupRecord[] {
    return this.#known(groupId).map(partition => encodeOffset(groupId, partition, undefined))
  }

  /** Forgets the offsets of a group, whose tombstones are written. */
  drop(groupId: string): void {
    for (const partition of this.#known(groupId)) this.#transactional.remove(groupId, partition)
    this.#groups.delete(groupId)
  }

  /** Removes all offsets of a topic that was deleted: those of this moment, and none that is committed later. */
  async forgetTopic(topic: string): Promise<void> {
    const ofTopic = (groupId: string): TopicPartition[] => this.#known(groupId).filter(each => each.topic === topic)
    await Promise.all(this.groupIds.map(groupId => this.remove(groupId, ofTopic(groupId))))
  }

  /** All topics that a group has an offset of, or is about to. */
  get topics(): Set<string> {
    return new Set(this.groupIds.flatMap(groupId => this.#known(groupId).map(({ topic }) => topic)))
  }

  /** All partitions that have an offset, or are about to. */
  #known(groupId: string): TopicPartition[] {
    const slot = this.#groups.get(groupId)
    const pending = this.#transactional.partitionsOf(groupId)
    return slot === undefined ? pending : [...slot.offsets.partitions(), ...[...slot.inFlight].flat(), ...pending]
  }

  #applyTo(slot: GroupOffsets, { groupId, committed, ...partition }: TopicPartition & ReplayedOffset): void {
    if (committed === undefined) this.#transactional.remove(groupId, partition)
    else this.#transactional.supersede(groupId, partition)
    slot.offsets.apply(partition, committed)
  }

  #slot(groupId: string): GroupOffsets {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    const slot = { offsets: new CommittedOffsets(), inFlight: new Set<readonly TopicPartition[]>() }
    this.#groups.set(groupId, slot)
    return slot
  }

  #dropIfBlank(groupId: string): void {
    const slot = this.#groups.get(groupId)
    if (slot?.offsets.topicCount === 0 && slot.inFlight.size === 0) this.#groups.delete(groupId)
  }
}
