/**
 * What is said of one partition of a group, from what looks have found. Pure.
 *
 * Rates are taken over one span for both: from the latest of the oldest look that is kept, the first commit that is
 * known, and the last time that the offset went back. So the lag grows by exactly what arrives less what is read.
 */

import type { TopicPartition } from '../../client/index.ts'
import { type BurrowRules, judgePartition } from './burrow.ts'
import type { CommitWindow } from './commit-window.ts'
import type { EndHistory } from './end-history.ts'
import type { LagFlag, LagTimeSource, PartitionLag, PartitionStatus } from './lag-types.ts'
import type { OldestRecord } from './oldest-record.ts'
import { type Headroom, headroomOf, type RetentionSettings } from './retention.ts'

/** The ends of a partition as a look found them. */
export interface JudgedEnds {
  readonly logStartOffset: bigint
  /** High watermark; for readers of committed records the last stable offset. */
  readonly endOffset: bigint
  /** Offsets between the last stable offset and the high watermark. */
  readonly heldBackRecords: bigint
}

/** What is judged. */
export interface JudgeQuestion extends TopicPartition {
  /** `undefined` = never known. */
  readonly ends: JudgedEnds | undefined
  /** `undefined` = nothing is committed. */
  readonly committed: bigint | undefined
  /** Commits so far, this look's included. */
  readonly commits: CommitWindow
  /** Ends so far, this look's included. */
  readonly history: EndHistory
  /** How many looks have seen the pair, this one included. */
  readonly lookCount: number
  /** Time of the oldest look that counts, in milliseconds since 1970. */
  readonly sinceMs: number
  /** Time of this look. */
  readonly nowMs: number
  /** By how much earlier than the ends committed offsets were read, in milliseconds, by the time of the look. */
  readonly leadsMs: ReadonlyMap<number, number>
  /** What lies at the first unread offset; `undefined` = it was not looked at. */
  readonly oldest: OldestRecord | undefined
  /** `undefined` = not known, or not asked because nothing is unread. */
  readonly settings: RetentionSettings | undefined
  /** What a record of the partition takes on its leader's disk, in bytes; `undefined` = not known. */
  readonly recordBytes: number | undefined
  readonly owner: string
  /** Remarks that do not follow from the numbers: offline, noTopic, unassigned, hangingTransaction, persistent. */
  readonly flags: readonly LagFlag[]
  readonly rules: BurrowRules
}

/** Unread offsets: from what is committed, or from the start of the log where nothing is, or less was kept. */
export function unreadOf(
  committed: bigint | undefined,
  { logStartOffset, endOffset }: { readonly logStartOffset: bigint; readonly endOffset: bigint }
): { readonly from: bigint; readonly lag: bigint } {
  const from = committed === undefined || committed < logStartOffset ? logStartOffset : committed
  return { from, lag: endOffset > from ? endOffset - from : 0n }
}

/** Judges one partition of a group. Fields are named one by one: spreading objects takes longer than all the rest. */
export function judge(question: JudgeQuestion): PartitionLag {
  const { topic, partition, committed, owner, oldest, ends, nowMs } = question
  const { from, lag: offsets } = ends === undefined ? nothingUnread : unreadOf(committed, ends)
  const lag = oldest?.kind === 'nothing' ? 0n : offsets
  const { lagSeconds, lagTimeSource } = timeOf(question, { from, lag })
  const { arrivalRate, serviceRate, trend } = ends === undefined ? noRates : ratesOf(question)
  const { status, complete } = verdictOf(question, Number(lag))
  const headroom = headroomFrom(question, { lag, lagSeconds, arrivalRate })
  return {
    topic,
    partition,
    committed,
    logStartOffset: ends?.logStartOffset ?? -1n,
    endOffset: ends?.endOffset ?? -1n,
    isKnown: ends !== undefined,
    lagRecords: lag,
    lostRecords: lostOf(committed, ends),
    heldBackRecords: ends?.heldBackRecords ?? 0n,
    lagSeconds,
    lagTimeSource,
    status,
    complete,
    arrivalRate,
    serviceRate,
    trend,
    drainSeconds: ends === undefined ? undefined : drainSecondsOf(Number(lag), trend),
    headroomSeconds: headroom.headroomSeconds,
    headroomLimit: headroom.headroomLimit,
    isHeadroomEstimated: headroom.isHeadroomEstimated,
    retentionUsed: headroom.retentionUsed,
    owner,
    flags: flagsOf(question, { offsets, lag }),
    lookedAtMs: nowMs
  }
}

const nothingUnread = { from: 0n, lag: 0n }

function headroomFrom(
  { settings, ends, recordBytes, oldest }: JudgeQuestion,
  found: {
    readonly lag: bigint
    readonly lagSeconds: number | undefined
    readonly arrivalRate: number | undefined
  }
): Headroom {
  const isMeasured = recordBytes !== undefined
  return headroomOf({
    settings,
    lagRecords: ends === undefined ? Number.NaN : Number(found.lag),
    ageSeconds: found.lagSeconds,
    recordBytes: isMeasured || oldest?.kind !== 'record' ? recordBytes : oldest.recordBytes,
    isRecordBytesEstimated: !isMeasured,
    arrivalRate: found.arrivalRate
  })
}

