/** The life that a JSON Web Token says of itself (RFC 7519). Not verified: that is the broker's business. */

/** Milliseconds since 1970; `undefined` if it is not such a token, or does not say when it ends. */
export function lifeOfToken(token: string): { readonly expiresAtMs: number } | undefined {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    const end: unknown = typeof claims === 'object' && claims !== null ? Reflect.get(claims, 'exp') : undefined
    return typeof end === 'number' && Number.isFinite(end) ? { expiresAtMs: end * 1000 } : undefined
  } catch {
    return undefined
  }
}
