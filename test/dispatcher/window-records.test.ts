import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ChunkScanner } from '../../src/dispatcher/chunk-scanner.ts'
import { WindowRecords } from '../../src/dispatcher/window-records.ts'
import { chunkOf, recordBatch, type TestRecord } from './support.ts'

function recordsOf(count: number, from = 0): TestRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `key-${from + index}`,
    value: JSON.stringify({ n: from + index, pad: 'x'.repeat(100) }),
    headers: [{ key: 'h', value: Buffer.from(`header-${from + index}`) }]
  }))
}

function valueOf(records: WindowRecords, seq: number): string {
  const { recordBuffer, valueStart, valueEnd } = records.placeOf(seq)
  return recordBuffer.toString('utf8', valueStart, valueEnd)
}

test('a scanner passes over what lies below its start, gaps and empty chunks', () => {
  const scanner = new ChunkScanner(5n)
  // The first batch of a fetch may begin before the offset that was asked for.
  scanner.push(chunkOf(3n, recordsOf(4, 3), { nextOffset: 10n }), 7)
  scanner.push(chunkOf(10n, [], { nextOffset: 20n }), 8)
  const records = Buffer.concat([recordBatch(20n, recordsOf(1, 20)), recordBatch(30n, recordsOf(2, 30))])
  scanner.push({ records, nextOffset: 40n }, 9)
  const found: [number, number][] = []
  while (scanner.peek()) {
    assert.equal(scanner.peek(), true, 'looking twice is looking once')
    found.push([scanner.delta, scanner.arrivedMs])
    scanner.take()
  }
  assert.deepEqual(
    found,
    [0, 1, 15, 25, 26].map(delta => [delta, delta < 15 ? 7 : 9])
  )
  assert.equal(scanner.position, 40n)
  assert.equal(scanner.bytes, 0)
})

test('a scanner refuses offsets that do not ascend, and goes on where it was once it is cleared', () => {
  const scanner = new ChunkScanner(0n)
  const records = Buffer.concat([recordBatch(0n, recordsOf(3)), recordBatch(2n, recordsOf(3, 2))])
  scanner.push({ records, nextOffset: 5n }, 0)
  for (let count = 0; count < 3; count += 1) {
    assert.equal(scanner.peek(), true)
    scanner.take()
  }
  assert.throws(() => scanner.peek(), { code: 'ERR_PROTOCOL_CORRUPT_BATCH' })
  scanner.clear()
  assert.equal(scanner.position, 3n)
  scanner.push(chunkOf(3n, recordsOf(1, 3)), 0)
  assert.equal(scanner.peek(), true)
  assert.equal(scanner.delta, 3)
})

test('rows keep their place while others come and go, and the bytes of a buffer go with its last row', () => {
  const scanner = new ChunkScanner(0n)
  const records = new WindowRecords()
  for (let from = 0; from < 1000; from += 100) scanner.push(chunkOf(BigInt(from), recordsOf(100, from)), from)
  const waiting = new Map<number, string>()
  let first = 0
  for (let seq = 0; scanner.peek(); seq += 1) {
    records.add(seq, first, scanner)
    waiting.set(seq, JSON.stringify({ n: seq, pad: 'x'.repeat(100) }))
    scanner.take()
    // Every third row leaves late: the window grows.
    if (seq % 3 !== 0 && waiting.delete(seq)) records.release(seq)
    if (seq > 700 && waiting.delete(first)) records.release(first)
    while (!waiting.has(first)) first += 1
  }
  for (const [seq, value] of waiting) assert.equal(valueOf(records, seq), value)
  for (const seq of waiting.keys()) records.release(seq)
  assert.equal(records.bytes, 0)
  assert.equal(records.rowBytes, 0)
})

test('a few rows that wait are given memory of their own, and the rest of their buffer is given back', () => {
  const chunk = chunkOf(0n, recordsOf(200))
  const lent = Buffer.allocUnsafeSlow(chunk.records.length)
  chunk.records.copy(lent)
  let holders = 1
  const lease = { retain: () => void (holders += 1), release: () => void (holders -= 1) }
  const scanner = new ChunkScanner(0n)
  scanner.push({ records: lent, nextOffset: 200n, lease }, 5)
  const records = new WindowRecords()
  for (let seq = 0; scanner.peek(); seq += 1) {
    records.add(seq, 0, scanner)
    scanner.take()
  }
  assert.equal(holders, 1, 'the scanner is done with it, the rows are not')
  const kept = [3, 77, 199]
  for (let seq = 0; seq < 200; seq += 1) if (!kept.includes(seq)) records.release(seq)
  assert.equal(records.bytes, lent.length)
  records.compact(kept)
  assert.equal(holders, 0)
  lent.fill(0xff)
  assert.equal(records.bytes, records.rowBytes)
  for (const seq of kept) {
    assert.equal(valueOf(records, seq), JSON.stringify({ n: seq, pad: 'x'.repeat(100) }))
    const { recordBuffer, keyStart, keyEnd, headersStart, recordEnd } = records.placeOf(seq)
    assert.equal(recordBuffer.toString('utf8', keyStart, keyEnd), `key-${seq}`)
    assert.ok(recordBuffer.toString('utf8', headersStart, recordEnd).endsWith(`header-${seq}`))
    assert.equal(records.arrivedMs(seq), 5)
    records.release(seq)
  }
  assert.equal(records.bytes, 0)
})
