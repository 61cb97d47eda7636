/** Logging in and out: `/api/session`, `/api/login`, `/api/logout`, `/api/login/oidc` and the way back from there. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { type ErrorCode, messageOf, PipelineError } from '../../core/index.ts'
import type { AuditEntry, Session } from '../api/session.ts'
import { CALLBACK_PATH, callerOf, type Guard, setSessionCookie } from './guard.ts'
import type { OidcLogin } from './oidc.ts'
import { queryOf } from './routes.ts'
import { identityOfToken, type KnownToken } from './settings.ts'
import type { AuditLog } from './server-types.ts'
import type { Identity, SessionStore } from './sessions.ts'
import type { ConsoleConfig } from '../../config/index.ts'

/** What logins are made from. */
export interface LoginParts {
  readonly settings: ConsoleConfig
  readonly tokens: readonly KnownToken[]
  readonly oidc: OidcLogin | undefined
  readonly sessions: SessionStore
  readonly guard: Guard
  readonly audit: AuditLog
  /** Pipeline's name, or the brokers. */
  readonly pipelineName: string
  readonly version: string
  /** What went wrong where nobody is told. */
  readonly onProblem: (error: unknown, message: string) => void
}

const TOKEN_LENGTH_MAX = 4096
const ATTEMPT_COOKIE = 'comporta-login'

/** Adds the routes. */
export function addLoginRoutes(app: FastifyInstance, parts: LoginParts): void {
  const open = { config: { needs: 'nobody' } } as const
  app.get('/api/session', open, request => sessionOf(request, parts))
  app.post('/api/login', open, async (request, reply) => await logIn(request, reply, parts))
  app.post(
    '/api/logout',
    { config: { needs: 'viewer' } },
    async (request, reply) => await logOut(request, reply, parts)
  )
  const { oidc } = parts
  if (oidc === undefined) return
  app.get('/api/login/oidc', open, async (request, reply) => await begin(request, reply, { ...parts, oidc }))
  app.get(CALLBACK_PATH, open, async (request, reply) => await finish(request, reply, { ...parts, oidc }))
}

function sessionOf(
  { session }: FastifyRequest,
  { settings, tokens, oidc, pipelineName, version }: LoginParts
): Session {
  const caller = session === undefined ? undefined : callerOf(session, settings)
  return {
    user: caller?.user ?? null,
    role: caller?.role ?? null,
    csrfToken: session?.csrfToken ?? null,
    logins: [...(tokens.length > 0 ? ['token' as const] : []), ...(oidc === undefined ? [] : ['oidc' as const])],
    pipeline: pipelineName,
    version,
    isMasked: caller?.isMasked ?? true,
    isExportAllowed: caller?.isExportAllowed ?? false
  }
}

async function logIn(request: FastifyRequest, reply: FastifyReply, parts: LoginParts): Promise<Session> {
  parts.guard.countLogin(request.ip)
  const token = tokenOf(request.body)
  const identity = identityOfToken(parts.tokens, token)
  if (identity === undefined) {
    await refused(parts, request, 'a token that is not known')
    throw new PipelineError('ERR_CONSOLE_LOGIN', 'this token opens nothing here')
  }
  await enter({ request, reply, identity, parts, how: 'token' })
  return sessionOf(request, parts)
}

function tokenOf(body: unknown): string {
  const token: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'token') : undefined
  if (typeof token === 'string' && token !== '' && token.length <= TOKEN_LENGTH_MAX) return token
  throw new PipelineError('ERR_CONSOLE_REQUEST', `token: a text of at most ${TOKEN_LENGTH_MAX} characters`)
}

interface Entering {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly identity: Identity
  readonly parts: LoginParts
  readonly how: string
}

/** A login has a session of its own: one that the browser brought along ends. */
async function enter({ request, reply, identity, parts, how }: Entering): Promise<void> {
  const { sessions, guard, audit } = parts
  await audit.append(entryOf('login', identity, { detail: `by ${how} from ${request.ip}` }))
  leave(request, parts)
  const { cookie, session } = sessions.begin(identity)
  request.session = session
  setSessionCookie(reply, guard, cookie)
}

function leave(request: FastifyRequest, { sessions, guard }: LoginParts): void {
  sessions.end(request.cookies[guard.cookieName])
}

async function logOut(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: LoginParts
): Promise<{ readonly logoutUrl: string | null }> {
  const { session } = request
  leave(request, parts)
  setSessionCookie(reply, parts.guard, undefined)
  if (session !== undefined) await parts.audit.append(entryOf('logout', session, { detail: '' }))
  const { oidc } = parts
  if (oidc === undefined) return { logoutUrl: null }
  // A provider that is away keeps nobody logged in here.
  const url = await oidc.logoutUrl(`${parts.guard.originOf(request)}/`).catch((error: unknown) => {
    parts.onProblem(error, 'the provider of logins does not say where to log out')
    return undefined
  })
  return { logoutUrl: url ?? null }
}

type WithOidc = LoginParts & { readonly oidc: OidcLogin }

async function begin(request: FastifyRequest, reply: FastifyReply, parts: WithOidc): Promise<FastifyReply> {
  parts.guard.countLogin(request.ip)
  const { url, cookie } = await parts.oidc.begin(redirectUri(request, parts))
  return reply.setCookie(ATTEMPT_COOKIE, cookie, { ...attemptCookie(parts), maxAge: 600 }).redirect(url, 303)
}

/** Whatever comes of it, the browser ends on a page, which tells the reason. */
async function finish(request: FastifyRequest, reply: FastifyReply, parts: WithOidc): Promise<FastifyReply> {
  void reply.clearCookie(ATTEMPT_COOKIE, attemptCookie(parts))
  try {
    parts.guard.countLogin(request.ip)
    const identity = await parts.oidc.finish(request.cookies[ATTEMPT_COOKIE], queryOf(request).toString())
    await enter({ request, reply, identity, parts, how: 'OIDC' })
    return reply.redirect('/', 303)
  } catch (error) {
    const code: ErrorCode = PipelineError.is(error) ? error.code : 'ERR_CONSOLE_INTERNAL'
    // Nobody fills the audit log with attempts until what matters has gone from it.
    if (code !== 'ERR_CONSOLE_RATE') {
      parts.onProblem(error, 'a login by OIDC was refused')
      await refused(parts, request, messageOf(error))
    }
    return reply.redirect(`/?problem=${code}`, 303)
  }
}

function redirectUri(request: FastifyRequest, { guard }: LoginParts): string {
  return `${guard.originOf(request)}${CALLBACK_PATH}`
}

function attemptCookie({ guard }: LoginParts): {
  readonly path: string
  readonly httpOnly: true
  readonly sameSite: 'lax'
  readonly secure: boolean
} {
  return { path: '/api/login/oidc', httpOnly: true, sameSite: 'lax', secure: guard.isHttps }
}

/** A refusal stays one if it cannot be written down. */
async function refused(parts: LoginParts, request: FastifyRequest, reason: string): Promise<void> {
  const entry: Omit<AuditEntry, 'atMs'> = {
    user: '',
    role: null,
    action: 'login',
    subject: request.ip,
    outcome: 'refused',
    detail: reason,
    undoId: null
  }
  await parts.audit
    .append(entry)
    .catch((error: unknown) => parts.onProblem(error, 'a refused login is not in the audit log'))
}

function entryOf(
  action: string,
  { user, role }: Identity,
  { detail }: { readonly detail: string }
): Omit<AuditEntry, 'atMs'> {
  return { user, role, action, subject: '', outcome: 'ok', detail, undoId: null }
}
