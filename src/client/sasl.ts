/**
 * SASL: proves to the broker who this client is, over SaslHandshake and SaslAuthenticate.
 *
 * SCRAM is checked both ways: the signature of the server proves that it knows
 * the password as well, so a stranger who only listens learns nothing and is
 * found out. No secret appears in an error: text that the broker sent is
 * dropped when it repeats one.
 */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { PipelineError } from '../core/index.ts'
import type { SaslOptions, UserCredentials } from './cluster-options.ts'

/** Fewest iterations that are accepted from a server. Source: RFC 7677, Kafka `ScramMechanism`. */
export const SCRAM_ITERATIONS_MIN = 4096
/** Most iterations that are accepted: a hostile server must not buy an hour of this CPU. */
export const SCRAM_ITERATIONS_MAX = 1_000_000

const separator = '\u0001'
const derive = promisify(pbkdf2)

/** SASL options whose user and password do not change any more. */
export type FixedSaslOptions = Exclude<SaslOptions, { readonly credentials: unknown }>

/** The options with the user and the password that hold now. */
export function fixedSaslOptions(sasl: SaslOptions): FixedSaslOptions {
  if (!('credentials' in sasl)) return sasl
  const { username, password }: UserCredentials = sasl.credentials.current()
  return { mechanism: sasl.mechanism, username, password }
}

/** Sends one token and resolves with the answer of the server. Rejects if the broker refuses. */
export type SaslExchange = (token: Buffer) => Promise<Buffer>

/** Where and for whom a conversation runs. */
export interface SaslConversation {
  readonly sasl: FixedSaslOptions
  readonly host: string
  readonly port: number
  readonly exchange: SaslExchange
  /** Nonce of the client. Default: 24 random bytes; given in tests. */
  readonly nonce?: string
}

/**
 * Runs the conversation of the configured mechanism to its end.
 *
 * @throws PipelineError `ERR_CLIENT_AUTHENTICATION_FAILED`, or what `exchange` and the token callback threw.
 */
export async function converse(conversation: SaslConversation): Promise<void> {
  const { sasl, exchange } = conversation
  switch (sasl.mechanism) {
    case 'PLAIN':
      await exchange(Buffer.from(`\0${sasl.username}\0${sasl.password}`))
      return
    case 'SCRAM-SHA-256':
      await scram(conversation, { hash: 'sha256', bytes: 32, username: sasl.username, password: sasl.password })
      return
    case 'SCRAM-SHA-512':
      await scram(conversation, { hash: 'sha512', bytes: 64, username: sasl.username, password: sasl.password })
      return
    case 'OAUTHBEARER':
      await bearer(conversation, sasl)
      return
  }
}

/** What may be a token in a text: tokens are fetched anew for each conversation, so none is at hand to compare. */
const tokenLike = /[A-Za-z0-9_.~+/-]{64,}/

/** Whether a text of the broker may be repeated: not if it has the password, or what may be a token. */
export function isSecretFree(sasl: FixedSaslOptions, text: string): boolean {
  if (sasl.mechanism === 'OAUTHBEARER') return !tokenLike.test(text)
  return sasl.password === '' || !text.includes(sasl.password)
}

interface ScramSecret {
  readonly hash: 'sha256' | 'sha512'
  readonly bytes: number
  readonly username: string
  readonly password: string
}

/**
 * ```
 * client-first = "n,,n=" user ",r=" nonce
 * server-first = "r=" nonce more ",s=" salt ",i=" iterations
 * client-final = "c=biws,r=" nonce more ",p=" proof
 * server-final = "v=" signature / "e=" error
 * ```
 */
async function scram(conversation: SaslConversation, secret: ScramSecret): Promise<void> {
  const nonce = conversation.nonce ?? randomBytes(24).toString('base64')
  const clientFirst = `n=${secret.username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const serverFirst = (await conversation.exchange(Buffer.from(`n,,${clientFirst}`))).toString('utf8')
  const challenge = readChallenge(serverFirst, nonce)

  const salted = await derive(secret.password, challenge.salt, challenge.iterations, secret.bytes, secret.hash)
  const clientKey = hmac(secret, salted, 'Client Key')
  const storedKey = createHash(secret.hash).update(clientKey).digest()
  const withoutProof = `c=biws,r=${challenge.nonce}`
  const transcript = `${clientFirst},${serverFirst},${withoutProof}`
  const proof = xor(clientKey, hmac(secret, storedKey, transcript))
  const clientFinal = `${withoutProof},p=${proof.toString('base64')}`
  const serverFinal = attributes((await conversation.exchange(Buffer.from(clientFinal))).toString('utf8'))

  const signature = Buffer.from(serverFinal.get('v') ?? '', 'base64')
  const expected = hmac(secret, hmac(secret, salted, 'Server Key'), transcript)
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw refused('the server did not prove that it knows the password: its signature is wrong')
  }
}

function readChallenge(message: string, nonce: string): { nonce: string; salt: Buffer; iterations: number } {
  const fields = attributes(message)
  const serverNonce = fields.get('r') ?? ''
  const salt = Buffer.from(fields.get('s') ?? '', 'base64')
  const iterations = Number(fields.get('i'))
  if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length || salt.length === 0) {
    throw refused('the challenge of the server is malformed')
  }
  if (!Number.isInteger(iterations) || iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
    throw refused(
      `${fields.get('i') ?? 'no'} iterations are asked for, not ${SCRAM_ITERATIONS_MIN} to ${SCRAM_ITERATIONS_MAX}`
    )
  }
  return { nonce: serverNonce, salt, iterations }
}

function attributes(message: string): Map<string, string> {
  return new Map(message.split(',').map(part => [part.slice(0, 1), part.slice(2)]))
}

function hmac(secret: ScramSecret, key: Buffer, text: string): Buffer {
  return createHmac(secret.hash, key).update(text).digest()
}

function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
}

type BearerOptions = Extract<SaslOptions, { mechanism: 'OAUTHBEARER' }>

/** RFC 7628: the server answers nothing, or a JSON error that the client must acknowledge before it is refused. */
async function bearer(conversation: SaslConversation, sasl: BearerOptions): Promise<void> {
  const token = await sasl.token({ host: conversation.host, port: conversation.port })
  const extensions = Object.entries(token.extensions ?? {}).map(([name, value]) => `${name}=${value}${separator}`)
  const first = `n,,${separator}auth=Bearer ${token.value}${separator}${extensions.join('')}${separator}`
  const answer = await conversation.exchange(Buffer.from(first))
  if (answer.length === 0) return
  await conversation.exchange(Buffer.from(separator))
  throw refused('the server refused the token')
}

/** The error for refused credentials. */
export function refused(reason: string, cause?: unknown): PipelineError {
  return new PipelineError('ERR_CLIENT_AUTHENTICATION_FAILED', `authentication failed: ${reason}`, { cause })
}
