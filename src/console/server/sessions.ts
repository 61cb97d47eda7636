/**
 * Sessions: who is logged in, in memory only.
 *
 * A browser holds 256 random bits in a cookie; the store knows their hash, so that what it holds opens nothing. An id
 * that the store did not make is nobody's: none can be brought along and filled by a login (fixation), and each login
 * has a new one. Bounded: above `sessionsMax` the session that was quiet for longest ends.
 *
 * Invariants: a session never outlives `sessionMs`, nor `idleMs` of quiet; what has ended does not come back.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Clock } from '../../core/index.ts'
import type { ConsoleRole } from '../api/session.ts'
import type { Rights } from './access-types.ts'

/** Who somebody is. */
export interface Identity {
  readonly user: string
  readonly role: ConsoleRole
  readonly rights: Rights
}

/** A login. */
export interface ActiveSession extends Identity {
  /** Names it in plans and streams; opens nothing. */
  readonly id: string
  readonly csrfToken: string
  readonly startedAtMs: number
  lastAtMs: number
  /** Whether it was ended before its time. */
  isOver: boolean
}

/** Limits of a store. */
export interface SessionStoreOptions {
  readonly idleMs: number
  readonly sessionMs: number
  readonly sessionsMax: number
  readonly clock: Clock
  /** Called when a session has ended, whatever the reason. */
  readonly onEnded?: (session: ActiveSession) => void
}

/** The sessions of a console. */
export class SessionStore {
  readonly #options: SessionStoreOptions
  /** By the hash of the cookie; quiet for longest first. */
  readonly #sessions = new Map<string, ActiveSession>()

  constructor(options: SessionStoreOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#sessions.size
  }

  /** Begins a session; returns what goes into the cookie. */
  begin({ user, role, rights }: Identity): { readonly cookie: string; readonly session: ActiveSession } {
    this.sweep()
    const nowMs = this.#options.clock.monotonicMs()
    const cookie = secret()
    const names = { id: secret(), csrfToken: secret() }
    const session = { user, role, rights, ...names, startedAtMs: nowMs, lastAtMs: nowMs, isOver: false }
    this.#sessions.set(hashOf(cookie), session)
    if (this.#sessions.size > this.#options.sessionsMax) {
      for (const [quietest, ended] of this.#sessions) {
        this.#end(quietest, ended)
        break
      }
    }
    return { cookie, session }
  }

  /** The session of a cookie, which counts as used now; `undefined` = there is none, or it has ended. */
  find(cookie: string | undefined): ActiveSession | undefined {
    if (cookie === undefined || cookie.length > 100) return undefined
    const key = hashOf(cookie)
    const session = this.#sessions.get(key)
    if (session === undefined) return undefined
    if (!this.isAlive(session)) {
      this.#end(key, session)
      return undefined
    }
    // Last in the order of the map: the first is the one that was quiet for longest.
    this.#sessions.delete(key)
    session.lastAtMs = this.#options.clock.monotonicMs()
    this.#sessions.set(key, session)
    return session
  }

  /** Whether its time is not over. */
  isAlive({ startedAtMs, lastAtMs }: ActiveSession): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    return nowMs - startedAtMs < this.#options.sessionMs && nowMs - lastAtMs < this.#options.idleMs
  }

  /** Keeps a session from ending by quiet, because its page is open. False: it has ended, by time or by logout. */
  keepAlive(session: ActiveSession): boolean {
    if (session.isOver || !this.isAlive(session)) return false
    session.lastAtMs = this.#options.clock.monotonicMs()
    return true
  }

  /** Ends the session of a cookie. */
  end(cookie: string | undefined): ActiveSession | undefined {
    if (cookie === undefined) return undefined
    const key = hashOf(cookie)
    const session = this.#sessions.get(key)
    if (session !== undefined) this.#end(key, session)
    return session
  }

  /** Ends those whose time is over. `isOpen` says which have a page open: that is no quiet. */
  sweep(isOpen: (session: ActiveSession) => boolean = () => false): void {
    for (const [key, session] of this.#sessions) {
      if (isOpen(session)) this.keepAlive(session)
      if (!this.isAlive(session)) this.#end(key, session)
    }
  }

  #end(key: string, session: ActiveSession): void {
    session.isOver = true
    this.#sessions.delete(key)
    this.#options.onEnded?.(session)
  }
}

/** 256 random bits, as text for cookies and headers. */
export function secret(): string {
  return randomBytes(32).toString('base64url')
}

/** SHA-256 of a text, in hexadecimal. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Whether two texts are the same, in a time that does not tell where they differ. */
export function isSameSecret(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(one), 'hex'), Buffer.from(hashOf(other), 'hex'))
}
