/**
 * Error codes of the room `config`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const configErrorCodes = {} as const satisfies Record<`ERR_CONFIG_${string}`, ErrorCodeEntry>
