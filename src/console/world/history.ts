/**
 * What looks leave behind: lag and rates of groups, rates of topics, sums. Pure, apart from memory.
 *
 * Limits: the last `SHORT` looks of `GROUPS_MAX` groups and `TOPICS_MAX` topics, the last `LONG` of the sums and of the
 * `WATCHED_MAX` groups and topics that somebody looked at last. What is gone from the cluster is gone from here.
 */

import type { Arrivals, LagReport } from '../../ops/index.ts'
import type { Series } from '../api/common.ts'
import { restingReplaysOf } from './resting-replays.ts'
import { RingTable } from './ring-table.ts'
import type { SeriesName } from './world-types.ts'

/** Looks that are kept of everything. */
export const SHORT = 60
/** Looks that are kept of sums, and of what is watched. */
export const LONG = 720
/** Groups with a history. */
export const GROUPS_MAX = 5000
/** Topics with a history. */
export const TOPICS_MAX = 20_000
/** Groups, and topics, with a long history. */
export const WATCHED_MAX = 64

const COLUMNS: Readonly<Record<SeriesName, number>> = { lagSeconds: 0, lagRecords: 1, arrivalRate: 2, serviceRate: 3 }
const GROUP_COLUMNS = 4
const TOTAL = 'total'

/** One look. */
export interface HistoryLook {
  readonly report: LagReport
  readonly topics: Iterable<string>
  readonly arrivalsOf: (topic: string) => readonly Arrivals[]
}

/** A short history of all, and a long one of those that are watched, under one name. */
class Kept {
  readonly #short: RingTable
  readonly #long: RingTable
  /** Those that are watched, the one that was asked for last at the end. */
  readonly #watched = new Set<string>()

  constructor(columns: number, rowsMax: number) {
    this.#short = new RingTable({ points: SHORT, columns, rowsMax })
    this.#long = new RingTable({ points: LONG, columns, rowsMax: WATCHED_MAX })
  }

  get byteLength(): number {
    return this.#short.byteLength + this.#long.byteLength
  }

  begin(timeMs: number): void {
    this.#short.begin(timeMs)
    this.#long.begin(timeMs)
  }

