/**
 * Names by which an endpoint may be called.
 *
 * A page in a browser on this machine may have its own name resolve to 127.0.0.1 (DNS rebinding) and would then speak
 * to the endpoint as if it were its server; the `Host` header still has the page's name. Addresses cannot be rebound.
 */

import { isIP } from 'node:net'
import { hostname } from 'node:os'

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/**
 * Whether a `Host` header names this machine: an address, `localhost`, the address that is listened on, or the host's
 * own name, also with a domain behind it.
 */
export function isOwnName(header: string | undefined, listensOn: string): boolean {
  if (header === undefined || header.length > 255) return false
  const name = nameOf(header.toLowerCase())
  if (name === undefined) return false
  if (isIP(name) !== 0 || name === 'localhost' || name === listensOn.toLowerCase()) return true
  if (isLoopback(listensOn)) return false
  const own = hostname().toLowerCase()
  return own !== '' && (name === own || name.startsWith(`${own}.`))
}

function nameOf(header: string): string | undefined {
  const [, inBrackets, plain] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/.exec(header) ?? []
  return inBrackets ?? plain
}
