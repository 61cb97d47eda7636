/**
 * Burrow's verdict on a partition and on a group, by its rules and in its order.
 *
 * 0. Nothing committed, or fewer samples than `minimumComplete` asks for: OK.
 * 1. The lag is `allowedLag` or less: OK.
 * 2. STOP if the last commit is longer ago than the window spans, unless the end of the log was at or below the last
 *    committed offset lately.
 * 3. REWIND if an offset went back and none after it came as far again.
 * 4. If any commit of the window had a lag of `allowedLag` or less: OK.
 * 5. STALL if all offsets are the same.
 * 6. WARN if the lag never shrank from one commit to the next; commits of unknown lag are passed over.
 * 7. Else OK.
 *
 * Pure. Source: Burrow `core/internal/evaluator/caching.go`, `core/internal/storage/inmemory.go`.
 */

import type { GroupStatus, PartitionStatus } from './lag-types.ts'

/** One commit that was seen. Offsets are numbers: 2^53 records in one partition are out of reach. */
export interface CommitSample {
  readonly offset: number
  /** In milliseconds since 1970. */
  readonly timeMs: number
  /** Records unread at that time; `undefined` if the end of the log was not known. */
  readonly lag: number | undefined
}

/** How strict the verdict is. */
export interface BurrowRules {
  /** Commits that a full window holds. Default 10. Source: Burrow `intervals`. */
  readonly intervals: number
  /** Share of a full window that there must be for a verdict, 0 to 1. Default 0. Source: `minimum-complete`. */
  readonly minimumComplete: number
  /** Lag that is nothing to speak of, in records. Default 0. Source: `allowed-lag`. */
  readonly allowedLag: number
}

/** The defaults of Burrow. */
export const BURROW_DEFAULTS: BurrowRules = { intervals: 10, minimumComplete: 0, allowedLag: 0 }

/** What is judged. */
export interface BurrowQuestion {
  /** Oldest first, at most `intervals`. */
  readonly commits: readonly CommitSample[]
  /** Ends of the log over the same window, in any order. */
  readonly endOffsets: readonly number[]
  /** Lag at this moment, in records. */
  readonly currentLag: number
  readonly nowMs: number
  /**
   * Share of a full window that was watched, 0 to 1. Default: the commits that there are. Whoever polls offsets sees no
   * commits of a group that has stopped, however long it looks.
   */
  readonly complete?: number
}

/** A partition's verdict. */
export interface BurrowVerdict {
  readonly status: PartitionStatus
  /** Share of a full window, 0 to 1. */
  readonly complete: number
}

/** Judges a partition. `NONE` where nothing was ever committed: Burrow does not know such partitions. */
export function judgePartition(question: BurrowQuestion, rules: BurrowRules = BURROW_DEFAULTS): BurrowVerdict {
  const { commits } = question
  const complete = question.complete ?? Math.min(1, commits.length / rules.intervals)
  if (commits.length === 0) return { status: 'NONE', complete }
  if (complete < rules.minimumComplete) return { status: 'OK', complete }
  return { status: statusOf(question, rules), complete }
}

function statusOf({ commits, endOffsets, currentLag, nowMs }: BurrowQuestion, rules: BurrowRules): PartitionStatus {
  const { allowedLag } = rules
  if (currentLag <= allowedLag) return 'OK'
  if (isStopped(commits, nowMs) && !wasLagZeroLately(commits, endOffsets)) return 'STOP'
  if (isRewound(commits)) return 'REWIND'
  if (commits.some(({ lag }) => lag !== undefined && lag <= allowedLag)) return 'OK'
  if (commits.every(({ offset }) => offset === commits[0]?.offset)) return 'STALL'
  return isLagNeverLess(commits) ? 'WARN' : 'OK'
}

function isStopped(commits: readonly CommitSample[], nowMs: number): boolean {
  const first = commits[0]?.timeMs ?? 0
  const last = commits.at(-1)?.timeMs ?? 0
  return nowMs - last > last - first
}

function wasLagZeroLately(commits: readonly CommitSample[], endOffsets: readonly number[]): boolean {
  const last = commits.at(-1)?.offset ?? 0
  return endOffsets.some(end => end <= last)
}

/** Only the first step back counts: Burrow looks no further. */
function isRewound(commits: readonly CommitSample[]): boolean {
  const index = commits.findIndex(({ offset }, at) => at > 0 && offset < (commits[at - 1]?.offset ?? 0))
  if (index < 0) return false
  const before = commits[index - 1]?.offset ?? 0
  return !commits.slice(index + 1).some(({ offset }) => offset >= before)
}

function isLagNeverLess(commits: readonly CommitSample[]): boolean {
  let before: number | undefined
  for (const { lag } of commits) {
    if (lag === undefined) continue
    if (before !== undefined && lag < before) return false
    before = lag
  }
  return true
}

const ranks: Readonly<Record<PartitionStatus, GroupStatus>> = {
  NONE: 'NONE',
  OK: 'OK',
  WARN: 'WARN',
  STALL: 'ERR',
  STOP: 'ERR',
  REWIND: 'ERR'
}
const order: readonly GroupStatus[] = ['NONE', 'OK', 'WARN', 'ERR']

/** A group is as bad as the worst of its partitions; STALL, STOP and REWIND become ERR. */
export function judgeGroup(statuses: Iterable<PartitionStatus>): GroupStatus {
  let worst = 0
  for (const status of statuses) worst = Math.max(worst, order.indexOf(ranks[status]))
  return order[worst] ?? 'NONE'
}
