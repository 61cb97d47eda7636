/** Headers of every answer: what a browser may do with it. */

import type { ConsoleConfig } from '../../config/index.ts'

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'"
].join('; ')

const COMMON: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  // For browsers that do not know frame-ancestors.
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  // Pages that are named by their content say otherwise.
  'cache-control': 'no-store'
}

const TWO_YEARS_S = 63_072_000

/** @param isHttps - Whether browsers reach it by TLS: they are told never to come without. */
export function securityHeaders(isHttps: boolean): Readonly<Record<string, string>> {
  return isHttps ? { ...COMMON, 'strict-transport-security': `max-age=${TWO_YEARS_S}` } : COMMON
}

/** Whether browsers reach the console by TLS: its own, or that of the proxy in front of it. */
export function isHttps({ tls, trustProxy }: Pick<ConsoleConfig, 'tls' | 'trustProxy'>): boolean {
  return tls !== undefined || trustProxy !== undefined
}
