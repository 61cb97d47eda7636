/**
 * Error codes of the room `producer`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const producerErrorCodes = {} as const satisfies Record<`ERR_PRODUCER_${string}`, ErrorCodeEntry>
