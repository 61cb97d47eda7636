/** Which keys move: against brute force, and against Kafka's published partitions. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { keyMovement, keyText, movedShare, type SampledKey } from '../../../src/ops/partitions/key-movement.ts'
import { partitionForKey } from '../../../src/protocol/index.ts'

function sampled(key: string, more: Partial<SampledKey> = {}): SampledKey {
  return { key: Buffer.from(key), records: 1, bytes: 10, partitions: [], unread: 0, ...more }
}

test('the share of keys that move is that of hashes counted one by one', () => {
  for (const [from, to] of [
    [1, 2],
    [2, 4],
    [8, 16],
    [10, 40],
    [6, 9],
    [7, 12],
    [4, 6],
    [5, 5]
  ] as const) {
    let moved = 0
    const period = from * to
    for (let hash = 0; hash < period; hash += 1) if (hash % from !== hash % to) moved += 1
    assert.ok(Math.abs(movedShare(from, to) - moved / period) < 1e-12, `${from} to ${to}`)
  }
})

test('doubling moves half of the keys, four times as many three quarters, 8 to 9 nearly all', () => {
  assert.equal(movedShare(8, 16), 0.5)
  assert.equal(movedShare(10, 40), 0.75)
  assert.ok(Math.abs(movedShare(8, 9) - 8 / 9) < 1e-12)
})

test('keys of a sample move as Kafka’s own hashes say', () => {
  // murmur2 of org.apache.kafka.common.utils.UtilsTest: "21" = -973932308, "foobar" = -790332482, "a-little-bit-long-
  // string" = -985981536, each with the sign bit cleared as Utils.toPositive does.
  const hashes = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536 }
  const positive = Object.entries(hashes).map(([key, hash]) => [key, hash & 0x7fffffff] as const)
  const expected = positive.filter(([, hash]) => hash % 5 !== hash % 7).map(([key]) => key)
  const found = keyMovement(
    Object.keys(hashes).map(key => sampled(key)),
    5,
    7
  )
  assert.deepEqual(found.examples.map(({ key }) => key).toSorted(), expected.toSorted())
  for (const { key, from, to } of found.examples) {
    const hash = positive.find(([name]) => name === key)?.[1] ?? 0
    assert.deepEqual([from, to], [hash % 5, hash % 7])
  }
})

test('shares of keys, traffic and bytes, and what is at risk, are those of a loop over the sample', () => {
  const keys = Array.from({ length: 500 }, (_, index) =>
    sampled(`truck-${index}`, { records: index + 1, bytes: 3 * index, unread: index % 5 === 0 ? 2 : 0 })
  )
  const found = keyMovement(keys, 6, 8)
  const moved = keys.filter(({ key }) => partitionForKey(Buffer.from(key), 6) !== partitionForKey(Buffer.from(key), 8))
  const records = moved.reduce((sum, key) => sum + key.records, 0)
  assert.equal(found.movedKeys, moved.length)
  assert.equal(found.sampledRecords, (500 * 501) / 2)
  assert.equal(found.trafficShare, records / ((500 * 501) / 2))
  assert.equal(found.keysAtRisk, moved.filter(({ unread }) => unread > 0).length)
  assert.equal(found.recordsAtRisk, 2 * found.keysAtRisk)
  assert.ok(Math.abs(found.keyShare - found.theoreticalShare) < 0.08, 'a sample of 500 keys is near to all keys')
  assert.equal(found.examples.length, 10)
})

test('with a multiple no key moves between partitions that are there already', () => {
  const keys = Array.from({ length: 1000 }, (_, index) => sampled(`k${index}`))
  assert.equal(keyMovement(keys, 12, 24).movedBetweenOld, 0)
  assert.ok(keyMovement(keys, 12, 18).movedBetweenOld > 0)
})

test('a key that lies where murmur2 would not put it is foreign', () => {
  const place = partitionForKey(Buffer.from('k'), 4)
  const found = keyMovement(
    [sampled('k', { partitions: [place] }), sampled('k', { partitions: [(place + 1) % 4] })],
    4,
    8
  )
  assert.equal(found.foreignKeys, 1)
})

test('no keys: nothing moves', () => {
  const found = keyMovement([], 4, 8)
  assert.equal(found.keyShare, 0)
  assert.equal(found.trafficShare, 0)
  assert.equal(found.theoreticalShare, 0.5)
})

test('a key is shown as text where it is text, cut where it is long', () => {
  assert.equal(keyText(Buffer.from('caminhão-7')), 'caminhão-7')
  assert.equal(keyText(Buffer.from([0xff, 0x00, 0x10])), '0xff0010')
  assert.equal(keyText(Buffer.from('x'.repeat(100))).length, 64)
})
