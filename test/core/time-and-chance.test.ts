/** Clocks, waits, backoff and seeded randomness. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, randomInt, SeededRandom, sleep, systemClock, VirtualClock, within } from '../../src/core/index.ts'

test('a virtual clock runs timers in order of time, then of creation, and only as far as it is moved', async () => {
  const clock = new VirtualClock(1_000)
  const fired: string[] = []
  clock.after(20, () => fired.push(`late at ${clock.now()}`))
  clock.after(10, () => fired.push(`first at ${clock.now()}`))
  clock.after(10, () => fired.push(`second at ${clock.now()}`))
  clock.after(11, () => fired.push('cancelled')).cancel()

  await clock.advance(19)
  assert.deepEqual(fired, ['first at 1010', 'second at 1010'])
  await clock.advance(1)
  assert.deepEqual(fired.slice(2), ['late at 1020'])
  assert.deepEqual([clock.now(), clock.monotonicMs(), clock.pendingCount], [1_020, 20, 0])
})

test('a timer that a reaction sets within the span still fires in it', async () => {
  const clock = new VirtualClock(0)
  const fired: number[] = []
  void sleep(clock, 10)
    .then(() => sleep(clock, 10))
    .then(() => fired.push(clock.now()))

  await clock.advance(25)

  assert.deepEqual(fired, [20])
})

test('a period repeats until it is cancelled', async () => {
  const clock = new VirtualClock(0)
  let count = 0
  const timer = clock.every(10, () => count++)

  await clock.advance(35)
  assert.equal(count, 3)
  timer.cancel()
  await clock.advance(100)
  assert.deepEqual([count, clock.pendingCount], [3, 0])
})

test('a sleep says whether it lasted, and leaves no timer when it is cut short', async () => {
  const clock = new VirtualClock(0)
  const stop = new AbortController()
  const whole = sleep(clock, 10)
  const cut = sleep(clock, 1_000, stop.signal)

  await clock.advance(10)
  stop.abort()

  assert.deepEqual([await whole, await cut, clock.pendingCount], [true, false, 0])
  assert.equal(await sleep(clock, 1_000, stop.signal), false)
})

test('a promise that is late is given up, one in time is answered, one that fails fails', async () => {
  const clock = new VirtualClock(0)
  const late = within(clock, 10, new Promise<string>(() => {}))
  await clock.advance(10)

  assert.equal(await late, undefined)
  assert.equal(await within(clock, 10, Promise.resolve('in time')), 'in time')
  await assert.rejects(within(clock, 10, Promise.reject(new Error('failed'))), /failed/)
  assert.equal(clock.pendingCount, 0)
})

test('the machine clock gives whole milliseconds since 1970, and a monotonic time that does not fall', () => {
  const before = Date.now()
  const now = systemClock.now()
  assert.ok(Number.isInteger(now) && now >= before && now <= Date.now())
  assert.ok(systemClock.monotonicMs() <= systemClock.monotonicMs())
})

test('the wait doubles from its start up to its bound, spread by the jitter around it', () => {
  const options = { initialMs: 100, maxMs: 1_000 }
  const waits = (value: number): number[] =>
    [1, 2, 3, 4, 5, 50].map(failures => backoffMs(options, failures, { next: () => value }))

  assert.deepEqual(waits(0.5), [100, 200, 400, 800, 1_000, 1_000])
  assert.deepEqual(waits(0), [80, 160, 320, 640, 800, 800])
  assert.deepEqual(waits(0.75), [110, 220, 440, 880, 1_100, 1_100])
  assert.equal(backoffMs({ ...options, multiplier: 3, jitterRatio: 0 }, 3, { next: () => 0 }), 900)
  assert.equal(backoffMs(options, 5_000, { next: () => 0.5 }), 1_000)
})

test('a seed gives the published sequence of Mulberry32', () => {
  const random = new SeededRandom(0)

  assert.deepEqual(
    [random.next(), random.next(), random.next()],
    [0.26642920868471265, 0.0003297457005828619, 0.2232720274478197]
  )
})

test('random integers stay below their limit and reach all of it', () => {
  const random = new SeededRandom(7)
  const seen = new Set(Array.from({ length: 1_000 }, () => randomInt(random, 6)))

  assert.deepEqual(seen, new Set([0, 1, 2, 3, 4, 5]))
})