function lostOf(committed: bigint | undefined, ends: JudgedEnds | undefined): bigint {
  return committed !== undefined && ends !== undefined && committed < ends.logStartOffset
    ? ends.logStartOffset - committed
    : 0n
}

function timeOf(
  { ends, oldest, history, nowMs }: JudgeQuestion,
  { from, lag }: { readonly from: bigint; readonly lag: bigint }
): { readonly lagSeconds: number | undefined; readonly lagTimeSource: LagTimeSource } {
  if (ends === undefined) return { lagSeconds: undefined, lagTimeSource: 'unknown' }
  if (lag === 0n) return { lagSeconds: 0, lagTimeSource: 'none' }
  // A producer that sets no timestamp, or 0, says nothing of the age.
  if (oldest?.kind === 'record' && oldest.timestampMs > 0) {
    return { lagSeconds: secondsSince(oldest.timestampMs, nowMs), lagTimeSource: 'append' }
  }
  const found = history.timeOf(Number(from))
  if (found === undefined) return { lagSeconds: undefined, lagTimeSource: 'unknown' }
  return { lagSeconds: secondsSince(found.timeMs, nowMs), lagTimeSource: found.source }
}

/** Never negative: clocks of producers may be ahead of ours. */
function secondsSince(timeMs: number, nowMs: number): number {
  return Math.max(0, (nowMs - timeMs) / 1000)
}

/** Rates of one partition of a group. */
interface Rates {
  readonly arrivalRate: number | undefined
  readonly serviceRate: number | undefined
  readonly trend: number | undefined
}

const noRates: Rates = { arrivalRate: undefined, serviceRate: undefined, trend: undefined }

function ratesOf({ commits, history, sinceMs, nowMs, leadsMs, committed, ends }: JudgeQuestion): Rates {
  const first = history.firstTimeMs ?? Infinity
  const hasCommit = committed !== undefined && commits.count > 0
  const known = hasCommit ? Math.max(commits.firstTimeMs ?? 0, commits.rewoundAtMs() ?? 0) : 0
  const fromMs = Math.max(sinceMs, first, known)
  const seconds = (nowMs - fromMs) / 1000
  const endThen = history.offsetAt(fromMs)
  if (!(seconds > 0) || endThen === undefined || ends === undefined) return noRates
  const arrivalRate = Math.max(0, (Number(ends.endOffset) - endThen) / seconds)
  const then = hasCommit ? commits.offsetAt(fromMs) : undefined
  if (then === undefined || committed === undefined) return { ...noRates, arrivalRate }
  // A first look may wait a second between commits and ends: what was committed meanwhile is not of the window alone.
  const committedSeconds = seconds + ((leadsMs.get(fromMs) ?? 0) - (leadsMs.get(nowMs) ?? 0)) / 1000
  if (!(committedSeconds > 0)) return { ...noRates, arrivalRate }
  const serviceRate = Math.max(0, (Number(committed) - then) / committedSeconds)
  return { arrivalRate, serviceRate, trend: arrivalRate - serviceRate }
}

/** Seconds until nothing is unread; `undefined` = never at this rate, or unknown. */
export function drainSecondsOf(lag: number, trend: number | undefined): number | undefined {
  if (lag === 0) return 0
  return trend === undefined || trend >= 0 ? undefined : lag / -trend
}

function verdictOf(question: JudgeQuestion, currentLag: number): { status: PartitionStatus; complete: number } {
  const { commits, history, sinceMs, nowMs, rules, committed, ends } = question
  const complete = Math.min(1, question.lookCount / rules.intervals)
  if (committed === undefined || ends === undefined) return { status: 'NONE', complete }
  // The first of Burrow's rules, before a list is made for the others: most partitions are here.
  if (commits.count > 0 && currentLag <= rules.allowedLag) return { status: 'OK', complete }
  const endOffsets = history.since(sinceMs)
  return judgePartition({ commits: commits.glance(), endOffsets, currentLag, nowMs, complete }, rules)
}

function flagsOf(
  { committed, ends, flags, settings }: JudgeQuestion,
  { offsets, lag }: { readonly offsets: bigint; readonly lag: bigint }
): LagFlag[] {
  const found: LagFlag[] = []
  if (committed === undefined) found.push('noCommit')
  else if (ends !== undefined && committed < ends.logStartOffset) found.push('dataLoss')
  // What an open transaction holds back is there already: who reads it uncommitted is not ahead of the log.
  else if (ends !== undefined && committed > ends.endOffset + ends.heldBackRecords) found.push('aheadOfLog')
  if (offsets > 0n && lag === 0n) found.push('markersOnly')
  if (lag > 0n && settings?.isCompacted === true) found.push('compacted')
  for (const flag of flags) found.push(flag)
  return found
}
