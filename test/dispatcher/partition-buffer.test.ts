import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { PartitionBuffer } from '../../src/dispatcher/partition-buffer.ts'
import { createPayloadEncoder } from '../../src/dispatcher/payload.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'
import { RecordBatchBuilder } from '../../src/protocol/index.ts'
import { chunkOf, recordBatch, seedOf, type TestRecord } from './support.ts'

function sinkOf(options: { recordsMax?: number; bytesMax?: number; bodyBytesMax?: number } = {}) {
  const { recordsMax = 100, bytesMax = 1e6, bodyBytesMax = 1e6 } = options
  const limits = { bytesMax, bodyBytesMax }
  const encoder = createPayloadEncoder({
    format: 'json',
    include: ['offsets'],
    limits,
    origin: { bootstrapServers: '' }
  })
  return { table: new RecordTable(2), encoder, recordsMax }
}

function fillNext(buffer: PartitionBuffer, sink: ReturnType<typeof sinkOf>) {
  sink.encoder.begin('t', 0, false)
  const filled = buffer.fill(sink)
  if (filled === undefined) return undefined
  const payload = JSON.parse(sink.encoder.finish(sink.table).toString()) as { messages: unknown[]; offsets: number[] }
  const bad = filled.undeliverable.map(({ row, problem }) => [Number(sink.table.offset(row)), problem])
  return { ...payload, bad, nextOffset: filled.nextOffset }
}

const numbers = (from: number, count: number): TestRecord[] =>
  Array.from({ length: count }, (_, index) => ({ value: String(from + index) }))

test('records leave in batches of the given count, across chunks', () => {
  const buffer = new PartitionBuffer(10n)
  buffer.push(chunkOf(10n, numbers(10, 5)), 0)
  buffer.push(chunkOf(15n, numbers(15, 2)), 0)
  const sink = sinkOf({ recordsMax: 3 })
  assert.deepEqual(fillNext(buffer, sink)?.offsets, [10, 11, 12])
  const second = fillNext(buffer, sink)
  assert.deepEqual(second?.messages, [13, 14, 15])
  assert.equal(second.nextOffset, 16n)
  assert.deepEqual(fillNext(buffer, sink)?.offsets, [16])
  assert.equal(buffer.isEmpty, true)
  assert.equal(buffer.bytes, 0)
  assert.equal(fillNext(buffer, sink), undefined)
})

test('a chunk is let go with its last record, not with the next batch', () => {
  const buffer = new PartitionBuffer(0n)
  buffer.push(chunkOf(0n, numbers(0, 3), { nextOffset: 9n }), 0)
  const filled = fillNext(buffer, sinkOf({ recordsMax: 3 }))
  assert.equal(filled?.nextOffset, 9n) // 3 to 8 are not for us: control batches, compaction
  assert.equal(buffer.isEmpty, true)
})

test('records below the offset that was asked for are left out', () => {
  const buffer = new PartitionBuffer(12n)
  buffer.push(chunkOf(10n, numbers(10, 5), { fromOffset: 12n }), 0)
  assert.equal(buffer.hasRecords(5), true) // headers alone cannot tell
  assert.deepEqual(fillNext(buffer, sinkOf())?.offsets, [12, 13, 14])
})

test('a chunk without records moves the offset', () => {
  const buffer = new PartitionBuffer(5n)
  buffer.push(chunkOf(5n, [], { nextOffset: 8n }), 0)
  const filled = fillNext(buffer, sinkOf())
  assert.deepEqual(filled?.offsets, [])
  assert.equal(filled?.nextOffset, 8n)
})

test('a batch closes before the payload passes its limit, and no record is lost on the seam', () => {
  const buffer = new PartitionBuffer(0n)
  buffer.push(
    chunkOf(
      0n,
      Array.from({ length: 50 }, (_, index) => ({ value: `"${String(index).padStart(40, '0')}"` }))
    ),
    0
  )
  const sink = sinkOf({ bytesMax: 300 })
  const offsets: number[] = []
  for (let next = fillNext(buffer, sink); next !== undefined; next = fillNext(buffer, sink)) {
    assert.ok(next.offsets.length <= 6)
    offsets.push(...next.offsets)
    assert.equal(next.nextOffset, BigInt(offsets.length))
  }
  assert.deepEqual(
    offsets,
    Array.from({ length: 50 }, (_, index) => index)
  )
})

