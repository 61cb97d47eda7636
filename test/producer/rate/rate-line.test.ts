import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { PacedLine } from '../../../src/producer/rate/paced-line.ts'
import { RateLine, type RateLimits } from '../../../src/producer/rate/rate-line.ts'

function randomFor(t: TestContext): SeededRandom {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(performance.now() * 1000) % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  return new SeededRandom(seed)
}

interface Passed {
  readonly atMs: number
  readonly records: number
  readonly bytes: number
}

/** The most that passed in any window, less what the rate alone allows: what is left is the burst that was used. */
function burstUsed(passed: readonly Passed[], perMs: number, of: (each: Passed) => number): number {
  // max over i <= j of sum(i..j) - perMs * (t_j - t_i), by Kadane's scan.
  let best = 0
  let open = 0
  let lastMs = 0
  for (const each of passed) {
    open = Math.max(0, open - perMs * (each.atMs - lastMs)) + of(each)
    lastMs = each.atMs
    best = Math.max(best, open)
  }
  return best
}

const never = new AbortController().signal

/** Sources that always want more, for so long. */
async function pressed(
  limits: RateLimits,
  options: { random: SeededRandom; sources: number; forMs: number; share?: (nowMs: number) => number }
): Promise<{ passed: Passed[]; bySource: number[] }> {
  const { random, sources, forMs } = options
  const clock = new VirtualClock()
  const paced = new PacedLine(limits, clock)
  const passed: Passed[] = []
  const bySource = Array.from({ length: sources }, () => 0)
  const stop = new AbortController()
  const runs = bySource.map(async (_, source) => {
    for (;;) {
      const records = 1 + randomInt(random, paced.line.sliceRecords(1024))
      const bytes = Math.min(paced.line.sliceBytes(), 50 + randomInt(random, 500) * records)
      if (!(await paced.take({ source: `s${source}`, records, bytes }, stop.signal))) return
      passed.push({ atMs: clock.monotonicMs(), records, bytes })
      bySource[source] = (bySource[source] ?? 0) + records
    }
  })
  for (let nowMs = 0; nowMs < forMs; nowMs += 7) {
    if (options.share !== undefined) paced.setShare(options.share(nowMs))
    await clock.advance(7)
  }
  stop.abort()
  await Promise.all(runs)
  return { passed, bySource }
}

test('in any window no more than rate * (T + burst) passes, and 99 % of the rate does', async t => {
  const random = randomFor(t)
  for (let round = 0; round < 12; round += 1) {
    const recordsPerSecond = 10 ** (1 + random.next() * 4)
    const burstMs = 20 * 10 ** (random.next() * 2)
    const { passed } = await pressed(
      { recordsPerSecond, burstMs },
      { random, sources: 1 + randomInt(random, 5), forMs: 4000 }
    )
    const total = passed.reduce((sum, each) => sum + each.records, 0)
    const used = burstUsed(passed, recordsPerSecond / 1000, each => each.records)
    const saved = (recordsPerSecond * burstMs) / 1000
    const burst = saved < 1 ? saved + 1 : saved // a single record always passes
    assert.ok(used <= burst + 1e-6, `${used} at once, allowed are ${burst}, rate ${recordsPerSecond}`)
    // What has been reserved and not passed at the end: one slice.
    const slice = Math.max(1, recordsPerSecond * 0.01)
    assert.ok(total >= recordsPerSecond * 4 * 0.99 - slice, `${total} passed of ${recordsPerSecond * 4}`)
  }
})

test('both limits hold, and the one that is lower decides', async t => {
  const random = randomFor(t)
  const limits = { recordsPerSecond: 5000, bytesPerSecond: 300_000, burstMs: 100 }
  const { passed } = await pressed(limits, { random, sources: 3, forMs: 4000 })
  const bytes = passed.reduce((sum, each) => sum + each.bytes, 0)
  assert.ok(burstUsed(passed, 5, each => each.records) <= 500)
  assert.ok(burstUsed(passed, 300, each => each.bytes) <= 30_000 + 1e-6)
  assert.ok(bytes >= 1_200_000 * 0.99 - 3000, `${bytes}`)
})

test('a share that changes all the time never lets more pass than the share of the rate, in any window', async t => {
  const random = randomFor(t)
  const shares = [0, 0.25, 0.5, 1]
  const earned: { atMs: number; perMs: number }[] = []
  const { passed } = await pressed(
    { recordsPerSecond: 10_000, burstMs: 200 },
    {
      random,
      sources: 2,
      forMs: 4000,
      share: nowMs => {
        const share = shares[randomInt(random, shares.length)] ?? 0
        earned.push({ atMs: nowMs, perMs: 10 * share })
        return share
      }
    }
  )
  const earnedBy = (ms: number): number =>
    earned.reduce((sum, { atMs, perMs }) => sum + perMs * Math.max(0, Math.min(7, ms - atMs)), 0)
  let best = 0
  let open = 0
  let lastMs = 0
  for (const { atMs, records } of passed) {
    open = Math.max(0, open - (earnedBy(atMs) - earnedBy(lastMs))) + records
    lastMs = atMs
    best = Math.max(best, open)
  }
  assert.ok(best <= 2000 + 1e-6, `${best}`)
  const total = passed.reduce((sum, each) => sum + each.records, 0)
  assert.ok(total > 0.5 * earnedBy(4000), `${total} of ${earnedBy(4000)}`) // what was saved up goes with the share
})

