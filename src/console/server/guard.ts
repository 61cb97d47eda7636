/**
 * What every request passes before its handler runs: the way it came, its host, its rate, the page it came from, who
 * sends it, and what that user may do. A route that says nothing of itself needs a login; only those of this folder can
 * be open.
 */

import { BlockList, isIPv6 } from 'node:net'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { type Clock, PipelineError } from '../../core/index.ts'
import type { ConsoleConfig } from '../../config/index.ts'
import type { ConsoleRole } from '../api/session.ts'
import { isHttps, securityHeaders } from './headers.ts'
import { Limiter } from './limiter.ts'
import { masksOf } from './masking.ts'
import { OpenAnswers } from './open-answers.ts'
import { allowedHosts, isCrossSite, type Place } from './origin.ts'
import { hasRole } from './rights.ts'
import type { Caller } from './server-types.ts'
import { type ActiveSession, isSameSecret, type SessionStore } from './sessions.ts'

/** Who may ask: `nobody` in particular is everybody. */
export type RouteNeeds = ConsoleRole | 'nobody'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Least role. Default: `viewer` for GET, else `operator`. */
    needs?: RouteNeeds
  }
  interface FastifyRequest {
    /** Of the cookie that came with it. */
    session: ActiveSession | undefined
  }
}

/** What a guard is made from. */
export interface GuardOptions {
  readonly settings: ConsoleConfig
  readonly sessions: SessionStore
  readonly clock: Clock
  /** Called with every refusal of an order: who wanted what. */
  readonly onRefused: (caller: Caller, path: string) => void
}

/** Checks requests. */
export class Guard {
  readonly #options: GuardOptions
  readonly #requests: Limiter
  readonly #logins: Limiter
  readonly #proxies: BlockList | undefined
  readonly #isHttps: boolean
  readonly #headers: Readonly<Record<string, string>>
  /** What pages of each login wait for. */
  readonly answers = new OpenAnswers()
  #hosts: ReadonlySet<string> = new Set()
  #port = 0

  constructor(options: GuardOptions) {
    this.#options = options
    const { limits, trustProxy } = options.settings
    this.#requests = new Limiter({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst })
    this.#logins = new Limiter({ perSecond: limits.loginsPerMinute / 60, burst: limits.loginsPerMinute })
    this.#proxies = trustProxy === undefined ? undefined : blockListOf(trustProxy)
    this.#isHttps = isHttps(options.settings)
    this.#headers = securityHeaders(this.#isHttps)
  }

  /** Whether browsers reach it by TLS. */
  get isHttps(): boolean {
    return this.#isHttps
  }

  /**
   * Name of the session's cookie. Cookies do not know ports: two consoles of one machine must not share one. Under TLS
   * the prefix keeps other hosts of the domain from setting it (RFC 6265bis, 4.1.3.2).
   */
  get cookieName(): string {
    return this.#isHttps ? '__Host-comporta' : `comporta-${this.#port}`
  }

  /** Says where the console listens, once it does. */
  listening(port: number): void {
    this.#port = port
    this.#hosts = allowedHosts(this.#place())
  }