test('records that cannot be delivered are named and their neighbours pass', () => {
  const buffer = new PartitionBuffer(0n)
  buffer.push(chunkOf(0n, [{ value: '1' }, { value: '{"a":' }, { value: '2' }, { value: `"${'x'.repeat(900)}"` }]), 0)
  buffer.push(chunkOf(4n, [{ value: '3' }]), 0)
  const sink = sinkOf({ bodyBytesMax: 500, bytesMax: 500 })
  const first = fillNext(buffer, sink)
  assert.deepEqual([first?.messages, first?.bad], [[1, 2], [[1, 'malformed']]])
  const second = fillNext(buffer, sink)
  assert.deepEqual([second?.messages, second?.bad], [[3], [[3, 'tooLarge']]])
})

test('a record whose headers run beyond it is put aside without reading them', () => {
  const batch = recordBatch(0n, [{ value: '1', headers: [{ key: 'abc', value: Buffer.from('de') }] }, { value: '2' }])
  const keyLengthAt = batch.indexOf('abc') - 1
  batch[keyLengthAt] = 0x7e // 63 as a zigzag varint: into the next record
  const buffer = new PartitionBuffer(0n)
  buffer.push({ records: batch, nextOffset: 2n }, 0)
  const sink = sinkOf()
  const filled = fillNext(buffer, sink)
  assert.deepEqual([filled?.messages, filled?.bad], [[2], [[0, 'malformed']]])
  assert.deepEqual(sink.table.headers(0), [])
})

test('what comes before a broken record batch is delivered, and the error comes then', () => {
  const good = recordBatch(0n, numbers(0, 2))
  const broken = recordBatch(2n, numbers(2, 2))
  broken.writeInt32BE(7, 57) // more records than are there
  const buffer = new PartitionBuffer(0n)
  buffer.push({ records: Buffer.concat([good, broken]), nextOffset: 4n }, 0)
  const sink = sinkOf()
  const first = fillNext(buffer, sink)
  assert.deepEqual(first?.offsets, [0, 1, 2, 3])
  assert.throws(() => fillNext(buffer, sink), { code: 'ERR_PROTOCOL_CORRUPT_BATCH' })
  assert.equal(buffer.position, 4n)
  buffer.clear()
  buffer.push(chunkOf(4n, numbers(4, 1)), 0)
  assert.deepEqual(fillNext(buffer, sink)?.offsets, [4])
})

test('a broken batch header is reported, it does not hide in counting ahead', () => {
  const broken = recordBatch(0n, numbers(0, 2))
  broken.writeInt8(1, 16) // an old format
  const buffer = new PartitionBuffer(0n)
  buffer.push({ records: broken, nextOffset: 2n }, 0)
  assert.equal(buffer.hasRecords(500), true)
  assert.throws(() => fillNext(buffer, sinkOf()), { code: 'ERR_PROTOCOL_UNSUPPORTED_MAGIC' })
})

test('a small part of a large answer gets memory of its own', () => {
  const answer = Buffer.alloc(1_000_000)
  const batch = recordBatch(0n, numbers(0, 2))
  batch.copy(answer, 500)
  const buffer = new PartitionBuffer(0n)
  buffer.push({ records: answer.subarray(500, 500 + batch.length), nextOffset: 2n }, 0)
  answer.fill(0xff) // the answer is gone
  assert.deepEqual(fillNext(buffer, sinkOf())?.offsets, [0, 1])
})

