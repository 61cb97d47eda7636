/**
 * AWS's record of an invocation that was given up: what the on-failure destination of a Kafka mapping gets.
 *
 * SQS and SNS get metadata, S3 the same with the whole event as text in `payload`. A Kafka topic gets one record per
 * failed record, with the event of that record alone as an object. AWS's two pages differ in details, and so do these:
 * the Kafka form names the function with its qualifier, the condition `RetriesExhausted`, and `recordInfo`; the others
 * `RetryAttemptsExhausted` and `recordsInfo` by `topic-partition`.
 *
 * AWS does not say what `condition` is for a record that became too old from Kafka: it is `RecordAgeExceeded` as for
 * streams here.
 *
 * Source: Lambda developer guide, "Capturing discarded batches for Amazon MSK and self-managed Apache Kafka event
 * sources" and "Using a Kafka topic as an on-failure destination", examples.
 */

import type { EsmRecord, EventOrigin, EventWriter } from './event-text.ts'
import type { Action, Condition } from './machine.ts'

/** What is told of a mapping besides its origin. */
export interface FailureContext {
  readonly origin: EventOrigin
  readonly writer: EventWriter
  /** ARN of the function, without a qualifier. */
  readonly functionArn: string
  readonly qualifier: string
}

/** One record given up, with what identifies this notice of it. */
export interface FailureNotice {
  readonly action: Action
  readonly requestId: string
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** The JSON for SQS and SNS; with `hasPayload` that for S3. */
export function failureText(context: FailureContext, notice: FailureNotice, hasPayload: boolean): string {
  const { origin, writer, functionArn } = context
  const { action, requestId, nowMs } = notice
  const { records, condition, invocations, response } = action
  const recordsInfo: Record<string, unknown> = {}
  for (const [partition, list] of byPartition(records)) {
    const first = list[0]
    const last = list.at(-1)
    if (first === undefined || last === undefined) continue
    recordsInfo[`${origin.topic}-${partition}`] = {
      firstRecordOffset: String(first.offset),
      lastRecordOffset: String(last.offset),
      firstRecordTimestamp: iso(first.timestampMs),
      lastRecordTimestamp: iso(last.timestampMs)
    }
  }
  return JSON.stringify({
    requestContext: { requestId, functionArn, condition, approximateInvokeCount: invocations },
    responseContext: response,
    version: '1.0',
    timestamp: iso(nowMs),
    KafkaBatchInfo: {
      batchSize: records.length,
      ...(origin.eventSourceArn === undefined ? {} : { eventSourceArn: origin.eventSourceArn }),
      bootstrapServers: origin.bootstrapServers,
      payloadSize: writer.bytesOf(records),
      recordsInfo
    },
    ...(hasPayload ? { payload: writer.write(records) } : {})
  })
}

/** The JSON for one record in a Kafka topic; without `hasPayload` only where it is. */
// oxlint-disable-next-line max-params -- as failureText, and which record of it
export function failureTextForKafka(
  context: FailureContext,
  notice: FailureNotice,
  record: EsmRecord,
  hasPayload = true
): string {
  const { origin, writer, functionArn, qualifier } = context
  const { action, requestId, nowMs } = notice
  const { invocations, response } = action
  const { bootstrapServers, eventSourceArn, topic } = origin
  const source = eventSourceArn === undefined ? {} : { eventSourceArn }
  const payload = {
    bootstrapServers,
    eventSource: eventSourceArn === undefined ? 'SelfManagedKafka' : 'aws:kafka',
    ...source,
    records: { [`${topic}-${record.partition}`]: [sorted(record)] }
  }
  return JSON.stringify({
    requestContext: {
      requestId,
      functionArn: `${functionArn}:${qualifier}`,
      condition: action.condition === undefined ? undefined : KAFKA_CONDITIONS[action.condition],
      approximateInvokeCount: invocations
    },
    responseContext: response,
    version: '1.0',
    timestamp: iso(nowMs),
    KafkaBatchInfo: {
      batchSize: 1,
      ...source,
      bootstrapServers,
      payloadSize: writer.bytesOf([record]),
      recordInfo: { offset: String(record.offset), timestamp: iso(record.timestampMs) }
    },
    ...(hasPayload ? { payload } : {})
  })
}

const KAFKA_CONDITIONS: Readonly<Record<Condition, string>> = {
  RetryAttemptsExhausted: 'RetriesExhausted',
  RecordAgeExceeded: 'RecordAgeExceeded',
  MaximumPayloadSizeExceeded: 'MaximumPayloadSizeExceeded'
}

/** The record with its fields in the order of AWS's example, which is that of the alphabet. */
function sorted(record: EsmRecord): Record<string, unknown> {
  // Written by `recordText`: an object.
  const fields = JSON.parse(record.text) as Record<string, unknown>
  return Object.fromEntries(Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Key of a record, as it was in Kafka. */
export function keyOf(record: EsmRecord): Buffer | null {
  const { key } = JSON.parse(record.text) as { readonly key?: string }
  return key === undefined ? null : Buffer.from(key, 'base64')
}

/**
 * Name of the object in S3: AWS's convention for streams, with topic and partition in the place of the shard.
 *
 * Source: Lambda developer guide, "Retain discarded batch records for a Kinesis Data Streams event source", S3.
 */
export function objectKey(uuid: string, topic: string, notice: FailureNotice): string {
  const [day = '', time = ''] = iso(notice.nowMs).split('T')
  const clock = time.slice(0, 8).replaceAll(':', '.')
  const partition = notice.action.records[0]?.partition ?? 0
  return `aws/lambda/${uuid}/${topic}-${partition}/${day.replaceAll('-', '/')}/${day}T${clock}-${notice.requestId}`
}

function byPartition(records: readonly EsmRecord[]): Map<number, EsmRecord[]> {
  const lists = new Map<number, EsmRecord[]>()
  for (const record of records) {
    const list = lists.get(record.partition)
    if (list === undefined) lists.set(record.partition, [record])
    else list.push(record)
  }
  return lists
}
