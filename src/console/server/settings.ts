/** What a console is started with: the section of the pipeline file, and the secrets it names, read by the caller. */

import { checkConsole, type ConsoleConfig } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import { hashOf, type Identity, isSameSecret } from './sessions.ts'

/** Secrets that the settings name. */
export interface ConsoleSecrets {
  /** Tokens of `auth.tokens` by name, where the settings do not hold the hash. */
  readonly tokens?: Readonly<Record<string, string>>
  readonly oidcClientSecret?: string
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
  /** Of an operator `local`: made at the start where nobody else can log in, and printed. */
  readonly startToken?: string
}

/** A token that opens the console. */
export interface KnownToken extends Identity {
  readonly sha256: string
}

const TOKEN_LENGTH_MIN = 16

/**
 * Refuses what would open the console to anybody.
 *
 * @throws PipelineError `ERR_CONSOLE_UNSAFE` with everything that is missing; `ERR_CONFIG_INVALID` for a short token.
 */
export function checkStart(settings: ConsoleConfig): void {
  const problems: string[] = []
  checkConsole(settings, (path, message) => problems.push(`console.${path.join('.')}: ${message}`))
  if (problems.length > 0) throw new PipelineError('ERR_CONSOLE_UNSAFE', problems.join('\n'))
}

/** The tokens of settings and start. */
export function knownTokens({ auth }: ConsoleConfig, secrets: ConsoleSecrets): readonly KnownToken[] {
  const named = auth.tokens.map(({ name, role, sha256, groups, topics }): KnownToken => {
    const token = secrets.tokens?.[name]
    const hash = sha256?.toLowerCase() ?? (token === undefined ? undefined : hashOf(token))
    if (hash === undefined || (token !== undefined && token.length < TOKEN_LENGTH_MIN)) {
      const message = `console.auth.tokens: the token of ${name} has fewer than ${TOKEN_LENGTH_MIN} characters`
      throw new PipelineError('ERR_CONFIG_INVALID', message)
    }
    return { sha256: hash, user: name, role, rights: { groups, topics } }
  })
  const { startToken } = secrets
  if (startToken === undefined) return named
  return [...named, { sha256: hashOf(startToken), user: 'local', role: 'operator', rights: {} }]
}

/** Whose token it is; looks at all of them, so that the time does not tell which it nearly was. */
export function identityOfToken(tokens: readonly KnownToken[], token: string): Identity | undefined {
  const hash = hashOf(token)
  return tokens.filter(({ sha256 }) => isSameSecret(sha256, hash))[0]
}
