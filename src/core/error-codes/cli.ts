/**
 * Error codes of the room `cli`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const cliErrorCodes = {
  ERR_CLI_USAGE: {
    summary: 'The command line asks for something that cannot be.',
    remedy: 'See `comporta <command> --help`.',
    retriable: false
  },
  ERR_CLI_INPUT: {
    summary: 'A file that the command line names cannot be read.',
    remedy: 'Name an existing, readable file.',
    retriable: false
  },
  ERR_CLI_OUTPUT: {
    summary: 'The output of a command cannot be written.',
    remedy: 'Make room where it goes; the message has the system’s reason.',
    retriable: false
  },
  ERR_CLI_PORT: {
    summary: 'A port of the command line cannot be listened on.',
    remedy: 'Choose another one, or 0 for any that is free.',
    retriable: true
  },
  ERR_CLI_CONTROL_TOKEN: {
    summary: 'The token for orders to a running process is too short, or cannot be sent in a header.',
    remedy: 'Set COMPORTA_CONTROL_TOKEN to at least 16 printable characters, or unset it.',
    retriable: false
  },
  ERR_CLI_CONTROL_OFF: {
    summary: 'A running process takes no orders, or not this one.',
    remedy: 'Start it with a token in COMPORTA_CONTROL_TOKEN; only dispatchers pause and resume partitions.',
    retriable: false
  },
  ERR_CLI_CONTROL_DENIED: {
    summary: 'An order to a running process came without its token, under a foreign name, or from a page of a browser.',
    remedy: 'Send the process’s token as `authorization: Bearer …` to its own address.',
    retriable: false
  },
  ERR_CLI_CONTROL_INPUT: {
    summary: 'An order to a running process cannot be understood.',
    remedy: 'POST a JSON body like { "topic": "orders", "partition": 3 } with a topic that the process reads.',
    retriable: false
  },
  ERR_CLI_ROLE_FAILED: {
    summary: 'A process of the pipeline could not start, or ended by itself.',
    remedy: 'The message has its last log lines; the whole log is in the folder it names.',
    retriable: true
  },
  ERR_CLI_TOPICS: {
    summary: 'The topics of the pipeline file cannot be created.',
    remedy: 'Create them by hand, or give the user the right to; the message has Kafka’s reason for each.',
    retriable: false
  },
  ERR_CLI_CREDENTIALS_UNREACHABLE: {
    summary: 'The place of a certificate, a secret or a token cannot be reached, or has none at the moment.',
    remedy: 'Check the network and the service that the message names; it is tried again while old ones still count.',
    retriable: true
  },
  ERR_CLI_TIMEOUT: {
    summary: 'A run did not come to its end in time.',
    remedy: 'The message says what was still missing; run again with more time or fewer records.',
    retriable: true
  },
  ERR_CLI_LAMBDA_UNREACHABLE: {
    summary: 'No embedded Lambda runtime answers at the address.',
    remedy: 'Start one with `comporta lambda` or `comporta up`, or name its address with --endpoint.',
    retriable: true
  },
  ERR_CLI_LAMBDA_REFUSED: {
    summary: 'The embedded Lambda runtime refuses what was asked of it; the message has its words.',
    remedy: 'Correct the name, the qualifier or the setting that the message names; a throttle passes by itself.',
    retriable: false
  },
  ERR_CLI_PRICES: {
    summary: 'The price list of AWS cannot be read.',
    remedy: 'Check the region and the way to the internet; without a new list the one of the package is used.',
    retriable: true
  }
} as const satisfies Record<`ERR_CLI_${string}`, ErrorCodeEntry>
