/** Records of a shard as events. Pure. */

import type { _Record as KinesisRecord } from '@aws-sdk/client-kinesis'

import type { EventChunk } from '../event-chunk.ts'
import { unpackRecords } from './kpl-records.ts'

/** How records become events. */
export interface KinesisRowOptions {
  /** `json`: a record is one event; `ndjson`: one event a line. */
  readonly format: 'json' | 'ndjson'
  /** The partition key becomes the key. */
  readonly keepKey: boolean
}

/** The events of records, and what is needed to say how far they are safe. */
export interface KinesisChunk extends EventChunk {
  /** Sequence number of the record before that of an event, within the chunk; `undefined` for the first record. */
  sequenceBefore(index: number): string | undefined
}

const LINE_FEED = 0x0a

/** The records of one answer. Blank lines are no events. */
export function kinesisChunk(
  records: readonly KinesisRecord[],
  options: KinesisRowOptions,
  position: number
): KinesisChunk {
  const parts: Buffer[] = []
  const spans: number[] = []
  const owners: number[] = []
  const keys: string[] = []
  let end = 0
  const add = (bytes: Buffer, owner: number, key: string): void => {
    spans.push(end, end + bytes.length)
    end += bytes.length
    parts.push(bytes)
    owners.push(owner)
    if (options.keepKey) keys.push(key)
  }
  for (const [owner, record] of records.entries()) {
    const data = bufferOf(record.Data)
    const key = record.PartitionKey ?? ''
    for (const each of unpackRecords(data) ?? [{ data, partitionKey: key }]) {
      if (options.format === 'json') add(each.data, owner, each.partitionKey)
      else for (const line of linesOf(each.data)) add(line, owner, each.partitionKey)
    }
  }
  return {
    bytes: Buffer.concat(parts, end),
    spans: Uint32Array.from(spans),
    lines: Uint32Array.from(owners, (_, index) => index + 1),
    count: owners.length,
    position: position + end,
    rowNames: index => records[owners[index] ?? 0]?.SequenceNumber ?? '',
    sequenceBefore: index => records[(owners[index] ?? 0) - 1]?.SequenceNumber,
    ...(options.keepKey ? { rowKeys: index => Buffer.from(keys[index] ?? '') } : {})
  }
}

function bufferOf(data: Uint8Array | undefined): Buffer {
  return data === undefined ? Buffer.alloc(0) : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

function* linesOf(data: Buffer): Generator<Buffer, void, undefined> {
  for (let start = 0; start < data.length;) {
    const found = data.indexOf(LINE_FEED, start)
    const end = found < 0 ? data.length : found
    const line = data.subarray(start, data[end - 1] === 0x0d && end > start ? end - 1 : end)
    if (line.length > 0) yield line
    start = end + 1
  }
}
