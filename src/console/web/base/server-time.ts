/**
 * The server's time: ages are told by the clock that wrote the times, for a reader's own may be wrong by minutes.
 * Learned from the `Date` of the answers, which is exact to a second; smaller differences are not corrected.
 */

const TOLERATED_MS = 2_000

let aheadMs = 0

/** Learns from an answer's `Date`. */
export function noteServerDate(header: string | null): void {
  const serverMs = Date.parse(header ?? '')
  if (Number.isNaN(serverMs)) return
  const difference = Date.now() - serverMs
  aheadMs = Math.abs(difference) <= TOLERATED_MS ? 0 : difference
}

/** Now, in milliseconds since 1970, as the server has it. */
export function serverNow(): number {
  return Date.now() - aheadMs
}
