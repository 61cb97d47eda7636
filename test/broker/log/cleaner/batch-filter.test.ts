import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CompressionName,
  compressionOf,
  hasDeleteHorizon,
  isBatchCrcValid,
  isControl,
  isTransactional,
  RecordBatchBuilder,
  RecordCursor,
  stampBatch,
  stampLogAppendTime
} from '../../../../src/protocol/index.ts'
import { BatchFilter, type FilteredBatch, type FilterRules } from '../../../../src/broker/log/cleaner/batch-filter.ts'
import { START_MS } from '../support.ts'

const HORIZON_MS = START_MS + 86_400_000

interface Given {
  readonly key: string
  readonly value: string | null
  readonly timestampMs?: number
}

function batch(records: readonly Given[], compression: CompressionName = 'none'): Buffer {
  const builder = new RecordBatchBuilder({ compression })
  for (const { key, value, timestampMs = START_MS } of records) {
    const bytes = value === null ? null : Buffer.from(value)
    builder.tryAppend(timestampMs, Buffer.from(key), bytes, [{ key: 'h', value: Buffer.from('1') }])
  }
  const built = Buffer.from(
    builder.build({ producerId: 7n, producerEpoch: 3, baseSequence: 40, isTransactional: true })
  )
  stampBatch(built, 0, 1000n, 5)
  return built
}

function filter(input: Buffer, rules: Partial<FilterRules>): FilteredBatch {
  const cursor = new RecordCursor()
  cursor.reset(input)
  assert.equal(cursor.nextBatch(), true)
  const steps = new BatchFilter().filter(cursor, {
    isKept: () => true,
    isDiscarded: false,
    isKeptEmpty: false,
    needsHorizon: false,
    deleteHorizonMs: HORIZON_MS,
    ...rules
  })
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function rewritten(filtered: FilteredBatch): Buffer {
  assert.ok(filtered.kind === 'rewritten')
  return filtered.bytes
}

function read(bytes: Buffer): { cursor: RecordCursor; records: [bigint, string, string | null, number][] } {
  assert.equal(isBatchCrcValid(bytes, 0), true)
  const cursor = new RecordCursor()
  cursor.reset(bytes)
  assert.equal(cursor.nextBatch(), true)
  const records: [bigint, string, string | null, number][] = []
  while (cursor.nextRecord()) {
    assert.deepEqual(cursor.headers(), [{ key: 'h', value: Buffer.from('1') }])
    const value = cursor.value()
    records.push([cursor.offset(), String(cursor.key()), value === null ? null : value.toString(), cursor.timestampMs])
  }
  return { cursor, records }
}

for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
  test(`records that stay keep offsets, times and headers; the batch keeps what identifies it (${compression})`, () => {
    const input = batch(
      [
        { key: 'a', value: '1', timestampMs: START_MS + 5 },
        { key: 'b', value: '2', timestampMs: START_MS + 900 },
        { key: 'a', value: '3', timestampMs: START_MS - 300 },
        { key: 'c', value: '4', timestampMs: START_MS + 10 }
      ],
      compression
    )

    const { cursor, records } = read(rewritten(filter(input, { isKept: each => each.offsetDelta >= 2 })))

    assert.deepEqual(records, [
      [1002n, 'a', '3', START_MS - 300],
      [1003n, 'c', '4', START_MS + 10]
    ])
    const { header } = cursor
    assert.equal(header.baseOffset, 1000n)
    assert.equal(header.lastOffsetDelta, 3)
    assert.equal(header.recordCount, 2)
    assert.deepEqual([header.producerId, header.producerEpoch, header.baseSequence], [7n, 3, 40])
    assert.equal(header.partitionLeaderEpoch, 5)
    assert.equal(header.maxTimestamp, BigInt(START_MS + 10))
    assert.equal(compressionOf(header.attributes), compression)
    assert.equal(isTransactional(header.attributes), true)
    assert.equal(isControl(header.attributes), false)
    assert.equal(hasDeleteHorizon(header.attributes), false)
  })
}

