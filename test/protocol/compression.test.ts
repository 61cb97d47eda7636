import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { PipelineError } from '../../src/core/index.ts'
import { compress, compressionById, type CompressionName, decompress } from '../../src/protocol/index.ts'

const CODECS: readonly CompressionName[] = ['gzip', 'snappy', 'lz4', 'zstd']

function hasCode(code: string): (error: unknown) => boolean {
  return error => PipelineError.is(error) && error.code === code
}

/** Text that repeats itself, as records do, and some noise that cannot be compressed. */
function sample(size: number): Buffer {
  const buffer = Buffer.alloc(size)
  let state = 12345
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    buffer[at] = at % 1000 < 300 ? state >>> 24 : 'truck-code-mt-c4-'.charCodeAt(at % 17)
  }
  return buffer
}

test('every codec gives back what it was given, of every size', () => {
  for (const name of [...CODECS, 'none'] as const) {
    for (const size of [0, 1, 15, 16, 100, 32_768, 32_769, 100_000, 5_000_000]) {
      const input = sample(size)
      assert.ok(decompress(name, compress(name, input)).equals(input), `${name} ${size}`)
    }
  }
})

test('snappy without framing is read too', () => {
  // Source: google/snappy format_description.txt, by hand: 11 bytes; literal "Wiki", copy of 4 back 4, literal "WIK".
  const raw = Buffer.from([11, (4 - 1) << 2, 0x57, 0x69, 0x6b, 0x69, 0b000_000_01, 4, (3 - 1) << 2, 0x57, 0x49, 0x4b])
  assert.equal(decompress('snappy', raw).toString(), 'WikiWikiWIK')
})

test('snappy is written in the framing that the Java client reads', () => {
  const compressed = compress('snappy', sample(40_000))
  assert.equal(compressed.subarray(0, 16).toString('hex'), '82534e41505059000000000100000001')
})

test('an LZ4 frame by hand: overlapping match, stored block, content checksum, two frames', () => {
  // Header 60 40 with its checksum 82 is the example that every LZ4 implementation agrees on.
  const header = Buffer.from('04224d18604082', 'hex')
  // Token: 1 literal, match of 4+5 bytes back 1; then the last literals "end".
  const block = Buffer.from([0x15, 0x61, 1, 0, 0x30, 0x65, 0x6e, 0x64])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(block.length)
  const stored = Buffer.from([2, 0, 0, 0x80, 0x68, 0x69])
  const frame = Buffer.concat([header, size, block, stored, Buffer.alloc(4)])
  assert.equal(decompress('lz4', frame).toString(), 'aaaaaaaaaaendhi')
  assert.equal(decompress('lz4', Buffer.concat([frame, frame])).length, 30)
})

test('an LZ4 frame whose header checksum is wrong is refused', () => {
  const frame = compress('lz4', sample(100))
  frame.writeUInt8(frame.readUInt8(6) ^ 1, 6)
  assert.throws(() => decompress('lz4', frame), hasCode('ERR_PROTOCOL_DECOMPRESSION_FAILED'))
})

test('no codec grows beyond the limit', () => {
  const zeros = Buffer.alloc(10_000_000)
  const bombs: Record<string, Buffer> = {
    gzip: gzipSync(zeros),
    zstd: zstdCompressSync(zeros),
    lz4: compress('lz4', zeros),
    snappy: compress('snappy', zeros)
  }
  for (const name of CODECS) {
    const bomb = bombs[name] ?? zeros
    assert.throws(() => decompress(name, bomb, 1_000_000), hasCode('ERR_PROTOCOL_DECOMPRESSED_TOO_LARGE'), name)
    assert.equal(decompress(name, bomb, 10_000_000).length, 10_000_000, name)
  }
})

test('a snappy block that claims gigabytes is refused before anything is allocated', () => {
  const before = process.memoryUsage().arrayBuffers
  const raw = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0, 0])
  assert.throws(() => decompress('snappy', raw), hasCode('ERR_PROTOCOL_DECOMPRESSION_FAILED'))
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000)
})

test('garbage and cut-off data are refused with a code', () => {
  for (const name of CODECS) {
    assert.throws(
      () => decompress(name, Buffer.from('not compressed at all')),
      hasCode('ERR_PROTOCOL_DECOMPRESSION_FAILED'),
      name
    )
    const whole = compress(name, sample(5000))
    for (const length of [1, 5, 20, Math.floor(whole.length / 2), whole.length - 5]) {
      assert.throws(() => decompress(name, whole.subarray(0, length)), PipelineError, `${name} ${length}`)
    }
  }
})

test('a codec that does not exist is refused', () => {
  for (const id of [5, 6, 7]) assert.throws(() => compressionById(id), hasCode('ERR_PROTOCOL_UNSUPPORTED_COMPRESSION'))
})
