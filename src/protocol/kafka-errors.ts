/** Kafka's error codes: from name to code and back. The table is generated from Kafka's own enum. */

import { KAFKA_ERRORS } from './generated/kafka-errors.ts'

/** Name of an error of the protocol, such as `NOT_LEADER_OR_FOLLOWER`. */
export type KafkaErrorName = keyof typeof KAFKA_ERRORS

/** What Kafka says about one of its errors. */
export interface KafkaErrorEntry {
  /** int16 on the wire. */
  readonly code: number
  /** Whether Kafka's own client retries it. */
  readonly retriable: boolean
  /** Whether the client must refresh its metadata before it retries. */
  readonly isMetadataStale: boolean
  readonly message: string
}

const NAMES = new Map<number, KafkaErrorName>()
for (const [name, entry] of Object.entries(KAFKA_ERRORS)) {
  NAMES.set(entry.code, name as KafkaErrorName) // The keys of the table are the names: Object.entries widens them.
}

/** Name of an error code. One that the table lacks (a newer broker's) is `UNKNOWN_SERVER_ERROR`, as in Java. */
export function kafkaErrorName(code: number): KafkaErrorName {
  return NAMES.get(code) ?? 'UNKNOWN_SERVER_ERROR'
}

/** The table row of an error code; an unknown code is `UNKNOWN_SERVER_ERROR`. */
export function kafkaErrorEntry(code: number): KafkaErrorEntry {
  return KAFKA_ERRORS[kafkaErrorName(code)]
}

/** Whether Kafka's own client retries an error code. */
export function isKafkaErrorRetriable(code: number): boolean {
  return kafkaErrorEntry(code).retriable
}
