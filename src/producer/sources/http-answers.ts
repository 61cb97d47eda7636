/** The answers of the HTTP source: one place for status, error code and text. */

import type { ServerResponse } from 'node:http'

import type { ErrorCode } from '../../core/index.ts'

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
  invalid: (reason: string): HttpRefusal => ({
    status: 400,
    code: 'ERR_PRODUCER_BODY_INVALID',
    message: reason
  }),
  busy: (): HttpRefusal => ({
    status: 429,
    code: 'ERR_PRODUCER_BUSY',
    message: 'too many events wait for Kafka: send the same request again later',
    retryAfterSeconds: BUSY_RETRY_SECONDS
  }),
  draining: (): HttpRefusal => ({
    status: 503,
    code: 'ERR_PRODUCER_DRAINING',
    message: 'this instance is stopping: send the request to another one, or again later',
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
  const text = `${JSON.stringify(answer.body)}\n`
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    ...answer.headers
  })
  response.end(text)
}

/** Sends a refusal, with what of the request is safe in Kafka nevertheless. */
export function sendRefusal(
  response: ServerResponse,
  refusal: HttpRefusal,
  details: Readonly<Record<string, unknown>> = {}
): void {
  const headers: Record<string, string> = {}
  if (refusal.retryAfterSeconds !== undefined) headers['retry-after'] = String(refusal.retryAfterSeconds)
  if (refusal.code === 'ERR_PRODUCER_DRAINING') headers['connection'] = 'close'
  const body = { error: { code: refusal.code, message: refusal.message }, ...details }
  sendJson(response, { status: refusal.status, body, headers })
}
