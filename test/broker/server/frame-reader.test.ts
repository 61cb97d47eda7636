import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FramePool } from '../../../src/broker/server/frame-pool.ts'
import { type Frame, FrameReader } from '../../../src/broker/server/frame-reader.ts'
import { randomInt, SeededRandom } from '../../../src/core/index.ts'

function framed(payload: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(payload.length)
  return Buffer.concat([length, payload])
}

function all(reader: FrameReader): Buffer[] {
  const frames: Buffer[] = []
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    frames.push(Buffer.from(frame.bytes))
    reader.release(frame)
  }
  return frames
}

test('a frame inside one chunk is a view into it, not a copy', () => {
  const reader = new FrameReader({ frameBytesMax: 1000 })
  const chunk = framed(Buffer.from('0123456789'))
  reader.push(chunk)
  const frame = reader.next()?.bytes
  assert.equal(frame?.toString(), '0123456789')
  chunk[4] = 'x'.charCodeAt(0)
  assert.equal(frame?.toString(), 'x123456789')
})

test('frames come out whole however they are cut', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_260_101)
  console.log(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 50; round++) {
    const payloads = Array.from({ length: 20 }, (_, index) => Buffer.alloc(8 + randomInt(random, 300_000), index + 1))
    const stream = Buffer.concat(payloads.map(framed))
    const reader = new FrameReader({ frameBytesMax: 1_000_000 })
    const frames: Buffer[] = []
    for (let at = 0; at < stream.length;) {
      const end = Math.min(stream.length, at + 1 + randomInt(random, randomInt(random, 2) === 0 ? 10 : 100_000))
      reader.push(stream.subarray(at, end))
      at = end
      if (randomInt(random, 3) === 0) frames.push(...all(reader))
    }
    frames.push(...all(reader))
    assert.equal(frames.length, payloads.length)
    frames.forEach((frame, index) => assert.ok(frame.equals(payloads[index] ?? Buffer.alloc(0))))
    assert.equal(reader.bufferedBytes, 0)
  }
})

test('one byte at a time is enough', () => {
  const reader = new FrameReader({ frameBytesMax: 1000 })
  const stream = framed(Buffer.from('0123456789'))
  for (const byte of stream.subarray(0, -1)) {
    reader.push(Buffer.from([byte]))
    assert.equal(reader.next(), undefined)
  }
  reader.push(stream.subarray(-1))
  assert.equal(reader.next()?.bytes.toString(), '0123456789')
})

for (const length of [-1, -2_147_483_648, 0, 7, 1001, 2_147_483_647]) {
  test(`an announced length of ${length} is refused`, () => {
    const reader = new FrameReader({ frameBytesMax: 1000 })
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(length)
    reader.push(bytes)
    assert.throws(() => reader.next(), { code: 'ERR_BROKER_INVALID_FRAME' })
  })
}

test('an announced length costs no memory before its bytes arrive', () => {
  const readers: FrameReader[] = []
  const before = process.memoryUsage().arrayBuffers
  for (let index = 0; index < 100; index++) {
    const reader = new FrameReader({ frameBytesMax: 104_857_600 })
    const bytes = Buffer.alloc(12)
    bytes.writeInt32BE(104_857_600)
    reader.push(bytes)
    assert.equal(reader.next(), undefined)
    readers.push(reader)
  }
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(readers.length === 100 && grown < 100 * 200 * 1024, `100 announced frames of 100 MB took ${grown} bytes`)
})

test('a released frame buffer is used again, and never more are kept than the pool allows', () => {
  const pool = new FramePool(256 * 1024)
  const gather = (): Frame => {
    const reader = new FrameReader({ frameBytesMax: 1_000_000, pool })
    const stream = framed(Buffer.alloc(200_000, 'a'))
    reader.push(stream.subarray(0, 150_000))
    assert.equal(reader.next(), undefined)
    reader.push(stream.subarray(150_000))
    const frame = reader.next()
    assert.ok(frame?.pooled)
    return frame
  }
  const reader = new FrameReader({ frameBytesMax: 1_000_000, pool })
  const first = gather()
  reader.release(first)
  const second = gather()
  assert.equal(second.pooled, first.pooled)
  const third = gather()
  assert.notEqual(third.pooled, second.pooled)
  reader.release(second)
  reader.release(third)
  assert.equal(pool.unusedBytes, 256 * 1024)
})
