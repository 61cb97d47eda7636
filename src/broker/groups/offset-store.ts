/**
 * Committed offsets of all groups: their runtime over the log.
 *
 * A commit becomes visible once it is written. Whoever removes offsets covers
 * the commits that are being appended too: they come before the removal in the
 * log. Which callers may commit, and when offsets expire, is decided by the
 * groups.
 *
 * Limits: a group that has neither offsets nor commits under way takes no memory.
 */

import type { KafkaErrorName } from '../../protocol/index.ts'
import { type CommittedOffset, CommittedOffsets, type TopicPartition } from './committed-offsets.ts'
import type { GroupLog } from './group-log.ts'
import { encodeOffset, type GroupRecord } from './group-records.ts'

/** One offset that a client commits. */
export interface OffsetToCommit extends TopicPartition {
  readonly committed: CommittedOffset
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

  constructor(log: GroupLog) {
    this.#log = log
  }

  /** Ids of the groups that have offsets, or commits under way. */
  get groupIds(): string[] {
    return [...this.#groups.keys()]
  }

  /** The offsets of a group, for reading. */
  of(groupId: string): CommittedOffsets {
    return this.#groups.get(groupId)?.offsets ?? NO_OFFSETS
  }

  /** Whether a group has offsets, or commits under way. */
  has(groupId: string): boolean {
    return this.#groups.has(groupId)
  }

  /** Takes over a record of the log. */
  replay(groupId: string, partition: TopicPartition, committed: CommittedOffset | undefined): void {
    this.#slot(groupId).offsets.apply(partition, committed)
    this.#dropIfBlank(groupId)
  }

  /** Stores offsets: resolves once they are written and visible. */
  async commitOffsets(groupId: string, offsets: readonly OffsetToCommit[]): Promise<KafkaErrorName> {
    if (offsets.length === 0) return 'NONE'
    const slot = this.#slot(groupId)
    slot.inFlight.add(offsets)
    const records = offsets.map(each => encodeOffset(groupId, each, each.committed))
    const error = await this.#log.append(groupId, records, () => {
      for (const each of offsets) slot.offsets.apply(each, each.committed)
    })
    slot.inFlight.delete(offsets)
    this.#dropIfBlank(groupId)
    return error
  }

  /** Removes offsets: resolves once that is written. */
  async remove(groupId: string, partitions: readonly TopicPartition[]): Promise<KafkaErrorName> {
    if (partitions.length === 0) return 'NONE'
    const { offsets } = this.#slot(groupId)
    const tombstones = partitions.map(partition => encodeOffset(groupId, partition, undefined))
    const error = await this.#log.append(groupId, tombstones, () => {
      for (const partition of partitions) offsets.apply(partition, undefined)
    })
    this.#dropIfBlank(groupId)
    return error
  }

  /** Forgets the offsets of a group at once. Answers the records that make it so in the log. */
  drop(groupId: string): GroupRecord[] {
    const records = this.#known(groupId).map(partition => encodeOffset(groupId, partition, undefined))
    this.#groups.delete(groupId)
    return records
  }

  /** Removes all offsets of a topic that was deleted. */
  async forgetTopic(topic: string): Promise<void> {
    for (const groupId of this.groupIds) {
      await this.remove(
        groupId,
        this.#known(groupId).filter(each => each.topic === topic)
      )
    }
  }

  /** What is alive of a group, for a rewrite of the log. */
  aliveRecords(groupId: string): GroupRecord[] {
    const offsets = this.of(groupId)
    return offsets.partitions().map(each => encodeOffset(groupId, each, offsets.get(each.topic, each.partition)))
  }

  /** All partitions that have an offset, or are about to. */
  #known(groupId: string): TopicPartition[] {
    const slot = this.#groups.get(groupId)
    return slot === undefined ? [] : [...slot.offsets.partitions(), ...[...slot.inFlight].flat()]
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
