/**
 * SASL OAUTHBEARER, the server's side: the client sends a bearer token.
 *
 *   token  => "n," ["a=" authzid] "," SEP "auth=Bearer " jwt SEP (name "=" value SEP)* SEP
 *   answer => nothing, or a JSON object with the status; the client then sends SEP and is refused
 *
 * SEP is the byte 1. Extensions (KIP-342) are read and not used.
 * Source: RFC 7628, KIP-255.
 */

import type { SaslMechanismServer, SaslStep } from './sasl-mechanism.ts'
import type { TokenValidator } from './oauth-token.ts'

const CLIENT_FIRST = new RegExp(
  String.raw`^n,(?:a=(?<authzid>(?:[\x01-\x2b\x2d-\x3c\x3e-\x7f]|=2C|=3D)+))?,\x01` +
    String.raw`(?<pairs>(?:[A-Za-z]+=[\x21-\x7e \t\r\n]+\x01)*)\x01$`
)
const AUTH = /^bearer +(?<token>[-_.a-zA-Z0-9]+)$/i

/** Makes the mechanism. `nowMs` is the time since 1970. */
export function oauthBearerServer(validate: TokenValidator, nowMs: () => number): SaslMechanismServer {
  return () => {
    let refusal: { json: string; reason: string } | undefined
    return {
      respond: async (bytes): Promise<SaslStep> => {
        if (refusal !== undefined && bytes.length === 1 && bytes[0] === 1) {
          return { kind: 'failed', reason: refusal.reason, message: refusal.json }
        }
        const request = read(bytes.toString('utf8'))
        if (request === undefined) return { kind: 'failed', reason: 'the OAUTHBEARER message is malformed' }
        const verdict = await validate(request.token, nowMs())
        if (!verdict.isValid) {
          const { reason, missingScopes } = verdict
          const json =
            missingScopes === undefined
              ? '{"status":"invalid_token"}'
              : `{"status":"insufficient_scope", "scope":"[${missingScopes.join(', ')}]"}`
          refusal = { json, reason }
          return { kind: 'continue', challenge: Buffer.from(json) }
        }
        const { user, expiresAtMs } = verdict
        if (request.authorizationId !== '' && request.authorizationId !== user) {
          const message =
            `Authentication failed: Client requested an authorization id (${request.authorizationId}) ` +
            `that is different from the token's principal name (${user})`
          return { kind: 'failed', reason: 'another authorization id', message }
        }
        return { kind: 'done', answer: Buffer.alloc(0), user, expiresAtMs }
      }
    }
  }
}

function read(message: string): { authorizationId: string; token: string } | undefined {
  const groups = CLIENT_FIRST.exec(message)?.groups
  const pairs = (groups?.['pairs'] ?? '').split('\u0001')
  const auth = pairs.find(pair => pair.startsWith('auth='))?.slice('auth='.length) ?? ''
  const token = AUTH.exec(auth)?.groups?.['token']
  return token === undefined ? undefined : { authorizationId: groups?.['authzid'] ?? '', token }
}
