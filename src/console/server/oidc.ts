/**
 * Login at an OpenID Connect provider: authorization code with PKCE (RFC 7636), `state` and `nonce`.
 *
 *   GET /api/login/oidc            → the provider, with a cookie that names the attempt
 *   GET /api/login/oidc/callback   ← the provider, with code and state
 *
 * An attempt belongs to the browser that began it: its cookie is `SameSite=Lax`, because the way back from the provider
 * is a navigation from another site, on which a `Strict` one is not sent. It counts once and for ten minutes, and opens
 * nothing by itself. The session it ends in has a `Strict` cookie like any other: the page that follows is the same for
 * everybody, and asks for what it shows from its own site.
 *
 * Limits: `ATTEMPTS_MAX` attempts at once, the oldest goes. The provider is asked with the first login: one that
 * is away keeps nothing from starting.
 */

import type { Configuration } from 'openid-client'

import { briefMessageOf, type Clock, PipelineError } from '../../core/index.ts'
import type { ConsoleConfig } from '../../config/index.ts'
import type { Identity } from './sessions.ts'
import { hashOf, secret } from './sessions.ts'

/** `console.auth.oidc`. */
export type OidcSettings = NonNullable<ConsoleConfig['auth']['oidc']>

/** What a login is made from. */
export interface OidcLoginOptions {
  readonly settings: OidcSettings
  readonly clientSecret: string | undefined
  readonly clock: Clock
}

interface Attempt {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
  readonly startedAtMs: number
}

const ATTEMPT_MS = 600_000
const ATTEMPTS_MAX = 1000
const TIMEOUT_S = 15
const GROUPS_MAX = 10_000

/** Logs in at one provider. */
export class OidcLogin {
  readonly #options: OidcLoginOptions
  /** By the hash of the cookie. */
  readonly #attempts = new Map<string, Attempt>()
  #configuration: Promise<Configuration> | undefined

  constructor(options: OidcLoginOptions) {
    this.#options = options
  }

  /**
   * Begins an attempt.
   *
   * @returns Where the browser goes, and what its cookie holds.
   * @throws PipelineError `ERR_CONSOLE_OIDC` if the provider cannot be asked.
   */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly cookie: string }> {
    const client = await import('openid-client')
    const configuration = await this.#configured()
    const nowMs = this.#options.clock.monotonicMs()
    const attempt = { state: secret(), nonce: secret(), verifier: secret(), redirectUri, startedAtMs: nowMs }
    const cookie = secret()
    this.#remember(hashOf(cookie), attempt)
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: [...new Set(['openid', ...this.#options.settings.scopes])].join(' '),
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: 'S256'
    })
    return { url: url.href, cookie }
  }

  /**
   * Ends an attempt with what the provider sent back.
   *
   * @throws PipelineError `ERR_CONSOLE_LOGIN` if the attempt is not this browser's, is over, or was refused;
   *   `ERR_CONSOLE_FORBIDDEN` for a user without a role; `ERR_CONSOLE_OIDC` if the answer cannot be trusted.
   */
  async finish(cookie: string | undefined, query: string): Promise<Identity> {
    const key = cookie === undefined ? '' : hashOf(cookie)
    const attempt = this.#attempts.get(key)
    this.#attempts.delete(key) // it counts once, whatever becomes of it
    const isOver = attempt === undefined || this.#options.clock.monotonicMs() - attempt.startedAtMs > ATTEMPT_MS
    if (isOver) throw new PipelineError('ERR_CONSOLE_LOGIN', 'this login was not begun here, or is over: begin again')
    const claims = await this.#exchange(attempt, query)
    return identityOf(claims, this.#options.settings)
  }

  /** Where a logout goes on, so that the next login asks again; `undefined` = the provider has no such page. */
  async logoutUrl(returnTo: string): Promise<string | undefined> {
    const client = await import('openid-client')
    const configuration = await this.#configured()
    if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined
    return client.buildEndSessionUrl(configuration, { post_logout_redirect_uri: returnTo }).href
  }

  async #exchange(attempt: Attempt, query: string): Promise<Claims> {
    const client = await import('openid-client')
    const configuration = await this.#configured()
    try {
      const tokens = await client.authorizationCodeGrant(configuration, new URL(`${attempt.redirectUri}?${query}`), {
        pkceCodeVerifier: attempt.verifier,
        expectedState: attempt.state,
        expectedNonce: attempt.nonce,
        idTokenExpected: true
      })
      const claims: Claims = tokens.claims() ?? {}
      if (claimOf(claims, this.#options.settings.rolesClaim) !== undefined || !hasUserInfo(configuration)) return claims
      // Many providers leave groups out of the token, and tell them when asked. Its `sub` must be the same.
      return { ...(await client.fetchUserInfo(configuration, tokens.access_token, String(claims['sub']))), ...claims }
    } catch (error) {
      if (error instanceof client.AuthorizationResponseError) {
        throw new PipelineError('ERR_CONSOLE_LOGIN', `the provider refused the login: ${error.error}`, { cause: error })
      }
      throw failure('the login cannot be completed', error)
    }
  }

  async #configured(): Promise<Configuration> {
    this.#configuration ??= this.#discover()
    try {
      return await this.#configuration
    } catch (error) {
      this.#configuration = undefined // asked again with the next login
      throw failure(`the provider ${this.#options.settings.issuer} cannot be asked`, error)
    }
  }

  async #discover(): Promise<Configuration> {
    const client = await import('openid-client')
    const { settings, clientSecret } = this.#options
    const authentication = clientSecret === undefined ? client.None() : client.ClientSecretBasic(clientSecret)
    const isOnLoopback = settings.issuer.startsWith('http:')
    return await client.discovery(new URL(settings.issuer), settings.clientId, undefined, authentication, {
      timeout: TIMEOUT_S,
      execute: isOnLoopback ? [client.allowInsecureRequests] : []
    })
  }

  #remember(key: string, attempt: Attempt): void {
    for (const [old, { startedAtMs }] of this.#attempts) {
      const isOver = attempt.startedAtMs - startedAtMs > ATTEMPT_MS
      if (!isOver && this.#attempts.size < ATTEMPTS_MAX) break
      this.#attempts.delete(old)
    }
    this.#attempts.set(key, attempt)
  }
}

