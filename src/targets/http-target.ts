/**
 * HTTP target: one POST per batch over kept-alive HTTP/1.1 connections.
 *
 * The client is our own (`http1/`): a general one costs several times the CPU of a request and 20 MB of memory.
 * The body is the payload as it is; headers tell what a receiver may need
 * without parsing it. Redirects are not followed: a batch goes where the
 * configuration says. Statuses are mapped by `httpStatusOutcome`.
 */

import { type Clock, headerProblem, messageOf, PipelineError, systemClock } from '../core/index.ts'
import { type Logger, silentLogger, type SpanAttributes } from '../telemetry/index.ts'
import { networkOutcome, retryAfterMs } from './failures.ts'
import { traceHeaders } from './http-trace.ts'
import { HttpClient } from './http1/http-client.ts'
import type { HttpReply } from './http1/reply-parser.ts'
import { LoudLog } from './loud-log.ts'
import { readReplyText } from './reply.ts'
import { INVALID_REPLY, type Target, type TargetBatch, type TargetOutcome, TOO_LARGE } from './target.ts'

/** Largest reply that is read, in bytes. */
const REPLY_BYTES_MAX = 4_194_304

/** Share of the time for an answer in which the connection must be there. */
const CONNECT_SHARE = 0.8

/** What an HTTP target is made from. */
export interface HttpTargetOptions {
  /** Where batches are posted. */
  readonly url: string
  /** Headers of every request, for example `authorization`. Default none. */
  readonly headers?: Readonly<Record<string, string>>
  /** Longest wait for an answer, in milliseconds. Default 30_000. */
  readonly timeoutMs?: number
  /** Most connections. Default: as many as there are invocations at once, which the dispatcher limits. */
  readonly connectionsMax?: number
  /** Largest body that is sent, in bytes. Default 104_857_600. */
  readonly bodyBytesMax?: number
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Posts batches to a URL. */
export class HttpTarget implements Target {
  readonly name: string
  readonly spanAttributes: SpanAttributes
  readonly bodyBytesMax: number
  readonly timeoutMs: number
  readonly #client: HttpClient
  /** Request line and headers that all requests have. */
  readonly #headStart: string
  readonly #clock: Clock
  readonly #loud: LoudLog

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if the URL is no http or https URL, or a header is wrong. */
  constructor(options: HttpTargetOptions) {
    const url = parseUrl(options.url)
    this.name = `http:${url.host}`
    this.spanAttributes = { 'http.request.method': 'POST', 'server.address': url.hostname, 'server.port': portOf(url) }
    this.bodyBytesMax = options.bodyBytesMax ?? 104_857_600
    this.timeoutMs = options.timeoutMs ?? 30_000
    this.#headStart = headStart(url, options.headers ?? {})
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
    this.#client = new HttpClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: portOf(url),
      isTls: url.protocol === 'https:',
      // Before the invocation is given up: then it would look as if the target had got the records.
      connectTimeoutMs: Math.min(10_000, this.timeoutMs * CONNECT_SHARE),
      connectionsMax: options.connectionsMax,
      clock: this.#clock
    })
  }

  async invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    const head =
      `${this.#headStart}content-type: ${batch.contentType}\r\ncontent-length: ${batch.body.length}\r\n` +
      `idempotency-key: ${batch.idempotencyKey}\r\ncomporta-attempt: ${batch.attempt}\r\n` +
      `comporta-record-count: ${batch.recordCount}\r\n${traceHeaders(batch.trace)}\r\n`
    try {
      const reply = await this.#client.send({ head, body: batch.body, replyBytesMax: REPLY_BYTES_MAX, signal })
      return this.#outcome(reply, batch)
    } catch (error) {
      // Even if a status came: without the rest it is not known whether the records were processed.
      return networkOutcome(error)
    }
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  #outcome({ statusCode, body, retryAfter }: HttpReply, batch: TargetBatch): TargetOutcome {
    if (statusCode >= 200 && statusCode < 300) {
      if (body === undefined) {
        return { kind: 'rejected', reason: `the reply is over ${REPLY_BYTES_MAX} bytes`, errorClass: INVALID_REPLY }
      }
      return body.length === 0 ? { kind: 'ok' } : readReplyText(body.toString('utf8'), batch)
    }
    if (isConfigurationStatus(statusCode)) {
      this.#loud.error(
        { target: this.name, statusCode },
        `the target answers ${statusCode}: check its URL and credentials`
      )
    }
    return httpStatusOutcome(statusCode, retryAfterMs(retryAfter, this.#clock.now()))
  }
}

/** What a status other than 2xx means for a batch. The table is in docs/reference/outcomes.md. */
export function httpStatusOutcome(statusCode: number, retryAfter?: number): TargetOutcome {
  const reason = `the target answered with status ${statusCode}`
  const wait = retryAfter === undefined ? {} : { retryAfterMs: retryAfter }
  if (statusCode === 413) return { kind: 'rejected', reason, errorClass: TOO_LARGE }
  if (statusCode === 429) return { kind: 'unavailable', reason, isThrottled: true, ...wait }
  const isNotNow = statusCode === 408 || statusCode === 425 || statusCode === 503
  if (isNotNow || isConfigurationStatus(statusCode)) return { kind: 'unavailable', reason, ...wait }
  if (statusCode >= 500) return { kind: 'unavailable', reason, isSuspect: true, ...wait }
  return { kind: 'rejected', reason, errorClass: `Http${statusCode}` }
}

/** Whether a status says that the request never reached what should judge the records: wrong place or no right. */
function isConfigurationStatus(statusCode: number): boolean {
  if (statusCode < 400) return true
  return statusCode === 401 || statusCode === 403 || statusCode === 404 || statusCode === 405 || statusCode === 407
}

function parseUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch (error) {
    throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target url: ${messageOf(error)}`, { cause: error })
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new PipelineError(
    'ERR_DISPATCHER_TARGET_INVALID',
    `target url: ${url.protocol} is not supported, use http or https`
  )
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** Headers that each request has a value of its own for. */
const OWN = new Set([
  'content-type',
  'idempotency-key',
  'comporta-attempt',
  'comporta-record-count',
  'traceparent',
  'tracestate'
])

function headStart(url: URL, headers: Readonly<Record<string, string>>): string {
  const lines = [`POST ${url.pathname}${url.search} HTTP/1.1`]
  const names = Object.keys(headers).map(name => name.toLowerCase())
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) {
    // Most servers answer a second `host` with 400, which would be held against the records.
    const message = `target headers: ${JSON.stringify(twice)} is there twice: names have no upper and lower case`
    throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', message)
  }
  if (!names.includes('host')) lines.push(`host: ${url.host}`)
  for (const [name, value] of Object.entries(headers)) {
    const problem = headerProblem(name, value)
    if (problem !== undefined) {
      throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target headers: ${JSON.stringify(name)} ${problem}`)
    }
    if (!OWN.has(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  return `${lines.join('\r\n')}\r\n`
}
