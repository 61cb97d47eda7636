/** What of a fetch answer is handed to the reader. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutRecords, type RecordRun } from '../../src/client/fetched-records.ts'
import { RecordBatchBuilder } from '../../src/protocol/index.ts'

interface BatchOptions {
  readonly count?: number
  readonly producerId?: bigint
  readonly isTransactional?: boolean
  /** Ends a transaction: `commit` or `abort`. */
  readonly marker?: 'commit' | 'abort'
}

function batch(baseOffset: bigint, options: BatchOptions = {}): Buffer {
  const builder = new RecordBatchBuilder()
  // Key of a control record: version 0, type 0 = abort, 1 = commit (Kafka `ControlRecordType`).
  const key =
    options.marker === undefined ? null : Buffer.from(options.marker === 'abort' ? '00000000' : '00000001', 'hex')
  for (let index = 0; index < (options.count ?? 1); index++) builder.tryAppend(1, key, Buffer.from('v'))
  return builder.build({
    baseOffset,
    producerId: options.producerId ?? -1n,
    isTransactional: options.isTransactional ?? options.marker !== undefined,
    isControl: options.marker !== undefined
  })
}

function cut(batches: readonly Buffer[], options: Partial<Parameters<typeof cutRecords>[1]> = {}): string[] {
  const runs = cutRecords(Buffer.concat(batches), {
    fromOffset: 0n,
    aborted: null,
    isCrcChecked: true,
    what: 't-0',
    ...options
  })
  return runs.map(describe)
}

/** Base offsets of the batches in a run, and the span that it covers. */
function describe({ records, fromOffset, nextOffset }: RecordRun): string {
  const offsets: bigint[] = []
  for (let at = 0; at < records.length; at += 12 + records.readInt32BE(at + 8)) offsets.push(records.readBigInt64BE(at))
  return `[${offsets.join(' ')}] ${fromOffset}..${nextOffset}`
}

test('whole batches are one run; one that was cut off is left for the next fetch', () => {
  const batches = [batch(0n, { count: 3 }), batch(3n, { count: 2 })]
  assert.deepEqual(cut(batches), ['[0 3] 0..5'])
  const last = batch(5n)
  for (const bytes of [1, 11, 12, 60, last.length - 1]) {
    assert.deepEqual(cut([...batches, last.subarray(0, bytes)]), ['[0 3] 0..5'], `${bytes} bytes of the last batch`)
  }
  assert.deepEqual(cut([last.subarray(0, 30)]), [])
})

test('the batch that holds the offset comes whole; batches below it do not come at all', () => {
  assert.deepEqual(cut([batch(0n, { count: 3 }), batch(3n, { count: 3 })], { fromOffset: 4n }), ['[3] 4..6'])
})

test('transaction markers are left out, without a gap, and reading gets past them when nothing else is there', () => {
  const marker = batch(3n, { marker: 'commit', producerId: 9n })
  assert.deepEqual(cut([batch(0n, { count: 3 }), marker, batch(4n)]), ['[0] 0..3', '[4] 3..5'])
  assert.deepEqual(cut([batch(0n, { count: 3 }), marker]), ['[0] 0..4'])
  assert.deepEqual(cut([marker], { fromOffset: 3n }), ['[] 3..4'])
})

test('batches of aborted transactions are left out, those of the same producer after the marker are not', () => {
  const batches = [
    batch(0n, { producerId: 7n, isTransactional: true }),
    batch(1n, { producerId: 8n, isTransactional: true }),
    batch(2n),
    batch(3n, { marker: 'abort', producerId: 7n }),
    batch(4n, { producerId: 7n, isTransactional: true }),
    batch(5n, { marker: 'commit', producerId: 8n })
  ]
  const aborted = [{ producerId: 7n, firstOffset: 0n }]
  assert.deepEqual(cut(batches, { aborted }), ['[1 2] 0..3', '[4] 3..6'])
  assert.deepEqual(cut(batches), ['[0 1 2] 0..3', '[4] 3..6'])
})

test('a producer that aborts twice is left out twice', () => {
  const batches = [
    batch(0n, { producerId: 7n, isTransactional: true }),
    batch(1n, { marker: 'abort', producerId: 7n }),
    batch(2n, { producerId: 7n, isTransactional: true }),
    batch(3n, { marker: 'abort', producerId: 7n }),
    batch(4n)
  ]
  const aborted = [
    { producerId: 7n, firstOffset: 2n },
    { producerId: 7n, firstOffset: 0n }
  ]
  assert.deepEqual(cut(batches, { aborted }), ['[4] 0..5'])
})

test('a wrong checksum, an unknown format and an impossible length are corrupt records', () => {
  const corrupt = { code: 'ERR_CLIENT_RECORDS_CORRUPT', retriable: true }
  const flipped = batch(0n)
  flipped[flipped.length - 1] = 1
  assert.throws(() => cut([flipped]), corrupt)
  assert.deepEqual(cut([flipped], { isCrcChecked: false }), ['[0] 0..1'])
  const old = batch(0n)
  old[16] = 1
  assert.throws(() => cut([old]), corrupt)
  const endless = batch(0n)
  endless.writeInt32BE(-1, 8)
  assert.throws(() => cut([endless]), corrupt)
})
