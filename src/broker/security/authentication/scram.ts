/**
 * SCRAM, the server's side: client and server prove to each other that they
 * know the password, without sending it. The server knows it only as salted
 * keys.
 *
 *   client-first = "n," ["a=" authzid] ",n=" user ",r=" nonce ["," extensions]
 *   server-first = "r=" nonce more ",s=" salt ",i=" iterations
 *   client-final = "c=" binding ",r=" nonce more ["," extensions] ",p=" proof
 *   server-final = "v=" signature
 *
 * Like Kafka, it takes ASCII user names, no channel binding, and refuses an
 * unknown user at the first message. Source: RFC 5802, RFC 7677, KIP-84,
 * CVE-2024-56128 (the nonce).
 */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { SaslMechanismServer, SaslStep } from './sasl-mechanism.ts'

/** Kafka's number and the hash of each SCRAM mechanism. Source: Kafka `ScramMechanism`. */
export const SCRAM_MECHANISMS = {
  'SCRAM-SHA-256': { type: 1, hash: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { type: 2, hash: 'sha512', bytes: 64 }
} as const
/** Name of a SCRAM mechanism. */
export type ScramMechanism = keyof typeof SCRAM_MECHANISMS

/** Fewest rounds of PBKDF2. Source: Kafka `ScramMechanism.minIterations`. */
export const SCRAM_ITERATIONS_MIN = 4096
/** Most rounds of PBKDF2. Source: Kafka `ScramControlManager.MAX_ITERATIONS`. */
export const SCRAM_ITERATIONS_MAX = 16_384

/** What the broker knows of a user's password: enough to check it, not enough to use it. */
export interface ScramCredential {
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
  readonly iterations: number
}

/** Looks up a user. */
export type ScramLookup = (user: string) => ScramCredential | undefined

const derive = promisify(pbkdf2)
const SASL_NAME = String.raw`(?:[\x01-\x2b\x2d-\x3c\x3e-\x7f]|=2C|=3D)+`
const EXTENSIONS = String.raw`(?:,[A-Za-z]+=[\x01-\x2b\x2d-\x7f]+)*`
const NONCE = String.raw`[\x21-\x2b\x2d-\x7e]+`
const BASE64 = String.raw`[a-zA-Z0-9/+]*={0,2}`
const CLIENT_FIRST = new RegExp(
  `^(?<header>n,(?:a=(?<authzid>${SASL_NAME}))?,)(?<bare>n=(?<name>${SASL_NAME}),r=(?<nonce>${NONCE})${EXTENSIONS})$`
)
const CLIENT_FINAL = new RegExp(
  `^(?<withoutProof>c=(?<binding>${BASE64}),r=(?<nonce>${NONCE})${EXTENSIONS}),p=(?<proof>${BASE64})$`
)
const OTHER_IDENTITY = 'Authentication failed: Client requested an authorization id that is different from username'

/** The keys that belong to a salted password. */
export function credentialOf(
  mechanism: ScramMechanism,
  salted: { readonly saltedPassword: Buffer; readonly salt: Buffer; readonly iterations: number }
): ScramCredential {
  const { saltedPassword, salt, iterations } = salted
  const { hash } = SCRAM_MECHANISMS[mechanism]
  const clientKey = createHmac(hash, saltedPassword).update('Client Key').digest()
  const storedKey = createHash(hash).update(clientKey).digest()
  const serverKey = createHmac(hash, saltedPassword).update('Server Key').digest()
  return { salt: Buffer.from(salt), storedKey, serverKey, iterations }
}

/** The keys of a password, with a salt of its own. */
export async function credentialFor(
  mechanism: ScramMechanism,
  password: string,
  iterations: number
): Promise<ScramCredential> {
  const { hash, bytes } = SCRAM_MECHANISMS[mechanism]
  const salt = randomBytes(20)
  const saltedPassword = await derive(password, salt, iterations, bytes, hash)
  return credentialOf(mechanism, { saltedPassword, salt, iterations })
}

interface Challenge {
  readonly user: string
  readonly credential: ScramCredential
  readonly header: string
  readonly bare: string
  readonly nonce: string
  readonly serverFirst: string
}

/** Makes the mechanism; `makeNonce` is the server's part of the nonce, for tests. */
export function scramServer(
  mechanism: ScramMechanism,
  find: ScramLookup,
  makeNonce: () => string = () => randomBytes(24).toString('base64url')
): SaslMechanismServer {
  return () => {
    let challenge: Challenge | undefined
    const respond = (token: Buffer): SaslStep => {
      const message = token.toString('utf8')
      if (challenge !== undefined) return finish(mechanism, message, challenge)
      const started = start(message, find, makeNonce)
      if ('kind' in started) return started
      challenge = started
      return { kind: 'continue', challenge: Buffer.from(started.serverFirst) }
    }
    return { respond: token => Promise.resolve(respond(token)) }
  }
}

function start(message: string, find: ScramLookup, makeNonce: () => string): SaslStep | Challenge {
  const groups = CLIENT_FIRST.exec(message)?.groups
  if (groups === undefined) return { kind: 'failed', reason: 'the first SCRAM message is malformed' }
  const { header = '', authzid, bare = '', name = '', nonce: clientNonce = '' } = groups
  const user = unescape(name)
  const credential = find(user)
  if (credential === undefined) return { kind: 'failed', reason: 'no such user' }
  if (authzid !== undefined && unescape(authzid) !== user) {
    return { kind: 'failed', reason: 'another authorization id', message: OTHER_IDENTITY }
  }
  const nonce = clientNonce + makeNonce()
  const serverFirst = `r=${nonce},s=${credential.salt.toString('base64')},i=${credential.iterations}`
  return { user, credential, header, bare, nonce, serverFirst }
}

function finish(mechanism: ScramMechanism, message: string, challenge: Challenge): SaslStep {
  const { user, credential, header, bare, nonce, serverFirst } = challenge
  const groups = CLIENT_FINAL.exec(message)?.groups
  if (groups === undefined) return { kind: 'failed', reason: 'the last SCRAM message is malformed' }
  // Some clients always say that they would bind "n,,".
  const binding = Buffer.from(groups['binding'] ?? '', 'base64').toString('latin1')
  if (binding !== header && binding !== 'n,,') return { kind: 'failed', reason: 'the channel binding is another' }
  // librdkafka before 2.6.1 puts its own nonce before the whole nonce once more. Kafka 4 refuses that, Kafka 3.9 took
  // it; what the nonce is for, the freshness that the server's part gives, holds either way.
  if (groups['nonce']?.endsWith(nonce) !== true) return { kind: 'failed', reason: 'the nonce is another' }
  const { hash } = SCRAM_MECHANISMS[mechanism]
  const transcript = `${bare},${serverFirst},${groups['withoutProof'] ?? ''}`
  const signature = createHmac(hash, credential.storedKey).update(transcript).digest()
  const proof = Buffer.from(groups['proof'] ?? '', 'base64')
  if (proof.length !== signature.length) return { kind: 'failed', reason: 'the proof has a wrong length' }
  const clientKey = Buffer.from(proof.map((byte, index) => byte ^ (signature[index] ?? 0)))
  const storedKey = createHash(hash).update(clientKey).digest()
  if (!timingSafeEqual(storedKey, credential.storedKey)) return { kind: 'failed', reason: 'wrong password' }
  const verifier = createHmac(hash, credential.serverKey).update(transcript).digest('base64')
  return { kind: 'done', answer: Buffer.from(`v=${verifier}`), user }
}

function unescape(name: string): string {
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
