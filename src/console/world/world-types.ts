/** What the console knows of the cluster: the last look, and what the looks before it leave behind. */

import type { ClusterScan, GroupLag, LagReport } from '../../ops/index.ts'
import type { Freshness, Series } from '../api/common.ts'
import type { RebalanceEntry } from '../api/groups.ts'

/** One look at the cluster: a scan and what it says of lag. */
export interface WorldLook {
  readonly scan: ClusterScan
  readonly report: LagReport
  readonly groupsById: ReadonlyMap<string, GroupLag>
  readonly freshness: Freshness
}

/** Which number of a group, a topic or the whole is asked for over time. */
export type SeriesName = 'lagSeconds' | 'lagRecords' | 'arrivalRate' | 'serviceRate'

/** Looks at the cluster while somebody looks at the console, and keeps a bounded history. */
export interface World {
  /** `undefined` before the first look. */
  latest(): WorldLook | undefined
  /** Resolves with the first look, or the latest. */
  ready(signal?: AbortSignal): Promise<WorldLook>
  /** Called after each look, and after each that failed with the reason. The answer ends it. */
  onLook(listener: (look: WorldLook | undefined, problem: string | null) => void): () => void
  /** Time between looks, in milliseconds. Grows where a look is slow. */
  readonly intervalMs: number
  groupSeries(groupId: string, name: SeriesName): Series
  /** Records appended per second. */
  topicSeries(topic: string): Series
  totalSeries(name: SeriesName): Series
  /** Newest first; all groups if none is named. */
  rebalances(groupId?: string): readonly RebalanceEntry[]
  close(): Promise<void>
}
