/**
 * Orders to a running role: `POST /control/pause` and `/control/resume` with `{ "topic": "orders", "partition": 3 }`.
 *
 * In this order, each with its own answer: names of this machine only (421), no pages of browsers (403), a token must
 * be configured (403), the bearer token must match (401), the role must take orders (404), POST of JSON of at most
 * 4 KiB (405, 415, 413, 400). Nothing of a refused request is logged or repeated.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import { type ErrorCode, messageOf, PipelineError } from '../../core/index.ts'
import { isOwnName } from './role-endpoint-hosts.ts'

/** A partition as an order names it. */
export interface ControlPlace {
  readonly topic: string
  readonly partition: number
}

/** What a role does on an order. Errors are answers: `ERR_CLI_CONTROL_INPUT` is 400, all others 409. */
export interface ControlHandlers {
  /** Sends and fetches nothing more of the partition. Idempotent. */
  readonly pause: (at: ControlPlace) => void
  /** Ends `pause`. Idempotent. */
  readonly resume: (at: ControlPlace) => void
}

/** What an order is held against. */
export interface ControlParts {
  readonly host: string
  readonly token: string | undefined
  readonly control?: ControlHandlers
  /** Last part of the path. */
  readonly order: string
}

/** An answer over HTTP. */
export interface ControlAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const BODY_BYTES_MAX = 4096
const TOKEN_CHARACTERS_MIN = 16
const TOPIC_CHARACTERS_MAX = 249

/** @throws PipelineError `ERR_CLI_CONTROL_TOKEN` for a token that is short, or cannot be a header. */
export function checkToken(token: string): void {
  if (token.length >= TOKEN_CHARACTERS_MIN && /^[\x21-\x7e]+$/.test(token)) return
  throw new PipelineError(
    'ERR_CLI_CONTROL_TOKEN',
    `COMPORTA_CONTROL_TOKEN must be at least ${TOKEN_CHARACTERS_MIN} printable ASCII characters without spaces, ` +
      'for example of: openssl rand -hex 32'
  )
}

/** Carries an order out. Never rejects for what a client sends. */
export async function takeOrder(request: IncomingMessage, parts: ControlParts): Promise<ControlAnswer> {
  const found = handlerOf(request, parts)
  if (typeof found === 'object') {
    request.resume()
    return found
  }
  const text = await bodyOf(request)
  if (text === undefined) {
    const answer = refused(413, 'ERR_CLI_CONTROL_INPUT', `at most ${BODY_BYTES_MAX} bytes`)
    return { ...answer, headers: { connection: 'close' } }
  }
  const place = placeOf(text)
  if (place === undefined) {
    return refused(400, 'ERR_CLI_CONTROL_INPUT', 'a body like { "topic": "orders", "partition": 3 } is needed')
  }
  try {
    found(place)
  } catch (error) {
    const code = PipelineError.is(error) ? error.code : 'ERR_CORE_INVARIANT'
    return refused(code === 'ERR_CLI_CONTROL_INPUT' ? 400 : 409, code, messageOf(error))
  }
  return { status: 200, body: { ...place, isPaused: parts.order === 'pause' } }
}

type Handler = (at: ControlPlace) => void

function handlerOf(request: IncomingMessage, { host, token, control, order }: ControlParts): Handler | ControlAnswer {
  const { headers } = request
  if (!isOwnName(headers.host, host)) {
    return refused(421, 'ERR_CLI_CONTROL_DENIED', 'orders are taken under a name or address of this machine only')
  }
  if (headers.origin !== undefined) {
    return refused(403, 'ERR_CLI_CONTROL_DENIED', 'orders are not taken from pages of browsers: use the console')
  }
  if (token === undefined) {
    const message = 'this process takes no orders: start it with a token in COMPORTA_CONTROL_TOKEN'
    return refused(403, 'ERR_CLI_CONTROL_OFF', message)
  }
  if (!isBearer(headers.authorization, token)) {
    const answer = refused(401, 'ERR_CLI_CONTROL_DENIED', 'the bearer token is missing or wrong')
    return { ...answer, headers: { 'www-authenticate': 'Bearer' } }
  }
  const handler = order === 'pause' ? control?.pause : order === 'resume' ? control?.resume : undefined
  if (handler === undefined) {
    const message = 'only dispatchers take orders: POST /control/pause or /control/resume'
    return refused(404, 'ERR_CLI_CONTROL_OFF', message)
  }
  if (request.method !== 'POST') {
    return { ...refused(405, 'ERR_CLI_CONTROL_INPUT', 'POST only'), headers: { allow: 'POST' } }
  }
  if (!/^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '')) {
    return refused(415, 'ERR_CLI_CONTROL_INPUT', 'content-type: application/json is needed')
  }
  return handler
}

/** Digests are compared, so that neither the time nor the length tells anything of the token. */
function isBearer(header: string | undefined, token: string): boolean {
  const given = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(header ?? '')?.[1] ?? ''
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // A request that is left early must not be destroyed: its answer is still to be written.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    // Without an encoding a request gives buffers.
    const piece = chunk as Buffer
    bytes += piece.length
    if (bytes > BODY_BYTES_MAX) {
      request.resume()
      return undefined
    }
    chunks.push(piece)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function placeOf(text: string): ControlPlace | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // told as 400, whatever is wrong with it
  }
  if (typeof value !== 'object' || value === null || !('topic' in value) || !('partition' in value)) return undefined
  const { topic, partition } = value
  if (typeof topic !== 'string' || topic === '' || topic.length > TOPIC_CHARACTERS_MAX) return undefined
  if (typeof partition !== 'number' || !Number.isInteger(partition) || partition < 0) return undefined
  return partition > 2_147_483_647 ? undefined : { topic, partition }
}

function refused(status: number, code: ErrorCode, message: string): ControlAnswer {
  return { status, body: { code, message } }
}
