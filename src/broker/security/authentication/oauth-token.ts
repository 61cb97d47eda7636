/**
 * Bearer tokens: JSON Web Tokens with a signature, checked against a key set,
 * or without one, where that is allowed for development.
 *
 * The claims are checked as Kafka does: the principal's claim and `exp` must be
 * there, `iat` must not lie in the future nor after `exp`, issuer, audience and
 * scopes must be those that are asked for. Source: RFC 7519, KIP-255, KIP-768.
 */

import fs from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { JSONWebKeySet } from 'jose'
import { messageOf, PipelineError } from '../../../core/index.ts'
import type { JsonWebKeys, OauthOptions } from './listener-options.ts'

/** What a good token says, or why it is none. */
export type TokenVerdict =
  | { readonly isValid: true; readonly user: string; readonly expiresAtMs: number }
  | { readonly isValid: false; readonly reason: string; readonly missingScopes?: readonly string[] }

/** Checks a token at a time in milliseconds since 1970. */
export type TokenValidator = (token: string, nowMs: number) => Promise<TokenVerdict>

type Claims = Readonly<Record<string, unknown>>
type ClaimsReader = (token: string, nowMs: number) => Promise<Claims | undefined>

/** Algorithms that a signed token may use: signatures by a private key only, never a shared secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const CLOCK_SKEW_MS_DEFAULT = 30_000
/** Shortest time between two looks at a key set, in milliseconds. */
const KEYS_READ_PERIOD_MS = 10_000

/**
 * Makes a validator; reads the keys.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING` if the keys cannot be read.
 */
export async function createTokenValidator(options: OauthOptions): Promise<TokenValidator> {
  const read = options.jwks === undefined ? readUnsecured : await signedReader(options.jwks)
  const clockSkewMs = options.clockSkewMs ?? (options.jwks === undefined ? 0 : CLOCK_SKEW_MS_DEFAULT)
  return async (token, nowMs) => {
    const claims = await read(token, nowMs)
    if (claims === undefined) return { isValid: false, reason: 'the token is malformed or its signature is wrong' }
    return checkClaims(claims, { options, clockSkewMs, nowMs })
  }
}

/** Claims of a token without a signature; `undefined` if it is none. */
function readUnsecured(token: string): Promise<Claims | undefined> {
  const [header = '', payload = '', signature, ...rest] = token.split('.')
  const isForm = signature === '' && rest.length === 0 && parseJson(header)?.['alg'] === 'none'
  return Promise.resolve(isForm ? parseJson(payload) : undefined)
}

function parseJson(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined // not JSON: the caller refuses the token
  }
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Verifies signatures. A key set from a file is read again when a token does not fit, at most once in
 * `KEYS_READ_PERIOD_MS`: the issuer may have new keys.
 */
async function signedReader(jwks: string | JsonWebKeys): Promise<ClaimsReader> {
  const { compactVerify, createLocalJWKSet } = await import('jose')
  const read = async (): Promise<ReturnType<typeof createLocalJWKSet>> =>
    createLocalJWKSet(typeof jwks === 'string' ? await readKeys(jwks) : checkedKeys(jwks, 'the key set'))
  let keys = await read()
  let readAtMs = -Infinity
  const verify = async (token: string): Promise<Claims | undefined> => {
    try {
      const { payload } = await compactVerify(token, keys, { algorithms: ALGORITHMS })
      const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
      return isObject(value) ? value : undefined
    } catch {
      return undefined // whatever is wrong with it, the client is only told that the token is invalid
    }
  }
  return async (token, nowMs) => {
    const claims = await verify(token)
    if (claims !== undefined || typeof jwks !== 'string' || nowMs - readAtMs < KEYS_READ_PERIOD_MS) return claims
    readAtMs = nowMs
    // A file that is being replaced may be unreadable for a moment: the keys from before stay.
    keys = await read().catch(() => keys)
    return verify(token)
  }
}

async function readKeys(location: string): Promise<JSONWebKeySet> {
  const file = location.startsWith('file:') ? fileURLToPath(location) : location
  try {
    return checkedKeys(JSON.parse(await fs.readFile(file, 'utf8')), file)
  } catch (cause) {
    const what = PipelineError.is(cause) ? cause.message : `the key set ${file} cannot be read: ${messageOf(cause)}`
    throw new PipelineError('ERR_BROKER_INVALID_SETTING', what, { cause })
  }
}

function checkedKeys(value: unknown, what: string): JSONWebKeySet {
  const keys = isObject(value) ? value['keys'] : undefined
  const isGood = Array.isArray(keys) && keys.every(key => isObject(key) && typeof key['kty'] === 'string')
  if (!isGood || keys.length === 0) {
    throw new PipelineError('ERR_BROKER_INVALID_SETTING', `${what} is no JSON Web Key Set with a key in it`)
  }
  // The check above is all that the type asks for.
  return { keys } as JSONWebKeySet
}

function checkClaims(
  claims: Claims,
  context: { options: OauthOptions; clockSkewMs: number; nowMs: number }
): TokenVerdict {
  const { options } = context
  const nameClaim = options.principalClaim ?? 'sub'
  const user = claims[nameClaim]
  if (typeof user !== 'string' || user === '') return invalid(`the claim ${nameClaim} is missing or no text`)
  const expiresAtMs = timeOf(claims['exp'])
  if (expiresAtMs === undefined) return invalid('the claim exp is missing or no time')
  const timeProblem = checkTimes(claims, expiresAtMs, context)
  if (timeProblem !== undefined) return invalid(timeProblem)
  if (options.issuer !== undefined && claims['iss'] !== options.issuer) return invalid('another issuer is expected')
  const { audience } = options
  if (audience !== undefined && !listOf(claims['aud']).some(each => audience.includes(each))) {
    return invalid('another audience is expected')
  }
  const scopes = listOf(claims[options.scopeClaim ?? 'scope']).flatMap(each => each.split(' '))
  const missingScopes = (options.requiredScopes ?? []).filter(scope => !scopes.includes(scope))
  if (missingScopes.length > 0) {
    return { isValid: false, reason: `the token lacks the scope ${missingScopes.join(' ')}`, missingScopes }
  }
  return { isValid: true, user, expiresAtMs }
}

function checkTimes(
  claims: Claims,
  expiresAtMs: number,
  { clockSkewMs, nowMs }: { clockSkewMs: number; nowMs: number }
): string | undefined {
  if (nowMs - clockSkewMs >= expiresAtMs) return 'the token has expired'
  for (const [name, claim] of [
    ['iat', claims['iat']],
    ['nbf', claims['nbf']]
  ] as const) {
    if (claim === undefined) continue
    const time = timeOf(claim)
    if (time === undefined) return `the claim ${name} is no time`
    if (time > nowMs + clockSkewMs) return `the claim ${name} lies in the future`
    if (time >= expiresAtMs) return `the claim ${name} lies after exp`
  }
  return undefined
}

function timeOf(claim: unknown): number | undefined {
  return typeof claim === 'number' && Number.isFinite(claim) ? claim * 1000 : undefined
}

function listOf(claim: unknown): string[] {
  if (typeof claim === 'string') return [claim]
  return Array.isArray(claim) ? claim.filter(each => typeof each === 'string') : []
}

function invalid(reason: string): TokenVerdict {
  return { isValid: false, reason }
}
