/**
 * Error codes of the room `protocol`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const protocolErrorCodes = {} as const satisfies Record<`ERR_PROTOCOL_${string}`, ErrorCodeEntry>
