/**
 * Error codes of the room `core`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const coreErrorCodes = {
  ERR_CORE_INVARIANT: {
    summary: 'Something that cannot happen has happened: the component has closed itself.',
    remedy: 'Report it with the message and the log lines before it; the process itself may go on.',
    retriable: false
  },
  ERR_CORE_ABORTED: {
    summary: 'The operation was given up because its owner is stopping.',
    remedy: 'Nothing, when a stop was asked for.',
    retriable: false
  }
} as const satisfies Record<`ERR_CORE_${string}`, ErrorCodeEntry>
