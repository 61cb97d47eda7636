/** Where the marks of an axis stand: round numbers, and times in their own steps. */

/** Steps between marks of time, in seconds. */
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]

/**
 * Round numbers that cover a range: steps of 1, 2 or 5 times a power of ten.
 *
 * @param count - How many are wanted, about.
 */
export function numberTicks(from: number, to: number, count: number): number[] {
  const span = to - from
  if (!(span > 0) || !Number.isFinite(span)) return [from]
  const rough = span / Math.max(1, count)
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 5, 10].find(each => each * power >= rough) ?? 10
  return marks(from, to, factor * power)
}

/** Times in seconds that cover a range. */
export function timeTicks(from: number, to: number, count: number): number[] {
  const span = to - from
  if (!(span > 0) || !Number.isFinite(span)) return [from]
  const rough = span / Math.max(1, count)
  const step = timeSteps.find(each => each >= rough) ?? Math.ceil(rough / 86_400) * 86_400
  return rough < 1 ? numberTicks(from, to, count) : marks(from, to, step)
}

function marks(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step - 1e-9)
  const last = Math.floor(to / step + 1e-9)
  // Multiplied, not added: no error grows along the axis.
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)))
}

/** A number in few characters: `1.2 M`, `13 k`, `0.5`. */
export function shortNumber(value: number): string {
  const size = Math.abs(value)
  const [divisor, unit] = size >= 1e9 ? [1e9, ' G'] : size >= 1e6 ? [1e6, ' M'] : size >= 1e4 ? [1e3, ' k'] : [1, '']
  return `${Number((value / divisor).toPrecision(4))}${unit}`
}

/** Seconds in few characters: `45 s`, `12 min`, `3 h`. */
export function shortTime(seconds: number): string {
  const size = Math.abs(seconds)
  if (size >= 172_800) return `${Number((seconds / 86_400).toPrecision(3))} d`
  if (size >= 7200) return `${Number((seconds / 3600).toPrecision(3))} h`
  if (size >= 120) return `${Number((seconds / 60).toPrecision(3))} min`
  return `${Number(seconds.toPrecision(3))} s`
}
