/**
 * Look-ups by HTTP.
 *
 * One GET for each key, or with `batch` one POST for many:
 *
 * ```
 * GET /drivers/D-17                      POST /drivers/batch
 * {"name":"Ana"}                         {"keys":["D-17","D-18"]}
 *                                        {"items":{"D-17":{"name":"Ana"}}}   or   {"items":[{"name":"Ana"},null]}
 * ```
 *
 * | Answer | Meaning |
 * | --- | --- |
 * | 2xx with JSON | the value; `null` is none |
 * | 204, 2xx without a body; of a GET 404, 410 | nothing for the key |
 * | 400, 409, 413, 422 and other 4xx | the key is refused (a batch is halved to find it) |
 * | 401, 403, 405, 407, 3xx, of a batch 404; 2xx that is no JSON | wrong address, rights, or service: unavailable |
 * | 408, 425, 429, 5xx, no answer | unavailable |
 *
 * Values are cut out of the answer and not written again. Redirects are not followed.
 */

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import { HttpClient, type HttpReply, networkOutcome, retryAfterMs } from '../../targets/sinks/index.ts'
import { entryTexts, isObjectText, memberSpans, memberText, nameOf } from './json-text.ts'
import { detached, type LookupSource, type SourceAnswer, type SourceSurroundings } from './source.ts'
import { type HttpSourceSettings, KEY_PLACE } from './source-settings.ts'

/** Most keys in one POST; `batchMax` is usually less. */
const KEYS_MAX = 1_000
const ANSWER_BYTES_MAX = 4_194_304
/** Longest wait for a connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000
const NOTHING = Buffer.alloc(0)

/** Answers of a service. */
export class HttpSource implements LookupSource {
  readonly name: string
  readonly keysMax: number
  readonly #client: HttpClient
  readonly #clock: Clock
  readonly #answerBytesMax: number
  /** Path and query before, between and behind the places for the key. */
  readonly #path: readonly string[]
  readonly #headers: string
  readonly #isBatch: boolean

