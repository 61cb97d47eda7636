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
    remedy: 'Correct the options that the message names: targets, routes, otherwise.',
    retriable: false
  },
  ERR_LAMBDA_EVENT_UNRECOGNISED: {
    summary: 'A function was given an event that is no whole Comporta payload or AWS Kafka event; nothing was handled.',
    remedy: 'Send format `json` with offsets included, or format `esm`; the message says what is wrong with the event.',
    retriable: false
  },
  // Idempotency.
  ERR_LAMBDA_IDEMPOTENCY_OPTIONS_INVALID: {
    summary: 'The settings of idempotency cannot work; the message names every problem.',
    remedy: 'Correct the settings that the message names: store, key, ttlMs, namespace.',
    retriable: false
  },
  ERR_LAMBDA_IDEMPOTENCY_STORE: {
    summary: 'The store of idempotency did not answer, is throttled, or is not there; the batch was not delivered.',
    remedy: 'The batch comes again by itself. If not: create or grant what the message names, or raise it.',
    retriable: true
  },
  ERR_LAMBDA_IDEMPOTENCY_LEASE_LOST: {
    summary: 'Records were delivered after their claim had ended and another invocation had taken them over.',
    remedy: 'They are delivered again. Raise reserveMs so that invocations end in time, and graceMs if clocks differ.',
    retriable: false
  },
  // Event source mappings
  ERR_LAMBDA_MAPPING_INVALID: {
    summary: 'The settings of an event source mapping cannot work; the message names every problem.',
    remedy: 'Correct the settings that the message names; AWS would refuse them as well.',
    retriable: false
  },
  ERR_LAMBDA_MAPPING_FAILED: {
    summary: 'An event source mapping met something it cannot go on from; its records stay uncommitted.',
    remedy: 'Read the message, remove its cause and start the mapping again: it goes on where it was.',
    retriable: false
  },
  // kafkaBatch
  ERR_LAMBDA_KAFKA_BATCH_OPTIONS_INVALID: {
    summary: 'The handler or the options of kafkaBatch cannot work; the message names every problem.',
    remedy: 'Correct the options that the message names.',
    retriable: false
  },
  ERR_LAMBDA_KAFKA_BATCH_INCOMPLETE: {
    summary: 'A function of kafkaBatch with partialResponses: false has records that are not done; all come again.',
    remedy: 'Look at the warnings of the invocation; they name the records and the reasons.',
    retriable: true
  }
} as const satisfies Record<`ERR_LAMBDA_${string}`, ErrorCodeEntry>