test('a source with many chunks in line gets no more than a source with one', async () => {
  const clock = new VirtualClock()
  const paced = new PacedLine({ recordsPerSecond: 1000, burstMs: 10 }, clock)
  const passed = { greedy: 0, modest: 0 }
  const stop = new AbortController()
  const greedy = Array.from({ length: 200 }, async () => {
    for (;;) {
      if (!(await paced.take({ source: 'greedy', records: 10, bytes: 0 }, stop.signal))) return
      passed.greedy += 10
    }
  })
  const modest = (async () => {
    for (;;) {
      if (!(await paced.take({ source: 'modest', records: 5, bytes: 0 }, stop.signal))) return
      passed.modest += 5
    }
  })()
  await clock.advance(10_000)
  stop.abort()
  await Promise.all([...greedy, modest])
  assert.ok(Math.abs(passed.modest - 5000) <= 50, `modest ${passed.modest}`)
  assert.ok(Math.abs(passed.greedy - 5000) <= 50, `greedy ${passed.greedy}`)
})

test('what comes after an idle time does not make up for it at the cost of others', async () => {
  const clock = new VirtualClock()
  const paced = new PacedLine({ recordsPerSecond: 1000, burstMs: 10 }, clock)
  const stop = new AbortController()
  const passed = { early: 0, late: 0 }
  const run = async (source: 'early' | 'late'): Promise<void> => {
    while (await paced.take({ source, records: 10, bytes: 0 }, stop.signal)) passed[source] += 10
  }
  const early = run('early')
  await clock.advance(5000)
  const before = passed.early
  const late = run('late')
  await clock.advance(1000)
  stop.abort()
  await Promise.all([early, late])
  assert.ok(Math.abs(passed.late - 500) <= 20, `late ${passed.late}`)
  assert.ok(Math.abs(passed.early - before - 500) <= 20, `early ${passed.early - before}`)
})

test('more than the whole burst passes once it is paid for, and is not overtaken', () => {
  const line = new RateLine({ bytesPerSecond: 1000, burstMs: 100 })
  assert.equal(line.tryTake(1, 1, 0), false) // a bucket starts empty
  const large = { source: 'a', records: 1, bytes: 5000 }
  const small = { source: 'b', records: 1, bytes: 10 }
  line.join(large, 1000) // 100 bytes were saved up
  line.join(small, 1000)

  assert.equal(line.nextMs(1000), 4900)
  assert.equal(line.pass(5899), undefined)
  assert.equal(line.tryTake(1, 1, 5899), false)
  assert.equal(line.pass(5900), large)
  assert.equal(line.pass(5909), undefined)
  assert.equal(line.pass(5910), small)
})

test('who leaves the line makes room for the next', () => {
  const line = new RateLine({ recordsPerSecond: 1000, burstMs: 100 })
  const first = { source: 'a', records: 1000, bytes: 0 }
  const second = { source: 'a', records: 10, bytes: 0 }
  const third = { source: 'a', records: 10, bytes: 0 }
  for (const waiter of [first, second, third]) line.join(waiter, 0)
  line.leave(second, 0)
  assert.equal(line.nextMs(0), 1000)
  line.leave(first, 5)
  assert.equal(line.nextMs(5), 5)
  assert.equal(line.pass(10), third)
  assert.equal(line.waiterCount, 0)
  line.leave(third, 10) // has passed already: nothing to give back
  assert.equal(line.recordTokens(10), 0)
})

test('a share of nothing lets nobody pass, and says so; a share that comes back does at once', async () => {
  const clock = new VirtualClock()
  const paced = new PacedLine({ recordsPerSecond: 1000, burstMs: 100 }, clock)
  paced.setShare(0)
  let hasPassed = false
  const taking = paced.take({ source: 'a', records: 10, bytes: 0 }, never).then(passed => {
    hasPassed = passed
  })
  await clock.advance(100_000)
  assert.equal(hasPassed, false)
  assert.equal(clock.pendingCount, 0)
  assert.equal(paced.waitMsFor(1, 1), Number.POSITIVE_INFINITY)
  paced.setShare(0.5)
  await clock.advance(19)
  assert.equal(hasPassed, false)
  await clock.advance(1)
  assert.equal(hasPassed, true)
  await taking
  assert.equal(paced.waitCount, 1)
  assert.equal(paced.waitedMs, 100_020)
})

test('the wait that Retry-After tells counts those who are in line already', () => {
  const line = new RateLine({ recordsPerSecond: 100, burstMs: 1000 })
  assert.equal(line.waitMsFor(1, 1, 0), 10)
  assert.equal(line.waitMsFor(1_000_000, 1, 0), 1000) // no longer than until the burst is full
  line.join({ source: 'a', records: 50, bytes: 0 }, 0)
  line.join({ source: 'b', records: 100, bytes: 0 }, 0)
  assert.equal(line.waitMsFor(1, 1, 0), 1510)
  assert.equal(line.waitMsFor(1, 1, 500), 1010)
})
