/** Which errors of Kafka are about the records themselves: these become dead letters, no others do. */

import type { PipelineError } from '../core/index.ts'

/** Kafka's errors that are about the record itself, so that no other attempt and no other time can succeed. */
const RECORD_FAULTS: ReadonlySet<number> = new Set([
  10, // MESSAGE_TOO_LARGE
  18, // RECORD_LIST_TOO_LARGE
  32, // INVALID_TIMESTAMP
  43, // UNSUPPORTED_FOR_MESSAGE_FORMAT
  44, // POLICY_VIOLATION
  87 // INVALID_RECORD
])

/**
 * Whether records failed because of what they are, not because of the cluster.
 * Only these become dead letters: a sick cluster must stop the source, not empty it.
 */
export function isRecordFault(error: PipelineError): boolean {
  if (error.code === 'ERR_CLIENT_RECORD_TOO_LARGE') return true
  return error.kafkaCode !== undefined && RECORD_FAULTS.has(error.kafkaCode)
}
