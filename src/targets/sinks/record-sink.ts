/**
 * What the distributor delivers records to: HTTP services, queues, streams, tables, buckets, functions, topics.
 *
 * A sink is given the records of one partition, in order, in requests within its limits, and answers for each record.
 * It keeps no records, never retries on its own (whoever calls it has the deadline and the order), and never rejects:
 * whatever goes wrong is an outcome.
 *
 * Order. Requests of one partition to one sink come one after the other. Within a request a sink keeps the order of
 * the records of one key, and when it reports that a record must be tried again it either did nothing for the later
 * records of the same key, or cannot know (`isKeyOncePerRequest` is how it avoids that).
 */

import type { TraceContext } from '../../telemetry/index.ts'

/** The records of one request; all lists have one entry per record, in the order of the log. */
export interface SinkRequest {
  readonly topic: string
  readonly partition: number
  readonly offsets: readonly number[]
  /** JSON text of each record's value, enriched where that is configured. */
  readonly texts: readonly string[]
  /** Keys as text; `null` for a record without one, `undefined` where the event has no keys. */
  readonly keys: readonly (string | null)[] | undefined
  /** Times of the records in epoch milliseconds, where the event has them. */
  readonly timestamps: readonly number[] | undefined
  /** Names each record for good, at every attempt: what a sink deduplicates by. */
  readonly recordIds: readonly string[]
  /** Names this set of records for good: the same set has the same key at every attempt. */
  readonly requestId: string
  /** What only few sinks need of a record, read when it is asked for. Default: it is not known. */
  readonly source?: RecordSource
  /** Where in a trace this request is: for the sink to pass on where the service has a place for it. */
  readonly trace?: TraceContext
}

/** The records as they were in Kafka, by their index in the request. */
export interface RecordSource {
  /** Bytes of the key; `null` for a record without one, `undefined` if they cannot be read. */
  keyBytes(index: number): Buffer | null | undefined
  /** Headers in order, repeated names included; `undefined` if they cannot be read. */
  headers(index: number): readonly { readonly name: string; readonly value: Buffer | null }[] | undefined
}

/** What a sink can take in one request. Whoever calls it cuts by these. */
export interface SinkLimits {
  readonly recordsMax: number
  /** Most bytes of all texts together. */
  readonly bytesMax: number
  /** Most bytes of one text; a larger one is refused without a request. Default: one record may be any size. */
  readonly recordBytesMax?: number
  /** Requests hold each key at most once: the service may take a later record and refuse an earlier one. */
  readonly isKeyOncePerRequest?: boolean
  /** The service keeps no order: a record that must be tried again holds no later one back. Default `false`. */
  readonly isUnordered?: boolean
}

/** What is wrong with one record. */
export interface SinkFailure {
  readonly action: 'retry' | 'deadLetter' | 'skip'
  readonly reason: string
  readonly retryAfterMs?: number
  /** Whether the service, and not this record, is at fault: such a retry says nothing against the record. */
  readonly isUnavailable?: boolean
  /** Whether these records may be what brings the service down: it broke, hung or cut the connection. */
  readonly isSuspect?: boolean
}

/** What became of a request. */
export type SinkOutcome =
  | { readonly kind: 'ok' }
  /** Failures by index in the request; the others are delivered. */
  | { readonly kind: 'partial'; readonly failures: ReadonlyMap<number, SinkFailure> }
  /** The content is refused: halved until the bad record is alone. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** Throttled, down, unreachable, wrongly configured: nobody knows whether the records arrived, or they did not. */
  | {
      readonly kind: 'unavailable'
      readonly reason: string
      readonly retryAfterMs?: number
      readonly isSuspect?: boolean
    }

/** A place that records are delivered to. */
export interface RecordSink {
  /** Its name in the configuration, for reasons and metrics. */
  readonly name: string
  readonly limits: SinkLimits
  /** Delivers; gives up when `signal` is aborted, with an outcome. Never rejects. */
  deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome>
  close(): Promise<void>
}
