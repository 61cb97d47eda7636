/** A record as operations show it: an object for each record that is wanted, never for one that is only looked at. */

import type { TopicPartition } from '../../client/index.ts'
import type { RecordCursor, RecordHeader } from '../../protocol/index.ts'

/** One record. */
export interface ReadRecord extends TopicPartition {
  readonly offset: bigint
  /** Milliseconds since 1970; -1 if it has none. */
  readonly timestampMs: number
  /** Whether the broker has set the time (`LogAppendTime`) or the producer. */
  readonly isLogAppendTime: boolean
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** The record that a cursor stands on; its bytes are views that hold until the cursor goes on. */
export function recordAt(cursor: RecordCursor, { topic, partition }: TopicPartition): ReadRecord {
  return {
    topic,
    partition,
    offset: cursor.offset(),
    timestampMs: cursor.timestampMs,
    isLogAppendTime: cursor.isTimeFixed,
    key: cursor.key(),
    value: cursor.value(),
    headers: cursor.headerCount === 0 ? [] : cursor.headers()
  }
}

/** The same record with bytes of its own: to be kept. */
export function keptRecord(record: ReadRecord): ReadRecord {
  return {
    ...record,
    key: copyOf(record.key),
    value: copyOf(record.value),
    headers: record.headers.map(({ key, value }) => ({ key, value: copyOf(value) }))
  }
}

/** About how many bytes a kept record takes. */
export function bytesOf({ key, value, headers }: ReadRecord): number {
  const headerBytes = headers.reduce((sum, each) => sum + each.key.length + (each.value?.length ?? 0) + 100, 0)
  return (value?.length ?? 0) + (key?.length ?? 0) + headerBytes + 200
}

function copyOf(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes)
}

/** The time of a record as ISO 8601 in UTC; as a number if no calendar has it. */
export function timeText(timestampMs: number): string {
  const isDate = Math.abs(timestampMs) <= 8_640_000_000_000_000
  return isDate && timestampMs >= 0 ? new Date(timestampMs).toISOString() : String(timestampMs)
}
