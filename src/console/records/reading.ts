/** What readings of records, in either direction, are given and give. */

import type { Cluster } from '../../client/index.ts'
import type { ReadRecord, RecordMatcher } from '../../ops/index.ts'
import type { Positions } from './positions.ts'

/** A reading of one topic. */
export interface Reading<T> {
  readonly cluster: Cluster
  readonly matcher: RecordMatcher | undefined
  /** Most records. */
  readonly limit: number
  /** Makes of a record what is kept of it; the record itself is gone afterwards. */
  readonly keep: (record: ReadRecord) => T
  readonly signal: AbortSignal
  readonly onTrouble: (text: string) => void
}

/** What came of it. */
export interface ReadingResult<T> {
  readonly kept: readonly T[]
  /** Where each partition goes on that has more; empty = all was looked at. */
  readonly positions: Positions
  /** Records that were looked at. */
  readonly searched: number
}
