/** What a parent process and the roles it started say to each other, over Node's IPC channel. */

/** Numbers that a role reports while it runs; the parent adds them up. */
export type RoleStatus = Readonly<Record<string, number>>

/** From the parent to a role. */
export type ToRole =
  | { readonly kind: 'start'; readonly role: string; readonly options: unknown; readonly logLevel: string }
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  | { readonly kind: 'flush' }
  /** Options as for `start`, of which those hold from now on that may change while running. */
  | { readonly kind: 'configure'; readonly options: unknown }

/** From a role to its parent. */
export type FromRole =
  | { readonly kind: 'ready'; readonly info: Readonly<Record<string, string>> }
  | { readonly kind: 'status'; readonly status: RoleStatus }
  | { readonly kind: 'finished' }
  | { readonly kind: 'flushed' }
  /** Settings that have changed; or, if none may, why not. */
  | { readonly kind: 'configured'; readonly settings: readonly string[]; readonly problem?: string }
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }
