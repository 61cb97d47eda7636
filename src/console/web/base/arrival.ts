/** A token that came with the address, as `comporta console` prints it: taken out of the address bar at once. */

/** The token of `#token=…`; `undefined` = none. Its place in the history is replaced, so that it is not left behind. */
export function takeToken(): string | undefined {
  const match = /^#token=(.+)$/.exec(location.hash)
  if (match === null) return undefined
  history.replaceState(null, '', `${location.pathname}${location.search}`)
  try {
    return decodeURIComponent(match[1] ?? '')
  } catch {
    return match[1]
  }
}
