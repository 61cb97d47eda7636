/**
 * Kafka's error codes as errors of this package: one place that says which code becomes which error.
 *
 * Everything not named here is `ERR_CLIENT_KAFKA` with Kafka's own verdict on whether to retry.
 */

import { type ErrorCode, messageOf, PipelineError } from '../core/index.ts'
import { isKafkaErrorRetriable, kafkaErrorName } from '../protocol/index.ts'

/** Kafka error codes that the client acts on. Source: Kafka's `Errors` table. */
export const KAFKA = {
  UNKNOWN_SERVER_ERROR: -1,
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  OFFSET_METADATA_TOO_LARGE: 12,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  RECORD_LIST_TOO_LARGE: 18,
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  UNKNOWN_MEMBER_ID: 25,
  REBALANCE_IN_PROGRESS: 27,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  UNSUPPORTED_SASL_MECHANISM: 33,
  UNSUPPORTED_VERSION: 35,
  NOT_CONTROLLER: 41,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  CONCURRENT_TRANSACTIONS: 51,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  OPERATION_NOT_ATTEMPTED: 55,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  GROUP_ID_NOT_FOUND: 69,
  FETCH_SESSION_ID_NOT_FOUND: 70,
  INVALID_FETCH_SESSION_EPOCH: 71,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  MEMBER_ID_REQUIRED: 79,
  FENCED_INSTANCE_ID: 82,
  UNSTABLE_OFFSET_COMMIT: 88,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
  FETCH_SESSION_TOPIC_ID_ERROR: 106,
  FENCED_MEMBER_EPOCH: 110,
  UNRELEASED_INSTANCE_ID: 111,
  UNSUPPORTED_ASSIGNOR: 112,
  STALE_MEMBER_EPOCH: 113,
  TRANSACTION_ABORTABLE: 120
} as const

/** Codes that say: the metadata that this request was based on is out of date. */
const staleMetadataCodes: ReadonlySet<number> = new Set([
  KAFKA.UNKNOWN_TOPIC_OR_PARTITION,
  KAFKA.LEADER_NOT_AVAILABLE,
  KAFKA.NOT_LEADER_OR_FOLLOWER,
  KAFKA.REPLICA_NOT_AVAILABLE,
  KAFKA.KAFKA_STORAGE_ERROR,
  KAFKA.FENCED_LEADER_EPOCH,
  KAFKA.UNKNOWN_LEADER_EPOCH,
  KAFKA.UNKNOWN_TOPIC_ID,
  KAFKA.INCONSISTENT_TOPIC_ID
])

/** Codes that say: this broker is not, or not yet, the coordinator. */
const coordinatorCodes: ReadonlySet<number> = new Set([KAFKA.COORDINATOR_NOT_AVAILABLE, KAFKA.NOT_COORDINATOR])

const ownCodes: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [KAFKA.OFFSET_OUT_OF_RANGE, 'ERR_CLIENT_OFFSET_OUT_OF_RANGE'],
  [KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'ERR_CLIENT_TOPIC_UNKNOWN'],
  [KAFKA.UNKNOWN_TOPIC_ID, 'ERR_CLIENT_TOPIC_UNKNOWN'],
  [KAFKA.ILLEGAL_GENERATION, 'ERR_CLIENT_GENERATION_STALE'],
  [KAFKA.UNKNOWN_MEMBER_ID, 'ERR_CLIENT_GENERATION_STALE'],
  [KAFKA.FENCED_MEMBER_EPOCH, 'ERR_CLIENT_GENERATION_STALE'],
  [KAFKA.UNRELEASED_INSTANCE_ID, 'ERR_CLIENT_INSTANCE_IN_USE'],
  [KAFKA.FENCED_INSTANCE_ID, 'ERR_CLIENT_INSTANCE_FENCED'],
  [KAFKA.PRODUCER_FENCED, 'ERR_CLIENT_PRODUCER_FENCED']
])

/** Whether the code asks for fresh metadata. */
export function isStaleMetadata(code: number): boolean {
  return staleMetadataCodes.has(code)
}

/** Whether the code asks to look the coordinator up again. */
export function isCoordinatorMoved(code: number): boolean {
  return coordinatorCodes.has(code)
}

/**
 * The error for a code that a broker answered.
 *
 * @param what - What was tried, without values of records: `Produce to mt-c400-3`.
 * @param brokerMessage - Text of the broker, if it sent one.
 */
export function kafkaError(code: number, what: string, brokerMessage?: string | null): PipelineError {
  const name = kafkaErrorName(code)
  const detail = brokerMessage === undefined || brokerMessage === null ? '' : `: ${brokerMessage}`
  return new PipelineError(
    ownCodes.get(code) ?? 'ERR_CLIENT_KAFKA',
    `${what} was answered ${name} (${code})${detail}`,
    {
      kafkaCode: code,
      retriable: isKafkaErrorRetriable(code),
      fields: { kafkaErrorName: name }
    }
  )
}

/** Throws the error for a code other than 0. */
export function throwKafkaError(code: number, what: string, brokerMessage?: string | null): void {
  if (code !== KAFKA.NONE) throw kafkaError(code, what, brokerMessage)
}

/** Any thrown value as an error of this package; what is not ours counts as an unreadable answer. */
export function asPipelineError(error: unknown, what: string): PipelineError {
  if (PipelineError.is(error)) return error
  return new PipelineError('ERR_CLIENT_RESPONSE_INVALID', `${what}: ${messageOf(error)}`, { cause: error })
}
