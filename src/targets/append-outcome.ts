/** What an error of appending to a topic says of the records. The table is in docs/reference/outcomes.md. */

import { PipelineError } from '../core/index.ts'
import { type TargetOutcome, TOO_LARGE } from './target.ts'

/** Kafka errors that only these records have. Others are those of the cluster, or of rights that somebody can give. */
const RECORDS_FAULT: ReadonlySet<string> = new Set([
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'POLICY_VIOLATION'
])

/** What an error of appending, or of a transaction, says of the batch. */
export function appendOutcome(failure: PipelineError): TargetOutcome {
  const { code, cause } = failure
  const error = code === 'ERR_CLIENT_TRANSACTION_FAILED' && PipelineError.is(cause) ? cause : failure
  const reason = error.message
  if (error.code === 'ERR_CLIENT_RECORD_TOO_LARGE') return { kind: 'rejected', reason, errorClass: TOO_LARGE }
  const name = error.fields['kafkaErrorName']
  if (typeof name === 'string' && RECORDS_FAULT.has(name)) return { kind: 'rejected', reason, errorClass: name }
  return { kind: 'unavailable', reason }
}
