/**
 * Error codes of the room `console`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const consoleErrorCodes = {
  ERR_CONSOLE_CLUSTER: {
    summary: 'The console has not seen the cluster yet: no broker answers.',
    remedy: 'The message says why; the console goes on trying. Look at the brokers, their addresses and the network.',
    retriable: true
  },
  ERR_CONSOLE_AUDIT: {
    summary: 'The audit log of the console cannot be written or read; what it was about is not done.',
    remedy: 'Make room or rights where it is, or name another file at `console.audit.file`.',
    retriable: true
  },
  ERR_CONSOLE_BUSY: {
    summary: 'As many pages are open as the console serves at once.',
    remedy: 'Close pages that nobody looks at, or raise `console.limits`.',
    retriable: true
  },
  ERR_CONSOLE_CROSS_SITE: {
    summary: 'A request that changes something did not come from the pages of the console.',
    remedy: 'Load the page again; programs send the token of `GET /api/session` as x-csrf-token.',
    retriable: false
  },
  ERR_CONSOLE_FORBIDDEN: {
    summary: 'The user may not do this.',
    remedy: 'Ask for the role `operator`, or for the right to the group or topic, at `console.auth`.',
    retriable: false
  },
  ERR_CONSOLE_HOST: {
    summary: 'A request came for a host, or by a way, that the console does not answer to.',
    remedy: 'Use the address that it printed; behind a proxy set `console.publicUrl` and `console.trustProxy`.',
    retriable: false
  },
  ERR_CONSOLE_INTERNAL: {
    summary: 'A request failed by a fault of the console.',
    remedy: 'Its log has the reason, under the number that the message names: please report it.',
    retriable: false
  },
  ERR_CONSOLE_BLOCKED: {
    summary: 'What was planned cannot be done as things are.',
    remedy: 'The message says what is in its way: remove that, and plan again.',
    retriable: false
  },
  ERR_CONSOLE_CONFIRM: {
    summary: 'The word that was typed is not the one that confirms the change.',
    remedy: 'Type the word that the plan names, exactly.',
    retriable: false
  },
  ERR_CONSOLE_PLAN: {
    summary: 'There is no such plan, or it is too old, or it has been applied.',
    remedy: 'Plan the change again.',
    retriable: false
  },
  ERR_CONSOLE_STALE: {
    summary: 'What a plan is about has changed since it was made; nothing was done.',
    remedy: 'Plan the change again, and look at what it does now.',
    retriable: false
  },
  ERR_CONSOLE_INSTANCE: {
    summary: 'A process of the pipeline is away, or takes no orders from the console.',
    remedy: 'The message says which and why: look whether it runs, and whether its control token is the console’s.',
    retriable: true
  },
  ERR_CONSOLE_LISTEN: {
    summary: 'The console cannot listen on its address.',
    remedy: 'Choose another port with --port or `console.port`, or 0 for any that is free.',
    retriable: true
  },
  ERR_CONSOLE_LOGIN: {
    summary: 'Nobody is logged in, or the login was refused.',
    remedy: 'Log in with a token of `console.auth`, or with the address that the console printed at its start.',
    retriable: false
  },
  ERR_CONSOLE_NOT_FOUND: {
    summary: 'What was asked for is not there.',
    remedy: 'Look at the list again: it may have been deleted.',
    retriable: false
  },
  ERR_CONSOLE_OIDC: {
    summary: 'The OpenID Connect provider cannot be reached, or its answer cannot be trusted.',
    remedy: 'Check `console.auth.oidc` and the provider’s log; the message has the reason.',
    retriable: true
  },
  ERR_CONSOLE_PAGES: {
    summary: 'The pages of the console are not there, or cannot be built.',
    remedy: 'Install the package again; in a checkout run npm ci, and look at the reason in the log.',
    retriable: false
  },
  ERR_CONSOLE_RATE: {
    summary: 'Too many requests, or too many attempts to log in.',
    remedy: 'Wait for the seconds of Retry-After; `console.limits` has the limits.',
    retriable: true
  },
  ERR_CONSOLE_REQUEST: {
    summary: 'A request to the console makes no sense.',
    remedy: 'The message names the field and what is allowed.',
    retriable: false
  },
  ERR_CONSOLE_UNSAFE: {
    summary: 'The console would be reachable from other machines without a login or without TLS.',
    remedy: 'Give what the message names in `console:`, or listen on loopback.',
    retriable: false
  }
} as const satisfies Record<string, ErrorCodeEntry>
