/** Who is logged in, and what may be done: `GET /api/session`, `POST /api/login`, `POST /api/logout`. */

/** `viewer` looks; `operator` changes, too. */
export type ConsoleRole = 'viewer' | 'operator'

/** `GET /api/session`: also without a login. */
export interface Session {
  /** `null` = not logged in. */
  readonly user: string | null
  readonly role: ConsoleRole | null
  /** Goes with every request that changes something, as `x-csrf-token`. `null` = not logged in. */
  readonly csrfToken: string | null
  /** Ways to log in that this console offers. */
  readonly logins: readonly ('token' | 'oidc')[]
  /** Pipeline's name, or the brokers. */
  readonly pipeline: string
  readonly version: string
  /** Whether keys, values and headers are hidden from this user. */
  readonly isMasked: boolean
  /** Whether messages and tables may be downloaded. */
  readonly isExportAllowed: boolean
}

/** `POST /api/login`. */
export interface LoginRequest {
  readonly token: string
}

/** `GET /api/audit`: who did what, newest first, a `Page`. */
export interface AuditEntry {
  readonly atMs: number
  readonly user: string
  readonly role: ConsoleRole | null
  /** For example `change.apply`, `records.read`, `login`. */
  readonly action: string
  /** What it was about: a topic, a group. */
  readonly subject: string
  readonly outcome: 'ok' | 'refused' | 'failed'
  /** For people. */
  readonly detail: string
  /** Of the change that can be taken back. */
  readonly undoId: string | null
}
