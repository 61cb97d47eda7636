import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { SpaceSaving } from '../../../src/producer/routing/space-saving.ts'

const seed = Number(process.env['TEST_SEED'] ?? 71)

/** Values of a Zipf distribution by inverting its cumulated weights. */
function zipf(random: SeededRandom, valueCount: number, exponent: number): () => string {
  const cumulated = new Float64Array(valueCount)
  let sum = 0
  for (let rank = 0; rank < valueCount; rank += 1) cumulated[rank] = sum += 1 / (rank + 1) ** exponent
  return () => {
    const at = random.next() * sum
    let low = 0
    let high = valueCount - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((cumulated[middle] ?? 0) < at) low = middle + 1
      else high = middle
    }
    return `k${low}`
  }
}

test('counts are never too low, too high by at most their error, and the error is bounded: any Zipf stream', () => {
  const random = new SeededRandom(seed)
  for (const [exponent, capacity] of [
    [0.6, 50],
    [1, 100],
    [1.5, 20],
    [0, 64]
  ] as const) {
    const next = zipf(random, 5000, exponent)
    const sketch = new SpaceSaving(capacity)
    const exact = new Map<string, number>()
    let total = 0
    for (let index = 0; index < 60_000; index += 1) {
      if (index % 20_000 === 19_999) {
        sketch.scale(0.5)
        for (const [value, count] of exact) exact.set(value, count / 2)
        total /= 2
      }
      const value = next()
      sketch.add(value)
      exact.set(value, (exact.get(value) ?? 0) + 1)
      total += 1
    }
    const where = `seed ${seed}, exponent ${exponent}`
    assert.equal(sketch.total, total)
    const top = sketch.top()
    assert.ok(top.length <= capacity)
    for (const { value, count, error } of top) {
      const truth = exact.get(value) ?? 0
      assert.ok(count >= truth, `${where}: ${value} is counted too low`)
      assert.ok(count - error <= truth, `${where}: ${value} is too high by more than its error`)
      assert.ok(error <= total / capacity, `${where}: the error is beyond its bound`)
    }
    const counted = new Set(top.map(({ value }) => value))
    for (const [value, count] of exact) {
      if (count > total / capacity) assert.ok(counted.has(value), `${where}: ${value} is heavy and missing`)
    }
    assert.deepEqual(
      top,
      top.toSorted((a, b) => b.count - a.count)
    )
  }
})

test('with fewer values than counters every count is exact', () => {
  const random = new SeededRandom(seed)
  const sketch = new SpaceSaving(16)
  const exact = new Map<string, number>()
  for (let index = 0; index < 5000; index += 1) {
    const value = `v${randomInt(random, 16)}`
    sketch.add(value)
    exact.set(value, (exact.get(value) ?? 0) + 1)
  }
  for (const { value, count, error } of sketch.top()) assert.deepEqual([count, error], [exact.get(value), 0])
})

test('memory does not depend on how long or how many values are', () => {
  const sketch = new SpaceSaving(10)
  for (let index = 0; index < 1000; index += 1) sketch.add(`${index}-${'x'.repeat(10_000)}`)
  assert.equal(sketch.top().length, 10)
  assert.ok(sketch.top().every(({ value }) => value.length <= 256))
})
