/** What an alert says, and what makes one. */

import type { Severity } from '../slo/burn-rates.ts'

/**
 * Something that holds at the moment and that somebody should know of. Conditions are worked out anew at every look;
 * the book (`AlertBook`) makes alerts of them.
 */
export interface AlertCondition {
  /** The same condition of the same thing has the same key: alerts are told apart, and sent once, by it. */
  readonly key: string
  readonly severity: Severity
  /** What is wrong, in a few words: `lag of dispatcher above 1,000 records`. */
  readonly title: string
  /** The group it is about; empty = the cluster. */
  readonly group: string
  /** The value as measured, for people. */
  readonly value: string
  /** What it is held against, for people. */
  readonly threshold: string
  /** What it likely comes from. */
  readonly reason: string
  /** The command to run next. */
  readonly next: string
  /** Milliseconds that it has to hold before it is sent. 0 = at once. Default: the book's. */
  readonly forMs?: number
}

/** An alert as it is sent. */
export interface Alert extends AlertCondition {
  /** `firing`, also when it is repeated, or `resolved`. */
  readonly status: 'firing' | 'resolved'
  /** Since when the condition holds, in milliseconds since 1970. */
  readonly sinceMs: number
  /** When this was decided, in milliseconds since 1970. */
  readonly atMs: number
  /** How often it has been sent before, while firing. */
  readonly repeats: number
}
