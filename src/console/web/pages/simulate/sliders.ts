/** Where the sliders begin and end, and how a place on one becomes a number: pure. */

import type { SimulateRequest } from '../../../api/insight.ts'

/** A slider. */
export interface Slider {
  readonly name: keyof SimulateRequest
  readonly min: number
  readonly max: number
  /** Whether each part of the way multiplies, for numbers over several magnitudes. */
  readonly isLog?: boolean
  readonly unit?: 'ms' | 'seconds'
}

/** The server's limits are the same, or wider. */
export const SLIDERS: readonly Slider[] = [
  { name: 'recordsPerSecond', min: 10, max: 5_000_000, isLog: true },
  { name: 'partitions', min: 1, max: 1000, isLog: true },
  { name: 'instances', min: 1, max: 200, isLog: true },
  { name: 'concurrency', min: 1, max: 200, isLog: true },
  { name: 'batchRecords', min: 1, max: 10_000, isLog: true },
  { name: 'invokeMs', min: 1, max: 30_000, isLog: true, unit: 'ms' },
  { name: 'outageSeconds', min: 0, max: 7200, unit: 'seconds' },
  { name: 'durationSeconds', min: 600, max: 86_400, isLog: true, unit: 'seconds' }
]

/** Steps of a slider from end to end. */
export const STEPS = 200

/** The number at a step. */
export function valueAt({ min, max, isLog }: Slider, step: number): number {
  if (step <= 0) return min
  if (step >= STEPS) return max
  const share = step / STEPS
  if (isLog !== true) return Math.round(min + (max - min) * share)
  return tidy(min * (max / min) ** share)
}

/** The step that is nearest to a number. */
export function stepOf({ min, max, isLog }: Slider, value: number): number {
  const kept = Math.min(max, Math.max(min, value))
  const share = isLog === true ? Math.log(kept / min) / Math.log(max / min) : (kept - min) / (max - min)
  return Math.round(share * STEPS)
}

/** Three digits that count are as many as a slider can aim at. */
function tidy(value: number): number {
  return value < 100 ? Math.round(value) : Math.round(Number(value.toPrecision(3)))
}
