import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { FairShare } from '../../../src/dispatcher/flow/fair-share.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
const all = (): boolean => true

test('70, 20 and 10 get just that of every ten grants', () => {
  const shares = new FairShare([70, 20, 10])
  for (let round = 0; round < 50; round += 1) {
    const counts = [0, 0, 0]
    for (let grant = 0; grant < 10; grant += 1) {
      const chosen = shares.next(all) ?? -1
      counts[chosen] = (counts[chosen] ?? 0) + 1
    }
    assert.deepEqual(counts, [7, 2, 1])
  }
})

test('under saturation no class is a whole grant away from its share, whatever the shares', () => {
  for (let round = 0; round < 100; round += 1) {
    const random = new SeededRandom(seed + round)
    const weights = Array.from({ length: 1 + randomInt(random, 8) }, () => 1 + randomInt(random, 100))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    const shares = new FairShare(weights)
    const counts = weights.map(() => 0)
    for (let grants = 1; grants <= 1000; grants += 1) {
      const chosen = shares.next(all) ?? -1
      counts[chosen] = (counts[chosen] ?? 0) + 1
      for (const [index, weight] of weights.entries()) {
        const lag = (grants * weight) / sum - (counts[index] ?? 0)
        assert.ok(Math.abs(lag) < 1 + 1e-6, `class ${index} of ${weights.join()}: ${lag} behind, seed ${seed + round}`)
      }
    }
  }
})

test('classes come and go: somebody always goes on, and who wants all the time has at least its share', () => {
  for (let round = 0; round < 100; round += 1) {
    const random = new SeededRandom(seed + round)
    const weights = Array.from({ length: 2 + randomInt(random, 5) }, () => 1 + randomInt(random, 50))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    const shares = new FairShare(weights)
    const wanting = weights.map(() => random.next() < 0.5)
    const since = weights.map(() => 0)
    const counts = weights.map(() => 0)
    for (let grants = 1; grants <= 2000; grants += 1) {
      for (const index of weights.keys()) {
        if (random.next() < 0.97) continue
        wanting[index] = !(wanting[index] ?? false)
        since[index] = grants - 1
        counts[index] = 0
      }
      const chosen = shares.next(index => wanting[index] ?? false)
      assert.equal(
        chosen === undefined,
        wanting.every(wants => !wants),
        'work-conserving'
      )
      if (chosen === undefined) continue
      assert.equal(wanting[chosen], true)
      counts[chosen] = (counts[chosen] ?? 0) + 1
      for (const [index, weight] of weights.entries()) {
        if (wanting[index] !== true) continue
        const lag = ((grants - (since[index] ?? 0)) * weight) / sum - (counts[index] ?? 0)
        assert.ok(lag < 2, `class ${index} of ${weights.join()}: ${lag} behind, seed ${seed + round}`)
      }
    }
  }
})

// Every way in which three classes can want something or not, eight grants long: 8^5 ways of five, then all want.
test('in every interleaving of coming and going nobody waits longer than its share says', () => {
  const weights = [3, 2, 1]
  for (let way = 0; way < 8 ** 5; way += 1) {
    const shares = new FairShare(weights)
    for (let step = 0; step < 5; step += 1) {
      const wanting = (way >> (3 * step)) & 7
      const chosen = shares.next(index => (wanting & (1 << index)) !== 0)
      if ((wanting === 0) !== (chosen === undefined)) assert.fail(`way ${way}: not work-conserving`)
      if (chosen !== undefined && (wanting & (1 << chosen)) === 0) assert.fail(`way ${way}: chose who wants nothing`)
    }
    const next = Array.from({ length: 12 }, () => shares.next(all))
    // A turn of each class is 6/weight grants long, and it may have begun a turn later at most.
    for (const [index, weight] of weights.entries()) {
      const first = next.indexOf(index)
      if (first < 0 || first >= 2 * Math.ceil(6 / weight)) assert.fail(`way ${way}: class ${index} waits ${first}`)
    }
  }
})

test('a class that was away has saved up nothing', () => {
  const shares = new FairShare([50, 50])
  for (let grant = 0; grant < 1000; grant += 1)
    assert.equal(
      shares.next(index => index === 0),
      0
    )
  const next = Array.from({ length: 10 }, () => shares.next(all))
  assert.equal(next.filter(index => index === 1).length, 5)
})

test('new shares hold at once', () => {
  const shares = new FairShare([90, 10])
  for (let grant = 0; grant < 25; grant += 1) shares.next(all)
  shares.setShares([10, 90])
  const next = Array.from({ length: 20 }, () => shares.next(all))
  assert.equal(next.filter(index => index === 1).length, 18)
})

test('shares hold after millions of grants, when sums of fractions have lost digits', () => {
  const shares = new FairShare([70, 20, 10])
  for (let grant = 0; grant < 2_500_000; grant += 1) shares.next(all)
  const counts = [0, 0, 0]
  for (let grant = 0; grant < 1000; grant += 1) {
    const chosen = shares.next(all) ?? -1
    counts[chosen] = (counts[chosen] ?? 0) + 1
  }
  for (const [index, want] of [700, 200, 100].entries()) assert.ok(Math.abs((counts[index] ?? 0) - want) <= 1)
})
