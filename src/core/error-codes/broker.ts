/**
 * Error codes of the room `broker`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const brokerErrorCodes = {} as const satisfies Record<`ERR_BROKER_${string}`, ErrorCodeEntry>
