/** What assignors work on. */

import type { TopicPartition } from './group-types.ts'

/** What the leader knows of a member. */
export interface AssignorMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
  /** Partitions that the member still holds; empty for members that gave everything back before they joined. */
  readonly owned: readonly TopicPartition[]
  /** Generation in which it got them, -1 if unknown. */
  readonly generation: number
  /** What it had last, for assignors that leave it there: the same as owned, unless it gave that back (`sticky`). */
  readonly previous?: { readonly partitions: readonly TopicPartition[]; readonly generation: number }
}

/** Partition count of every topic that exists. */
export type PartitionCounts = ReadonlyMap<string, number>

/** Partitions by member id. Every member has an entry. */
export type GroupAssignment = Map<string, TopicPartition[]>