test('a batch with nothing to remove stays byte for byte', () => {
  assert.deepEqual(filter(batch([{ key: 'a', value: '1' }]), {}), { kind: 'unchanged' })
})

test('a tombstone that stays gives its batch a delete horizon, and no record gets another time', () => {
  const input = batch([
    { key: 'a', value: '1', timestampMs: START_MS + 77 },
    { key: 'b', value: null, timestampMs: START_MS - 123_456_789 },
    { key: 'c', value: '3', timestampMs: START_MS + 500 }
  ])

  const bytes = rewritten(filter(input, {}))

  const { cursor, records } = read(bytes)
  assert.deepEqual(records, [
    [1000n, 'a', '1', START_MS + 77],
    [1001n, 'b', null, START_MS - 123_456_789],
    [1002n, 'c', '3', START_MS + 500]
  ])
  assert.equal(hasDeleteHorizon(cursor.header.attributes), true)
  assert.equal(cursor.header.baseTimestamp, BigInt(HORIZON_MS))
  assert.equal(cursor.header.maxTimestamp, BigInt(START_MS + 500))
  // The horizon is set once: a later cleaning must not move it.
  assert.deepEqual(filter(bytes, { deleteHorizonMs: HORIZON_MS + 1 }), { kind: 'unchanged' })
  const later = read(rewritten(filter(bytes, { isKept: each => each.offsetDelta > 0, deleteHorizonMs: 1 })))
  assert.equal(later.cursor.header.baseTimestamp, BigInt(HORIZON_MS))
  assert.deepEqual(later.records, records.slice(1))
})

test('a batch of which nothing stays is removed, or keeps its header where it is needed', () => {
  const input = batch([{ key: 'a', value: '1', timestampMs: START_MS + 3 }], 'gzip')

  assert.deepEqual(filter(input, { isKept: () => false }), { kind: 'removed' })
  assert.deepEqual(filter(input, { isDiscarded: true }), { kind: 'removed' })
  for (const rules of [{ isKept: () => false }, { isDiscarded: true }]) {
    const bytes = rewritten(filter(input, { ...rules, isKeptEmpty: true }))
    const { cursor, records } = read(bytes)
    assert.equal(bytes.length, 61)
    assert.deepEqual(records, [])
    assert.equal(cursor.header.recordCount, 0)
    assert.equal(cursor.header.lastOffsetDelta, 0)
    assert.equal(cursor.header.baseSequence, 40)
    assert.equal(cursor.header.maxTimestamp, BigInt(START_MS + 3))
    assert.equal(compressionOf(cursor.header.attributes), 'none')
  }
})

test('under log append time a batch keeps its time', () => {
  const input = batch([
    { key: 'a', value: '1' },
    { key: 'b', value: null }
  ])
  stampLogAppendTime(input, 0, START_MS + 4000)

  const { cursor, records } = read(rewritten(filter(input, { isKept: each => each.offsetDelta === 1 })))

  assert.deepEqual(records, [[1001n, 'b', null, START_MS + 4000]])
  assert.equal(cursor.header.maxTimestamp, BigInt(START_MS + 4000))
})

test('a large batch is filtered in bounded steps', () => {
  const input = batch(Array.from({ length: 5000 }, (_, index) => ({ key: `k${index}`, value: 'v' })))
  const cursor = new RecordCursor()
  cursor.reset(input)
  cursor.nextBatch()
  let looked = 0
  let lookedMax = 0
  const isKept = (): boolean => (looked += 1) > 0
  const rules = { isKept, isDiscarded: false, isKeptEmpty: false, needsHorizon: false, deleteHorizonMs: 0 }
  const steps = new BatchFilter().filter(cursor, rules)

  for (let step = steps.next(); step.done !== true; step = steps.next()) {
    lookedMax = Math.max(lookedMax, looked)
    looked = 0
  }

  assert.ok(lookedMax > 0 && lookedMax <= 512, String(lookedMax))
})
