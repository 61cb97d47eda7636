/**
 * Events over HTTP: `POST /events` with a JSON object, a JSON array of objects,
 * or newline-delimited JSON; `GET /health`. All answers: docs/guides/http-intake.md.
 *
 *   202  all events are in Kafka, acknowledged: {"accepted":n,"deadLettered":n}
 *   400  some events are bad: {"accepted":n,"rejectedCount":n,"rejected":[{"line","reason"}]}.
 *        The others are in Kafka; send only the rejected ones again, corrected.
 *   401  without the bearer token · 413 body too large · 415 content type
 *   409  the first request with this Idempotency-Key is under way · 422 it had another body
 *   429  too much is waiting, or more than the rate allows, with Retry-After
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

import { type Clock, messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { type Logger, silentLogger } from '../../telemetry/index.ts'
import { ChunkBuilder, type EventChunk } from '../event-chunk.ts'
import type { Intake } from '../intake.ts'
import { looksLikeArray, splitJsonArray } from '../json-array.ts'
import { splitLines } from '../line-splitter.ts'
import type { HttpSourceConfig } from '../options.ts'
import { BodyBudget } from './body-budget.ts'
import { type HttpRefusal, REFUSAL, sendJson, sendRefusal, sendText, settledAnswer, textOf } from './http-answers.ts'
import { bodyFormat, readBody, refuseByHeaders } from './http-body.ts'
import { fingerprintOf, IdempotencyStore, idempotencyKeyOf, type KeptAnswer } from './http-idempotency.ts'
import { contextOf, CORRELATION_HEADERS, isAuthorized } from './http-request.ts'
import { createTlsServer, type TlsFiles, TlsMaterial } from './http-tls.ts'
import { HttpConnections } from './http-connections.ts'
import type { Source, SourceProgress } from './source.ts'

/** Options of an HTTP source. */
export interface HttpSourceOptions extends Omit<HttpSourceConfig, 'type' | 'idempotency' | 'tls'> {
  /** Answers that are kept for requests with an `Idempotency-Key`. Default: such keys are passed on, not looked at. */
  readonly idempotency?: HttpSourceConfig['idempotency']
  /** Serves TLS with these files. Default: without. */
  readonly tls?: TlsFiles | undefined
  /** Headers of a request that may have its correlation id. Default `x-correlation-id`, `x-request-id`. */
  readonly correlationHeaders?: readonly string[]
  /** Most requests that wait for Kafka at the same time; one more is answered with 429. Default 1_000. */
  readonly requestsMax?: number
  /** Most connections. Default 2_000. */
  readonly connectionsMax?: number
  /** Longest time for a whole request to arrive, in milliseconds; then 408. Default 30_000. */
  readonly requestTimeoutMs?: number
  /** Longest time for the headers of a request, in milliseconds; then 408. Default 10_000. */
  readonly headersTimeoutMs?: number
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Where an HTTP source listens. */
export interface HttpAddress {
  readonly protocol: 'http' | 'https'
  readonly host: string
  readonly port: number
}

const REJECTIONS_MAX = 100
/** What an event takes besides its bytes: where it lies, its line, its outcome. */
const EVENT_BYTES = 13
/** Longest time for which a body of very short events waits for room, in milliseconds. */
const EVENTS_PAUSE_MS = 1000
const KEEP_ALIVE_MS = 5000
/** Longest time for an answer to leave, in milliseconds, which it does at once unless its sender does not read. */
const UNREAD_MS = 10_000
const ACCEPT_POST = 'application/json, application/x-ndjson'
/** Answers that will not change when the same request comes again. */
const FINAL: ReadonlySet<number> = new Set([202, 400])
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
  readonly #clock: Clock
  readonly #tls: TlsMaterial | undefined
  readonly #answers: IdempotencyStore | undefined
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
    this.#clock = options.clock ?? systemClock
    const { idempotency, tls } = options
    if (idempotency !== undefined) this.#answers = new IdempotencyStore(idempotency)
    const settings = {
      headersTimeout: options.headersTimeoutMs ?? 10_000,
      requestTimeout: options.requestTimeoutMs ?? 30_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, options.headersTimeoutMs ?? TIMEOUT_CHECK_MS)
    }
    if (tls === undefined) this.#server = createServer(settings)
    else {
      const server = createTlsServer(settings, tls)
      this.#tls = new TlsMaterial(server, tls, { clock: this.#clock, logger: this.#logger })
      this.#server = server
    }
    this.#server.on('clientError', (error, socket) => this.#connections.failed(error, socket))
    this.#server.maxConnections = options.connectionsMax ?? 2000
    const serve = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response)
    this.#server.on('request', serve)
    // Who asks before sending the body hears a refusal instead of an invitation.
    this.#server.on('checkContinue', serve)
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
    this.#tls?.close()
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #listen(): Promise<void> {
    const { host, port, token } = this.#options
    try {
      await this.#tls?.load()
    } catch (error) {
      if (PipelineError.is(error)) this.#rejectListening(error)
      throw error
    }
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
    if (token === undefined && !isLoopback(host)) {
      this.#logger.warn(
        { host },
        'anybody who reaches this address may publish events: set `token`, or listen on loopback'
      )
    }
    this.#resolveListening({ protocol: this.#tls === undefined ? 'http' : 'https', host, port: actual })
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
      await flushed(response, this.#clock)
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
      const outlet = this.#intake?.outletState
      const body = { status, pendingBytes: this.#budget.bytes, ...(outlet === undefined ? {} : { outlet }) }
      return sendJson(response, { status: this.#isDraining ? 503 : 200, body })
    }
    if (path !== '/events')
      return sendJson(response, { status: 404, body: { error: { message: 'not found: POST /events, GET /health' } } })
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { allow: 'POST, OPTIONS', 'accept-post': ACCEPT_POST }).end()
      return
    }
    if (request.method !== 'POST') return methodNotAllowed(response, 'POST, OPTIONS')
    await this.#takeEvents(request, response)
  }

  async #takeEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const intake = this.#intake
    if (intake === undefined) return sendRefusal(response, REFUSAL.draining())
    const early = this.#refusal(request, intake)
    if (early !== undefined) return sendRefusal(response, early)
    const keyText = request.headers['idempotency-key']
    const key = typeof keyText === 'string' ? idempotencyKeyOf(keyText) : undefined
    if (keyText !== undefined && key === undefined) return sendRefusal(response, REFUSAL.keyInvalid())
    const receivedAtMs = this.#clock.now()
    if (request.headers.expect !== undefined) response.writeContinue()
    const reading = await readBody(request, {
      budget: this.#budget,
      bodyBytesMax: this.#bodyBytesMax,
      retryAfterMs: () => intake.retryAfterMs?.() ?? 0
    })
    if (reading.kind === 'refused') return sendRefusal(response, reading.refusal)
    if (reading.kind === 'gone') return
    try {
      this.#readBytes += reading.body.length
      await this.#answerBody({ request, response, intake, body: reading.body, key, receivedAtMs })
    } finally {
      this.#budget.release(reading.heldBytes)
    }
  }

  /** Why a request is refused before its body is read. */
  #refusal(request: IncomingMessage, intake: Intake): HttpRefusal | undefined {
    const { token, requestsMax = 1000 } = this.#options
    if (token !== undefined && !isAuthorized(request, token)) return REFUSAL.unauthorized()
    if (this.#isDraining) return REFUSAL.draining()
    if (intake.isAwayRefused === true) return REFUSAL.away()
    const retryAfterMs = (): number => intake.retryAfterMs?.() ?? 0
    if (this.#pendingCount > requestsMax) return REFUSAL.busy(retryAfterMs())
    return refuseByHeaders(request, { budget: this.#budget, bodyBytesMax: this.#bodyBytesMax, retryAfterMs })
  }

  /** Publishes the events of a body, once for each key. */
  async #answerBody(taken: TakenRequest): Promise<void> {
    const { request, response, body, key } = taken
    const answers = this.#answers
    if (answers === undefined || key === undefined) {
      await this.#publish(taken)
      return
    }
    const verdict = answers.begin(key, fingerprintOf(bodyFormat(request), body), this.#clock.monotonicMs())
    if (verdict.kind === 'mismatch') return sendRefusal(response, REFUSAL.keyReused())
    if (verdict.kind === 'busy') return sendRefusal(response, REFUSAL.keyBusy())
    if (verdict.kind === 'full') return sendRefusal(response, REFUSAL.busy())
    if (verdict.kind === 'answered') {
      const { status, text } = verdict.answer
      return sendText(response, { status, headers: { 'idempotency-replayed': 'true' } }, text)
    }
    try {
      const answer = await this.#publish(taken)
      if (answer !== undefined && FINAL.has(answer.status)) answers.keep(key, answer, this.#clock.monotonicMs())
    } finally {
      answers.forgetOpen(key)
    }
  }

  /** Publishes the events of a body and sends the answer, which it returns; `undefined` if the body has no events. */
  async #publish(taken: TakenRequest): Promise<KeptAnswer | undefined> {
    const { request, response, intake, body } = taken
    const chunk = eventsOf(body, bodyFormat(request))
    if (typeof chunk === 'string') {
      sendRefusal(response, REFUSAL.invalid(chunk), { accepted: 0 })
      return undefined
    }
    const moreBytes = Math.max(0, chunk.count * EVENT_BYTES - body.length)
    const refusal = await this.#takeMore(moreBytes, body.length, intake)
    if (refusal !== undefined) {
      sendRefusal(response, refusal, { accepted: 0 })
      return undefined
    }
    try {
      return await this.#settle(chunk, taken)
    } finally {
      this.#budget.release(moreBytes)
    }
  }

  /** Makes room for events so short that they take more than their bytes; why that is not possible. */
  async #takeMore(bytes: number, bodyBytes: number, intake: Intake): Promise<HttpRefusal | undefined> {
    const { pendingBytesMax } = this.#options
    if (bodyBytes + bytes > pendingBytesMax) return REFUSAL.tooMany(Math.floor(pendingBytesMax / EVENT_BYTES))
    if (await this.#budget.takeWithin(bytes, EVENTS_PAUSE_MS)) return undefined
    return REFUSAL.busy(intake.retryAfterMs?.() ?? 0)
  }

  /** Hands over the events of a request and answers when all have their outcome. */
  async #settle(chunk: EventChunk, taken: TakenRequest): Promise<KeptAnswer> {
    const { request, response, intake, body, key } = taken
    this.#eventCount += chunk.count
    const { correlationHeaders = CORRELATION_HEADERS } = this.#options
    const submission = await intake.submit(chunk, {
      source: this.name,
      onProblem: 'refuse',
      refusalsMax: REJECTIONS_MAX,
      context: contextOf(request, { correlationHeaders, idempotencyKey: key, receivedAtMs: taken.receivedAtMs })
    })
    const settlement = await submission.settled
    if (settlement.error === undefined) this.#safeBytes += body.length
    const answer = settledAnswer(chunk, settlement, submission.retryAfterMs)
    const text = textOf(answer)
    sendText(response, answer, text)
    return { status: answer.status, text }
  }
}

/** A request whose body was read. */
interface TakenRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly intake: Intake
  readonly body: Buffer
  readonly key: string | undefined
  readonly receivedAtMs: number
}

