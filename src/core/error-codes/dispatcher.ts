/**
 * Error codes of the room `dispatcher`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const dispatcherErrorCodes = {} as const satisfies Record<`ERR_DISPATCHER_${string}`, ErrorCodeEntry>
