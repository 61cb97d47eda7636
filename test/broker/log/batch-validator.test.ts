import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchValidator, type Validation } from '../../../src/broker/log/batch-validator.ts'
import { type LogConfig, toLogConfig } from '../../../src/broker/log/topic-config.ts'
import { crc32c, readBatchHeader, RecordCursor } from '../../../src/protocol/index.ts'
import { batchOf, batchOfCount, START_MS } from './support.ts'

function check(records: Buffer, config: Partial<LogConfig> = {}): Validation {
  const options = { config: { ...toLogConfig(), ...config }, origin: 'client' as const, nowMs: START_MS }
  return new BatchValidator().validate(records, options)
}

function codeOf(result: Validation): number {
  return result.isValid ? 0 : result.errorCode
}

/** Changes bytes behind the checksum and makes the checksum right again. */
function changed(batch: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy, 21), 17)
  return copy
}

test('a batch of each compression is taken as it is', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const batch = batchOfCount(20, 'value', { compression })

    const result = check(batch)

    assert.ok(result.isValid, compression)
    assert.equal(result.records, batch)
  }
})

test('nothing, a cut batch and two batches are INVALID_RECORD', () => {
  const batch = batchOfCount(2)

  assert.equal(codeOf(check(Buffer.alloc(0))), 87)
  assert.equal(codeOf(check(batch.subarray(0, batch.length - 1))), 87)
  assert.equal(codeOf(check(Buffer.concat([batch, batch]))), 87)
})

test('an incomplete rest behind the batch is dropped', () => {
  const batch = batchOfCount(2)

  const result = check(Buffer.concat([batch, batch.subarray(0, 30)]))

  assert.ok(result.isValid)
  assert.deepEqual(result.records, batch)
})

test('an impossible length and a wrong checksum are CORRUPT_MESSAGE', () => {
  const short = batchOfCount(1)
  short.writeInt32BE(5, 8)
  const flipped = batchOfCount(1)
  flipped[60] = (flipped[60] ?? 0) ^ 1

  assert.equal(codeOf(check(short)), 2)
  assert.equal(codeOf(check(flipped)), 2)
})

test('every flipped bit behind the checksum is noticed', () => {
  const batch = batchOfCount(3)
  for (let bit = 21 * 8; bit < batch.length * 8; bit++) {
    const copy = Buffer.from(batch)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(codeOf(check(copy)), 2, `bit ${bit}`)
  }
})

test('the older formats are INVALID_RECORD, formats that never were are CORRUPT_MESSAGE', () => {
  const withMagic = (magic: number): number => {
    const batch = batchOfCount(1)
    batch.writeInt8(magic, 16)
    return codeOf(check(batch))
  }

  assert.deepEqual([0, 1, 3, -1].map(withMagic), [87, 87, 2, 2])
})

test('a count that does not fit the last offset delta, or is zero, is INVALID_RECORD', () => {
  const batch = batchOfCount(3)

  assert.equal(codeOf(check(changed(batch, copy => copy.writeInt32BE(4, 57)))), 87)
  assert.equal(codeOf(check(changed(batch, copy => copy.writeInt32BE(7, 23)))), 87)
  const empty = changed(batch, copy => {
    copy.writeInt32BE(0, 57)
    copy.writeInt32BE(-1, 23)
  })
  assert.equal(codeOf(check(empty)), 87)
})

test('a batch that holds fewer or more records than it says is INVALID_RECORD', () => {
  for (const compression of ['none', 'gzip'] as const) {
    for (const [count, said] of [
      [3, 5],
      [5, 3]
    ] as const) {
      const lying = changed(batchOfCount(count, 'v', { compression }), copy => {
        copy.writeInt32BE(said, 57)
        copy.writeInt32BE(said - 1, 23)
      })
      assert.equal(codeOf(check(lying)), 87)
    }
  }
})

test('records that do not open although their checksum is right are INVALID_RECORD, which no client retries', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const broken = changed(batchOfCount(50, 'value', { compression }), copy => copy.fill(0xff, 61))
    assert.equal(codeOf(check(broken)), 87, compression)
  }
})

test('an unknown compression is UNSUPPORTED_COMPRESSION_TYPE', () => {
  assert.equal(codeOf(check(changed(batchOfCount(1), copy => copy.writeInt16BE(5, 21)))), 76)
})

test('control batches and negative sequences of clients are INVALID_RECORD', () => {
  assert.equal(codeOf(check(batchOfCount(1, 'v', { isControl: true }))), 87)
  assert.equal(codeOf(check(batchOfCount(1, 'v', { producerId: 1n, producerEpoch: 0, baseSequence: -1 }))), 87)
})