/** The events of a body, or why it has none. */
function eventsOf(body: Buffer, format: 'json' | 'lines'): EventChunk | string {
  if (format === 'lines') return splitLines(body) ?? 'the body holds no event'
  if (looksLikeArray(body)) return splitJsonArray(body)
  const event = new ChunkBuilder(1)
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

/** Whether only this machine reaches an address. A name is not looked up: it may be anything. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

function methodNotAllowed(response: ServerResponse, allow: string): void {
  sendJson(response, { status: 405, body: { error: { message: `allowed: ${allow}` } }, headers: { allow } })
}

/**
 * Resolves when the answer has been handed to the system, or its connection is gone. A sender that does not read its
 * answers loses its connection after a while: it would hold its place among the requests for ever.
 */
function flushed(response: ServerResponse, clock: Clock): Promise<void> {
  if (response.writableFinished || response.destroyed) return Promise.resolve()
  return new Promise(resolve => {
    const look = (): void => {
      // Without a socket it waits behind another answer of its connection, which is not its sender's doing.
      if (response.socket === null) timer = clock.after(UNREAD_MS, look)
      else response.destroy()
    }
    let timer = clock.after(UNREAD_MS, look)
    const end = (): void => {
      timer.cancel()
      resolve()
    }
    response.once('finish', end)
    response.once('close', end)
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
