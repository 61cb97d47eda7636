import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, SeededRandom } from '../../../src/core/index.ts'
import { AdaptiveLimit } from '../../../src/dispatcher/flow/adaptive-limit.ts'

/** A service with so many workers; what comes beyond them waits in its line, or is refused. */
interface Service {
  workers: number
  msOf(records: number, random: Random): number
  /** Most invocations it holds; beyond it throttles at once. */
  readonly holdsMax?: number
}

interface RunOptions {
  readonly service: Service
  readonly forMs: number
  readonly seed: number
  readonly recordsOf?: (random: Random) => number
  /** Invocations under way at most although more were allowed: not enough to do. */
  readonly wantedMax?: number
  /** In a dry run the limit does not bind; this does. */
  readonly fixed?: number
}

/** Keeps as many invocations under way as the limit allows; its time is its own. */
class ServiceRun {
  nowMs = 0
  doneRecords = 0
  refusals = 0
  readonly limits: number[] = []
  readonly #limit: AdaptiveLimit
  #atService: {
    readonly sentMs: number
    readonly endMs: number
    readonly records: number
    readonly inFlight: number
  }[] = []
  #workerFreeMs: number[] = []

  constructor(limit: AdaptiveLimit) {
    this.#limit = limit
  }

  run({ service, forMs, seed, recordsOf = () => 500, wantedMax = Number.POSITIVE_INFINITY, fixed }: RunOptions): this {
    const random = new SeededRandom(seed)
    const untilMs = this.nowMs + forMs
    while (this.nowMs < untilMs) {
      const allowed = Math.min(fixed ?? this.#limit.limit, wantedMax)
      while (this.#atService.length < allowed) {
        const inFlight = this.#atService.length + 1
        if (inFlight > (service.holdsMax ?? Number.POSITIVE_INFINITY)) {
          this.refusals += 1
          this.#limit.refused(this.nowMs, this.nowMs + 1)
          break
        }
        this.#send(service, recordsOf(random), { random, inFlight })
      }
      this.#answerNext()
    }
    return this
  }

  #send(service: Service, records: number, { random, inFlight }: { random: Random; inFlight: number }): void {
    this.#workerFreeMs = this.#workerFreeMs.toSorted((a, b) => a - b).slice(-service.workers)
    const isFree = this.#workerFreeMs.length < service.workers
    const startMs = Math.max(this.nowMs, isFree ? 0 : (this.#workerFreeMs.shift() ?? 0))
    const endMs = startMs + service.msOf(records, random)
    this.#workerFreeMs.push(endMs)
    this.#atService.push({ sentMs: this.nowMs, endMs, records, inFlight })
  }

  #answerNext(): void {
    const next = this.#atService.reduce((first, each) => (each.endMs < first.endMs ? each : first))
    this.#atService = this.#atService.filter(each => each !== next)
    this.nowMs = Math.max(this.nowMs, next.endMs)
    this.doneRecords += next.records
    this.#limit.answered({ ...next, answeredMs: next.endMs })
    this.limits.push(this.#limit.limit)
  }
}

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
const jittered = (ms: number) => (_: number, random: Random) => ms * (0.9 + 0.2 * random.next())
const on = (max: number, min = 1): AdaptiveLimit => new AdaptiveLimit({ min, max, isDryRun: false })

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

for (const workers of [1, 4, 16, 40]) {
  test(`the limit settles a little above the ${workers} invocations that the service works on at once`, () => {
    const limit = on(200)
    const run = new ServiceRun(limit).run({ service: { workers, msOf: jittered(100) }, forMs: 60_000, seed })
    const settled = run.limits.slice(run.limits.length >> 1)
    const middle = medianOf(settled)
    // Below the knee capacity is wasted; the headroom of √limit and the tolerance of a quarter may queue.
    const most = Math.ceil(workers * 1.4 + Math.sqrt(workers) + 3)
    assert.ok(middle >= workers && middle <= most, `median limit ${middle} for ${workers} workers, seed ${seed}`)
    const possible = (60_000 / 100) * workers * 500
    assert.ok(run.doneRecords > possible * 0.85, `${run.doneRecords} of ${possible}, seed ${seed}`)
  })
}

test('a service that takes all grows the limit to its maximum within seconds', () => {
  const limit = on(50)
  const run = new ServiceRun(limit).run({ service: { workers: 1000, msOf: jittered(120) }, forMs: 5000, seed })
  assert.equal(limit.limit, 50, `seed ${seed}`)
  assert.ok(run.limits.length > 0)
})

test('a limit that is not used stays where it is', () => {
  const limit = on(100)
  const service = { workers: 1000, msOf: jittered(50) }
  const run = new ServiceRun(limit).run({ service, forMs: 3000, seed, wantedMax: 4 })
  const before = limit.limit
  assert.ok(before <= 12, `grown to ${before} with 4 under way, seed ${seed}`)
  run.run({ service, forMs: 60_000, seed, wantedMax: 4 })
  assert.ok(limit.limit <= 12, `grown to ${limit.limit} with 4 under way, seed ${seed}`)
})

test('batches of mixed sizes, whose time grows with them, do not look like a line', () => {
  const limit = on(30)
  const msOf = (records: number): number => 20 + records * 0.5
  const recordsOf = (random: Random): number => 1 + Math.floor(999 * random.next() ** 3)
  new ServiceRun(limit).run({ service: { workers: 1000, msOf }, forMs: 60_000, seed, recordsOf })
  assert.ok(limit.limit >= 25, `limit ${limit.limit} of 30, seed ${seed}`)
})

test('a service that gets eight times slower by itself is found out, and the limit comes back', () => {
  const service: Service = { workers: 1000, msOf: jittered(120) }
  const limit = on(20)
  const run = new ServiceRun(limit).run({ service, forMs: 20_000, seed })
  assert.equal(limit.limit, 20)
  service.msOf = jittered(950)
  run.run({ service, forMs: 120_000, seed })
  assert.ok(limit.limit >= 18, `limit ${limit.limit}, seed ${seed}`)
})

test('a service that loses three quarters of its workers is not flooded, and used again when they are back', () => {
  const service: Service = { workers: 40, msOf: jittered(100) }
  const limit = on(100)
  const run = new ServiceRun(limit).run({ service, forMs: 30_000, seed })
  service.workers = 10
  const before = run.limits.length
  run.run({ service, forMs: 60_000, seed })
  const settled = medianOf(run.limits.slice((before + run.limits.length) >> 1))
  // Where half the limit still queues a little, a look at it takes that for the service's own time: up to 28 so far.
  assert.ok(settled >= 9 && settled <= 32, `median limit ${settled} for 10 workers, seed ${seed}`)
  service.workers = 40
  run.run({ service, forMs: 60_000, seed })
  assert.ok(limit.limit >= 36, `limit ${limit.limit} for 40 workers, seed ${seed}`)
})

test('throttling holds the limit below what is refused, with few refusals', () => {
  const limit = on(100)
  const service = { workers: 1000, holdsMax: 12, msOf: jittered(100) }
  const run = new ServiceRun(limit).run({ service, forMs: 60_000, seed })
  const settled = run.limits.slice(run.limits.length >> 1)
  const middle = medianOf(settled)
  assert.ok(middle >= 9 && middle <= 12, `median limit ${middle}, seed ${seed}`)
  assert.ok(run.refusals < run.limits.length * 0.05, `${run.refusals} of ${run.limits.length}, seed ${seed}`)
})

test('refusals of what was under way together lower the limit once', () => {
  const limit = new AdaptiveLimit({ min: 1, max: 100, isDryRun: true })
  limit.refused(0, 10)
  for (let count = 0; count < 20; count += 1) limit.refused(5, 11)
  assert.equal(limit.limit, 80)
  limit.refused(12, 13)
  assert.equal(limit.limit, 64)
})

test('a dry run finds the limit of a service that was seen with little to do and is saturated now', () => {
  const limit = new AdaptiveLimit({ min: 1, max: 64, isDryRun: true })
  const service = { workers: 8, msOf: jittered(100) }
  const run = new ServiceRun(limit).run({ service, forMs: 5000, seed, fixed: 4 })
  assert.ok(limit.limit >= 6, `${limit.limit}, seed ${seed}`)
  run.run({ service, forMs: 30_000, seed, fixed: 64 })
  assert.ok(limit.limit >= 8 && limit.limit <= 16, `would be ${limit.limit} for 8 workers, seed ${seed}`)
})

test('the limit stays within its bounds whatever it is told', () => {
  for (let round = 0; round < 200; round += 1) {
    const random = new SeededRandom(seed + round)
    const min = 1 + Math.floor(random.next() * 5)
    const max = min + Math.floor(random.next() * 20)
    const limit = new AdaptiveLimit({ min, max, isDryRun: random.next() < 0.3 })
    let nowMs = 0
    for (let step = 0; step < 500; step += 1) {
      nowMs += random.next() * 50
      const sentMs = nowMs - random.next() * 1000
      if (random.next() < 0.05) limit.refused(sentMs, nowMs)
      else {
        const records = Math.floor(random.next() * 5000)
        limit.answered({ sentMs, answeredMs: nowMs, records, inFlight: 1 + Math.floor(random.next() * max) })
      }
      assert.ok(limit.limit >= min && limit.limit <= max, `${limit.limit} of ${min}–${max}, seed ${seed + round}`)
    }
  }
})
