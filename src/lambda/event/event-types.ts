/**
 * The events that carry Kafka records into a function, and the answers to them, as types: AWS's event source mapping
 * for Amazon MSK and for self-managed Kafka, and Comporta's own payload.
 *
 * They say what arrives, not what should: keys and values may be absent, and nothing here is checked by a type alone.
 * `MSKEvent` and `SelfManagedKafkaEvent` of `@types/aws-lambda` are assignable to `KafkaEvent`.
 *
 * Sources: Lambda developer guide, "Using Lambda with Amazon MSK", "Using Lambda with self-managed Apache Kafka",
 * "Using schema registries with Kafka event sources", "Configuring error handling controls for Kafka event sources".
 */

/** One header: its name, and its bytes as whole numbers. AWS writes them signed, -128 to 127. */
export type KafkaEventHeader = Readonly<Record<string, readonly number[] | null>>

/** What a schema registry, if the mapping has one, says of a key or value. */
export interface KafkaSchemaMetadata {
  /** `AVRO`, `PROTOBUF` or `JSON`. */
  readonly dataFormat: string
  /** Id of the schema in its registry. */
  readonly schemaId: string
}

/** One record of AWS's Kafka event. */
export interface KafkaEventRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly timestampType: 'CREATE_TIME' | 'LOG_APPEND_TIME'
  /** Base64; absent or null for a record without a key. */
  readonly key?: string | null
  /** Base64; absent or null for a tombstone. */
  readonly value?: string | null
  /** One entry per header, in order; a name may be repeated. */
  readonly headers: readonly KafkaEventHeader[]
  readonly keySchemaMetadata?: KafkaSchemaMetadata | null
  readonly valueSchemaMetadata?: KafkaSchemaMetadata | null
}

interface KafkaEventBase {
  /** `host:port`, comma separated. */
  readonly bootstrapServers: string
  /** Records by `topic-partition`; an event may hold several partitions of several topics. */
  readonly records: Readonly<Record<string, readonly KafkaEventRecord[]>>
}

/** AWS's event for Amazon MSK. */
export interface MskKafkaEvent extends KafkaEventBase {
  readonly eventSource: 'aws:kafka'
  /** ARN of the cluster. */
  readonly eventSourceArn: string
}

/** AWS's event for any other cluster. */
export interface SelfManagedKafkaEvent extends KafkaEventBase {
  readonly eventSource: 'SelfManagedKafka'
}

/** AWS's Kafka event, told apart by `eventSource`. */
export type KafkaEvent = MskKafkaEvent | SelfManagedKafkaEvent

/** One entry of AWS's answer: where a partition is to be resumed. */
export interface KafkaBatchItemFailure {
  /** An object, and not a text as for queues and streams. */
  readonly itemIdentifier: {
    /** `topic-partition`, as the event names it. */
    readonly partition: string
    readonly offset: number
  }
}

/**
 * AWS's answer with `ReportBatchItemFailures`, in its form for Kafka. The named record of a partition and everything
 * after it is sent again; an empty list says that all is done.
 */
export interface KafkaBatchResponse {
  readonly batchItemFailures: KafkaBatchItemFailure[]
}

/** Text as it is where bytes are UTF-8, else Base64: how Comporta's payload writes keys and header values. */
export type ComportaText = string | { readonly base64: string }

/** Comporta's payload (`payload.format: json`): the records of one partition. Every list has one entry per record. */
export interface ComportaEvent<Message = unknown> {
  readonly topic: string
  readonly partition: number
  /** Values; `null` for a tombstone. */
  readonly messages: readonly Message[]
  /** On by default (`payload.include`); without them no failure could be told. */
  readonly offsets: readonly number[]
  /** Epoch milliseconds. On by default. */
  readonly timestamps?: readonly number[]
  readonly keys?: readonly (ComportaText | null)[]
  readonly headers?: readonly (readonly Readonly<Record<string, ComportaText | null>>[])[]
}

/** One record that is not simply done. */
export interface ComportaFailure {
  readonly offset: number
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  /** Milliseconds before which it need not come again. */
  readonly retryAfterMs?: number
  /** Something else is at fault: this record should not be charged with an attempt. */
  readonly unavailable?: true
  /** With `unavailable`: this record may be what broke it. */
  readonly suspect?: true
}

/** The answer to Comporta's payload: nothing when all is done. */
export interface ComportaResponse {
  readonly failures?: ComportaFailure[]
}
