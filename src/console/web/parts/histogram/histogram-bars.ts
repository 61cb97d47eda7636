/** The bars of a histogram, and what they say in numbers: pure. */

import type { Histogram } from '../../../api/groups.ts'

/** A bar: values above `above` up to `upTo` (`null` = without an end). */
export interface HistogramBar {
  readonly above: number
  readonly upTo: number | null
  readonly count: number
  /** Height against the highest, 0 to 1. */
  readonly share: number
  /** Of all, 0 to 1. */
  readonly part: number
}

/** Bars that are drawn at most; more are joined two by two. */
export const BARS_MAX = 24

/** The bars, without the empty ones at both ends. Empty = nothing was counted. */
export function histogramBars({ bounds, counts }: Histogram): readonly HistogramBar[] {
  const first = counts.findIndex(count => count > 0)
  if (first < 0) return []
  const last = counts.findLastIndex(count => count > 0)
  let slices = range(Math.max(0, first - 1), last).map(index => ({
    above: bounds[index - 1] ?? 0,
    upTo: bounds[index] ?? null,
    count: counts[index] ?? 0
  }))
  while (slices.length > BARS_MAX) slices = joined(slices)
  const most = Math.max(...slices.map(({ count }) => count))
  const total = slices.reduce((sum, { count }) => sum + count, 0)
  return slices.map(slice => ({ ...slice, share: slice.count / most, part: slice.count / total }))
}

/**
 * The value that a share of all lies below, read between the bounds of its bucket; `null` = nothing was counted. Above
 * the last bound it is that bound: more is not known.
 */
export function histogramQuantile({ bounds, counts }: Histogram, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const wanted = share * total
  let below = 0
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      const above = bounds[index - 1] ?? 0
      const upTo = bounds[index]
      return upTo === undefined ? above : above + (upTo - above) * ((wanted - below) / count)
    }
    below += count
  }
  return bounds.at(-1) ?? null
}

/** The mean; `null` = nothing was counted. */
export function histogramMean({ count, sum }: Histogram): number | null {
  return count === 0 ? null : sum / count
}

interface Slice {
  readonly above: number
  readonly upTo: number | null
  readonly count: number
}

function joined(slices: readonly Slice[]): Slice[] {
  const pairs: Slice[] = []
  for (let index = 0; index < slices.length; index += 2) {
    const [left, right] = [slices[index], slices[index + 1]]
    if (left === undefined) break
    pairs.push(right === undefined ? left : { above: left.above, upTo: right.upTo, count: left.count + right.count })
  }
  return pairs
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, step) => first + step)
}
