/** One HTTP request of the runtime's API and the ways to answer it. */

import type { IncomingMessage, ServerResponse } from 'node:http'

import type { ApiError } from './api-errors.ts'

/** A request and where its answer goes. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  readonly query: URLSearchParams
}

/** An answer with its body as bytes. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** The value of a header that was sent once. */
export function header(exchange: Exchange, name: string): string | undefined {
  const value = exchange.request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Answers with an error of the API. What is left of the request is read and thrown away. */
export function answerError(exchange: Exchange, error: ApiError): void {
  const headers = { ...error.headers, 'x-amzn-ErrorType': error.type }
  exchange.request.resume()
  answer(exchange, { status: error.status, headers, body: Buffer.from(JSON.stringify(error.body)) })
}

/** Answers with JSON. */
export function answerJson(exchange: Exchange, status: number, body: unknown): void {
  answer(exchange, { status, body: Buffer.from(JSON.stringify(body)) })
}

/** Answers, unless the client is gone or has its answer. */
export function answer({ request, response, requestId }: Exchange, { status, headers, body }: Answer): void {
  if (response.headersSent || response.destroyed) return
  // What was not read to its end would be taken for the next request.
  const connection = request.complete ? undefined : { Connection: 'close' }
  response.writeHead(status, {
    ...headers,
    ...connection,
    'x-amzn-RequestId': requestId,
    'Content-Type': 'application/json',
    'Content-Length': body?.byteLength ?? 0
  })
  response.end(body)
}