  /** Puts itself in front of every route of a server. */
  guard(app: FastifyInstance): void {
    app.decorateRequest('session', undefined)
    app.addHook('onRequest', async (request, reply) => {
      void reply.headers(this.#headers)
      this.#check(request)
      if (request.session !== undefined) this.answers.add(request.session.id, reply.raw)
    })
  }

  /** One more attempt to log in. Throws `ERR_CONSOLE_RATE` if there were too many. */
  countLogin(address: string): void {
    this.#limit(this.#logins, networkOf(address), 'attempts to log in')
  }

  /** Address of the console as this browser knows it. */
  originOf(request: FastifyRequest): string {
    const { publicUrl } = this.#options.settings
    const host = request.headers.host?.toLowerCase() ?? ''
    if (publicUrl !== undefined && new URL(publicUrl).host === host) return new URL(publicUrl).origin
    return `${this.#isHttps ? 'https' : 'http'}://${host}`
  }

  /** Who sends a request that has passed. */
  callerOf(request: FastifyRequest): Caller {
    // Over: it has ended while the answer was being made.
    if (request.session?.isOver !== false) throw new PipelineError('ERR_CONSOLE_LOGIN', 'log in first')
    return callerOf(request.session, this.#options.settings)
  }

  #place(): Place {
    const { host, publicUrl } = this.#options.settings
    return { isHttps: this.#isHttps, port: this.#port, host, publicUrl }
  }

  #check(request: FastifyRequest): void {
    this.#checkWay(request)
    const host = request.headers.host?.toLowerCase()
    if (host === undefined || !this.#hosts.has(host)) {
      throw new PipelineError('ERR_CONSOLE_HOST', 'the console does not answer to this host: see console.publicUrl')
    }
    const session = this.#options.sessions.find(request.cookies[this.cookieName])
    request.session = session
    this.#limit(this.#requests, session === undefined ? networkOf(request.ip) : session.id, 'requests')
    this.#checkSite(request)
    const needs = needsOf(request)
    if (needs === 'nobody') return
    if (session === undefined) throw new PipelineError('ERR_CONSOLE_LOGIN', 'log in first')
    if (hasRole(session.role, needs)) return
    this.#options.onRefused(callerOf(session, this.#options.settings), request.routeOptions.url ?? request.url)
    throw new PipelineError('ERR_CONSOLE_FORBIDDEN', `this needs the role ${needs}, ${session.user} is ${session.role}`)
  }

  /** Behind a proxy that ends TLS nobody else is answered: they would come without it. */
  #checkWay({ socket, protocol }: FastifyRequest): void {
    if (this.#proxies === undefined) return
    if (!contains(this.#proxies, socket.remoteAddress ?? '')) {
      throw new PipelineError('ERR_CONSOLE_HOST', 'the console is reached by its proxy only: see console.trustProxy')
    }
    if (protocol === 'https') return
    const message = 'the proxy says that the browser came without TLS: it must send x-forwarded-proto: https'
    throw new PipelineError('ERR_CONSOLE_HOST', message)
  }

  #checkSite(request: FastifyRequest): void {
    const isChange = request.method !== 'GET' && request.method !== 'HEAD'
    const isNavigation = request.is404 || request.routeOptions.url === CALLBACK_PATH
    // Somebody follows a link to a page, or comes back from the provider of logins: neither shows nor changes anything.
    if (isNavigation && !isChange) return
    if (isCrossSite(request.headers, this.originOf(request), isChange)) {
      throw new PipelineError('ERR_CONSOLE_CROSS_SITE', 'the request comes from a page of somebody else')
    }
    if (!isChange || request.session === undefined || needsOf(request) === 'nobody') return
    const token = request.headers['x-csrf-token']
    if (typeof token === 'string' && isSameSecret(token, request.session.csrfToken)) return
    throw new PipelineError('ERR_CONSOLE_CROSS_SITE', 'x-csrf-token is not that of this login: load the page again')
  }

  #limit(limiter: Limiter, key: string, what: string): void {
    const retryAfterSeconds = limiter.take(key, this.#options.clock.monotonicMs())
    if (retryAfterSeconds === 0) return
    const message = `too many ${what}: try again in ${retryAfterSeconds} s`
    throw new PipelineError('ERR_CONSOLE_RATE', message, { fields: { retryAfterSeconds } })
  }
}

/** Where the provider of logins sends browsers back to. */
export const CALLBACK_PATH = '/api/login/oidc/callback'

/** What a session may do and see. */
export function callerOf(session: ActiveSession, settings: ConsoleConfig): Caller {
  const { user, role, rights, id } = session
  const masks = masksOf(settings.masking, role)
  const isExportAllowed = settings.export.roles.includes(role)
  return { user, role, rights, masks, isMasked: masks.length > 0, isExportAllowed, sessionId: id }
}

/** Sets the cookie of a session, or takes it away. */
export function setSessionCookie(reply: FastifyReply, guard: Guard, cookie: string | undefined): void {
  const options = { path: '/', httpOnly: true, sameSite: 'strict', secure: guard.isHttps } as const
  if (cookie === undefined) void reply.clearCookie(guard.cookieName, options)
  else void reply.setCookie(guard.cookieName, cookie, options)
}

/** Least role of a request's route. What is no route is a page, or not there: for everybody. */
export function needsOf({ routeOptions, method, is404 }: FastifyRequest): RouteNeeds {
  if (is404) return 'nobody'
  return routeOptions.config.needs ?? defaultNeeds(method)
}

/** Least role of a route that does not say. */
export function defaultNeeds(method: string): ConsoleRole {
  return method === 'GET' || method === 'HEAD' ? 'viewer' : 'operator'
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    try {
      if (bits === undefined) list.addAddress(address, family)
      else list.addSubnet(address, Number(bits), family)
    } catch (error) {
      const message = `console.trustProxy: ${network} is no IP address or network`
      throw new PipelineError('ERR_CONFIG_INVALID', message, { cause: error })
    }
  }
  return list
}

/** What one user has at home: an IPv4 address, or a /64 of IPv6 with its 2^64 addresses. */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain.slice(0, 64)
  const [head = '', tail] = plain.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0')
  const groups = [...first, ...zeros, ...last].slice(0, 4)
  return groups.map(group => Number.parseInt(group, 16).toString(16)).join(':')
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

/** A socket that takes both families shows IPv4 as `::ffff:10.0.0.1`. */
function contains(list: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  return plain !== '' && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}
