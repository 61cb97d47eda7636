/** A row as a record of its own. */

import type { AppendRecord, RecordRows, RowPlace } from './appender-types.ts'

/** The record of a row, for where an object for each cannot be helped: it has to wait, or goes to disk. */
export function recordOf(place: RowPlace, rows: RecordRows, row: number): AppendRecord {
  const { topic, key, headers, timestampMs, partition } = place
  return {
    topic,
    key,
    value: rows.bytes.subarray(rows.spans[row * 2], rows.spans[row * 2 + 1]),
    row,
    ...(headers === undefined ? {} : { headers }),
    ...(timestampMs === undefined ? {} : { timestampMs }),
    ...(partition === undefined ? {} : { partition })
  }
}