  set(key: string, values: readonly (number | undefined)[]): void {
    this.#short.set(key, values)
    if (this.#watched.has(key)) this.#long.set(key, values)
  }

  end(isWhole: boolean): void {
    this.#short.end(isWhole)
    this.#long.end(isWhole)
    for (const key of this.#watched) if (!this.#short.has(key)) this.#watched.delete(key)
  }

  gap(timeMs: number): void {
    this.#short.gap(timeMs)
    this.#long.gap(timeMs)
  }

  clear(): void {
    this.#short.clear()
    this.#long.clear()
    this.#watched.clear()
  }

  values(key: string, column: number): (number | null)[] {
    return this.#short.values(key, column)
  }

  watch(key: string, column: number): Series {
    if (!this.#short.has(key)) return { timesMs: [], values: [] }
    this.#watched.delete(key)
    for (const oldest of this.#watched) {
      if (this.#watched.size < WATCHED_MAX) break
      this.#watched.delete(oldest)
      this.#long.delete(oldest)
    }
    this.#watched.add(key)
    this.#long.adopt(key, this.#short)
    return this.#long.series(key, column)
  }
}

/** See the module. */
export class History {
  readonly #groups = new Kept(GROUP_COLUMNS, GROUPS_MAX)
  readonly #topics = new Kept(1, TOPICS_MAX)
  readonly #total = new RingTable({ points: LONG, columns: GROUP_COLUMNS, rowsMax: 1 })
  readonly #silentSinceMs = new Map<string, number>()
  #lastMs: number | undefined
  #isGap = false

  /** Bytes of all numbers. */
  get byteLength(): number {
    return this.#groups.byteLength + this.#topics.byteLength + this.#total.byteLength
  }

  /** Takes note of a look. */
  add({ report, topics, arrivalsOf }: HistoryLook): void {
    const { takenAtMs } = report
    if (this.#lastMs !== undefined && takenAtMs < this.#lastMs) this.#clear()
    this.#addGroups(report)
    this.#topics.begin(takenAtMs)
    for (const topic of topics) this.#topics.set(topic, [rateOf(arrivalsOf(topic))])
    this.#topics.end(true)
    this.#lastMs = takenAtMs
    this.#isGap = false
  }

  /** Nothing was seen at this time: a look failed, or nobody looked. */
  gap(timeMs: number): void {
    if (this.#lastMs === undefined || this.#isGap || timeMs <= this.#lastMs) return
    for (const table of [this.#groups, this.#topics, this.#total]) table.gap(timeMs)
    this.#isGap = true
  }

  /** The last looks at a group, and from now on more of them. */
  group(groupId: string, name: SeriesName): Series {
    return this.#groups.watch(groupId, COLUMNS[name])
  }

  /** Lag in seconds at the last `SHORT` looks. */
  sparkline(groupId: string): (number | null)[] {
    return this.#groups.values(groupId, COLUMNS.lagSeconds)
  }

  /** The last looks at a topic, and from now on more of them. */
  topic(topic: string): Series {
    return this.#topics.watch(topic, 0)
  }

  /** Sums over all groups but replays that do not run; of seconds the largest. */
  total(name: SeriesName): Series {
    return this.#total.series(TOTAL, COLUMNS[name])
  }

  /** See `World`. */
  silentSinceMs(groupId: string): number | undefined {
    return this.#silentSinceMs.get(groupId)
  }

  #addGroups(report: LagReport): void {
    const { takenAtMs, groups } = report
    this.#groups.begin(takenAtMs)
    const sums: (number | undefined)[] = [undefined, undefined, undefined, undefined]
    const seen = new Set<string>()
    const resting = restingReplaysOf(groups)
    for (const group of groups) {
      seen.add(group.groupId)
      const isUnknown = group.problem !== undefined
      const { lagSeconds, arrivalRate, serviceRate } = group
      const values = isUnknown ? [] : [lagSeconds, Number(group.lagRecords), arrivalRate, serviceRate]
      this.#groups.set(group.groupId, values)
      if (!resting.has(group.groupId)) addTo(sums, values)
      if (arrivalRate !== 0) this.#silentSinceMs.delete(group.groupId)
      else if (!this.#silentSinceMs.has(group.groupId)) this.#silentSinceMs.set(group.groupId, takenAtMs)
    }
    for (const groupId of this.#silentSinceMs.keys()) if (!seen.has(groupId)) this.#silentSinceMs.delete(groupId)
    this.#groups.end(report.isPartial !== true)
    this.#total.begin(takenAtMs)
    this.#total.set(TOTAL, sums)
  }

  #clear(): void {
    this.#groups.clear()
    this.#topics.clear()
    this.#total.clear()
    this.#silentSinceMs.clear()
  }
}

/** Records per second of a topic; `undefined` if it is not known of any partition. */
export function rateOf(arrivals: readonly Arrivals[]): number | undefined {
  let sum: number | undefined
  for (const { rate } of arrivals) sum = sumOf(sum, rate)
  return sum
}

/** Of seconds the largest, of the rest the sum. */
function addTo(sums: (number | undefined)[], values: readonly (number | undefined)[]): void {
  sums[0] = maxOf(sums[0], values[0])
  for (let column = 1; column < GROUP_COLUMNS; column += 1) sums[column] = sumOf(sums[column], values[column])
}

function sumOf(sum: number | undefined, value: number | undefined): number | undefined {
  return value === undefined ? sum : (sum ?? 0) + value
}

function maxOf(most: number | undefined, value: number | undefined): number | undefined {
  return value === undefined ? most : Math.max(most ?? value, value)
}
