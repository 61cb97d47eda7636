/** The answers of the HTTP source: one place for status, error code and text. */

import type { ServerResponse } from 'node:http'

import type { ErrorCode } from '../../core/index.ts'
import { EVENT_OUTCOME, type Settlement } from '../delivery.ts'
import type { EventChunk } from '../event-chunk.ts'

/** An answer that refuses a request as a whole. */
export interface HttpRefusal {
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
  /** Seconds for `Retry-After`. */
  readonly retryAfterSeconds?: number
}

const BUSY_RETRY_SECONDS = 1
const DOWN_RETRY_SECONDS = 5
/** What is said when nobody knows: this instance has no share of a common limit at the moment. */
const UNKNOWN_RETRY_SECONDS = 30
const RETRY_SECONDS_MAX = 3600
/** Most runs of lines that an answer lists. */
const SHED_RUNS_MAX = 1000

/** A wait as `Retry-After` says it: whole seconds, at least 1, at most an hour. */
export function retryAfterSeconds(waitMs: number): number {
  if (!Number.isFinite(waitMs)) return UNKNOWN_RETRY_SECONDS
  return Math.min(RETRY_SECONDS_MAX, Math.max(BUSY_RETRY_SECONDS, Math.ceil(waitMs / 1000)))
}

/** Every way to refuse a request. */
export const REFUSAL = {
  contentType: (type: string): HttpRefusal => ({
    status: 415,
    code: 'ERR_PRODUCER_CONTENT_TYPE',
    message: `content type ${type === '' ? '(none)' : type}: send application/json or application/x-ndjson`
  }),
  encoding: (encoding: string): HttpRefusal => ({
    status: 415,
    code: 'ERR_PRODUCER_BODY_INVALID',
    message: `the content encoding ${encoding} is not taken: send gzip or none`
  }),
  encoded: (reason: string): HttpRefusal => ({
    status: 400,
    code: 'ERR_PRODUCER_BODY_INVALID',
    message: `the body cannot be decompressed: ${reason}`
  }),
  tooLarge: (bytesMax: number): HttpRefusal => ({
    status: 413,
    code: 'ERR_PRODUCER_BODY_TOO_LARGE',
    message: `the body has more than ${bytesMax} bytes: send fewer events in one request`
  }),
  tooMany: (eventsMax: number): HttpRefusal => ({
    status: 413,
    code: 'ERR_PRODUCER_BODY_TOO_LARGE',
    message: `the body has more than ${eventsMax} events: send fewer events in one request`
  }),
  invalid: (reason: string): HttpRefusal => ({
    status: 400,
    code: 'ERR_PRODUCER_BODY_INVALID',
    message: reason
  }),
  busy: (waitMs = 0): HttpRefusal => ({
    status: 429,
    code: 'ERR_PRODUCER_BUSY',
    message: 'too many events wait for Kafka: send the same request again later',
    retryAfterSeconds: retryAfterSeconds(waitMs)
  }),
  rateExceeded: (waitMs: number): HttpRefusal => ({
    status: 429,
    code: 'ERR_PRODUCER_RATE_EXCEEDED',
    message: 'more events than the rate limit allows: send the same request again later',
    retryAfterSeconds: retryAfterSeconds(waitMs)
  }),
  partlyShed: (waitMs: number): HttpRefusal => ({
    status: 429,
    code: 'ERR_PRODUCER_RATE_EXCEEDED',
    message: 'more events than the rate limits of topics allow: send the lines in `shed` again later',
    retryAfterSeconds: retryAfterSeconds(waitMs)
  }),
  unauthorized: (): HttpRefusal => ({
    status: 401,
    code: 'ERR_PRODUCER_UNAUTHORIZED',
    message: 'the request needs the bearer token of this source: authorization: Bearer <token>'
  }),
  keyInvalid: (): HttpRefusal => ({
    status: 400,
    code: 'ERR_PRODUCER_IDEMPOTENCY_KEY_INVALID',
    message: 'Idempotency-Key is no key: send 1 to 255 visible ASCII characters, in quotation marks or without'
  }),
  keyReused: (): HttpRefusal => ({
    status: 422,
    code: 'ERR_PRODUCER_IDEMPOTENCY_KEY_REUSED',
    message: 'this Idempotency-Key came with another body before: send new events with a new key'
  }),
  keyBusy: (): HttpRefusal => ({
    status: 409,
    code: 'ERR_PRODUCER_IDEMPOTENCY_KEY_BUSY',
    message: 'the first request with this Idempotency-Key has no answer yet: send the same request again later',
    retryAfterSeconds: BUSY_RETRY_SECONDS
  }),
  draining: (): HttpRefusal => ({
    status: 503,
    code: 'ERR_PRODUCER_DRAINING',
    message: 'this instance is stopping: send the request to another one, or again later',
    retryAfterSeconds: DOWN_RETRY_SECONDS
  }),
  away: (): HttpRefusal => ({
    status: 503,
    code: 'ERR_PRODUCER_AWAY',
    message: 'Kafka does not acknowledge records now: send the same request again later',
    retryAfterSeconds: DOWN_RETRY_SECONDS
  }),
  failed: (code: ErrorCode, message: string): HttpRefusal => ({
    status: 503,
    code,
    message,
    retryAfterSeconds: DOWN_RETRY_SECONDS
  })
} as const

