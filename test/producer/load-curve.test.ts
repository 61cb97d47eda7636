import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { LoadCurve, type LoadOptions, Pacer } from '../../src/producer/sources/load-curve.ts'
import { ShareSampler, weightsOf } from '../../src/producer/sources/share-sampler.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
console.log(`TEST_SEED=${seed}`)

const steady: LoadOptions = { recordsPerSecond: 13_000, rampUpMs: 0, phases: [{ count: 1 }], bursts: undefined }

/** What all workers owe at a time. */
function dueOf(options: LoadOptions, elapsedMs: number): number {
  const workers = Math.max(...options.phases.map(({ count }) => count))
  let due = 0
  for (let worker = 0; worker < workers; worker += 1) due += new LoadCurve(options, worker).dueAt(elapsedMs)
  return due
}

test('1, then 5, then 10 workers make a tenth, a half and all of the rate', () => {
  const options = {
    ...steady,
    phases: [{ count: 1, forMs: 60_000 }, { count: 5, forMs: 60_000 }, { count: 10 }]
  }
  // 60 s × 1,300, then 60 s × 6,500, then 13,000 a second
  assert.equal(Math.round(dueOf(options, 60_000)), 78_000)
  assert.equal(Math.round(dueOf(options, 120_000)), 468_000)
  assert.equal(Math.round(dueOf(options, 180_000)), 1_248_000)
})

test('a ramp-up goes evenly from a fifth to the whole', () => {
  const options = { ...steady, recordsPerSecond: 1000, rampUpMs: 10_000 }
  // the mean of 200/s and 1,000/s for ten seconds; of 200/s and 600/s for five
  assert.equal(Math.round(dueOf(options, 10_000)), 6000)
  assert.equal(Math.round(dueOf(options, 5000)), 2000)
  assert.equal(Math.round(dueOf(options, 11_000)), 7000)
})

test('a burst multiplies the rate at the end of every period', () => {
  const options = { ...steady, recordsPerSecond: 1000, bursts: { everyMs: 10_000, forMs: 1000, factor: 5 } }
  assert.equal(Math.round(dueOf(options, 9000)), 9000)
  assert.equal(Math.round(dueOf(options, 10_000)), 14_000)
  assert.equal(Math.round(dueOf(options, 19_500)), 25_500) // 14,000 and 9 s, and half a second at 5,000/s
})

test('a last phase with an end makes no more events', () => {
  const curve = new LoadCurve({ ...steady, recordsPerSecond: 100, phases: [{ count: 1, forMs: 1000 }] }, 0)
  assert.equal(curve.dueAt(60_000), 100)
  assert.equal(curve.timeOf(101), Number.POSITIVE_INFINITY)
})

test('a moment at which events are due is the first at which they are, for any load', () => {
  const random = new SeededRandom(seed)
  for (let round = 0; round < 200; round += 1) {
    const options = {
      recordsPerSecond: 1 + randomInt(random, 20_000),
      rampUpMs: randomInt(random, 3) * 5000,
      phases: [
        { count: 1 + randomInt(random, 3), forMs: 1 + randomInt(random, 20_000) },
        { count: 1 + randomInt(random, 10) }
      ],
      bursts: randomInt(random, 2) === 0 ? undefined : { everyMs: 5000, forMs: 500, factor: random.next() * 10 }
    }
    const curve = new LoadCurve(options, randomInt(random, options.phases[1]?.count ?? 1))
    const count = 1 + randomInt(random, 10_000)
    const atMs = curve.timeOf(count)
    assert.ok(curve.dueAt(atMs) >= count - 1e-6, JSON.stringify({ options, count }))
    assert.ok(curve.dueAt(atMs - 0.01) <= count, JSON.stringify({ options, count }))
  }
})

test('who falls behind makes up for 200 ms of it and no more', () => {
  const pacer = new Pacer(new LoadCurve({ ...steady, recordsPerSecond: 1000 }, 0))
  assert.equal(Math.round(pacer.take(100, 5000)), 100) // the first call starts the clock
  assert.equal(pacer.take(1, 15_000), 0)
  let taken = 0
  while (pacer.take(1, 15_000) === 0) taken += 1
  assert.ok(taken >= 198 && taken <= 200, `${taken}`)
})

test('each value comes as often as its weight says', () => {
  const random = new SeededRandom(seed)
  const draws = 200_000
  for (const distribution of [
    { type: 'uniform' },
    { type: 'zipf', exponent: 1.2 },
    { type: 'pareto', topRatio: 0.2, topShare: 0.8 }
  ] as const) {
    const weights = weightsOf(distribution, 50)
    const sum = weights.reduce((total, weight) => total + weight, 0)
    const sampler = new ShareSampler(weights)
    const counts = new Uint32Array(50)
    for (let draw = 0; draw < draws; draw += 1) {
      const index = sampler.draw(random)
      counts[index] = (counts[index] ?? 0) + 1
    }
    counts.forEach((count, index) => {
      const share = (weights[index] ?? 0) / sum
      const deviation = Math.sqrt(draws * share * (1 - share))
      assert.ok(Math.abs(count - draws * share) < 6 * deviation, `${distribution.type} ${index}: ${count}`)
    })
  }
})

test('a weight of 0 is never drawn, and a single value always', () => {
  const random = new SeededRandom(seed)
  const some = new ShareSampler(Float64Array.from([0, 1, 0, 3]))
  for (let draw = 0; draw < 10_000; draw += 1) assert.ok([1, 3].includes(some.draw(random)))
  assert.equal(new ShareSampler(Float64Array.from([5])).draw(random), 0)
})
