/**
 * What comes with an address and must not stay in it: a token, as `comporta console` prints it, and why a login at
 * another site was refused. And the other way: where the reader was before they left for that site.
 */

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

/** Why the last login was refused, an error code, as the server says in `?problem=…`; `undefined` = it was not. */
export function takeProblem(): string | undefined {
  const values = new URLSearchParams(location.search)
  const code = values.get('problem')
  if (code === null || !/^ERR_[A-Z_]+$/.test(code)) return undefined
  values.delete('problem')
  const rest = values.toString()
  history.replaceState(null, '', `${location.pathname}${rest === '' ? '' : `?${rest}`}`)
  return code
}

const RELOADED = 'comporta.reloaded'

/**
 * Loads the document anew because a part of it is not there any more: the console was updated meanwhile. Not twice
 * within a minute, or a part that is broken would do so for ever.
 *
 * @returns Whether it does.
 */
export function reloadOnce(): boolean {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < 60_000) return false
    sessionStorage.setItem(RELOADED, String(Date.now()))
  } catch {
    return false
  }
  location.reload()
  return true
}

const WAY_BACK = 'comporta.back'

/** Remembers, for this tab, where the reader is. */
export function keepWayBack(path: string): void {
  try {
    sessionStorage.setItem(WAY_BACK, path)
  } catch {
    // Then the reader is back at the first page.
  }
}

/** Where the reader was, once. Only a path of this console: the first `/` is not followed by another. */
export function takeWayBack(): string | undefined {
  try {
    const path = sessionStorage.getItem(WAY_BACK)
    sessionStorage.removeItem(WAY_BACK)
    return path !== null && /^\/(?![/\\])/.test(path) ? path : undefined
  } catch {
    return undefined
  }
}
