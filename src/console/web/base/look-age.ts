/** Whether the numbers of the page are of now: pure. */

import type { HealthLevel } from '../../api/common.ts'

/** A look is late after three of its intervals and five seconds more: one that is slow is not yet one that fails. */
export function isLookLate(look: { readonly takenAtMs: number; readonly intervalMs: number }, nowMs: number): boolean {
  return nowMs - look.takenAtMs > 3 * look.intervalMs + 5_000
}

/** Health by numbers of then: what was well may be so no more, and what was not is still worth a look. */
export function healthOfThen(level: HealthLevel): HealthLevel {
  return level === 'good' || level === 'idle' ? 'unknown' : level
}
