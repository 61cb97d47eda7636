/**
 * Events over HTTP: `POST /events` with a JSON object, a JSON array of objects,
 * or newline-delimited JSON; `GET /health`.
 *
 *   202  all events are in Kafka, acknowledged: {"accepted":n,"deadLettered":n}
 *   400  some events are bad: {"accepted":n,"rejectedCount":n,"rejected":[{"line","reason"}]}.
 *        The others are in Kafka; send only the rejected ones again, corrected.
 *   413  body too large · 415 content type · 429 too much is waiting, with Retry-After
 *   503  stopping, or Kafka did not acknowledge: send the request again, some of it may be stored
 *
 * Bad events are refused to the sender, who hears the answer, and not
 * dead-lettered; events that Kafka itself refuses are. On plain `node:http`: the
 * limits act before and while a body is read, which a framework's body parser
 * hides, and there is nothing to route.
 *
 * Content types are limited to those that a page of another origin cannot send
 * without a preflight, so that a browser cannot be made to post events to an
 * instance on its own machine.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { messageOf, PipelineError } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import type { Settlement } from '../delivery.ts'
import { ChunkBuilder, type EventChunk } from '../event-chunk.ts'
import type { Intake } from '../intake.ts'
import { looksLikeArray, splitJsonArray } from '../json-array.ts'
import { splitLines } from '../line-splitter.ts'
import type { HttpSourceConfig } from '../options.ts'
import { BodyBudget } from './body-budget.ts'
import { REFUSAL, sendJson, sendRefusal } from './http-answers.ts'
import { bodyFormat, readBody, refuseByHeaders } from './http-body.ts'
import { HttpConnections } from './http-connections.ts'
import type { Source, SourceProgress } from './source.ts'

/** Options of an HTTP source. */
export interface HttpSourceOptions extends Omit<HttpSourceConfig, 'type'> {
  /** Most requests that wait for Kafka at the same time; one more is answered with 429. Default 1_000. */
  readonly requestsMax?: number
  /** Most connections. Default 2_000. */
  readonly connectionsMax?: number
  /** Longest time for a whole request to arrive, in milliseconds; then 408. Default 30_000. */
  readonly requestTimeoutMs?: number
  /** Longest time for the headers of a request, in milliseconds; then 408. Default 10_000. */
  readonly headersTimeoutMs?: number
  readonly logger?: Logger
}

/** Where an HTTP source listens. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

const REJECTIONS_MAX = 100
const KEEP_ALIVE_MS = 5000
/** How often Node looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 1000

/** Serves `POST /events`. Runs once. */
export class HttpSource implements Source {
  readonly name = 'http'
  /** Where it listens; rejects with `ERR_PRODUCER_LISTEN_FAILED` if it cannot. */
  readonly listening: Promise<HttpAddress>
  readonly #options: HttpSourceOptions
  readonly #server: Server
  readonly #budget: BodyBudget
  readonly #bodyBytesMax: number
  readonly #logger: Logger
  #intake: Intake | undefined
  #isDraining = false
  readonly #connections = new HttpConnections()
  #pendingCount = 0
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0
  #onIdle: () => void = () => undefined
  #resolveListening: (address: HttpAddress) => void = () => undefined
  #rejectListening: (error: PipelineError) => void = () => undefined

