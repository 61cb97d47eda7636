/** What an HTTP request says besides its body: who sends it, and what its events belong to. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import type { ChunkContext } from '../chunk-context.ts'

/** Headers of a request that may name it, where nothing else is configured. */
export const CORRELATION_HEADERS: readonly string[] = ['x-correlation-id', 'x-request-id']

/**
 * Whether a request has the bearer token. Takes as long for a wrong token as for the right one.
 *
 * @param token - The right one.
 */
export function isAuthorized(request: IncomingMessage, token: string): boolean {
  const given = /^bearer +([^ ]+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  return timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** What is the same for all events of a request. */
export function contextOf(
  request: IncomingMessage,
  options: {
    /** Names of headers that may have the correlation id; the first that is there counts. */
    readonly correlationHeaders: readonly string[]
    readonly idempotencyKey: string | undefined
    /** Milliseconds since 1970. */
    readonly receivedAtMs: number
  }
): ChunkContext {
  const { correlationHeaders, idempotencyKey, receivedAtMs } = options
  const correlationId = correlationHeaders.map(name => one(request, name)).find(value => value !== undefined)
  const traceparent = one(request, 'traceparent')
  const tracestate = one(request, 'tracestate')
  return {
    isOneRequest: true,
    receivedAtMs,
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey })
  }
}

/** A header, its repetitions joined by commas. */
function one(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()]
  return Array.isArray(value) ? value.join(',') : value
}
