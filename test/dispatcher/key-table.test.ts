import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { hashOf, KeyTable } from '../../src/dispatcher/key-table.ts'
import { seedOf } from './support.ts'

test('a key keeps its number while records of it are there, as in a Map', t => {
  const random = new SeededRandom(seedOf(t))
  const table = new KeyTable()
  const model = new Map<number, { readonly id: number; count: number }>()
  // Hashes that differ in few bits, so that their slots lie close together and overflow the end of the table.
  const hashes = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? index : -index * 65_537) | 0)
  for (let step = 0; step < 20_000; step += 1) {
    const hash = hashes[randomInt(random, hashes.length)] ?? 0
    const known = model.get(hash)
    // Now and then nearly all leave again.
    if (random.next() < (Math.floor(step / 2000) % 2 === 0 ? 0.6 : 0.3)) {
      const id = table.acquire(hash)
      if (known === undefined) model.set(hash, { id, count: 1 })
      else {
        assert.equal(id, known.id)
        known.count += 1
      }
    } else if (known !== undefined) {
      table.release(known.id)
      known.count -= 1
      if (known.count === 0) model.delete(hash)
    }
    assert.equal(table.size, model.size)
    assert.equal(new Set([...model.values()].map(({ id }) => id)).size, model.size)
  }
  assert.ok(table.capacity <= 1024, `${table.capacity} places for 300 keys`)
})

test('a hash depends on every byte and on nothing beside the range', () => {
  const seen = new Set<number>()
  for (let length = 0; length < 12; length += 1) {
    for (let at = 0; at < length; at += 1) {
      for (const byte of [0, 1, 0x80, 0xff]) {
        const bytes = Buffer.alloc(length + 2, 7)
        bytes[at + 1] = byte
        seen.add(hashOf(bytes, 1, length + 1))
        const other = Buffer.from(bytes)
        other[0] = 99
        other[length + 1] = 99
        assert.equal(hashOf(other, 1, length + 1), hashOf(bytes, 1, length + 1))
      }
    }
  }
  assert.equal(seen.size, 4 * 66)
})

test('hashes of ordinary keys hardly ever meet', () => {
  const seen = new Set<number>()
  for (let index = 0; index < 20_000; index += 1) {
    const key = Buffer.from(`customer-${index}`)
    seen.add(hashOf(key, 0, key.length))
  }
  // By the birthday rule 0.05 pairs of 20,000 in 2^32.
  assert.ok(seen.size >= 19_995, String(seen.size))
})
