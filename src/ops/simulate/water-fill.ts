/** Max-min fair shares: what asks for less than an equal part gets it, and the rest is divided among the others. */

/**
 * The level up to which every demand is met.
 *
 * @param demands - What each asks for.
 * @param capacity - What there is.
 * @returns `Infinity` if there is enough for all.
 */
export function fillLevel(demands: Float64Array, capacity: number): number {
  let total = 0
  for (const demand of demands) total += demand
  if (total <= capacity) return Infinity
  let left = capacity
  let count = demands.length
  let level = left / count
  let settled = -Infinity
  // Each round settles those below the level, which can only rise: it ends when none is between two levels.
  for (;;) {
    let isChanged = false
    for (const demand of demands) {
      if (demand > level || demand <= settled) continue
      left -= demand
      count--
      isChanged = true
    }
    if (!isChanged || count === 0) return level
    settled = level
    level = left / count
  }
}
