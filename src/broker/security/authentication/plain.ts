/**
 * SASL PLAIN, the server's side: user and password in one token.
 *
 *   token => [authzid] NUL user NUL password
 *
 * Passwords are compared in constant time, by their digests: neither how much of
 * a password is right nor whether the user exists shows in the time it takes.
 * Source: RFC 4616, Kafka `PlainSaslServer`.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SaslMechanismServer, SaslStep } from './sasl-mechanism.ts'

const INVALID = 'Authentication failed: Invalid username or password'
const OTHER_IDENTITY = 'Authentication failed: Client requested an authorization id that is different from username'

/**
 * Makes the mechanism.
 *
 * @param users - Passwords by user name.
 */
export function plainServer(users: Readonly<Record<string, string>>): SaslMechanismServer {
  // A key of this process: digests of passwords in its memory are of no use elsewhere.
  const key = randomBytes(32)
  const digest = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const digests = new Map(Object.entries(users).map(([name, password]) => [name, digest(password)]))
  const nobody = randomBytes(32)

  const evaluate = (token: Buffer): SaslStep => {
    const parts = token.toString('utf8').split('\0', 4)
    const [authorizationId = '', user = '', password = ''] = parts
    if (parts.length !== 3) return malformed(`Invalid SASL/PLAIN response: expected 3 tokens, got ${parts.length}`)
    if (user === '') return malformed('Authentication failed: username not specified')
    if (password === '') return malformed('Authentication failed: password not specified')
    const isRight = timingSafeEqual(digest(password), digests.get(user) ?? nobody)
    if (!isRight) return { kind: 'failed', reason: 'wrong user or password', message: INVALID }
    if (authorizationId !== '' && authorizationId !== user) {
      return { kind: 'failed', reason: 'another authorization id', message: OTHER_IDENTITY }
    }
    return { kind: 'done', answer: Buffer.alloc(0), user }
  }
  return () => ({ respond: token => Promise.resolve(evaluate(token)) })
}

function malformed(message: string): SaslStep {
  return { kind: 'failed', reason: message, message }
}
