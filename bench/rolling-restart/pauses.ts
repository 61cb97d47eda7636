/** Longest pauses of partitions, from the times at which their batches came. */

import type { Arrival } from './sink.ts'

/** A part of the run. */
export interface Phase {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
}

/** The longest time between two batches of which the later one came in the phase, and the oldest record. */
export function pausesOf(
  arrivals: readonly Arrival[],
  phase: Phase
): { readonly gapMs: number; readonly ageMs: number } {
  let gapMs = 0
  let ageMs = 0
  let lastMs = Number.NaN
  for (const [timeMs, firstRecordMs] of arrivals) {
    if (timeMs >= phase.startMs && timeMs <= phase.endMs) {
      if (timeMs - lastMs > gapMs) gapMs = timeMs - lastMs
      if (timeMs - firstRecordMs > ageMs) ageMs = timeMs - firstRecordMs
    }
    lastMs = timeMs
  }
  // Nothing came at all: it paused for the whole phase.
  if (gapMs === 0) gapMs = phase.endMs - phase.startMs
  return { gapMs, ageMs }
}

/** The value that this share (0 to 1) of all stay within. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
