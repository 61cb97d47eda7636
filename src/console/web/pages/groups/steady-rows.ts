/**
 * Keeps rows where they are while somebody reads them: pure.
 *
 * A table that sorts by lag would shuffle with each look. While it is held, each row keeps its place and takes the
 * new values; what left the answer stays with its last values, and what is new in it comes at the end, if there is
 * room. The order of the answer comes with the next sorting, page or filter, or once nobody has read for a while.
 */

/** Rows as they are shown. */
export interface SteadyRows<T> {
  readonly rows: readonly T[]
  /** Whether the answer has another order, or other rows, than is shown. */
  readonly isBehind: boolean
}

/** What `steadyRows` is told. */
export interface SteadyRequest<T> {
  readonly shown: readonly T[]
  readonly incoming: readonly T[]
  readonly keyOf: (row: T) => string
  readonly isHeld: boolean
}

/** See the module. */
export function steadyRows<T>({ shown, incoming, keyOf, isHeld }: SteadyRequest<T>): SteadyRows<T> {
  if (!isHeld || shown.length === 0) return { rows: incoming, isBehind: false }
  const news = new Map(incoming.map(row => [keyOf(row), row]))
  const rows = shown.map(row => news.get(keyOf(row)) ?? row)
  for (const row of shown) news.delete(keyOf(row))
  // Fewer rows than the answer has: a row was added at the end of a short list, where nothing moves.
  const room = Math.max(0, incoming.length - rows.length)
  if (room > 0) rows.push(...[...news.values()].slice(0, room))
  const isBehind = rows.length !== incoming.length || rows.some((row, index) => row !== incoming[index])
  return { rows, isBehind }
}
