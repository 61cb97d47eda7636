/** Two series on one axis of time: pure. */

import type { Series } from '../../../api/common.ts'

/** Values of a series at the given times, ascending; `null` where it has none. */
export function alignedValues({ timesMs, values }: Series, times: readonly number[]): readonly (number | null)[] {
  if (timesMs.length === times.length && timesMs.every((at, index) => at === times[index])) return values
  const known = new Map(timesMs.map((at, index) => [at, values[index] ?? null]))
  return times.map(at => known.get(at) ?? null)
}
