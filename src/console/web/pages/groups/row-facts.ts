/** What is said of a group beside its numbers: pure. */

import type { GroupRow } from '../../../api/groups.ts'

/** Which way the lag goes. */
export type TrendWord = 'rising' | 'falling' | 'steady' | 'unknown'

/** Records per second below which the lag stands still, and the share of what comes in that counts as still. */
const STILL_RATE = 0.1
const STILL_SHARE = 0.02

/** The direction of the lag: noise of a few records at a high rate is none. */
export function trendWord({ trend, arrivalRate }: Pick<GroupRow, 'trend' | 'arrivalRate'>): TrendWord {
  if (trend === null) return 'unknown'
  const still = Math.max(STILL_RATE, (arrivalRate ?? 0) * STILL_SHARE)
  if (Math.abs(trend) <= still) return 'steady'
  return trend > 0 ? 'rising' : 'falling'
}

/** How a lag stands to what was promised; `none` = nothing was, or the lag is unknown. */
export function sloWord({
  lagSeconds,
  sloSeconds
}: Pick<GroupRow, 'lagSeconds' | 'sloSeconds'>): 'kept' | 'near' | 'broken' | 'none' {
  if (lagSeconds === null || sloSeconds === null) return 'none'
  if (lagSeconds > sloSeconds) return 'broken'
  return lagSeconds > sloSeconds * 0.8 ? 'near' : 'kept'
}

/** Retention below which it is said: an hour, or ten times what is left to drain. */
const HEADROOM_SAID_SECONDS = 3_600

/** Whether the reader should know how long retention waits. */
export function isHeadroomShort({
  headroomSeconds,
  drainSeconds
}: Pick<GroupRow, 'headroomSeconds' | 'drainSeconds'>): boolean {
  if (headroomSeconds === null) return false
  return headroomSeconds < HEADROOM_SAID_SECONDS || (drainSeconds !== null && headroomSeconds < drainSeconds)
}

/** Flags that are signs of their own, worst first; others are told in the detail. */
export const SAID_FLAGS = [
  'dataLoss',
  'hangingTransaction',
  'aheadOfLog',
  'offline',
  'noTopic',
  'unassigned',
  'noCommit',
  'persistent',
  'compacted',
  'markersOnly'
] as const

/** A flag that has words. */
export type SaidFlag = (typeof SAID_FLAGS)[number]

/** How grave a flag is. */
export const FLAG_LEVELS: Readonly<Record<SaidFlag, 'bad' | 'warn' | 'idle'>> = {
  dataLoss: 'bad',
  hangingTransaction: 'warn',
  aheadOfLog: 'bad',
  offline: 'bad',
  noTopic: 'warn',
  unassigned: 'warn',
  noCommit: 'idle',
  persistent: 'warn',
  compacted: 'idle',
  markersOnly: 'idle'
}

/** Flags in the order in which they are told; flags of a newer server are left out. */
export function saidFlags(flags: readonly string[]): readonly SaidFlag[] {
  return SAID_FLAGS.filter(flag => flags.includes(flag))
}
