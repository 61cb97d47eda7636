/** The log of a partition as the cleaner sees it. */

import type { ProducerEntry } from '../producer-state.ts'
import type { LogConfig } from '../topic-config.ts'
import type { Segment } from '../segment.ts'
import type { AbortedRange } from './cleaned-transactions.ts'

/** What compaction needs of a log. */
export interface CleanableLog {
  readonly topic: string
  readonly partition: number
  readonly folder: string
  readonly config: LogConfig
  /** Oldest first; the last one is active. */
  readonly segments: readonly Segment[]
  readonly logStartOffset: bigint
  readonly lastStableOffset: bigint
  readonly highWatermark: bigint
  /** No appends and no flushes until the broker starts again. */
  readonly isOffline: boolean
  readonly isClosed: boolean
  /** Makes everything durable: what is compacted was flushed before. */
  flush(): Promise<void>
  /** Producers that may go on. */
  readonly producers: { entries(): Iterable<ProducerEntry> }
  /** Aborted transactions that overlap the range, in any order. Rejects with a system error. */
  abortedTransactions(fromOffset: bigint, toOffset: bigint): Promise<readonly AbortedRange[]>
  /** Puts a compacted segment in the place of neighbours; false if they are gone. Rejects with a system error. */
  replaceSegments(old: readonly Segment[], cleaned: Segment): Promise<boolean>
}