test('a transactional batch without a producer id is INVALID_TXN_STATE', () => {
  assert.equal(codeOf(check(batchOfCount(1, 'v', { isTransactional: true }))), 48)
})

test('the timestamp type LogAppendTime from a client is taken away, or refused where the topic has it', () => {
  for (const compression of ['none', 'gzip'] as const) {
    const batch = (): Buffer =>
      changed(batchOfCount(2, 'v', { compression }), copy => copy.writeInt16BE(copy.readInt16BE(21) | 8, 21))

    const taken = check(batch())
    const refused = check(batch(), { timestampType: 'LogAppendTime' })

    assert.ok(taken.isValid)
    assert.equal(taken.records.readInt16BE(21) & 8, 0)
    assert.equal(taken.records.readUInt32BE(17), crc32c(taken.records, 21))
    assert.ok(!refused.isValid)
    assert.deepEqual([refused.errorCode, refused.recordErrors.map(error => error.batchIndex)], [32, [0, 1]])
  }
})

test('timestamps are accepted up to the limits and refused beyond them, naming the records', () => {
  const config = { timestampBeforeMsMax: 1000, timestampAfterMsMax: 500 }
  const at = (...times: number[]): Validation =>
    check(batchOf(times.map(time => ({ timestampMs: START_MS + time }))), config)

  assert.equal(codeOf(at(-1000, 500)), 0)
  const result = at(0, 501, -1001, 1)
  assert.ok(!result.isValid)
  assert.equal(result.errorCode, 32)
  assert.deepEqual(
    result.recordErrors.map(error => error.batchIndex),
    [1, 2]
  )
  assert.equal(codeOf(check(batchOf([{ timestampMs: START_MS + 9e9 }]), { timestampType: 'LogAppendTime' })), 0)
})

test('by default a record may be an hour in the future, not more', () => {
  assert.equal(codeOf(check(batchOf([{ timestampMs: START_MS + 3_600_000 }]))), 0)
  assert.equal(codeOf(check(batchOf([{ timestampMs: START_MS + 3_600_001 }]))), 32)
})

test('a compacted topic refuses records without key, naming them', () => {
  const batch = batchOf([{ key: 'a' }, { key: null }, { key: '' }, { key: null }], { compression: 'lz4' })

  const result = check(batch, { isCompacted: true })

  assert.ok(!result.isValid)
  assert.equal(result.errorCode, 87)
  assert.deepEqual(
    result.recordErrors.map(error => error.batchIndex),
    [1, 3]
  )
  assert.equal(codeOf(check(batch)), 0)
})

test('a batch above max.message.bytes is MESSAGE_TOO_LARGE, above segment.bytes RECORD_LIST_TOO_LARGE', () => {
  const batch = batchOfCount(10)

  assert.equal(codeOf(check(batch, { messageBytesMax: batch.length })), 0)
  assert.equal(codeOf(check(batch, { messageBytesMax: batch.length - 1 })), 10)
  assert.equal(codeOf(check(batch, { segmentBytes: batch.length - 1 })), 18)
})

test('a largest timestamp that no record has is corrected, checksum included', () => {
  const lying = changed(batchOf([{ timestampMs: START_MS + 1 }, { timestampMs: START_MS + 7 }]), copy =>
    copy.writeBigInt64BE(BigInt(START_MS + 999), 35)
  )

  const result = check(lying)

  assert.ok(result.isValid)
  assert.equal(result.header.maxTimestamp, BigInt(START_MS + 7))
  assert.equal(readBatchHeader(result.records, 0).crc, crc32c(result.records, 21))
})

test('a topic with its own compression type gets batches encoded anew, records and producer unchanged', () => {
  const stamp = { producerId: 7n, producerEpoch: 2, baseSequence: 30 }
  const batch = batchOf(
    [
      { key: 'a', value: '1', timestampMs: START_MS - 9 },
      { key: null, value: null }
    ],
    stamp
  )

  const result = check(batch, { compressionType: 'gzip' })

  assert.ok(result.isValid)
  assert.equal(result.header.attributes & 7, 1)
  assert.deepEqual([result.header.producerId, result.header.producerEpoch, result.header.baseSequence], [7n, 2, 30])
  const cursor = new RecordCursor()
  cursor.reset(result.records)
  assert.ok(cursor.nextBatch() && cursor.nextRecord())
  assert.deepEqual([cursor.timestampMs, cursor.key()?.toString(), cursor.value()?.toString()], [START_MS - 9, 'a', '1'])
  assert.ok(cursor.nextRecord())
  assert.deepEqual([cursor.key(), cursor.value()], [null, null])
  const plain = check(result.records, { compressionType: 'uncompressed' })
  assert.ok(plain.isValid && (plain.header.attributes & 7) === 0)
})
