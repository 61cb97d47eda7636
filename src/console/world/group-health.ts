/**
 * The health of a group: ops' word, as a level, and why.
 *
 * Groups of the pipeline, and those with an objective, are held against the thresholds of its file: a lag above the
 * objective is bad, without one a lag above `operations.health`; silence is bad once it has lasted
 * `silenceForSeconds`. Without an objective, too, records that came within `ON_ITS_WAY_SECONDS` are on their way and
 * no lag to speak of: at 10,000 records a second a thousand of them are a tenth of a second.
 *
 * A commit beyond the end of the log counts as no lag, and is a warning: what comes up to it is never read.
 *
 * Of the other groups nobody has said how much should come in: nothing unread and nothing coming in is idle, and a low
 * rate is all right. A group that cannot be read is unknown, not well; one of a replay that does not run is idle. Pure.
 */

import type { OperationsConfig } from '../../config/index.ts'
import { type GroupLag, type HealthReason, healthOf, type LagThresholds } from '../../ops/index.ts'
import type { HealthLevel } from '../api/common.ts'
import type { Reason } from '../api/overview.ts'
import { shortNumber } from './numbers.ts'

/** The level, and why: worst first. */
export interface JudgedHealth {
  readonly level: HealthLevel
  readonly reasons: readonly Reason[]
}

/** What a group is held against. */
export interface GroupQuestion {
  readonly group: GroupLag
  /** Of the pipeline, or with an objective. */
  readonly isOwn: boolean
  /** Since when nothing has come in. */
  readonly silentSinceMs: number | undefined
  readonly nowMs: number
  /** Of a replay that does not run. */
  readonly isRestingReplay?: boolean
}

/** Seconds that were promised for a group, the shortest; `undefined` = nothing was. */
export function sloSecondsOf({ slo }: OperationsConfig, groupId: string): number | undefined {
  let least: number | undefined
  for (const { group, lagSeconds } of slo) {
    if (group === groupId) least = Math.min(least ?? lagSeconds, lagSeconds)
  }
  return least
}

/** Age up to which an unread record is on its way: batches are filled, invoked and committed meanwhile. */
export const ON_ITS_WAY_SECONDS = 5

/** `Infinity` = not known. */
function lagSecondsOf({ group }: GroupQuestion): number {
  return group.lagSeconds ?? Infinity
}

/** Judges groups by the settings of a pipeline, or by the defaults. */
export class GroupJudge {
  readonly #operations: OperationsConfig

  constructor(operations: OperationsConfig) {
    this.#operations = operations
  }

  /** The health of a group. */
  judge(question: GroupQuestion): JudgedHealth {
    const { group } = question
    if (group.problem !== undefined)
      return { level: 'unknown', reasons: [reason('unreadable', { text: group.problem })] }
    const sloSeconds = sloSecondsOf(this.#operations, group.groupId)
    if (question.isRestingReplay === true && sloSeconds === undefined)
      return { level: 'idle', reasons: [reason('replayRests')] }
    const { word, reasons } = healthOf(group, this.#thresholds(question, sloSeconds))
    const found = reasons.map(key => reason(key, valuesOf(key, question)))
    const isLate = this.#isLate(group)
    if (isLate)
      found.unshift(reason('lagOverSlo', { lagSeconds: seconds(group.lagSeconds), sloSeconds: sloSeconds ?? 0 }))
    const isAlone = group.memberCount === 0 && group.lagRecords > 0n
    if (isAlone) found.push(reason('noMembers', {}))
    const ahead = group.partitions.filter(({ flags }) => flags.includes('aheadOfLog')).length
    if (ahead > 0) found.push(reason('aheadOfLog', { partitions: ahead }))
    if (word === 'alert' || isLate) return { level: 'bad', reasons: found }
    if (word === 'fair' || isAlone || ahead > 0) return { level: 'warn', reasons: found }
    return { level: isIdle(group) ? 'idle' : 'good', reasons: found }
  }

  #thresholds(question: GroupQuestion, sloSeconds: number | undefined): LagThresholds {
    const { lag, health } = this.#operations
    const { isOwn, silentSinceMs, nowMs } = question
    const isLongSilent = silentSinceMs !== undefined && nowMs - silentSinceMs >= health.silenceForSeconds * 1000
    // With an objective, time counts and not the number.
    const isCounted = sloSeconds === undefined && !(lagSecondsOf(question) < ON_ITS_WAY_SECONDS)
    return {
      goodLagRecords: isCounted ? lag.goodLagRecords : Infinity,
      alertLagRecords: isCounted ? health.lagRecords : Infinity,
      goodRecordsPerSecond: isOwn ? lag.goodRecordsPerSecond : 0,
      goodRetentionRatio: lag.goodRetentionRatio,
      alertRetentionRatio: health.retentionRatio,
      isSilenceBad: isOwn && health.isSilenceBad && isLongSilent
    }
  }

  #isLate({ groupId, partitions }: GroupLag): boolean {
    return this.#operations.slo.some(
      ({ group, topics, lagSeconds }) =>
        group === groupId &&
        partitions.some(each => (each.lagSeconds ?? 0) > lagSeconds && topics?.includes(each.topic) !== false)
    )
  }
}

/** The worst of several; what is idle is no worse than good, and what is unknown is worse than good. */
export function worstOf(levels: Iterable<HealthLevel>): HealthLevel {
  let worst: HealthLevel | undefined
  for (const level of levels) if (worst === undefined || BADNESS[level] > BADNESS[worst]) worst = level
  return worst ?? 'unknown'
}

/** How bad a level is. */
export const BADNESS: Readonly<Record<HealthLevel, number>> = { idle: 0, good: 1, unknown: 2, warn: 3, bad: 4 }

/** A reason with its values. */
export function reason(key: Reason['key'], values: Reason['values'] = {}): Reason {
  return { key, values }
}

function isIdle({ lagRecords, arrivalRate, unknownCount, partitions }: GroupLag): boolean {
  return unknownCount === 0 && lagRecords === 0n && ((arrivalRate ?? 0) === 0 || partitions.length === 0)
}

function seconds(value: number | undefined): number {
  return shortNumber(value) ?? 0
}

function valuesOf(key: HealthReason, { group, silentSinceMs, nowMs }: GroupQuestion): Reason['values'] {
  switch (key) {
    case 'lagHigh':
    case 'lagFair':
      return { lagRecords: group.lagRecords.toString() }
    case 'producerStopped':
      return { seconds: Math.round((nowMs - (silentSinceMs ?? nowMs)) / 1000) }
    case 'rateLow':
      return { rate: seconds(group.arrivalRate) }
    case 'retentionNearlyFull':
    case 'retentionFair':
      return { ratio: seconds(group.retentionUsed) }
    case 'lagGrows':
      return { rate: seconds(group.trend) }
    case 'dataLoss':
      return { partitions: group.partitions.filter(({ flags }) => flags.includes('dataLoss')).length }
    case 'partlyUnknown':
      return { partitions: group.unknownCount }
    case 'stopped':
    case 'unreadable':
      return {}
  }
}
