/** Tokens that are made at a start. Apart from the role, which loads a server. */

import { randomBytes } from 'node:crypto'

import type { ConsoleConfig } from '../../config/index.ts'

/** Whether a token has to be made and printed: nobody else could log in. */
export function needsStartToken({ auth }: ConsoleConfig): boolean {
  return auth.tokens.length === 0 && auth.oidc === undefined
}

/** A token that nobody guesses: 256 random bits, as text for addresses and headers. */
export function createToken(): string {
  return randomBytes(32).toString('base64url')
}
