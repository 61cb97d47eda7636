/**
 * Groups: `GET /api/groups` (a `Page`), `/api/group?id=`, `/api/heat-map?group=`, `/api/rebalances?group=`,
 * `/api/histograms?group=`.
 */

import type { Freshness, HealthLevel, Page, Series } from './common.ts'
import type { Reason } from './overview.ts'

/** Columns that `GET /api/groups` sorts by. Default: `lagSeconds`, descending. */
export const GROUP_SORTS = [
  'groupId',
  'status',
  'lagSeconds',
  'lagRecords',
  'arrivalRate',
  'serviceRate',
  'trend',
  'drainSeconds',
  'members',
  'lastRebalanceMs'
] as const

/** One row per group (research/console E3). */
export interface GroupRow {
  readonly groupId: string
  /** Burrow's word; `NONE` of a replay that does not run. */
  readonly status: 'OK' | 'WARN' | 'ERR' | 'NONE'
  /** Kafka's word. */
  readonly state: string
  readonly health: HealthLevel
  readonly lagSeconds: number | null
  /** Whether the seconds are interpolated and not read from the record itself. */
  readonly isLagEstimated: boolean
  /** What was promised, in seconds; `null` = nothing. */
  readonly sloSeconds: number | null
  /** Decimal text; `null` = the group could not be read, or none of its partitions: not the same as 0. */
  readonly lagRecords: string | null
  /** Partitions whose lag is unknown: the sum is then a lower bound. */
  readonly unknownCount: number
  readonly arrivalRate: number | null
  readonly serviceRate: number | null
  /** Records per second by which the lag grows (positive) or shrinks. */
  readonly trend: number | null
  readonly drainSeconds: number | null
  readonly memberCount: number
  readonly partitionCount: number
  readonly topics: readonly string[]
  /** When members or partitions last changed hands while the console watched; `null` = not since it began. */
  readonly lastRebalanceMs: number | null
  /** Until retention deletes the oldest unread record; `null` = unknown, or nothing does. */
  readonly headroomSeconds: number | null
  /** `LagFlag` of `ops`. */
  readonly flags: readonly string[]
  /** Lag in seconds over the last looks, at most 60 values. */
  readonly sparkline: readonly (number | null)[]
  /** Why the group could not be read. */
  readonly problem: string | null
}

/** One partition of a group. */
export interface PartitionRow {
  readonly topic: string
  readonly partition: number
  readonly status: string
  readonly committed: string | null
  readonly endOffset: string | null
  readonly logStartOffset: string | null
  readonly lagRecords: string | null
  readonly lagSeconds: number | null
  readonly isLagEstimated: boolean
  readonly arrivalRate: number | null
  readonly serviceRate: number | null
  readonly drainSeconds: number | null
  readonly headroomSeconds: number | null
  readonly owner: string
  readonly flags: readonly string[]
  /** Paused by an operator, as the dispatcher that owns it says; `null` = no dispatcher is known that owns it. */
  readonly isPaused: boolean | null
  /** What it waits for, in the dispatcher's word; `null` = nothing, or not known. */
  readonly heldUpBy: string | null
}

/** A member of a group. */
export interface MemberRow {
  readonly memberId: string
  readonly clientId: string
  readonly host: string
  readonly partitionCount: number
  readonly lagRecords: string
}

/** `GET /api/group?id=`: `partitions` is paged by `offset`, `limit`, `sort` of the request. */
export interface GroupDetail {
  readonly freshness: Freshness
  readonly row: GroupRow
  /** Why its health is what it is, worst first; empty = it is well. */
  readonly reasons: readonly Reason[]
  readonly partitions: Page<PartitionRow>
  readonly members: readonly MemberRow[]
  readonly lagSeconds: Series
  readonly lagRecords: Series
  readonly arrivalRate: Series
  readonly serviceRate: Series
}

/** What a heat map is coloured by. */
export type HeatMetric = 'lagSeconds' | 'lagRecords' | 'rate' | 'owner'

/** `GET /api/heat-map?group=` (or `?topic=`: no lag and owner then): one cell for each partition. */
export interface HeatMap {
  readonly freshness: Freshness
  readonly topics: readonly {
    readonly topic: string
    readonly cells: readonly HeatCell[]
  }[]
  /** Owners by index of `HeatCell.owner`. */
  readonly owners: readonly string[]
  /** Partitions with at least twice their fair share of what is new, or else of what is kept: the doctor's rule. */
  readonly hot: readonly { readonly topic: string; readonly partition: number; readonly timesFair: number }[]
  /** Partitions that are not drawn, because there are too many. */
  readonly hiddenPartitions: number
}

/** A partition in a heat map. */
export interface HeatCell {
  readonly partition: number
  readonly lagRecords: number | null
  readonly lagSeconds: number | null
  readonly rate: number | null
  /** Index into `owners`; -1 = nobody. */
  readonly owner: number
  readonly isHot: boolean
  readonly isPaused: boolean
}

/** `GET /api/rebalances?group=` (default: all groups), newest first, a `Page`. */
export interface RebalanceEntry {
  /** Of the look that saw it first. */
  readonly atMs: number
  /** Of the look before: it began after that. */
  readonly afterMs: number
  readonly groupId: string
  /** When it was seen to be over; `null` = it goes on. */
  readonly settledAtMs: number | null
  readonly joined: readonly string[]
  readonly left: readonly string[]
  readonly moved: number
  readonly memberCount: number
  readonly partitionCount: number
  /** Kafka's word for the group's state at the last look. */
  readonly state: string
}

/** A histogram: `counts` has one more value than `bounds`, for what is above the last. */
export interface Histogram {
  readonly unit: 'records' | 'bytes' | 'seconds'
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly count: number
  readonly sum: number
}

/** `GET /api/histograms?group=`: of all known dispatchers together, over the last minutes. */
export interface Histograms {
  readonly freshness: Freshness
  /** Time over which was counted, in seconds. */
  readonly windowSeconds: number
  readonly batchRecords: Histogram | null
  readonly batchAge: Histogram | null
  readonly invokeDuration: Histogram | null
  readonly ackDuration: Histogram | null
}
