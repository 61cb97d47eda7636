/**
 * Committed offsets of one group, and which of them have outlived their time.
 *
 * Pure: changes come only through `apply`, so that a restart replays the same
 * code. A committed offset is the next record to read.
 *
 * Source: KIP-211 (retention counted from the moment the group is empty), KIP-496.
 */

import type { GroupState } from './group-types.ts'

/** One committed offset. */
export interface CommittedOffset {
  /** The next record to read. */
  readonly offset: bigint
  /** Leader epoch of the last read record, or -1. */
  readonly leaderEpoch: number
  /** Whatever the client stored beside it. */
  readonly metadata: string
  /** When it was committed, in epoch milliseconds. */
  readonly commitTimestampMs: number
  /** When it expires whatever the group does, in epoch milliseconds; only from clients of OffsetCommit 2 to 4. */
  readonly expireTimestampMs: number | undefined
}

/** Name of a partition. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** What retention needs to know of a group. */
export interface RetentionView {
  readonly state: GroupState
  readonly stateTimestampMs: number
  readonly protocolType: string | null
  /** Topics that some member subscribes to; `undefined` if that is not known. */
  readonly subscribedTopics: ReadonlySet<string> | undefined
}

/** The offsets of one group. */
export class CommittedOffsets {
  readonly #topics = new Map<string, Map<number, CommittedOffset>>()

  /** How many topics have offsets. */
  get topicCount(): number {
    return this.#topics.size
  }

  /** Stores an offset, or removes it with `undefined` (a tombstone). */
  apply({ topic, partition }: TopicPartition, committed: CommittedOffset | undefined): void {
    let partitions = this.#topics.get(topic)
    if (committed === undefined) {
      partitions?.delete(partition)
      if (partitions?.size === 0) this.#topics.delete(topic)
      return
    }
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    partitions.set(partition, committed)
  }

  /** The offset of one partition, if there is one. */
  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#topics.get(topic)?.get(partition)
  }

  /** All offsets by topic and partition. */
  entries(): Iterable<[topic: string, partitions: ReadonlyMap<number, CommittedOffset>]> {
    return this.#topics.entries()
  }

  /** All partitions that have an offset. */
  partitions(): TopicPartition[] {
    return [...this.#topics].flatMap(([topic, partitions]) =>
      [...partitions.keys()].map(partition => ({ topic, partition }))
    )
  }

  /** The partitions whose offset has expired. */
  expired(group: RetentionView, nowMs: number, retentionMs: number): TopicPartition[] {
    const isExpired = (topic: string, committed: CommittedOffset): boolean => {
      const baseMs = retentionBaseMs(group, topic, committed)
      if (baseMs === undefined) return false
      if (committed.expireTimestampMs !== undefined) return nowMs >= committed.expireTimestampMs
      return nowMs - baseMs >= retentionMs
    }
    return this.partitions().filter(({ topic, partition }) => {
      const committed = this.get(topic, partition)
      return committed !== undefined && isExpired(topic, committed)
    })
  }
}

/** The time from which retention counts, or `undefined` while the offset is in use. */
function retentionBaseMs(group: RetentionView, topic: string, committed: CommittedOffset): number | undefined {
  if (group.protocolType === null) return committed.commitTimestampMs
  if (group.state === 'Empty') return Math.max(group.stateTimestampMs, committed.commitTimestampMs)
  const isUnsubscribed = group.state === 'Stable' && group.subscribedTopics?.has(topic) === false
  return isUnsubscribed ? committed.commitTimestampMs : undefined
}
