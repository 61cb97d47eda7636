/** The log of a partition as the cleaner sees it. */

import type { LogConfig } from '../topic-config.ts'
import type { Segment } from '../segment.ts'
import type { AbortedRange } from './cleaned-transactions.ts'
import type { LastOfProducer } from './retention-rules.ts'

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
  /** The last entry of every producer that is known, as far as it is written. */
  lastOfProducers(): ReadonlyMap<bigint, LastOfProducer>
  /** Aborted transactions that overlap the range, by first offset. */
  abortedTransactions(fromOffset: bigint, toOffset: bigint): Promise<readonly AbortedRange[]>
  /** Puts a compacted segment in the place of neighbours; false, with its files removed, if they are gone. */
  replaceSegments(old: readonly Segment[], cleaned: Segment): Promise<boolean>
}
