/**
 * Error codes of the room `console`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const consoleErrorCodes = {
  ERR_CONSOLE_INSTANCE: {
    summary: 'A process of the pipeline is away, or takes no orders from the console.',
    remedy: 'The message says which and why: look whether it runs, and whether its control token is the console’s.',
    retriable: true
  },
  ERR_CONSOLE_NOT_FOUND: {
    summary: 'What was asked for is not there.',
    remedy: 'Look at the list again: it may have been deleted.',
    retriable: false
  },
  ERR_CONSOLE_REQUEST: {
    summary: 'A request to the console makes no sense.',
    remedy: 'The message names the field and what is allowed.',
    retriable: false
  }
} as const satisfies Record<string, ErrorCodeEntry>
