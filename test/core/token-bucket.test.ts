import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TokenBucket } from '../../src/core/index.ts'

test('a bucket starts empty: the first record waits for its own token', () => {
  const bucket = new TokenBucket({ perSecond: 100, burstMs: 1000 })

  assert.equal(bucket.reserve(1, 0), 10) // 100 a second = one every 10 ms
  assert.equal(bucket.reserve(1, 0), 20) // behind the first
})

test('unused tokens are saved up to the burst and no further', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 500 })
  bucket.reserve(0, 0)

  assert.equal(bucket.reserve(500, 60_000), 0) // a minute earns 60,000, but 500 are kept
  assert.equal(bucket.reserve(1, 60_000), 1)
})

test('more than a whole burst passes once its debt is paid', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 100 })
  bucket.reserve(0, 0)

  assert.equal(bucket.reserve(1100, 1000), 1000) // 100 saved, 1,000 owed
  assert.equal(bucket.level, -1000)
  assert.equal(bucket.reserve(0, 2000), 0)
})

test('no more than burst plus rate times time falls due in any span', () => {
  const bucket = new TokenBucket({ perSecond: 13_000, burstMs: 50 })
  let dueMs = 0
  let passed = 0
  for (let now = 0; now < 2000; now = Math.max(now + 1, dueMs)) {
    dueMs = now + bucket.reserve(130, now)
    if (dueMs <= 1000) passed += 130
  }

  assert.ok(passed <= 13_000, `${passed} in the first second`)
  assert.ok(passed >= 12_870, `${passed} in the first second`) // one slice of 130 short at most
})

test('a clock that stands still or goes back earns nothing', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 1000 })
  bucket.reserve(0, 100)
  bucket.reserve(0, 200)

  assert.equal(bucket.level, 100)
  bucket.reserve(0, 150)
  assert.equal(bucket.level, 100)
  bucket.reserve(0, 300)
  assert.equal(bucket.level, 200)
})

test('a ramp-up earns three fifths of the full rate over its whole length', () => {
  // From a fifth to the whole in a straight line: the mean is (0.2 + 1) / 2 = 0.6.
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 60_000, rampUpMs: 10_000 })
  bucket.reserve(0, 0)
  bucket.reserve(0, 10_000)
  assert.equal(Math.round(bucket.level), 6000)
  bucket.reserve(0, 11_000)
  assert.equal(Math.round(bucket.level), 7000)
})

test('a ramp-up starts at a fifth of the rate', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 60_000, rampUpMs: 10_000 })
  bucket.reserve(0, 0)
  bucket.reserve(0, 1000)
  // 200 in the first second, plus half of the 80 the rate grew by.
  assert.equal(Math.round(bucket.level), 240)
})

test('the wait within a ramp-up is as long as the debt takes to earn', () => {
  const waiting = new TokenBucket({ perSecond: 1000, burstMs: 60_000, rampUpMs: 10_000 })
  const waitMs = waiting.reserve(240, 0)
  assert.equal(Math.round(waitMs), 1000)
  waiting.reserve(0, waitMs)
  assert.ok(Math.abs(waiting.level) < 1e-6)
})

test('the wait for a debt that outlasts the ramp-up counts the full rate behind it', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 60_000, rampUpMs: 10_000 })
  assert.equal(Math.round(bucket.reserve(8000, 0)), 12_000) // 6,000 in the ramp, 2,000 at the full rate
})

test('what was reserved and not used is given back, and looking takes nothing', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 100 })
  bucket.reserve(50, 0)

  assert.equal(bucket.waitMs(0), 50)
  assert.equal(bucket.waitMs(10), 40)
  bucket.giveBack(30)
  assert.equal(bucket.waitMs(10), 10)
  assert.equal(bucket.waitMs(20), 0)
  bucket.giveBack(1000)
  bucket.waitMs(20)
  assert.equal(bucket.level, 100) // never above the burst
})

test('a new rate holds from now on, and a debt is paid at it', () => {
  const bucket = new TokenBucket({ perSecond: 1000, burstMs: 100 })
  bucket.reserve(100, 0)

  bucket.retune({ perSecond: 100, burstMs: 10 }, 50) // 50 are still owed
  assert.equal(bucket.waitMs(50), 500)
  assert.equal(bucket.waitMs(450), 100)
  bucket.waitMs(60_000)
  assert.equal(bucket.level, 1) // 10 ms at 100 a second
})
