/**
 * Error codes of the room `lambda`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const lambdaErrorCodes = {} as const satisfies Record<`ERR_LAMBDA_${string}`, ErrorCodeEntry>
