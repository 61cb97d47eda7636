/**
 * Error codes of the room `cli`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const cliErrorCodes = {} as const satisfies Record<`ERR_CLI_${string}`, ErrorCodeEntry>
