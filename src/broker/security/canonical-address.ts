/**
 * One text for one address, however it was written: Java prints `0:0:0:0:0:0:0:1`
 * where Node prints `::1`, and people write either into ACLs and quotas.
 */

import { isIPv6 } from 'node:net'

/** The address as a connection shows its peer; what is no IPv6 address stays as it is. */
export function canonicalAddress(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  // A zone (`%eth0`) is of one machine only; the parser of URLs does not know it.
  const [bare = address, ...zone] = address.split('%')
  return [new URL(`http://[${bare}]`).hostname.slice(1, -1), ...zone].join('%')
}
