/**
 * What the live stream is told to send: pure. The address holds each wanted view once, in order, so that the same set
 * gives the same address and the stream is opened again only when the set changes.
 */

/** Views that are kept after the page that showed them is left, so that coming back shows them at once. */
export const KEPT_VIEWS_MAX = 40

/** Address of the stream for a set of views; `undefined` = nothing is wanted. */
export function liveAddress(wanted: Iterable<string>): string | undefined {
  const views = [...new Set(wanted)].toSorted()
  if (views.length === 0) return undefined
  return `/api/live?${views.map(of => `of=${encodeURIComponent(of)}`).join('&')}`
}

/** Wait before the next attempt, in milliseconds: doubles from half a second to 15 s. */
export function retryDelayMs(attempt: number): number {
  return Math.min(15_000, 500 * 2 ** Math.min(attempt, 10))
}
