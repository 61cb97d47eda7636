/**
 * HTTP sink: posts the records of one request to a service, as one JSON object, over kept connections.
 *
 * ```
 * POST /events
 * idempotency-key: mt-c300-3-1001-1003-alerts
 *
 * {"source":{"topic":"mt-c300","partition":3},"messages":[{…},{…}],"offsets":[1001,1003],
 *  "idempotencyKeys":["mt-c300-3-1001","mt-c300-3-1003"]}
 * ```
 *
 * Texts are passed on as they are. What a reply means is in `http-sink-reply.ts`; redirects are not followed.
 */

import { type Clock, headerProblem, messageOf, PipelineError, systemClock } from '../../core/index.ts'
import { networkOutcome } from '../failures.ts'
import { traceHeaders } from '../http-trace.ts'
import { HttpClient } from '../http1/http-client.ts'
import { readSinkReply } from './http-sink-reply.ts'
import type { RecordSink, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'

/** Most bytes of a service's reply that are read. */
const REPLY_BYTES_MAX = 1_048_576
/** Longest wait for a connection, in milliseconds: a service that cannot be reached has not seen the records. */
const CONNECT_TIMEOUT_MS = 3_000

/** The value of a header, or the environment variable that holds it: secrets stay out of files. */
export type HeaderValue = string | { readonly env: string }

/** An HTTP target in the configuration. */
export interface HttpSinkSettings {
  readonly type: 'http'
  /** Address that records are posted to: `http:` or `https:`. */
  readonly url: string
  /** Headers of every request, for example `authorization`. Default none. */
  readonly headers?: Readonly<Record<string, HeaderValue>>
  /** Most connections. Integer, at least 1. Default 16. */
  readonly connectionsMax?: number
  /** Most records in one request. Integer, at least 1. Default 500. */
  readonly recordsMax?: number
  /** Most bytes of records in one request; one larger record goes alone. Integer, at least 1. Default 1_048_576. */
  readonly bytesMax?: number
  /** Largest record, in bytes; larger ones are dead-lettered without a request. Integer, at least 1. Default: none. */
  readonly recordBytesMax?: number
}

/** What an HTTP sink is made from. */
export interface HttpSinkOptions extends Omit<HttpSinkSettings, 'type'> {
  readonly name: string
  /** Where `{ env: … }` in headers is looked up. Default: nowhere. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly clock?: Clock
}

/** Variables that headers may name. */
type Environment = Readonly<Record<string, string | undefined>>

/** Posts records to a service. */
export class HttpSink implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly #client: HttpClient
  /** Request line and headers that all requests have. */
  readonly #headStart: string

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: HttpSinkOptions) {
    const problems = httpSinkProblems({ type: 'http', ...settingsOf(options) }, options.environment ?? {})
    if (problems.length > 0) {
      throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target ${options.name}: ${problems.join('; ')}`)
    }
    const url = new URL(options.url)
    const isTls = url.protocol === 'https:'
    this.name = options.name
    this.limits = {
      recordsMax: options.recordsMax ?? 500,
      bytesMax: options.bytesMax ?? 1_048_576,
      ...(options.recordBytesMax === undefined ? {} : { recordBytesMax: options.recordBytesMax })
    }
    this.#headStart = headStart(url, options.headers ?? {}, options.environment ?? {})
    this.#client = new HttpClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      isTls,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      connectionsMax: options.connectionsMax ?? 16,
      clock: options.clock ?? systemClock
    })
  }

  async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    try {
      const body = Buffer.from(requestBody(request), 'utf8')
      const idempotencyKey = headerText(`${request.requestId}-${this.name}`)
      const own = `content-length: ${body.length}\r\nidempotency-key: ${idempotencyKey}\r\n`
      const head = `${this.#headStart}${own}${traceHeaders(request.trace)}\r\n`
      const reply = await this.#client.send({ head, body, replyBytesMax: REPLY_BYTES_MAX, signal })
      return readSinkReply(this.name, reply, request.offsets)
    } catch (error) {
      // No whole reply: the service may or may not have taken the records.
      const reason = `target ${this.name}: ${messageOf(error) || 'no reply'}`
      return wasReached(error) ? { kind: 'unavailable', reason, isSuspect: true } : { kind: 'unavailable', reason }
    }
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }
}

/** Whether the service may have seen the request, so that the records may be what broke it. */
function wasReached(error: unknown): boolean {
  const outcome = networkOutcome(error)
  return outcome.kind === 'unavailable' && outcome.isSuspect === true
}

function settingsOf(options: HttpSinkOptions): Omit<HttpSinkSettings, 'type'> {
  const { name: _, environment: __, clock: ___, ...settings } = options
  return settings
}

function requestBody({ topic, partition, texts, offsets, recordIds }: SinkRequest): string {
  const source = `{"topic":${JSON.stringify(topic)},"partition":${partition}}`
  const ids = JSON.stringify(recordIds)
  const messages = texts.join(',')
  return `{"source":${source},"messages":[${messages}],"offsets":[${offsets.join(',')}],"idempotencyKeys":${ids}}`
}

/** Topics are ASCII; whatever else comes into an id must not end the line or become another header. */
function headerText(text: string): string {
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed())
}

