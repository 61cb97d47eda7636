/**
 * Waiting times between attempts: exponential growth, full upper bound, and
 * jitter around it, so that many clients that failed together do not come back
 * together.
 */

import type { Random } from './random.ts'

/** How long to wait between attempts. */
export interface BackoffOptions {
  /** Wait after the first failure, in milliseconds. */
  readonly initialMs: number
  /** Longest wait, in milliseconds. */
  readonly maxMs: number
  /** Growth per failure. Default 2. */
  readonly multiplier?: number
  /** Share of the wait that is random, 0 to 1: 0.2 gives 80 % to 120 %. Default 0.2, as in KIP-580. */
  readonly jitterRatio?: number
}

/**
 * The wait after `failureCount` failures in a row (1 for the first), in whole milliseconds.
 */
export function backoffMs(options: BackoffOptions, failureCount: number, random: Random): number {
  const growth = (options.multiplier ?? 2) ** Math.max(0, failureCount - 1)
  const base = Math.min(options.maxMs, options.initialMs * growth)
  const jitter = (options.jitterRatio ?? 0.2) * (random.next() * 2 - 1)
  return Math.max(0, Math.round(base * (1 + jitter)))
}
