/**
 * Error codes of the room `lambda`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const lambdaErrorCodes = {
  ERR_LAMBDA_OPTIONS_INVALID: {
    summary: 'The options of the embedded Lambda runtime cannot work; the message names every problem.',
    remedy: 'Correct the options that the message names and start again.',
    retriable: false
  },
  ERR_LAMBDA_LISTEN_FAILED: {
    summary: 'The embedded Lambda runtime could not listen on its address.',
    remedy: 'Free the port, or choose another (port 0 takes any free one).',
    retriable: false
  },
  ERR_LAMBDA_FUNCTION_UNKNOWN: {
    summary: 'The embedded Lambda runtime has no function of that name.',
    remedy: 'Use one of the configured names; the message lists them.',
    retriable: false
  },
  ERR_LAMBDA_FAULTS_INVALID: {
    summary: 'The faults to inject are out of range.',
    remedy: 'Give extraLatencyMs from 0 to 900000 and failureRatio from 0 to 1.',
    retriable: false
  },
  ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID: {
    summary: 'The options of the distributor function cannot work; the message names every problem.',
    remedy: 'Correct the options that the message names: services, routes, otherwise.',
    retriable: false
  },
  ERR_LAMBDA_EVENT_UNRECOGNISED: {
    summary: 'The distributor function was given an event that is neither a Comporta payload nor an AWS Kafka event.',
    remedy: 'Send format `json` with offsets included, or format `esm`.',
    retriable: false
  }
} as const satisfies Record<`ERR_LAMBDA_${string}`, ErrorCodeEntry>
