/** Topics: `GET /api/topics` (a `Page`) and `GET /api/topic?name=`. */

import type { Freshness, Page, Series } from './common.ts'

/** Columns that `GET /api/topics` sorts by. Default: `topic`. */
export const TOPIC_SORTS = ['topic', 'partitionCount', 'records', 'rate', 'lagRecords', 'groupCount'] as const

/** A topic. */
export interface TopicRow {
  readonly topic: string
  readonly partitionCount: number
  readonly replicationFactor: number
  /** Offsets between the ends, decimal text; `null` = unknown. */
  readonly records: string | null
  /** Records appended per second. */
  readonly rate: number | null
  /** Groups that read it, with their lag: at most 10, worst first. */
  readonly groups: readonly {
    readonly groupId: string
    readonly lagRecords: string
    readonly lagSeconds: number | null
  }[]
  readonly groupCount: number
  readonly lagRecords: string | null
  readonly isInternal: boolean
  /** Partitions without a leader, or with fewer replicas in sync than they have. */
  readonly offlineCount: number
  readonly underReplicatedCount: number
  /** What it is in this pipeline. */
  readonly role: 'events' | 'deadLetters' | 'retries' | 'internal' | 'other'
  readonly problem: string | null
}

/** A partition of a topic. */
export interface TopicPartitionRow {
  readonly partition: number
  readonly leaderId: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly logStartOffset: string | null
  readonly endOffset: string | null
  readonly rate: number | null
  readonly problem: string | null
}

/** `GET /api/topic?name=`. */
export interface TopicDetail {
  readonly freshness: Freshness
  readonly row: TopicRow
  readonly partitions: Page<TopicPartitionRow>
  /** Settings that differ from the default, or matter, with where they come from. Empty if they cannot be read. */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly source: string }[]
  readonly rate: Series
}
