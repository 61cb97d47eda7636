import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt } from '../../../src/core/index.ts'
import { OffsetIndex } from '../../../src/broker/log/offset-index.ts'
import { TimeIndex } from '../../../src/broker/log/time-index.ts'
import { seededRandom } from './support.ts'

test('an offset index has entries of a relative offset and a position, four bytes each, big endian', () => {
  const index = new OffsetIndex(1000n)

  index.append(1017n, 4200)
  index.append(1300n, 0x01020304)

  assert.equal(index.unsaved()?.bytes.toString('hex'), '00000011' + '00001068' + '0000012c' + '01020304')
})

test('a time index has entries of a timestamp in eight bytes and a relative offset in four', () => {
  const index = new TimeIndex(1000n)

  index.append({ timestampMs: 0x0000018bcfe56800n, offset: 1017n })

  assert.equal(index.unsaved()?.bytes.toString('hex'), '0000018bcfe56800' + '00000011')
})

test('a lookup below the first entry gives the start of the segment', () => {
  const index = new OffsetIndex(50n)
  index.append(80n, 4100)

  assert.deepEqual(index.lookup(79n), { offset: 50n, position: 0 })
  assert.deepEqual(index.lookup(10n), { offset: 50n, position: 0 })
  assert.deepEqual(index.lookup(80n), { offset: 80n, position: 4100 })
})

test('an offset far above the segment finds the last entry', () => {
  const index = new OffsetIndex(0n)
  index.append(9n, 100)

  assert.deepEqual(index.lookup(2n ** 62n), { offset: 9n, position: 100 })
})

test('an entry whose offset or timestamp does not grow is not added', () => {
  const offsets = new OffsetIndex(0n)
  const times = new TimeIndex(0n)
  offsets.append(5n, 10)
  times.append({ timestampMs: 100n, offset: 5n })

  offsets.append(5n, 20)
  times.append({ timestampMs: 100n, offset: 6n })
  times.append({ timestampMs: 101n, offset: 4n })
  times.append({ timestampMs: -1n, offset: 9n })

  assert.equal(offsets.count, 1)
  assert.equal(times.count, 1)
})

test('offset lookups agree with a search through all entries, for random indexes', t => {
  const random = seededRandom(t)
  for (let round = 0; round < 50; round++) {
    const index = new OffsetIndex(500n)
    const entries: { offset: bigint; position: number }[] = [{ offset: 500n, position: 0 }]
    let offset = 500n
    for (let count = randomInt(random, 200); count > 0; count--) {
      offset += BigInt(1 + randomInt(random, 40))
      const position = entries.length * 4096 + randomInt(random, 4096)
      index.append(offset, position)
      entries.push({ offset, position })
    }
    for (let probe = 499n; probe < offset + 3n; probe++) {
      const expected = entries.findLast(entry => entry.offset <= probe) ?? entries[0]
      assert.deepEqual(index.lookup(probe), expected)
    }
  }
})

test('time lookups agree with a search through all entries, for random indexes', t => {
  const random = seededRandom(t)
  for (let round = 0; round < 50; round++) {
    const index = new TimeIndex(7n)
    const entries: { timestampMs: bigint; offset: bigint }[] = []
    let timestampMs = 1000n
    for (let count = randomInt(random, 100); count > 0; count--) {
      timestampMs += BigInt(1 + randomInt(random, 5))
      const entry = { timestampMs, offset: 7n + BigInt(entries.length * 3) }
      index.append(entry)
      entries.push(entry)
    }
    for (let probe = 998n; probe < timestampMs + 3n; probe++) {
      assert.deepEqual(
        index.lookup(probe),
        entries.findLast(entry => entry.timestampMs <= probe)
      )
    }
  }
})

test('what the file lacks is given once and then only what was added since', () => {
  const index = new OffsetIndex(0n)
  index.append(1n, 8)
  const first = index.unsaved()
  index.append(2n, 16)
  assert.ok(first)
  index.markSaved(first)

  assert.deepEqual(index.unsaved(), { position: 8, bytes: Buffer.from('0000000200000010', 'hex') })
  assert.equal(index.unsavedBytes, 8)
})

test('an index that was cut does not think that its file still has what was cut', () => {
  const saved = Buffer.from('0000000100000008' + '0000000200000010' + '0000000300000018', 'hex')
  const index = new OffsetIndex(0n, saved)

  index.truncateAfter(1n)
  index.append(9n, 99)

  assert.deepEqual(index.unsaved(), { position: 8, bytes: Buffer.from('0000000900000063', 'hex') })
})

test('a torn last entry of an index file is not an entry', () => {
  const index = new OffsetIndex(0n, Buffer.from('0000000100000008' + '000000', 'hex'))

  assert.equal(index.count, 1)
})

test('an index file is sound only if it grows and stays within its log', () => {
  const grows = new OffsetIndex(0n, Buffer.from('0000000100000008' + '0000000200000010', 'hex'))
  const zeroTail = new OffsetIndex(0n, Buffer.from('0000000100000008' + '0000000000000000', 'hex'))
  const timeBack = new TimeIndex(
    0n,
    Buffer.from('0000000000000005' + '00000001' + '0000000000000004' + '00000002', 'hex')
  )

  assert.equal(grows.isSound(17), true)
  assert.equal(grows.isSound(16), false)
  assert.equal(zeroTail.isSound(1000), false)
  assert.equal(timeBack.isSound(), false)
})
