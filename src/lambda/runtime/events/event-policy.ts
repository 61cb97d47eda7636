/**
 * What becomes of an asynchronous invocation after an attempt. Pure.
 *
 * A function error is retried as often and as late as configured; a throttle is
 * retried with growing waits and costs no attempt; an event that grew too old,
 * or would before its next attempt, is given up. A function whose reserved
 * concurrency is zero gives up its events at once.
 *
 * Source: Lambda developer guide, "How Lambda handles errors and retries with
 * asynchronous invocation", "Capturing records of Lambda asynchronous invocations".
 */

import type { EventSettings } from '../settings.ts'

/** Why an event is done with: the `condition` of its destination record. */
export type EventCondition = 'Success' | 'RetriesExhausted' | 'EventAgeExceeded' | 'ZeroReservedConcurrency'

/** How far an event has come. */
export interface EventProgress {
  readonly arrivedMs: number
  /** Invocations so far. */
  readonly attempts: number
  /** Throttles since the last invocation. */
  readonly throttles: number
}

/** What is done next. */
export type EventStep =
  { readonly kind: 'finish'; readonly condition: EventCondition } | { readonly kind: 'retry'; readonly waitMs: number }

/** First and longest wait after a throttle. Source: Lambda, "from 1 second … to a maximum of 5 minutes". */
const THROTTLE_WAIT_MS = 1_000
const THROTTLE_WAIT_MAX_MS = 300_000

/** Before an attempt: whether the event is given up in place of it. */
export function isTooOld(progress: EventProgress, settings: EventSettings, nowMs: number): boolean {
  return nowMs - progress.arrivedMs >= settings.ageMaxMs
}

/** After an attempt that the function answered; `progress` counts it. */
export function afterAttempt(
  progress: EventProgress,
  isFailed: boolean,
  { settings, nowMs }: { readonly settings: EventSettings; readonly nowMs: number }
): EventStep {
  if (!isFailed) return { kind: 'finish', condition: 'Success' }
  if (progress.attempts > settings.retriesMax) return { kind: 'finish', condition: 'RetriesExhausted' }
  const waits = settings.retryWaitsMs
  const waitMs = waits[Math.min(progress.attempts, waits.length) - 1] ?? 0
  return within(progress, waitMs, { settings, nowMs })
}

/** After a throttle; `progress` counts it. */
export function afterThrottle(
  progress: EventProgress,
  { settings, nowMs }: { readonly settings: EventSettings; readonly nowMs: number }
): EventStep {
  const waitMs = Math.min(THROTTLE_WAIT_MAX_MS, THROTTLE_WAIT_MS * 2 ** Math.min(20, progress.throttles - 1))
  return within(progress, waitMs, { settings, nowMs })
}

function within(
  progress: EventProgress,
  waitMs: number,
  { settings, nowMs }: { readonly settings: EventSettings; readonly nowMs: number }
): EventStep {
  // Nothing can change its fate while it waits, so it is told now.
  const isLate = nowMs + waitMs - progress.arrivedMs >= settings.ageMaxMs
  return isLate ? { kind: 'finish', condition: 'EventAgeExceeded' } : { kind: 'retry', waitMs }
}
