import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PipelineError } from '../../src/core/index.ts'
import {
  BATCH_AT,
  BATCH_HEADER_BYTES,
  batchSizeAt,
  compressionOf,
  isBatchCrcValid,
  isControl,
  isLogAppendTime,
  isTransactional,
  murmur2,
  readBatchHeader,
  RecordBatchBuilder,
  RecordCursor,
  stampBatch,
  stampLogAppendTime,
  writeBatchCrc
} from '../../src/protocol/index.ts'
import { bytes, fixture, isObject, type Json, number, object, type Row, text } from './fixtures.ts'

const ROWS = fixture('batches.ndjson.gz')

function list(row: Row, key: string): Row[] {
  const value = row[key]
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** What a cursor finds, in the form of the fixture. */
function recordsOf(buffer: Buffer): Row[] {
  const cursor = new RecordCursor()
  cursor.reset(buffer)
  const rows: Row[] = []
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      rows.push({
        offset: small(cursor.offset()),
        timestamp: cursor.timestampMs,
        key: cursor.key()?.toString('base64') ?? null,
        value: cursor.value()?.toString('base64') ?? null,
        headers: cursor.headers().map(header => ({ key: header.key, value: header.value?.toString('base64') ?? null }))
      })
    }
  }
  return rows
}

function small(value: bigint): Json {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function byName(name: string): Row {
  const row = ROWS.find(candidate => candidate['name'] === name)
  assert.ok(row !== undefined, name)
  return row
}

function hasCode(code: string): (error: unknown) => boolean {
  return error => PipelineError.is(error) && error.code === code
}

for (const row of ROWS) {
  test(`Kafka's batch "${text(row, 'name')}" reads as Kafka reads it`, () => {
    const buffer = bytes(row, 'bytes')
    const header = readBatchHeader(buffer, 0)
    for (const [key, value] of Object.entries(object(row, 'header'))) {
      const actual = header[key as keyof typeof header] // The fixture uses the names of the header's fields.
      assert.equal(typeof actual === 'bigint' ? small(actual) : actual, value, key)
    }
    assert.equal(compressionOf(header.attributes), row['compression'])
    assert.equal(isTransactional(header.attributes), row['isTransactional'])
    assert.equal(isControl(header.attributes), row['isControl'])
    assert.equal(isLogAppendTime(header.attributes), row['isLogAppendTime'])
    assert.equal(isBatchCrcValid(buffer, 0), true)
    assert.equal(batchSizeAt(buffer, 0), buffer.length)
    if ('valuesDigest' in row) {
      const cursor = new RecordCursor()
      cursor.reset(buffer)
      let digest = 0
      while (cursor.nextBatch()) {
        while (cursor.nextRecord()) digest = (Math.imul(digest, 31) + murmur2(cursor.value() ?? Buffer.alloc(0))) | 0
      }
      assert.equal(digest, number(row, 'valuesDigest'))
    } else assert.deepEqual(recordsOf(buffer), row['records'])
  })
}

test("records written by the builder are Kafka's bytes, header included", () => {
  for (const name of ['none plain', 'none idempotent', 'none transactional']) {
    const row = byName(name)
    const expected = bytes(row, 'bytes')
    const header = readBatchHeader(expected, 0)
    const builder = new RecordBatchBuilder()
    for (const record of list(row, 'records')) {
      const headers = list(record, 'headers').map(entry => ({ key: text(entry, 'key'), value: buffer(entry, 'value') }))
      assert.equal(
        builder.tryAppend(number(record, 'timestamp'), buffer(record, 'key'), buffer(record, 'value'), headers),
        true
      )
    }
    const built = builder.build({
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
      isTransactional: isTransactional(header.attributes),
      baseOffset: header.baseOffset,
      partitionLeaderEpoch: header.partitionLeaderEpoch
    })
    assert.equal(builder.sizeBytes, expected.length)
    assert.equal(built.toString('hex'), expected.toString('hex'), name)
  }
})

function buffer(row: Row, key: string): Buffer | null {
  return row[key] === null ? null : bytes(row, key)
}

test('a batch in each compression reads back record by record', () => {
  const expected = list(byName('none plain'), 'records')
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const builder = new RecordBatchBuilder({ compression })
    for (const record of expected) {
      const headers = list(record, 'headers').map(entry => ({ key: text(entry, 'key'), value: buffer(entry, 'value') }))
      builder.tryAppend(number(record, 'timestamp'), buffer(record, 'key'), buffer(record, 'value'), headers)
    }
    const batch = builder.build({ baseOffset: 500n })
    assert.equal(compressionOf(readBatchHeader(batch, 0).attributes), compression)
    assert.deepEqual(recordsOf(batch), expected, compression)
  }
})

test('a builder refuses what exceeds its size, but takes a first record of any size', () => {
  const builder = new RecordBatchBuilder({ sizeBytesMax: 200 })
  assert.equal(builder.tryAppend(1, null, Buffer.alloc(1000)), true)
  assert.equal(builder.tryAppend(2, null, Buffer.alloc(1)), false)
  assert.equal(builder.recordCount, 1)
  builder.reset()
  assert.equal(builder.recordCount, 0)
  assert.equal(builder.sizeBytes, BATCH_HEADER_BYTES)
  // Each record is 8 bytes: length, attributes, two deltas, null key, value length, one byte, no headers.
  let count = 0
  while (builder.tryAppend(5, null, Buffer.from('x'))) count++
  assert.equal(count, Math.floor((200 - BATCH_HEADER_BYTES) / 8))
})

test('a builder without records builds nothing', () => {
  assert.throws(() => new RecordBatchBuilder().build(), hasCode('ERR_PROTOCOL_VALUE_OUT_OF_RANGE'))
})

