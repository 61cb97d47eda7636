/**
 * Burn rates over several windows, and when they are worth waking somebody.
 *
 * A burn rate of 1 spends the error budget exactly in its window. Each rule looks
 * at two windows: the long one says that it matters, the short one that it still
 * goes on. Source: Google, "The Site Reliability Workbook", chapter 5, table 5-8
 * (multiwindow, multi-burn-rate alerts), with a third and fourth pair for tickets.
 */

import type { TimeShare } from './bucket-ring.ts'

/** How urgent something is: a page wakes somebody, a ticket can wait for the morning. */
export type Severity = 'page' | 'ticket'

/** A pair of windows. */
export interface BurnRule {
  readonly severity: Severity
  /** The burn rate that both windows have to reach. */
  readonly rate: number
  readonly longMs: number
  readonly shortMs: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** The pairs, most urgent first. */
export const BURN_RULES: readonly BurnRule[] = [
  { severity: 'page', rate: 14.4, longMs: HOUR_MS, shortMs: 5 * MINUTE_MS },
  { severity: 'page', rate: 6, longMs: 6 * HOUR_MS, shortMs: 30 * MINUTE_MS },
  { severity: 'ticket', rate: 3, longMs: DAY_MS, shortMs: 2 * HOUR_MS },
  { severity: 'ticket', rate: 1, longMs: 3 * DAY_MS, shortMs: 6 * HOUR_MS }
]

/**
 * The burn rate of a window: share of bad time against the share that the objective allows.
 *
 * Unknown time is left out of the share, so that it counts neither for nor against. Of a window that is known for less
 * than its half, the missing part up to that half is taken as good: one bad sample after a start wakes nobody.
 *
 * @returns `undefined` where nothing at all is known.
 */
export function burnRate(share: TimeShare, windowMs: number, objective: number): number | undefined {
  const knownMs = share.goodMs + share.badMs
  if (knownMs <= 0) return undefined
  return share.badMs / Math.max(knownMs, windowMs / 2) / (1 - objective)
}

/** What one rule says. */
export interface BurnVerdict {
  readonly rule: BurnRule
  readonly long: number | undefined
  readonly short: number | undefined
  readonly isBurning: boolean
}

/** Judges a rule by the time in its windows. */
export function judgeBurn(rule: BurnRule, objective: number, shareOf: (windowMs: number) => TimeShare): BurnVerdict {
  const long = burnRate(shareOf(rule.longMs), rule.longMs, objective)
  const short = burnRate(shareOf(rule.shortMs), rule.shortMs, objective)
  // A hair below counts: sums of parts of buckets are not exact.
  const isReached = (rate: number | undefined): boolean => rate !== undefined && rate >= rule.rate * (1 - 1e-9)
  return { rule, long, short, isBurning: isReached(long) && isReached(short) }
}
