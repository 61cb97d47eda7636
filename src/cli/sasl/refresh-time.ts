/**
 * When to fetch the next token. Pure.
 *
 * As Kafka's client does (KIP-255, `ExpiringCredentialRefreshingLogin`): at a
 * share of its life and a little random more, but some time before its end and
 * not too soon after the last one; with a life shorter than both of these
 * times together, they are ignored.
 */

/** The settings, in Kafka's words. */
export interface RefreshWindows {
  readonly windowFactor: number
  readonly windowJitter: number
  readonly minPeriodMs: number
  readonly bufferMs: number
}

/** The life of a token, in milliseconds since 1970. */
export interface TokenLife {
  readonly startsAtMs: number
  readonly expiresAtMs: number
}

/**
 * The time of the next refresh, in milliseconds since 1970.
 *
 * @param chance - Of [0, 1): how much of the jitter.
 */
export function refreshTimeMs(
  life: TokenLife,
  windows: RefreshWindows,
  { nowMs, chance }: { readonly nowMs: number; readonly chance: number }
): number {
  const lifeMs = life.expiresAtMs - life.startsAtMs
  const atMs = life.startsAtMs + Math.round(lifeMs * (windows.windowFactor + windows.windowJitter * chance))
  if (life.expiresAtMs - nowMs <= windows.bufferMs + windows.minPeriodMs) return Math.min(atMs, life.expiresAtMs)
  return Math.max(Math.min(atMs, life.expiresAtMs - windows.bufferMs), nowMs + windows.minPeriodMs)
}