test('whatever the chunks, limits and gaps, every record leaves once and in order', t => {
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 150; round += 1) {
    const start = BigInt(randomInt(random, 1000))
    const from = start + BigInt(randomInt(random, 3))
    const buffer = new PartitionBuffer(from)
    const sink = sinkOf({ recordsMax: 1 + randomInt(random, 20), bytesMax: 100 + randomInt(random, 400) })
    const expected: number[] = []
    const seen: number[] = []
    let offset = start
    for (let step = 0; step < 40; step += 1) {
      if (random.next() < 0.5) {
        const batches: Buffer[] = []
        const chunkFrom = offset > from ? offset : from
        for (let count = randomInt(random, 4); count > 0; count -= 1) {
          const records = numbers(Number(offset), 1 + randomInt(random, 9))
          const compression = (['none', 'gzip', 'lz4'] as const)[randomInt(random, 3)] ?? 'none'
          batches.push(recordBatch(offset, records, compression))
          for (const { value } of records) if (Number(value) >= from) expected.push(Number(value))
          offset += BigInt(records.length) + BigInt(randomInt(random, 2) * 5) // a gap behind some batches
        }
        if (offset < chunkFrom) continue
        buffer.push({ records: Buffer.concat(batches), nextOffset: offset }, step)
      } else {
        const filled = fillNext(buffer, sink)
        if (filled === undefined) continue
        seen.push(...filled.offsets)
        assert.deepEqual(filled.messages, filled.offsets)
        assert.ok(filled.offsets.length <= sink.recordsMax)
        const next = expected[seen.length]
        if (next !== undefined) assert.ok(filled.nextOffset <= BigInt(next))
        assert.ok(filled.nextOffset > BigInt(seen.at(-1) ?? -1))
      }
    }
    for (let next = fillNext(buffer, sink); next !== undefined; next = fillNext(buffer, sink))
      seen.push(...next.offsets)
    assert.deepEqual(seen, expected)
    assert.equal(buffer.bytes, 0)
    assert.equal(buffer.hasRecords(1), false)
  }
})

test('lent memory is held by the buffer until the chunk has left, and by the table until it is emptied', () => {
  const buffer = new PartitionBuffer(0n)
  const sink = sinkOf({ recordsMax: 2 })
  let holders = 1
  const lease = { retain: () => void (holders += 1), release: () => void (holders -= 1) }
  // Not a part of Node's own pool: a small part of something large is copied.
  const lent = (from: number, count: number) => {
    const chunk = chunkOf(BigInt(from), numbers(from, count))
    const records = Buffer.allocUnsafeSlow(chunk.records.length)
    chunk.records.copy(records)
    return { ...chunk, records, lease }
  }
  buffer.push(lent(0, 3), 0)
  fillNext(buffer, sink)
  assert.equal(holders, 2)
  const other = sinkOf()
  fillNext(buffer, other)
  assert.equal(buffer.isEmpty, true)
  assert.equal(holders, 2)
  sink.table.reset(0n)
  assert.equal(holders, 1)
  other.table.abandon()
  other.table.reset(0n)
  assert.equal(holders, 1) // for good: nobody may write there
  holders = 1
  buffer.push(lent(3, 1), 0)
  buffer.clear()
  assert.equal(holders, 0)
})

test('one record per batch is walked as well as many', () => {
  const buffer = new PartitionBuffer(0n)
  const batches = Array.from({ length: 30 }, (_, index) => {
    const builder = new RecordBatchBuilder()
    builder.tryAppend(5, null, Buffer.from(String(index)))
    return builder.build({ baseOffset: BigInt(index) })
  })
  buffer.push({ records: Buffer.concat(batches), nextOffset: 30n }, 0)
  assert.equal(buffer.hasRecords(31), false)
  assert.equal(buffer.hasRecords(30), true)
  assert.equal(fillNext(buffer, sinkOf({ recordsMax: 29 }))?.offsets.length, 29)
  assert.equal(buffer.hasRecords(2), false)
  assert.equal(buffer.hasRecords(1), true)
})

test('what is left out counts as work: a filter that wants nothing gives others their turn', () => {
  const buffer = new PartitionBuffer(0n)
  for (let from = 0; from < 20_000; from += 1000) buffer.push(chunkOf(BigInt(from), numbers(from, 1000)), 0)
  let asked = 0
  const sift = {
    sift: () => {
      asked += 1
      return asked % 10_000 === 0 ? ('deliver' as const) : ('drop' as const)
    }
  }
  const sink = { ...sinkOf({ recordsMax: 500 }), sift }
  const offsets: number[] = []
  let turns = 0
  for (let filled = fillNext(buffer, sink); filled !== undefined; filled = fillNext(buffer, sink)) {
    turns += 1
    offsets.push(...filled.offsets)
    assert.ok(asked <= turns * 5001, `${asked} records in ${turns} turns`)
  }
  assert.deepEqual(offsets, [9999, 19_999])
  assert.equal(asked, 20_000)
  assert.equal(buffer.position, 20_000n)
})