  /** @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` if a variable of a header is not set. */
  constructor(settings: HttpSourceSettings, { clock, environment }: SourceSurroundings, connectionsMax: number) {
    this.#isBatch = settings.batch === true
    this.keysMax = this.#isBatch ? KEYS_MAX : 1
    this.#clock = clock
    this.#answerBytesMax = settings.answerBytesMax ?? ANSWER_BYTES_MAX
    const place = unusedWord(settings.url)
    const url = new URL(settings.url.replaceAll(KEY_PLACE, place))
    // Without path and query, which may hold a token.
    this.name = `service ${url.host}`
    this.#path = `${url.pathname}${url.search}`.split(place)
    this.#headers = headerLines(url.host, settings, environment)
    const isTls = url.protocol === 'https:'
    this.#client = new HttpClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      isTls,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      connectionsMax,
      clock
    })
  }

  isPossible(key: string): boolean {
    if (this.#isBatch || !/^\.{1,2}$/.test(key)) return true
    // Dots alone are steps between folders, also when they are percent-encoded. Source: RFC 3986 §5.2.4.
    const path = this.#path.join(key).split('?', 1)[0] ?? ''
    return !path.split('/').some(each => /^(?:\.|%2e){1,2}$/i.test(each))
  }

  async ask(keys: readonly string[], signal: AbortSignal): Promise<SourceAnswer> {
    const body = this.#isBatch ? Buffer.from(JSON.stringify({ keys }), 'utf8') : NOTHING
    const path = this.#path.join(this.#isBatch ? '' : encodeURIComponent(keys[0] ?? ''))
    const own = this.#isBatch ? `content-type: application/json\r\ncontent-length: ${body.length}\r\n` : ''
    const head = `${this.#isBatch ? 'POST' : 'GET'} ${path} HTTP/1.1\r\n${this.#headers}${own}\r\n`
    let reply: HttpReply
    try {
      reply = await this.#client.send({ head, body, replyBytesMax: this.#answerBytesMax, signal })
    } catch (error) {
      const outcome = networkOutcome(error)
      const isReached = outcome.kind === 'unavailable' && outcome.isSuspect === true
      const reason = `${this.name}: ${messageOf(error) || 'no answer'}`
      return isReached ? { kind: 'unavailable', reason, isSuspect: true } : { kind: 'unavailable', reason }
    }
    return this.#read(keys, reply)
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  #read(keys: readonly string[], { statusCode, body, retryAfter }: HttpReply): SourceAnswer {
    if (statusCode >= 200 && statusCode < 300) {
      if (body === undefined) {
        return { kind: 'rejected', reason: `${this.name} answered more than ${this.#answerBytesMax} bytes` }
      }
      return this.#readBody(keys, body.toString('utf8'))
    }
    if (!this.#isBatch && (statusCode === 404 || statusCode === 410)) return { kind: 'answered', texts: new Map() }
    const reason = `${this.name} answered ${statusCode}`
    const isNotNow = statusCode === 408 || statusCode === 425 || statusCode === 429 || statusCode >= 500
    if (isNotNow) {
      const waitMs = retryAfterMs(retryAfter, this.#clock.now())
      return {
        kind: 'unavailable',
        reason,
        ...(statusCode >= 500 && statusCode !== 503 ? { isSuspect: true } : {}),
        ...(waitMs === undefined ? {} : { retryAfterMs: waitMs })
      }
    }
    const isSetup = statusCode < 400 || [401, 403, 404, 405, 407].includes(statusCode)
    return isSetup ? { kind: 'unavailable', reason, isFinal: true } : { kind: 'rejected', reason }
  }

  #readBody(keys: readonly string[], text: string): SourceAnswer {
    const [key] = keys
    if (!this.#isBatch && /^[ \t\r\n]*$/.test(text)) return { kind: 'answered', texts: new Map() }
    try {
      JSON.parse(text)
    } catch {
      return this.#unreadable('something that is not JSON')
    }
    if (!this.#isBatch) {
      const value = text.trim()
      return { kind: 'answered', texts: new Map(value === 'null' || key === undefined ? [] : [[key, value]]) }
    }
    const items = memberText(text, 'items')
    if (items === undefined) return this.#unreadable('JSON without "items"')
    if (isObjectText(items)) return { kind: 'answered', texts: namedItems(items, keys) }
    const entries = entryTexts(items)
    if (entries.length !== keys.length) return this.#unreadable('"items" that are not one for each key')
    const found = keys.flatMap((each, index) => {
      const entry = entries[index] ?? 'null'
      return entry === 'null' ? [] : [[each, detached(entry)] as const]
    })
    return { kind: 'answered', texts: new Map(found) }
  }

  #unreadable(what: string): SourceAnswer {
    return { kind: 'unavailable', reason: `${this.name} answered ${what}`, isSuspect: true, isFinal: true }
  }
}

/** Only what was asked for: what else the answer holds does not get into the cache. */
function namedItems(items: string, keys: readonly string[]): ReadonlyMap<string, string> {
  const wanted = new Set(keys)
  const texts = new Map<string, string>()
  for (const span of memberSpans(items)) {
    const name = nameOf(items, span)
    const value = items.slice(span.valueStart, span.valueEnd)
    if (!wanted.has(name)) continue
    if (value === 'null') texts.delete(name)
    else texts.set(name, detached(value))
  }
  return texts
}

/** A word that stands for the key while the address is normalised. */
function unusedWord(url: string): string {
  let word = 'key'
  while (url.includes(word)) word += 'y'
  return word
}

function headerLines(
  host: string,
  { headers = {} }: HttpSourceSettings,
  environment: SourceSurroundings['environment']
): string {
  const names = Object.keys(headers).map(name => name.toLowerCase())
  const lines = [
    ...(names.includes('host') ? [] : [`host: ${host}`]),
    ...(names.includes('accept') ? [] : ['accept: application/json'])
  ]
  for (const [name, given] of Object.entries(headers)) {
    const value = typeof given === 'string' ? given : environment[given.env]
    if (value === undefined || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      const variable = typeof given === 'string' ? '' : ` of the environment variable ${given.env}`
      const message = `enrich: header ${name}: the value${variable} is missing or no text for a header`
      throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', message)
    }
    if (name.toLowerCase() !== 'content-type') lines.push(`${name}: ${value}`)
  }
  return `${lines.join('\r\n')}\r\n`
}