/** An answer with a JSON body. */
export interface JsonAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends a JSON answer. Does nothing if the sender has gone. */
export function sendJson(response: ServerResponse, answer: JsonAnswer): void {
  if (response.destroyed || response.headersSent) return
  sendText(response, answer, textOf(answer))
}

/** An answer's body as it is sent. */
export function textOf(answer: JsonAnswer): string {
  return `${JSON.stringify(answer.body)}\n`
}

/** Sends an answer whose body is text already. Does nothing if the sender has gone. */
export function sendText(response: ServerResponse, answer: Pick<JsonAnswer, 'status' | 'headers'>, text: string): void {
  if (response.destroyed || response.headersSent) return
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    ...answer.headers
  })
  response.end(text)
}

/** The answer that refuses, with what of the request is safe in Kafka nevertheless. */
export function refusalAnswer(refusal: HttpRefusal, details: Readonly<Record<string, unknown>> = {}): JsonAnswer {
  const headers: Record<string, string> = {}
  if (refusal.retryAfterSeconds !== undefined) headers['retry-after'] = String(refusal.retryAfterSeconds)
  if (refusal.code === 'ERR_PRODUCER_DRAINING') headers['connection'] = 'close'
  if (refusal.status === 401) headers['www-authenticate'] = 'Bearer'
  const body = { error: { code: refusal.code, message: refusal.message }, ...details }
  return { status: refusal.status, body, headers }
}

/** Sends a refusal. */
export function sendRefusal(
  response: ServerResponse,
  refusal: HttpRefusal,
  details: Readonly<Record<string, unknown>> = {}
): void {
  sendJson(response, refusalAnswer(refusal, details))
}

/**
 * The answer to a request whose events all have their outcome.
 *
 * @param retryAfterMs - When the rate limit has room for what was shed.
 */
export function settledAnswer(chunk: EventChunk, settlement: Settlement, retryAfterMs = 0): JsonAnswer {
  const { deliveredCount, deadLetteredCount, spilledCount, refusedCount, shedCount, refusals, error } = settlement
  const accepted = deliveredCount + deadLetteredCount + spilledCount
  const rejected = refusals.map(({ line, problem: { reason, broken } }) => ({
    line,
    reason,
    ...(broken === undefined ? {} : { broken })
  }))
  const rejection = refusedCount > 0 ? { rejectedCount: refusedCount, rejected } : {}
  if (error !== undefined) {
    const details = { accepted, failedCount: settlement.failedCount, ...(shedCount > 0 ? { shedCount } : {}) }
    return refusalAnswer(REFUSAL.failed(error.code, error.message), { ...details, ...rejection })
  }
  if (shedCount === chunk.count && shedCount > 0)
    return refusalAnswer(REFUSAL.rateExceeded(retryAfterMs), { accepted, shedCount })
  if (shedCount > 0) {
    const details = { accepted, shedCount, shed: shedRuns(chunk, settlement.outcomes), ...rejection }
    return refusalAnswer(REFUSAL.partlyShed(retryAfterMs), details)
  }
  const spilled = spilledCount > 0 ? { spilled: spilledCount } : {}
  return {
    status: refusedCount > 0 ? 400 : 202,
    body: { accepted, deadLettered: deadLetteredCount, ...spilled, ...rejection }
  }
}

/** Which lines were shed: first and last of each run. */
function shedRuns(chunk: EventChunk, outcomes: Uint8Array): [number, number][] {
  const runs: [number, number][] = []
  let isOpen = false
  for (let index = 0; index < chunk.count; index += 1) {
    const isShed = outcomes[index] === EVENT_OUTCOME.shed
    const line = chunk.lines[index] ?? 0
    const last = runs.at(-1)
    if (isShed && isOpen && last !== undefined) last[1] = line
    else if (isShed) {
      if (runs.length === SHED_RUNS_MAX) return runs
      runs.push([line, line])
    }
    isOpen = isShed
  }
  return runs
}
