/**
 * Error codes of the room `client`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const clientErrorCodes = {} as const satisfies Record<`ERR_CLIENT_${string}`, ErrorCodeEntry>
