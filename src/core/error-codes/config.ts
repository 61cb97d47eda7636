/**
 * Error codes of the room `config`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const configErrorCodes = {
  ERR_CONFIG_INVALID: {
    summary: 'The pipeline file has problems; the message lists every one with its line.',
    remedy: 'Correct the lines named, then run `comporta check`.',
    retriable: false
  },
  ERR_CONFIG_UNREADABLE: {
    summary: 'The pipeline file cannot be read.',
    remedy: 'Name an existing file with `--file`, or write one with `comporta init`.',
    retriable: false
  },
  ERR_CONFIG_CREDENTIALS: {
    summary: 'A certificate, a key, a password or a token that `kafka:` names cannot be used.',
    remedy: 'The message says what is wrong with which; correct it, then run `comporta check`.',
    retriable: false
  }
} as const satisfies Record<`ERR_CONFIG_${string}`, ErrorCodeEntry>