type Claims = Readonly<Record<string, unknown>>

function hasUserInfo(configuration: Configuration): boolean {
  return configuration.serverMetadata().userinfo_endpoint !== undefined
}

/**
 * Who the claims say it is, and what that may do.
 *
 * @throws PipelineError `ERR_CONSOLE_FORBIDDEN` for a user without a role.
 */
export function identityOf(claims: Claims, { userClaim, rolesClaim, roles }: OidcSettings): Identity {
  // Some providers let users write any address into their own profile: it would stand in the audit log as another's.
  const usual = [...(claims['email_verified'] === false ? [] : ['email']), 'preferred_username', 'sub']
  const names = userClaim === undefined ? usual : [userClaim]
  const user = names.map(name => claimOf(claims, name)).find(value => typeof value === 'string' && value !== '')
  if (typeof user !== 'string') {
    throw new PipelineError('ERR_CONSOLE_FORBIDDEN', `the login names no user: there is no claim ${names.join(' or ')}`)
  }
  const values = valuesOf(claimOf(claims, rolesClaim))
  const fitting = roles.filter(each => each.values.some(value => value === '*' || values.has(value)))
  const found = fitting.find(({ role }) => role === 'operator') ?? fitting[0]
  if (found === undefined) {
    const message = `${user} has no role here: none of console.auth.oidc.roles fits the claim ${rolesClaim}`
    throw new PipelineError('ERR_CONSOLE_FORBIDDEN', message, { fields: { user } })
  }
  return { user, role: found.role, rights: { groups: found.groups, topics: found.topics } }
}

/** A claim by its own name, which may hold dots (`https://example.com/roles`), else member by member. */
function claimOf(claims: Claims, name: string): unknown {
  const own = ownMember(claims, name)
  if (own !== undefined) return own
  return name.split('.').reduce((value: unknown, part) => ownMember(value, part), claims)
}

function ownMember(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}

function valuesOf(claim: unknown): ReadonlySet<string> {
  const list: unknown[] = Array.isArray(claim) ? claim.slice(0, GROUPS_MAX) : [claim]
  return new Set(list.filter(value => typeof value === 'string'))
}

/** What went wrong, without what was sent: codes and tokens. */
function failure(what: string, error: unknown): PipelineError {
  if (PipelineError.is(error)) return error
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return new PipelineError('ERR_CONSOLE_OIDC', `${what}: ${briefMessageOf(error)}${code}`, { cause: error })
}
