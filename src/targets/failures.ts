/**
 * What errors of the network mean for a batch. The table is in docs/reference/outcomes.md.
 */

import { messageOf } from '../core/index.ts'
import { ConnectError } from './http1/http-connection.ts'
import type { TargetOutcome } from './target.ts'

/**
 * Errors that come before the target has seen anything: the records cannot be the cause.
 * Source: Node's system errors, `ERR_HTTP_…` of `http1/`.
 */
const NOT_REACHED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ERR_HTTP_CONNECT_TIMEOUT',
  'ERR_HTTP_NOT_CONNECTED',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID'
])

/** Any thrown value as an outcome: always `unavailable`, suspect if the target may have broken on the records. */
export function networkOutcome(error: unknown): TargetOutcome {
  const code = codeOf(error)
  const reason = code === undefined ? messageOf(error) : `${code}: ${messageOf(error)}`
  if (error instanceof ConnectError || (code !== undefined && NOT_REACHED.has(code)))
    return { kind: 'unavailable', reason }
  return { kind: 'unavailable', reason, isSuspect: true }
}

/** What a user's function has thrown, as an outcome: retriable errors stop the intake, others are about the batch. */
export function thrownOutcome(error: unknown): TargetOutcome {
  const reason = messageOf(error)
  if (isRetriableError(error)) {
    const wait = 'retryAfterMs' in error && typeof error.retryAfterMs === 'number' ? error.retryAfterMs : undefined
    return { kind: 'unavailable', reason, ...(wait === undefined ? {} : { retryAfterMs: wait }) }
  }
  return { kind: 'rejected', reason, errorClass: error instanceof Error ? error.name : 'Error' }
}

/** Whether a thrown value says of itself that another try may succeed. */
export function isRetriableError(error: unknown): error is object {
  return typeof error === 'object' && error !== null && 'retriable' in error && error.retriable === true
}

/** The code of an error, or of what it wraps: clients put the system's error under `cause`, or first in a list. */
function codeOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 5) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  if ('errors' in error && Array.isArray(error.errors))
    return codeOf((error.errors as readonly unknown[])[0], depth + 1)
  return 'cause' in error ? codeOf(error.cause, depth + 1) : undefined
}

/** Milliseconds of an HTTP `Retry-After`: seconds, or a date. `undefined` if there is none or it is neither. */
export function retryAfterMs(header: unknown, nowMs: number): number | undefined {
  const text = Array.isArray(header) ? (header as readonly unknown[])[0] : header
  if (typeof text !== 'string') return undefined
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1000
  const dateMs = Date.parse(text)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}
