/**
 * One word for a group: good, fair or alert, by the users' health table. Pure.
 *
 * Good is all of: few unread records, records coming in, little of the retention used up, no growth. Alert is any of:
 * many unread records, nothing coming in, the retention nearly used up, growth of what is more than a little. What
 * lies between is fair. A rate or a retention that is not known counts for neither, but a group with partitions of
 * which nothing is known is not good.
 */

import type { GroupLag } from './lag-types.ts'

/** Where good ends and alert begins. */
export interface LagThresholds {
  /** Unread records up to which it is good. Default 100. */
  readonly goodLagRecords: number
  /** Unread records above which it is an alert. Default 1,000. */
  readonly alertLagRecords: number
  /** Records per second from which on it is good. Default 100. */
  readonly goodRecordsPerSecond: number
  /** Whether nothing coming in at all is an alert. Default `true`. */
  readonly isSilenceBad: boolean
  /** Share of the retention up to which it is good. Default 0.7. */
  readonly goodRetentionRatio: number
  /** Share of the retention from which on it is an alert. Default 0.9. */
  readonly alertRetentionRatio: number
}

/** The users' health table. */
export const LAG_THRESHOLDS: LagThresholds = {
  goodLagRecords: 100,
  alertLagRecords: 1_000,
  goodRecordsPerSecond: 100,
  isSilenceBad: true,
  goodRetentionRatio: 0.7,
  alertRetentionRatio: 0.9
}

/** What holds of a group. */
export type HealthReason =
  | 'lagHigh'
  | 'lagFair'
  | 'producerStopped'
  | 'rateLow'
  | 'retentionNearlyFull'
  | 'retentionFair'
  | 'lagGrows'
  | 'dataLoss'
  | 'stopped'
  | 'unreadable'
  | 'partlyUnknown'

/** The word, and why. */
export interface Health {
  readonly word: 'good' | 'fair' | 'alert'
  /** Worst first. Empty = good. */
  readonly reasons: readonly HealthReason[]
}

/** Growth below this share of what comes in is noise. */
const growthShareMin = 0.05

/** Judges a group. */
export function healthOf(group: GroupLag, thresholds: LagThresholds = LAG_THRESHOLDS): Health {
  const alerts = alertsOf(group, thresholds)
  const remarks = remarksOf(group, thresholds)
  const reasons = [...alerts, ...remarks]
  if (alerts.length > 0) return { word: 'alert', reasons }
  return { word: remarks.length > 0 ? 'fair' : 'good', reasons }
}

function alertsOf(group: GroupLag, thresholds: LagThresholds): HealthReason[] {
  const found: HealthReason[] = []
  if (group.flags.includes('dataLoss')) found.push('dataLoss')
  if (group.problem !== undefined) found.push('unreadable')
  if (group.status === 'ERR') found.push('stopped')
  if (Number(group.lagRecords) > thresholds.alertLagRecords) found.push('lagHigh')
  if ((group.retentionUsed ?? 0) >= thresholds.alertRetentionRatio) found.push('retentionNearlyFull')
  if (isGrowing(group, thresholds)) found.push('lagGrows')
  if (thresholds.isSilenceBad && group.arrivalRate === 0) found.push('producerStopped')
  return found
}

function remarksOf(group: GroupLag, thresholds: LagThresholds): HealthReason[] {
  const found: HealthReason[] = []
  const lag = Number(group.lagRecords)
  const used = group.retentionUsed ?? 0
  const rate = group.arrivalRate
  if (group.unknownCount > 0) found.push('partlyUnknown')
  if (lag > thresholds.goodLagRecords && lag <= thresholds.alertLagRecords) found.push('lagFair')
  if (used > thresholds.goodRetentionRatio && used < thresholds.alertRetentionRatio) found.push('retentionFair')
  if (rate !== undefined && rate > 0 && rate < thresholds.goodRecordsPerSecond) found.push('rateLow')
  return found
}

function isGrowing({ trend, arrivalRate, lagRecords }: GroupLag, { goodLagRecords }: LagThresholds): boolean {
  if (trend === undefined || trend <= 0 || Number(lagRecords) <= goodLagRecords) return false
  return trend > (arrivalRate ?? 0) * growthShareMin
}
