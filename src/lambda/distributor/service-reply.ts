/**
 * What a service's reply means for the records of one request.
 *
 * | Reply | Meaning |
 * | --- | --- |
 * | 2xx, no JSON object, or without `failures` | all records are well |
 * | 2xx with `{"failures":[{"offset","action","reason","retryAfterMs"}]}` | the named records are not, the others are |
 * | 2xx that names an offset that was not sent, or has a wrong form | all records must be tried again |
 * | 4xx about the content (400, 409, 413, 422, …) | refused: look for the bad record |
 * | 401, 403, 404, 405, 407, 408, 425, 429, 3xx, 5xx, no reply | the service is unavailable |
 *
 * Of the last row a 5xx other than 503, a reply that never came and a connection that was cut are suspect: the records
 * may be what breaks the service.
 *
 * 401 to 407 speak of the address, the credentials or a deployment under way, not of a record: taken as a refusal they
 * would send a whole topic to the dead letters.
 */

import type { HttpReply } from './http-client.ts'
import { isRecord } from './options.ts'
import type { Verdict } from './verdict.ts'

/** The meaning of a reply. */
export type ServiceOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'partial'; readonly verdicts: ReadonlyMap<number, Verdict> }
  | { readonly kind: 'rejected'; readonly reason: string }
  | {
      readonly kind: 'unavailable'
      readonly reason: string
      readonly retryAfterMs?: number
      /** Whether the records may be the cause: the service broke, hung or cut the connection. */
      readonly isSuspect?: boolean
    }

const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([401, 403, 404, 405, 407, 408, 425, 429])
/** Most characters of a service's own words in a reason. */
const REASON_MAX = 200

/** Reads a reply to a request with these offsets. */
export function readReply(service: string, reply: HttpReply, offsets: ReadonlySet<number>): ServiceOutcome {
  const { status } = reply
  if (status >= 200 && status < 300) return readBody(service, reply, offsets)
  const reason = `service ${service} answered ${status}`
  const isUnavailable = status < 400 || status >= 500 || UNAVAILABLE_STATUSES.has(status)
  if (!isUnavailable) return { kind: 'rejected', reason: withDetail(reason, reply) }
  const retryAfterMs = retryAfter(reply.retryAfter)
  return {
    kind: 'unavailable',
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(status >= 500 && status !== 503 ? { isSuspect: true } : {})
  }
}

function readBody(service: string, reply: HttpReply, offsets: ReadonlySet<number>): ServiceOutcome {
  if (reply.body === '') return { kind: 'ok' }
  let body: unknown
  try {
    body = JSON.parse(reply.body)
  } catch {
    // "OK" and HTML are a reply without a word about records; broken JSON may have had some.
    const isJson = reply.contentType?.includes('json') ?? false
    return isJson ? unreadable(service, 'broken JSON') : { kind: 'ok' }
  }
  if (!isRecord(body) || body['failures'] === undefined) return { kind: 'ok' }
  if (!Array.isArray(body['failures'])) return unreadable(service, '"failures" that are not a list')
  const verdicts = new Map<number, Verdict>()
  for (const failure of body['failures']) {
    const offset: unknown = isRecord(failure) ? failure['offset'] : undefined
    if (!isRecord(failure) || typeof offset !== 'number' || !offsets.has(offset)) {
      return unreadable(service, 'a failure at an offset that it was not sent')
    }
    verdicts.set(offset, verdictOf(service, failure))
  }
  return verdicts.size === 0 ? { kind: 'ok' } : { kind: 'partial', verdicts }
}

function verdictOf(service: string, failure: Record<string, unknown>): Verdict {
  const { action, reason, retryAfterMs } = failure
  // A failure without a known action is still a failure: it is tried again.
  const known = action === 'deadLetter' || action === 'skip' ? action : 'retry'
  const words = typeof reason === 'string' ? reason.slice(0, REASON_MAX) : 'no reason given'
  const verdict: Verdict = { action: known, reason: `service ${service}: ${words}` }
  const isDelayed = typeof retryAfterMs === 'number' && retryAfterMs >= 0
  return isDelayed ? { ...verdict, retryAfterMs } : verdict
}

function unreadable(service: string, what: string): ServiceOutcome {
  return { kind: 'unavailable', reason: `service ${service} answered ${what}`, isSuspect: true }
}

function withDetail(reason: string, reply: HttpReply): string {
  let body: unknown
  try {
    body = JSON.parse(reply.body)
  } catch {
    return reason
  }
  const words = isRecord(body) ? (body['message'] ?? body['error'] ?? body['reason']) : undefined
  return typeof words === 'string' ? `${reason}: ${words.slice(0, REASON_MAX)}` : reason
}

/** `Retry-After` in milliseconds; only its form in seconds is read. Source: RFC 9110 §10.2.3. */
function retryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value) ? Number(value) * 1_000 : undefined
}