test('a built batch does not change when its builder is used again', () => {
  const builder = new RecordBatchBuilder()
  builder.tryAppend(1, null, Buffer.from('first'))
  const batch = builder.build()
  const before = batch.toString('hex')
  builder.reset()
  builder.tryAppend(1, null, Buffer.from('other'))
  assert.equal(batch.toString('hex'), before)
})

test('stamping changes base offset and leader epoch and leaves the CRC valid', () => {
  const batch = bytes(byName('gzip plain'), 'bytes')
  stampBatch(batch, 0, 123_456_789_012_345n, 42)
  const header = readBatchHeader(batch, 0)
  assert.equal(header.baseOffset, 123_456_789_012_345n)
  assert.equal(header.partitionLeaderEpoch, 42)
  assert.equal(isBatchCrcValid(batch, 0), true)
})

test('stamping log append time gives every record that time', () => {
  const batch = bytes(byName('zstd plain'), 'bytes')
  stampLogAppendTime(batch, 0, 1_800_000_000_000)
  assert.equal(isBatchCrcValid(batch, 0), true)
  const times = new Set(recordsOf(batch).map(record => record['timestamp']))
  assert.deepEqual([...times], [1_800_000_000_000])
})

test('a cursor walks batches one after another, and ignores one that is cut off', () => {
  const first = bytes(byName('none plain'), 'bytes')
  const second = bytes(byName('lz4 idempotent'), 'bytes')
  const whole = recordsOf(first).length + recordsOf(second).length
  assert.equal(recordsOf(Buffer.concat([first, second, first])).length, whole + recordsOf(first).length)
  for (const cut of [1, 11, 12, 16, 60, 61, first.length - 1]) {
    assert.equal(recordsOf(Buffer.concat([first, second, first.subarray(0, cut)])).length, whole, `cut at ${cut}`)
  }
})

test('a cursor can leave a batch before its last record', () => {
  const batch = bytes(byName('none plain'), 'bytes')
  const cursor = new RecordCursor()
  cursor.reset(Buffer.concat([batch, batch]))
  assert.ok(cursor.nextBatch())
  assert.ok(cursor.nextRecord())
  assert.ok(cursor.nextBatch())
  assert.equal(cursor.batchStart, batch.length)
  let count = 0
  while (cursor.nextRecord()) count++
  assert.equal(count, 20)
  assert.equal(cursor.nextBatch(), false)
  assert.equal(cursor.nextRecord(), false)
})

test('a damaged batch is refused: CRC, length, count, format version, codec', () => {
  const good = bytes(byName('none plain'), 'bytes')
  const walk = (change: (batch: Buffer) => void, isCrcFixed = true): (() => void) => {
    const batch = Buffer.from(good)
    change(batch)
    if (isCrcFixed) writeBatchCrc(batch, 0)
    return () => void recordsOf(batch)
  }
  assert.throws(
    walk(batch => batch.writeInt8(99, 80), false),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt32BE(19, BATCH_AT.recordCount)),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt32BE(21, BATCH_AT.recordCount)),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt32BE(-1, BATCH_AT.recordCount)),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt32BE(48, BATCH_AT.length), false),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt32BE(-5, BATCH_AT.length), false),
    hasCode('ERR_PROTOCOL_CORRUPT_BATCH')
  )
  assert.throws(
    walk(batch => batch.writeInt8(1, BATCH_AT.magic)),
    hasCode('ERR_PROTOCOL_UNSUPPORTED_MAGIC')
  )
  assert.throws(
    walk(batch => batch.writeInt16BE(5, BATCH_AT.attributes)),
    hasCode('ERR_PROTOCOL_UNSUPPORTED_COMPRESSION')
  )
  assert.throws(
    walk(batch => batch.writeInt16BE(3, BATCH_AT.attributes)),
    hasCode('ERR_PROTOCOL_DECOMPRESSION_FAILED')
  )
  assert.throws(() => readBatchHeader(good.subarray(0, 60), 0), hasCode('ERR_PROTOCOL_TRUNCATED'))
})

test('a record whose fields exceed it is refused, and never reads its neighbours', () => {
  const builder = new RecordBatchBuilder()
  builder.tryAppend(0, Buffer.from('key'), Buffer.from('value'), [{ key: 'h', value: Buffer.from('x') }])
  builder.tryAppend(0, Buffer.from('key'), Buffer.from('value'))
  const good = builder.build()
  const record = BATCH_HEADER_BYTES + 1
  const broken = (at: number, value: number): Buffer => {
    const batch = Buffer.from(good)
    batch.writeUInt8(value, at)
    writeBatchCrc(batch, 0)
    return batch
  }
  // Key length, value length, header count, header key length; each far too large or negative.
  for (const at of [record + 3, record + 7, record + 13, record + 14]) {
    assert.throws(() => recordsOf(broken(at, 0x7e)), hasCode('ERR_PROTOCOL_CORRUPT_BATCH'), `byte ${at}`)
  }
  assert.throws(() => recordsOf(broken(record + 13, 1)), hasCode('ERR_PROTOCOL_CORRUPT_BATCH'))
  assert.throws(() => recordsOf(broken(BATCH_HEADER_BYTES, 1)), hasCode('ERR_PROTOCOL_CORRUPT_BATCH'))
})

test('the CRC is not checked when the caller has checked it already', () => {
  const batch = bytes(byName('none plain'), 'bytes')
  batch.writeUInt32BE(0, BATCH_AT.crc)
  const cursor = new RecordCursor({ isCrcChecked: false })
  cursor.reset(batch)
  assert.equal(cursor.nextBatch(), true)
})
