/**
 * The event of AWS's Kafka event source mapping, byte for byte as AWS writes it:
 *
 * ```
 * {"eventSource":"aws:kafka","eventSourceArn":"arn:…","bootstrapServers":"b-1:9092,b-2:9092","records":{
 *   "mytopic-0":[{"topic":"mytopic","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",
 *                 "key":"<base64>","value":"<base64>","headers":[{"name":[104,-61]}]}]}}
 * ```
 *
 * Self-managed clusters have `SelfManagedKafka` and no ARN. Header bytes are signed; a null key or value is left out.
 * Each record is written once, when it is read from Kafka; an event is joined from these texts, so its size is known
 * before it is made.
 *
 * Source: Lambda developer guide, "Using Lambda with Amazon MSK" and "… self-managed Apache Kafka", example events.
 */

import type { RecordCursor } from '../../protocol/index.ts'

/** A record as it stands in an event. */
export interface EsmRecord {
  readonly partition: number
  /** Exact up to 2^53, as every number in JSON. */
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  /** The record as JSON. */
  readonly text: string
  /** Bytes of the text in UTF-8. */
  readonly bytes: number
  /** When it was read from Kafka, in monotonic milliseconds. */
  readonly arrivedMs: number
}

/** What an event says about its origin. */
export interface EventOrigin {
  readonly topic: string
  /** ARN of the MSK cluster; `undefined` = self-managed. */
  readonly eventSourceArn: string | undefined
  /** `host:port`, comma separated. */
  readonly bootstrapServers: string
}

/** The current record of a cursor as JSON. */
export function recordText(topic: string, partition: number, cursor: RecordCursor): string {
  const key = cursor.key()
  const value = cursor.value()
  const timestampType = cursor.isTimeFixed ? 'LOG_APPEND_TIME' : 'CREATE_TIME'
  const headers = cursor.headerCount === 0 ? '' : headersText(cursor)
  return (
    `{"topic":"${topic}","partition":${partition},"offset":${cursor.offset()},"timestamp":${cursor.timestampMs},` +
    `"timestampType":"${timestampType}"` +
    (key === null ? '' : `,"key":"${key.toString('base64')}"`) +
    (value === null ? '' : `,"value":"${value.toString('base64')}"`) +
    `,"headers":[${headers}]}`
  )
}

function headersText(cursor: RecordCursor): string {
  return cursor
    .headers()
    .map(({ key, value }) => {
      if (value === null) return `{${JSON.stringify(key)}:null}`
      const signed = new Int8Array(value.buffer, value.byteOffset, value.length)
      return `{${JSON.stringify(key)}:[${signed.join(',')}]}`
    })
    .join(',')
}

/** Writes events of one mapping and knows how large they will be. */
export class EventWriter {
  readonly #topic: string
  readonly #prefix: string
  readonly #prefixBytes: number

  constructor({ topic, eventSourceArn, bootstrapServers }: EventOrigin) {
    this.#topic = topic
    const origin =
      eventSourceArn === undefined
        ? { eventSource: 'SelfManagedKafka', bootstrapServers }
        : { eventSource: 'aws:kafka', eventSourceArn, bootstrapServers }
    this.#prefix = `${JSON.stringify(origin).slice(0, -1)},"records":{`
    this.#prefixBytes = Buffer.byteLength(this.#prefix)
  }

  /** Bytes of an event without records. */
  get emptyBytes(): number {
    return this.#prefixBytes + 2
  }

  /** Bytes that the first record of a partition adds besides its own: the name of the list, its brackets, a comma. */
  partitionBytes(partition: number): number {
    return this.#topic.length + String(partition).length + '"-":[],'.length
  }

  /** Bytes of an event of these records. */
  bytesOf(records: readonly EsmRecord[]): number {
    if (records.length === 0) return this.emptyBytes
    let bytes = this.emptyBytes
    let last = -1
    for (const record of records) {
      // A comma between two records, and one between two lists.
      bytes += record.partition === last ? record.bytes + 1 : record.bytes + this.partitionBytes(record.partition)
      last = record.partition
    }
    return bytes - 1
  }

  /** The event; records of one partition stand together, in the order in which they are given. */
  write(records: readonly EsmRecord[]): string {
    let text = this.#prefix
    let last = -1
    for (const record of records) {
      if (record.partition === last) text += ','
      else text += `${last < 0 ? '' : '],'}"${this.#topic}-${record.partition}":[`
      text += record.text
      last = record.partition
    }
    return `${text}${records.length === 0 ? '' : ']'}}}`
  }
}
