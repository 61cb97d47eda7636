import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt } from '../../../../src/core/index.ts'
import { KeyOffsets, SLOT_BYTES } from '../../../../src/broker/log/cleaner/key-offsets.ts'
import { seededRandom } from '../support.ts'

test('the map has the last offset of every key, offset 0 included, and -1 for others', t => {
  const random = seededRandom(t)
  const keys = new KeyOffsets({ bytesMax: 1 << 20, loadFactor: 0.9, keyCountExpected: 5000 })
  const expected = new Map<string, number>()
  for (let offset = 0; offset < 20_000; offset++) {
    const key = `key-${randomInt(random, 4000)}`
    assert.equal(keys.put(Buffer.from(key), BigInt(offset)), true)
    expected.set(key, offset)
  }

  assert.equal(keys.count, expected.size)
  for (const [key, offset] of expected) assert.equal(keys.get(Buffer.from(key)), offset)
  assert.equal(keys.get(Buffer.from('nobody')), -1)
  const first = new KeyOffsets({ bytesMax: 1 << 20, loadFactor: 0.9, keyCountExpected: 1 })
  first.put(Buffer.from(''), 0n)
  assert.equal(first.get(Buffer.from('')), 0)
})

test('memory stays below its limit: a full map takes no new key, but newer offsets of those it has', () => {
  const keys = new KeyOffsets({ bytesMax: 100 * SLOT_BYTES, loadFactor: 0.5, keyCountExpected: 1_000_000 })
  assert.equal(keys.sizeBytes, 100 * SLOT_BYTES)

  let offset = 0n
  while (keys.put(Buffer.from(`k${offset}`), offset)) offset += 1n

  assert.equal(offset, 50n)
  assert.equal(keys.isFull, true)
  assert.equal(keys.put(Buffer.from('k0'), 99n), true)
  assert.equal(keys.get(Buffer.from('k0')), 99)
  assert.equal(keys.get(Buffer.from('k50')), -1)
})

test('a map that grows keeps what it has', () => {
  const keys = new KeyOffsets({ bytesMax: 64 * SLOT_BYTES, loadFactor: 0.9, keyCountExpected: 64 })
  for (let index = 0; index < 500; index++) {
    if (!keys.put(Buffer.from(`k${index}`), BigInt(index))) {
      keys.grow()
      assert.equal(keys.put(Buffer.from(`k${index}`), BigInt(index)), true)
    }
  }

  for (let index = 0; index < 500; index++) assert.equal(keys.get(Buffer.from(`k${index}`)), index)
})

test('no more memory is taken than the expected keys need', () => {
  const keys = new KeyOffsets({ bytesMax: 128 * 1024 * 1024, loadFactor: 0.9, keyCountExpected: 900 })

  assert.equal(keys.sizeBytes, 1001 * SLOT_BYTES)
})
