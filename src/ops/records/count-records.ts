/** Counts records: how many, how large, and of which times. */

import type { TopicPartition } from '../../client/index.ts'
import { RecordReader, type RecordReaderOptions } from './record-reader.ts'

/** What a partition has of what was asked for. */
export interface RecordCount extends TopicPartition {
  readonly records: number
  /** Bytes of keys, values and headers, as encoded in records and not compressed. */
  readonly bytes: number
  /** Time of the oldest and newest of them in milliseconds since 1970; `undefined` if there are none. */
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
}

/** A count of ranges, while it runs and when it is done. */
export interface Counting {
  readonly reader: RecordReader
  /** One for each range, in their order, as far as it has been counted. */
  counts(): RecordCount[]
}

/** Prepares a count: `reader.run()` does it. */
export function countRecords(options: Omit<RecordReaderOptions, 'onRecord' | 'order'>): Counting {
  const tallies = new Map(options.ranges.map(range => [range, new Tally()]))
  const reader = new RecordReader({
    ...options,
    onRecord: (cursor, range) => {
      tallies.get(range)?.add(cursor.timestampMs, cursor.recordEnd - cursor.recordStart)
      return true
    }
  })
  return {
    reader,
    counts: () =>
      options.ranges.map(range => {
        const { records = 0, bytes = 0, oldestMs, newestMs } = tallies.get(range) ?? {}
        return { topic: range.topic, partition: range.partition, records, bytes, oldestMs, newestMs }
      })
  }
}

class Tally {
  records = 0
  bytes = 0
  oldestMs: number | undefined
  newestMs: number | undefined

  add(timestampMs: number, bytes: number): void {
    this.records += 1
    this.bytes += bytes
    if (this.oldestMs === undefined || timestampMs < this.oldestMs) this.oldestMs = timestampMs
    if (this.newestMs === undefined || timestampMs > this.newestMs) this.newestMs = timestampMs
  }
}
