/**
 * Names of attributes of spans.
 *
 * Source: OpenTelemetry semantic conventions, "Messaging" and "Kafka" (development), "FaaS"; `comporta.` is our own.
 */
export const SPAN_ATTRIBUTES = {
  system: 'messaging.system',
  operation: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  topic: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  group: 'messaging.consumer.group.name',
  recordCount: 'messaging.batch.message_count',
  firstOffset: 'messaging.kafka.offset',
  bodyBytes: 'messaging.message.body.size',
  invocationId: 'faas.invocation_id',
  trigger: 'faas.trigger',
  lastOffset: 'comporta.batch.last_offset',
  invocations: 'comporta.batch.invocations',
  retried: 'comporta.batch.retried',
  deadLettered: 'comporta.batch.dead_lettered',
  putAside: 'comporta.batch.put_aside',
  traced: 'comporta.batch.traced',
  attempt: 'comporta.attempt',
  target: 'comporta.target',
  outcome: 'comporta.outcome',
  source: 'comporta.source',
  idempotencyKey: 'comporta.idempotency_key'
} as const

/** What classes of errors look like: `TypeError`, `java.io.IOException`, `Function<My::Error>`, `Http503`. */
const CLASS = /^[\w.:$*<>/-]{1,100}$/

/**
 * A class of errors as an attribute. A service says what it likes, also a text with parts of records in it: what does
 * not look like a class is `_OTHER`. Source: OpenTelemetry, `error.type`.
 */
export function knownErrorType(errorClass: string): string {
  return CLASS.test(errorClass) ? errorClass : '_OTHER'
}