  constructor(options: HttpSourceOptions) {
    this.#options = options
    this.#logger = options.logger ?? silentLogger
    this.#budget = new BodyBudget(options.pendingBytesMax)
    this.#bodyBytesMax = Math.min(options.bodyBytesMax, options.pendingBytesMax)
    this.listening = new Promise((resolve, reject) => {
      this.#resolveListening = resolve
      this.#rejectListening = reject
    })
    this.listening.catch(() => undefined) // also thrown by `run`
    this.#server = createServer({
      headersTimeout: options.headersTimeoutMs ?? 10_000,
      requestTimeout: options.requestTimeoutMs ?? 30_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, options.headersTimeoutMs ?? TIMEOUT_CHECK_MS)
    })
    this.#server.on('clientError', (error, socket) => this.#connections.failed(error, socket))
    this.#server.maxConnections = options.connectionsMax ?? 2000
    this.#server.on('request', (request, response) => void this.#serve(request, response))
  }

  /** Bytes of bodies that wait for Kafka. */
  get pendingBytes(): number {
    return this.#budget.bytes
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    this.#intake = intake
    await this.#listen()
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    // Still listening, so that whoever asks hears that this instance is stopping.
    this.#isDraining = true
    this.#server.closeIdleConnections()
    if (this.#pendingCount > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    }
    await this.close()
  }

  progress(): SourceProgress {
    return { eventCount: this.#eventCount, readBytes: this.#readBytes, safeBytes: this.#safeBytes }
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    }).catch((cause: unknown) => {
      const message = `cannot listen on ${host}:${port}: ${messageOf(cause)}`
      const error = new PipelineError('ERR_PRODUCER_LISTEN_FAILED', message, { cause })
      this.#rejectListening(error)
      throw error
    })
    this.#server.on('error', error => this.#logger.warn({ error: error.message }, 'http source'))
    const address = this.#server.address()
    const actual = typeof address === 'object' && address !== null ? address.port : port
    this.#logger.info({ host, port: actual }, 'http source is listening')
    this.#resolveListening({ host, port: actual })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#pendingCount += 1
    this.#connections.began(request)
    response.on('error', () => undefined) // the sender has gone: its events go on
    try {
      await this.#route(request, response)
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'http source: a request failed')
      sendJson(response, {
        status: 500,
        body: { error: { code: 'ERR_CORE_INVARIANT', message: 'the request failed' } }
      })
    } finally {
      discardRest(request, this.#bodyBytesMax)
      await flushed(response)
      this.#connections.ended(request)
      this.#pendingCount -= 1
      if (this.#pendingCount === 0) this.#onIdle()
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]
    if (path === '/health') {
      if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(response, 'GET, HEAD')
      const status = this.#isDraining ? 'draining' : 'ok'
      const body = { status, pendingBytes: this.#budget.bytes }
      return sendJson(response, { status: this.#isDraining ? 503 : 200, body })
    }
    if (path !== '/events')
      return sendJson(response, { status: 404, body: { error: { message: 'not found: POST /events, GET /health' } } })
    if (request.method !== 'POST') return methodNotAllowed(response, 'POST')
    await this.#takeEvents(request, response)
  }

  async #takeEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const intake = this.#intake
    if (this.#isDraining || intake === undefined) return sendRefusal(response, REFUSAL.draining())
    if (this.#pendingCount > (this.#options.requestsMax ?? 1000)) return sendRefusal(response, REFUSAL.busy())
    const limits = { budget: this.#budget, bodyBytesMax: this.#bodyBytesMax }
    const early = refuseByHeaders(request, limits)
    if (early !== undefined) return sendRefusal(response, early)
    const reading = await readBody(request, limits)
    if (reading.kind === 'refused') return sendRefusal(response, reading.refusal)
    if (reading.kind === 'gone') return
    try {
      this.#readBytes += reading.body.length
      const chunk = eventsOf(reading.body, bodyFormat(request))
      if (typeof chunk === 'string') return sendRefusal(response, REFUSAL.invalid(chunk), { accepted: 0 })
      this.#eventCount += chunk.count
      const submission = await intake.submit(chunk, {
        source: this.name,
        onProblem: 'refuse',
        refusalsMax: REJECTIONS_MAX
      })
      const settlement = await submission.settled
      if (settlement.error === undefined) this.#safeBytes += reading.body.length
      answer(response, settlement)
    } finally {
      this.#budget.release(reading.heldBytes)
    }
  }
}

/** The events of a body, or why it has none. */
function eventsOf(body: Buffer, format: 'json' | 'lines'): EventChunk | string {
  if (format === 'lines') return splitLines(body) ?? 'the body holds no event'
  if (looksLikeArray(body)) return splitJsonArray(body)
  const event = new ChunkBuilder()
  const [start, end] = trimmed(body)
  if (start === end) return 'the body holds no event'
  event.add(start, end, 1)
  return event.build(body, body.length)
}

function trimmed(body: Buffer): [number, number] {
  const isBlank = (byte: number | undefined): boolean =>
    byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
  let start = 0
  let end = body.length
  while (start < end && isBlank(body[start])) start += 1
  while (end > start && isBlank(body[end - 1])) end -= 1
  return [start, end]
}

function answer(response: ServerResponse, settlement: Settlement): void {
  const { deliveredCount, deadLetteredCount, spilledCount, refusedCount, refusals, error } = settlement
  const accepted = deliveredCount + deadLetteredCount + spilledCount
  const rejected = refusals.map(({ line, problem }) => ({ line, reason: problem.reason }))
  const rejection = { rejectedCount: refusedCount, rejected }
  if (error !== undefined) {
    const failed = { accepted, failedCount: settlement.failedCount, ...(refusedCount > 0 ? rejection : {}) }
    return sendRefusal(response, REFUSAL.failed(error.code, error.message), failed)
  }
  if (refusedCount > 0)
    return sendJson(response, { status: 400, body: { accepted, deadLettered: deadLetteredCount, ...rejection } })
  sendJson(response, { status: 202, body: { accepted, deadLettered: deadLetteredCount } })
}

function methodNotAllowed(response: ServerResponse, allow: string): void {
  sendJson(response, { status: 405, body: { error: { message: `allowed: ${allow}` } }, headers: { allow } })
}

/** Resolves when the answer has been handed to the system, or its connection is gone. */
function flushed(response: ServerResponse): Promise<void> {
  if (response.writableFinished || response.destroyed) return Promise.resolve()
  return new Promise(resolve => {
    response.once('finish', resolve)
    response.once('close', resolve)
  })
}

/**
 * Reads and drops what is left of a body, so that a sender in the middle of
 * sending still gets to read the answer; not without end.
 */
function discardRest(request: IncomingMessage, bytesMax: number): void {
  if (request.complete || request.destroyed) return
  let bytes = 0
  request.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (bytes > bytesMax) request.destroy()
  })
  request.on('error', () => undefined)
  request.resume()
}
