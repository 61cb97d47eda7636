/**
 * What a service's reply means for the records of one request.
 *
 * | Reply | Meaning |
 * | --- | --- |
 * | 2xx, text that is no JSON object, or an object without `failures` | all records are well |
 * | 2xx with `{"failures":[{"offset","action","reason","retryAfterMs"}]}` | the named records are not, the others are |
 * | 2xx that names an offset that was not sent, has a wrong form, or is over 1 MiB | all must be tried again |
 * | 4xx about the content (400, 409, 413, 422, …) | refused: look for the bad record |
 * | 401, 403, 404, 405, 407, 408, 425, 429, 3xx, 5xx, no reply | the service is unavailable |
 *
 * Of the last row a 5xx other than 503, a reply that never came and a connection that was cut are suspect: the records
 * may be what breaks the service.
 *
 * 401 to 407 speak of the address, the credentials or a deployment under way, not of a record: taken as a refusal they
 * would send a whole topic to the dead letters.
 */

import type { HttpReply } from '../http1/reply-parser.ts'
import type { SinkFailure, SinkOutcome } from './record-sink.ts'

const OK: SinkOutcome = { kind: 'ok' }
const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([401, 403, 404, 405, 407, 408, 425, 429])
/** Most characters of a service's own words in a reason. */
const REASON_MAX = 200

/** Reads a reply to a request with these offsets. */
export function readSinkReply(target: string, reply: HttpReply, offsets: readonly number[]): SinkOutcome {
  const { statusCode } = reply
  if (statusCode >= 200 && statusCode < 300) return readBody(target, reply, offsets)
  const reason = `target ${target} answered ${statusCode}`
  const isUnavailable = statusCode < 400 || statusCode >= 500 || UNAVAILABLE_STATUSES.has(statusCode)
  if (!isUnavailable) return { kind: 'rejected', reason: withDetail(reason, reply) }
  const retryAfterMs = retryAfter(reply.retryAfter)
  return {
    kind: 'unavailable',
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(statusCode >= 500 && statusCode !== 503 ? { isSuspect: true } : {})
  }
}

function readBody(target: string, reply: HttpReply, offsets: readonly number[]): SinkOutcome {
  if (reply.body === undefined) return unreadable(target, 'more than is read')
  // By far the most frequent replies, and not worth a parser.
  if (reply.body.length <= 2) return OK
  const text = reply.body.toString('utf8')
  // "OK" and HTML are a reply without a word about records; broken JSON may have had some.
  if (!/^\s*\{/.test(text)) return OK
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return unreadable(target, 'broken JSON')
  }
  const listed: unknown = isObject(body) ? body['failures'] : undefined
  if (listed === undefined || listed === null) return OK
  if (!Array.isArray(listed)) return unreadable(target, '"failures" that are not a list')
  return readFailures(target, listed, offsets)
}

function readFailures(target: string, listed: readonly unknown[], offsets: readonly number[]): SinkOutcome {
  if (listed.length === 0) return OK
  const sent = new Set(offsets)
  const byOffset = new Map<number, SinkFailure>()
  for (const failure of listed) {
    const offset: unknown = isObject(failure) ? failure['offset'] : undefined
    if (!isObject(failure) || typeof offset !== 'number' || !sent.has(offset)) {
      return unreadable(target, 'a failure at an offset that it was not sent')
    }
    byOffset.set(offset, failureOf(target, failure))
  }
  const failures = new Map<number, SinkFailure>()
  for (const [index, offset] of offsets.entries()) {
    const failure = byOffset.get(offset)
    if (failure !== undefined) failures.set(index, failure)
  }
  return { kind: 'partial', failures }
}

function failureOf(target: string, failure: Record<string, unknown>): SinkFailure {
  const { action, reason, retryAfterMs } = failure
  // A failure without a known action is still a failure: it is tried again.
  const known = action === 'deadLetter' || action === 'skip' ? action : 'retry'
  const words = typeof reason === 'string' ? reason.slice(0, REASON_MAX) : 'no reason given'
  const isDelayed = typeof retryAfterMs === 'number' && retryAfterMs >= 0
  return { action: known, reason: `target ${target}: ${words}`, ...(isDelayed ? { retryAfterMs } : {}) }
}

function unreadable(target: string, what: string): SinkOutcome {
  return { kind: 'unavailable', reason: `target ${target} answered ${what}`, isSuspect: true }
}

function withDetail(reason: string, reply: HttpReply): string {
  let body: unknown
  try {
    body = JSON.parse(reply.body?.toString('utf8') ?? '')
  } catch {
    return reason
  }
  const words = isObject(body) ? (body['message'] ?? body['error'] ?? body['reason']) : undefined
  return typeof words === 'string' ? `${reason}: ${words.slice(0, REASON_MAX)}` : reason
}

/** `Retry-After` in milliseconds; only its form in seconds is read. Source: RFC 9110 §10.2.3. */
function retryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value) ? Number(value) * 1_000 : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