/** Headers that each request has of its own. */
const OWN = new Set(['content-length', 'idempotency-key', 'traceparent', 'tracestate'])

function headStart(url: URL, headers: Readonly<Record<string, HeaderValue>>, environment: Environment): string {
  const lines = [`POST ${url.pathname}${url.search} HTTP/1.1`]
  const names = Object.keys(headers).map(name => name.toLowerCase())
  if (!names.includes('host')) lines.push(`host: ${url.host}`)
  if (!names.includes('content-type')) lines.push('content-type: application/json')
  for (const [name, value] of Object.entries(headers)) {
    if (!OWN.has(name.toLowerCase())) lines.push(`${name}: ${headerValue(value, environment) ?? ''}`)
  }
  return `${lines.join('\r\n')}\r\n`
}

function headerValue(value: HeaderValue, environment: Environment): string | undefined {
  return typeof value === 'string' ? value : environment[value.env]
}

const MEMBERS: readonly string[] = [
  'type',
  'timeoutMs',
  'retry',
  'url',
  'headers',
  'connectionsMax',
  'recordsMax',
  'bytesMax',
  'recordBytesMax'
]

/**
 * Every problem of an HTTP target's settings.
 *
 * @param environment - Where `{ env: … }` is looked up; without it only the form is checked.
 */
export function httpSinkProblems(given: unknown, environment?: Environment): string[] {
  if (!isObject(given)) return ['is not an object']
  const problems = Object.keys(given).flatMap(name =>
    MEMBERS.includes(name) ? [] : [`${name}: is no setting of an HTTP target (${MEMBERS.join(', ')})`]
  )
  const { url, headers } = given
  const isHttp = typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  if (!isHttp) problems.push('url: is not an http or https address')
  else if (new URL(url).username !== '') problems.push('url: has a user name in it; give an authorization header')
  for (const name of ['connectionsMax', 'recordsMax', 'bytesMax', 'recordBytesMax']) {
    const value = given[name]
    if (value !== undefined && !(Number.isInteger(value) && Number(value) >= 1)) {
      problems.push(`${name}: is not an integer of at least 1`)
    }
  }
  if (headers !== undefined && !isObject(headers)) problems.push('headers: are not names and texts of HTTP headers')
  else problems.push(...headerProblems(headers ?? {}, environment))
  return problems
}

function headerProblems(headers: Record<string, unknown>, environment: Environment | undefined): string[] {
  const problems: string[] = []
  const names = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const path = `headers.${name}`
    // Most servers answer a second `host` with 400, which would be held against the records.
    if (names.has(name.toLowerCase())) problems.push(`${path}: is there twice: names have no upper and lower case`)
    names.add(name.toLowerCase())
    const variable = isObject(value) && Object.keys(value).length === 1 ? value['env'] : undefined
    if (typeof value !== 'string' && typeof variable !== 'string') {
      problems.push(`${path}: is neither a text nor { env: NAME }`)
      continue
    }
    // An empty secret is one that was forgotten.
    const text = typeof value === 'string' ? value : environment?.[String(variable)] || undefined
    if (text === undefined && environment !== undefined) {
      problems.push(`${path}: the environment variable ${String(variable)} is not set`)
      continue
    }
    const problem = headerProblem(name, text ?? '')
    if (problem !== undefined) problems.push(`${path}: ${problem}`)
  }
  return problems
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
