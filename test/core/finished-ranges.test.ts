import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import {
  BODY_BYTES_MAX,
  bodyBytes,
  decodeFinished,
  encodeFinished,
  METADATA_LENGTH_MAX,
  varintSize
} from '../../src/core/finished-ranges.ts'
import { seedOf } from '../dispatcher/support.ts'

test('the text is what its grammar says', () => {
  assert.equal(encodeFinished(7n, []), '')
  // Open 2, finished 3, open 200 (0xc8 0x01), finished 1.
  const runs = Buffer.from([0, 2, 3, 0xc8, 0x01, 1]).toString('base64url')
  assert.equal(encodeFinished(7n, [2, 5, 205, 206]), `comporta:1:7:${runs}`)
  // Offsets 0, 2, 4, … 14: fifteen runs take more than two bytes of bits.
  const alternating = Array.from({ length: 8 }, (_, index) => [2 * index, 2 * index + 1]).flat()
  const bits = Buffer.from([1, 0b0101_0101, 0b0101_0101]).toString('base64url')
  assert.equal(encodeFinished(0n, alternating), `comporta:1:0:${bits}`)
})

test('what is written is read again', t => {
  const seed = seedOf(t)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 500; round += 1) {
    const ranges: number[] = []
    const gapMax = [2, 40, 5000, 2 ** 40][round % 4] ?? 2
    let at = randomInt(random, 3)
    for (let count = randomInt(random, 60); count > 0; count -= 1) {
      const start = at + (ranges.length === 0 ? 0 : 1 + randomInt(random, gapMax))
      at = start + 1 + randomInt(random, gapMax)
      ranges.push(start, at)
    }
    const base = BigInt(randomInt(random, 1000)) * 10n ** BigInt(randomInt(random, 16))
    const text = encodeFinished(base, ranges)
    assert.ok(text !== undefined && text.length <= METADATA_LENGTH_MAX)
    assert.deepEqual(decodeFinished(base, text), ranges)
  }
})

test('the longest body fits into what Kafka keeps, with the largest offset', () => {
  const runs: number[] = []
  for (let index = 0; index < BODY_BYTES_MAX - 1; index += 2) runs.push(1000 * index + 127, 1000 * index + 128)
  while (bodyBytes(runs) > BODY_BYTES_MAX) runs.splice(-2)
  const text = encodeFinished(9_223_372_036_854_775_807n, runs)
  assert.ok(text !== undefined)
  assert.ok(text.length <= METADATA_LENGTH_MAX && text.length > METADATA_LENGTH_MAX - 10, String(text.length))
  runs.push((runs.at(-1) ?? 0) + 10_000, (runs.at(-1) ?? 0) + 10_001)
  assert.equal(encodeFinished(9_223_372_036_854_775_807n, runs), undefined)
})

test('a text that is foreign, broken or about another offset says nothing', t => {
  const text = encodeFinished(100n, [1, 2, 5, 9]) ?? ''
  assert.deepEqual(decodeFinished(100n, text), [1, 2, 5, 9])
  assert.deepEqual(decodeFinished(101n, text), [])
  assert.deepEqual(decodeFinished(10n, text), [])
  for (const foreign of ['', 'x', '{"comporta":1}', 'comporta:2:100:AAEC', 'comporta:1:100', 'comporta:1:100:']) {
    assert.deepEqual(decodeFinished(100n, foreign), [], foreign)
  }
  assert.deepEqual(decodeFinished(100n, `${text}${'A'.repeat(METADATA_LENGTH_MAX)}`), [])
  // Whatever the body is: ranges that ascend, or none.
  const random = new SeededRandom(seedOf(t))
  for (let round = 0; round < 2000; round += 1) {
    const body = Buffer.from(Array.from({ length: randomInt(random, 12) }, () => randomInt(random, 256)))
    if (body.length > 0) body[0] = randomInt(random, 3)
    const ranges = decodeFinished(5n, `comporta:1:5:${body.toString('base64url')}`)
    assert.equal(ranges.length % 2, 0)
    for (let index = 1; index < ranges.length; index += 1) {
      assert.ok((ranges[index] ?? 0) > (ranges[index - 1] ?? 0), `${body.toString('hex')}: ${ranges.join()}`)
    }
  }
})

test('a varint takes a byte for each seven bits', () => {
  assert.deepEqual(
    [0, 127, 128, 16_383, 16_384, 2 ** 31, Number.MAX_SAFE_INTEGER].map(varintSize),
    [1, 1, 2, 2, 3, 5, 8]
  )
})
