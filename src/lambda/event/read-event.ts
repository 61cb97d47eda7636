/**
 * The two events that carry Kafka records into a function, as one form: lists by partition.
 *
 * - Comporta's payload, see `comporta-partition.ts`: one partition.
 * - AWS's Kafka event, see `esm-partition.ts`: any number of partitions of any number of topics.
 *
 * An event that is not exactly one of them is refused as a whole, before anything is done with a record of it: the
 * caller then sends it again or puts it aside, and nothing counts as done that nobody has read.
 */

import { readComporta } from './comporta-partition.ts'
import { readEsm } from './esm-partition.ts'
import type { EventPartition } from './event-partition.ts'
import { isRecord, unrecognised } from './event-problem.ts'

export { type EventPartition, type RecordHeader, textOf } from './event-partition.ts'

/** An event and the form its answer takes. */
export interface DistributorEvent {
  readonly format: 'json' | 'esm'
  /** Partitions with records; none for an event without any. */
  readonly partitions: readonly EventPartition[]
}

/**
 * Reads an event.
 *
 * @throws PipelineError `ERR_LAMBDA_EVENT_UNRECOGNISED` if it has neither form, if it has no offsets, or if an offset
 *   is not a whole number below 2^53: a larger one was rounded on its way, and an answer would name another record.
 */
export function readEvent(event: unknown): DistributorEvent {
  if (isRecord(event)) {
    const { messages, records } = event
    if (Array.isArray(messages)) return { format: 'json', partitions: [readComporta(event, messages)] }
    if (isRecord(records)) return { format: 'esm', partitions: readEsm(records) }
    // Some runtimes write an empty map as null.
    if (records === null && isKafkaSource(event['eventSource'])) return { format: 'esm', partitions: [] }
  }
  throw unrecognised('it has neither "messages" (Comporta\'s payload) nor "records" (AWS\'s Kafka event)')
}

function isKafkaSource(value: unknown): boolean {
  return value === 'aws:kafka' || value === 'SelfManagedKafka'
}
