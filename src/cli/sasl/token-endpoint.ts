/**
 * Bearer tokens for client credentials. Source: RFC 6749, sections 4.4, 2.3.1 and 5; KIP-768.
 *
 * No secret appears in an error: of what the other side says only the error
 * code and a short description are repeated, and not if it repeats a secret.
 */

import type { BearerSaslConfig } from '../../config/index.ts'
import { type Clock, messageOf, type PipelineError } from '../../core/index.ts'
import { unreachable, unusable } from '../certificates/problem.ts'
import { lifeOfToken } from './json-web-token.ts'
import type { FetchedToken } from './token-keeper.ts'

/** How long a token of unknown life is used. */
const LIFE_UNKNOWN_MS = 300_000
const ANSWER_BYTES_MAX = 1_048_576
const path = ['sasl', 'tokenEndpoint']

/** What a request needs. */
export interface TokenRequest {
  readonly sasl: BearerSaslConfig
  readonly clientSecret: string
  readonly clock: Clock
}

/**
 * Fetches a token.
 *
 * @throws PipelineError `ERR_CONFIG_CREDENTIALS` if it is refused, `ERR_CLI_CREDENTIALS_UNREACHABLE` if there is no
 *   answer, or one that asks to come again.
 */
export async function fetchToken({ sasl, clientSecret, clock }: TokenRequest): Promise<FetchedToken> {
  const url = sasl.tokenEndpoint ?? ''
  const asked = request(sasl, clientSecret)
  const { status, text } = await post(url, asked, sasl.timeoutMs)
  const answer = membersOf(text)
  // Servers repeat what they were sent in whatever form.
  if (status !== 200) throw refusal(status, answer, [clientSecret, formEncoded(clientSecret), asked.basic])
  const value = answer['access_token']
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw unusable([{ path, reason: `${url} answered 200 without an access_token` }])
  }
  const type = answer['token_type']
  if (typeof type === 'string' && type.toLowerCase() !== 'bearer') {
    throw unusable([{ path, reason: `${url} gives tokens of the type ${type.slice(0, 40)}, not Bearer` }])
  }
  return { value, ...lifeOf(value, answer['expires_in'], clock.now()) }
}

interface Asked {
  readonly headers: Record<string, string>
  readonly body: string
  /** Client and secret as they are in the header, if they are. */
  readonly basic: string
}

function request(sasl: BearerSaslConfig, clientSecret: string): Asked {
  const { clientId = '', clientAuthentication = 'basic', scope, parameters = {} } = sasl
  const isBasic = clientAuthentication === 'basic'
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(scope === undefined ? {} : { scope }),
    ...(isBasic ? {} : { client_id: clientId, client_secret: clientSecret }),
    ...parameters
  })
  // RFC 6749, 2.3.1: both are form-encoded before they are joined.
  const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')
  return {
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...(isBasic ? { authorization: `Basic ${basic}` } : {})
    },
    body: body.toString(),
    basic
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

async function post(
  url: string,
  { headers, body }: { readonly headers: Record<string, string>; readonly body: string },
  timeoutMs: number
): Promise<{ status: number; text: string }> {
  try {
    // A redirect would take the secret elsewhere.
    const signal = AbortSignal.timeout(timeoutMs)
    const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal })
    return { status: answer.status, text: await textOf(answer) }
  } catch (error) {
    const isLate = error instanceof Error && error.name === 'TimeoutError'
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    const reason = isLate ? `no answer within ${timeoutMs} ms` : messageOf(cause) || messageOf(error)
    throw unreachable(path, `${url} cannot be asked for a token: ${reason}`, error)
  }
}

async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refusal(status: number, answer: Readonly<Record<string, unknown>>, secrets: readonly string[]): PipelineError {
  const code = printable(answer['error'], 60, secrets)
  const description = printable(answer['error_description'], 200, secrets)
  const why = [code, description].filter(text => text !== '').join(', ')
  const said = `the token endpoint answered ${status}${why === '' ? '' : ` (${why})`}`
  if (status >= 500 || status === 429 || status === 408) return unreachable(path, `${said}: it is tried again`)
  const isClient = status === 401 || code === 'invalid_client'
  if (isClient)
    return unusable([{ path, reason: `${said}: correct clientId and clientSecret, or clientAuthentication` }])
  if (code === 'invalid_scope') return unusable([{ path: ['sasl', 'scope'], reason: `${said}: correct the scope` }])
  return unusable([{ path, reason: `${said}: correct the address, or the client's rights at the server` }])
}

/** Text of the other side, short and without what we keep to ourselves. */
function printable(value: unknown, length: number, secrets: readonly string[]): string {
  if (typeof value !== 'string' || secrets.some(secret => value.includes(secret))) return ''
  return value.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, length)
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    // Checked: a plain object's members are unknown.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** What the answer says, and what the token itself says; the shorter of both. */
function lifeOf(token: string, expiresIn: unknown, nowMs: number): Omit<FetchedToken, 'value'> {
  const life = lifeOfToken(token)
  // Some servers write the number as a string.
  const seconds = typeof expiresIn === 'string' ? Number(expiresIn) : expiresIn
  const isSaid = typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0
  const saidMs = isSaid ? nowMs + seconds * 1000 : undefined
  const ends = [saidMs, life?.expiresAtMs].filter(end => end !== undefined)
  return { startsAtMs: nowMs, expiresAtMs: ends.length === 0 ? nowMs + LIFE_UNKNOWN_MS : Math.min(...ends) }
}
