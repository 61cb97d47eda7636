/**
 * HTTP target: one POST per batch over kept-alive HTTP/1.1 connections.
 *
 * The body is the payload as it is; headers tell what a receiver may need
 * without parsing it. Redirects are not followed: a batch goes where the
 * configuration says. Statuses are mapped by `httpStatusOutcome`.
 */

import { validateHeaderName, validateHeaderValue } from 'node:http'

import { type Dispatcher, Pool } from 'undici'

import { type Clock, messageOf, PipelineError, systemClock } from '../core/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import { networkOutcome, retryAfterMs } from './failures.ts'
import { LoudLog } from './loud-log.ts'
import { readReplyText } from './reply.ts'
import { INVALID_REPLY, type Target, type TargetBatch, type TargetOutcome, TOO_LARGE } from './target.ts'

/** Largest reply that is read, in bytes. */
const REPLY_BYTES_MAX = 4_194_304

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
  readonly bodyBytesMax: number
  readonly timeoutMs: number
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #clock: Clock
  readonly #loud: LoudLog

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if the URL is no http or https URL, or a header is wrong. */
  constructor(options: HttpTargetOptions) {
    const url = parseUrl(options.url)
    this.name = `http:${url.host}`
    this.bodyBytesMax = options.bodyBytesMax ?? 104_857_600
    this.timeoutMs = options.timeoutMs ?? 30_000
    this.#path = url.pathname + url.search
    this.#headers = checkedHeaders(options.headers ?? {})
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
    // The dispatcher times invocations itself; undici's own timers would only answer less precisely.
    this.#pool = new Pool(url.origin, {
      connections: options.connectionsMax ?? null,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connectTimeout: Math.min(10_000, this.timeoutMs)
    })
  }

  async invoke(batch: TargetBatch, signal: AbortSignal): Promise<TargetOutcome> {
    let response: Dispatcher.ResponseData
    try {
      response = await this.#pool.request({
        method: 'POST',
        path: this.#path,
        headers: {
          ...this.#headers,
          'content-type': batch.contentType,
          'idempotency-key': batch.idempotencyKey,
          'comporta-attempt': String(batch.attempt),
          'comporta-record-count': String(batch.recordCount)
        },
        body: batch.body,
        signal
      })
    } catch (error) {
      return networkOutcome(error)
    }
    try {
      return await this.#read(response, batch)
    } catch (error) {
      // The status came, the rest did not: whether the records were processed is not known.
      return networkOutcome(error)
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #read(response: Dispatcher.ResponseData, batch: TargetBatch): Promise<TargetOutcome> {
    const { statusCode, headers, body } = response
    if (statusCode >= 200 && statusCode < 300) {
      const lengthText = headers['content-length']
      if (statusCode === 204 || lengthText === '0') {
        await body.dump()
        return { kind: 'ok' }
      }
      const text = await readLimited(body)
      if (text === undefined) {
        return { kind: 'rejected', reason: `the reply is over ${REPLY_BYTES_MAX} bytes`, errorClass: INVALID_REPLY }
      }
      return readReplyText(text, batch)
    }
    await body.dump({ limit: 65_536 })
    const outcome = httpStatusOutcome(statusCode, retryAfterMs(headers['retry-after'], this.#clock.now()))
    if (isConfigurationStatus(statusCode)) {
      this.#loud.error(
        { target: this.name, statusCode },
        `the target answers ${statusCode}: check its URL and credentials`
      )
    }
    return outcome
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

function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch (error) {
      // The message names the header; its value may be a secret.
      const message = `target headers: ${JSON.stringify(name)} is not a valid header`
      throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', message, { cause: error })
    }
  }
  return headers
}

async function readLimited(body: Dispatcher.ResponseData['body']): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let byteCount = 0
  for await (const chunk of body) {
    // Without an encoding set, the body yields buffers.
    const bytes = chunk as Buffer
    byteCount += bytes.length
    if (byteCount > REPLY_BYTES_MAX) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}
