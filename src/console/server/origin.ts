/**
 * Whether a request comes from the console's own pages, by the headers that a page cannot set.
 *
 * - `Host` must be one that the console answers to: a name of somebody else that leads to this machine (DNS rebinding)
 *   would make that person's page the console's own for a browser.
 * - What changes something needs an `Origin` of the console, where one is sent, and `Sec-Fetch-Site: same-origin`.
 *   `SameSite` alone is not enough: another port of this machine is the same site.
 */

/** Where the console is, as browsers see it. */
export interface Place {
  readonly isHttps: boolean
  /** Port that it listens on. */
  readonly port: number
  /** Host that it listens on. */
  readonly host: string
  readonly publicUrl?: string | undefined
}

/** Hosts that it answers to, as the header has them. */
export function allowedHosts({ isHttps, port, host, publicUrl }: Place): ReadonlySet<string> {
  const standard = isHttps ? 443 : 80
  const names = ['localhost', '127.0.0.1', '[::1]', bracketed(host)]
  const own = names.flatMap(name => [`${name}:${port}`, ...(port === standard ? [name] : [])])
  return new Set([...own, ...(publicUrl === undefined ? [] : [new URL(publicUrl).host])])
}

/** An address as it stands in URLs. */
export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/** Headers that tell where a request comes from. */
export interface SiteHeaders {
  readonly origin?: string | undefined
  readonly 'sec-fetch-site'?: string | string[] | undefined
}

/**
 * Whether a request may not be answered, because a page of somebody else sent it.
 *
 * @param origin - Of the console itself, for example `http://127.0.0.1:7070`.
 * @param isChange - Whether it changes something: then a navigation from elsewhere is not enough, either.
 */
export function isCrossSite(headers: SiteHeaders, origin: string, isChange: boolean): boolean {
  // Browsers leave it out of what the same page asks for by GET; programs do not send it.
  if (headers.origin !== undefined && headers.origin.toLowerCase() !== origin) return true
  const site = headers['sec-fetch-site']
  if (site === undefined) return false
  // `none`: somebody typed the address.
  return isChange ? site !== 'same-origin' : site !== 'same-origin' && site !== 'none'
}
