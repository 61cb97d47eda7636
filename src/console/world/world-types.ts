/** What the console knows of the cluster: the last look, and what the looks before it leave behind. */

import type { Arrivals, ClusterScan, GroupLag, LagReport } from '../../ops/index.ts'
import type { Freshness, Series } from '../api/common.ts'
import type { RebalanceEntry } from '../api/groups.ts'

/** One look at the cluster: a scan and what it says of lag. */
export interface WorldLook {
  readonly scan: ClusterScan
  readonly report: LagReport
  readonly groupsById: ReadonlyMap<string, GroupLag>
  /** Of this look; a look that failed since then is among the problems. */
  readonly freshness: Freshness
}

/** Which number of a group, a topic or the whole is asked for over time. */
export type SeriesName = 'lagSeconds' | 'lagRecords' | 'arrivalRate' | 'serviceRate'

/** Looks at the cluster while somebody looks at the console, and keeps a bounded history. */
export interface World {
  /** `undefined` before the first look. Does not make it look. */
  latest(): WorldLook | undefined
  /**
   * Resolves with the first look, or the latest; after a pause with a new one. Who asks is somebody who looks: it goes
   * on looking for a minute.
   *
   * @throws PipelineError `ERR_CONSOLE_CLUSTER` if there was no look yet and the cluster does not answer. Retriable.
   */
  ready(signal?: AbortSignal): Promise<WorldLook>
  /** Somebody looks at the console from now on, until the answer is called: looks go on as long. */
  attend(): () => void
  /**
   * Called after each look, and after each that failed, with the last one and the reason. The answer ends it.
   * Listening alone does not make it look.
   */
  onLook(listener: (look: WorldLook | undefined, problem: string | null) => void): () => void
  /** Time between looks, in milliseconds. Grows where a look is slow. */
  readonly intervalMs: number
  /** From now on a longer history of the group is kept, of the groups that were asked for last. */
  groupSeries(groupId: string, name: SeriesName): Series
  /** Lag in seconds at the last looks, at most 60, oldest first; `null` = unknown. */
  sparkline(groupId: string): readonly (number | null)[]
  /** What was appended to the partitions of a topic over the last looks, by number. */
  arrivalsOf(topic: string): readonly Arrivals[]
  /** Records appended per second. */
  topicSeries(topic: string): Series
  totalSeries(name: SeriesName): Series
  /** Newest first; all groups if none is named. */
  rebalances(groupId?: string): readonly RebalanceEntry[]
  /** When members or partitions of a group last changed hands; `undefined` = not since it began to look. */
  lastRebalanceMs(groupId: string): number | undefined
  /** Since when nothing has come in for a group, in milliseconds since 1970; `undefined` = something does, or maybe. */
  silentSinceMs(groupId: string): number | undefined
  close(): Promise<void>
}
