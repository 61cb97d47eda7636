/** Constructors of what the dispatcher's tests work on, with defaults. */

import type { FetchedChunk } from '../../src/client/index.ts'
import { dispatcherConfig as checkedConfig, type DispatcherConfig } from '../../src/config/index.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'
import { RecordBatchBuilder, RecordCursor } from '../../src/protocol/index.ts'
import type { CompressionName } from '../../src/protocol/index.ts'

/** A record of a test. Strings are UTF-8. */
export interface TestRecord {
  readonly key?: string | Buffer | null
  readonly value?: string | Buffer | null
  readonly headers?: readonly { readonly key: string; readonly value: Buffer | null }[]
  readonly timestampMs?: number
}

/** One record batch with the given base offset. */
export function recordBatch(baseOffset: bigint, records: readonly TestRecord[], compression?: CompressionName): Buffer {
  const builder = new RecordBatchBuilder(compression === undefined ? {} : { compression })
  for (const { key = null, value = '{}', headers, timestampMs = 1_700_000_000_000 } of records) {
    builder.tryAppend(timestampMs, bytes(key), bytes(value), headers ?? [])
  }
  return builder.build({ baseOffset })
}

/** A chunk as the fetcher hands it out. */
export function chunkOf(
  baseOffset: bigint,
  records: readonly TestRecord[],
  options: { topic?: string; partition?: number; fromOffset?: bigint; nextOffset?: bigint; end?: bigint } = {}
): FetchedChunk {
  const nextOffset = options.nextOffset ?? baseOffset + BigInt(records.length)
  return {
    topic: options.topic ?? 'mt-c400',
    partition: options.partition ?? 3,
    fromOffset: options.fromOffset ?? baseOffset,
    records: records.length === 0 ? Buffer.alloc(0) : recordBatch(baseOffset, records),
    nextOffset,
    highWatermark: options.end ?? nextOffset,
    lastStableOffset: options.end ?? nextOffset,
    logStartOffset: 0n
  }
}

/** A table of the given records. */
export function tableOf(baseOffset: bigint, records: readonly TestRecord[]): RecordTable {
  const table = new RecordTable(4)
  const cursor = new RecordCursor()
  cursor.reset(recordBatch(baseOffset, records))
  table.reset(baseOffset)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) table.add(cursor, cursor.offsetDelta, false)
  }
  return table
}

/** A configuration with short times, for an embedded broker that allows sessions of a second. */
export function dispatcherConfig({ topic, groupId }: { topic: string; groupId: string }): DispatcherConfig {
  const checked = checkedConfig({
    groupId,
    topics: [topic],
    assignors: ['cooperative-sticky'],
    heartbeatIntervalMs: 200,
    rebalanceTimeoutMs: 5000,
    batch: { recordsMax: 20, bytesMax: 1_000_000, ageMs: 20 },
    payload: { format: 'json', include: ['offsets'] },
    target: { type: 'module', file: 'unused', timeoutMs: 10_000 },
    retry: { attemptsMax: 3, initialMs: 10, maxMs: 100 },
    concurrency: 4,
    bufferBytes: 16_777_216,
    breaker: { failuresMax: 5, openMs: 100 },
    deadLetterTopic: `${topic}-dead`,
    drainMs: 5000
  })
  // Shorter than what a user may choose.
  return { ...checked, sessionTimeoutMs: 1000 }
}

/** A seed for a random test: printed, and taken back from `TEST_SEED`. */
export function seedOf(t: { diagnostic(message: string): void }): number {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  return seed
}

function bytes(value: string | Buffer | null): Buffer | null {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value
}
