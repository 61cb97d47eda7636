/** Known results of queueing theory, which the simulator has to meet: the values come from formulas, not from it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { simulationConfig, type SimulationInput } from '../../../src/config/index.ts'
import { SeededRandom } from '../../../src/core/index.ts'
import { simulate } from '../../../src/ops/simulate/simulate.ts'

type Input = Omit<SimulationInput, 'name'>

/** Records one by one to `lanes` servers, with nothing beside them. */
function queue(lanes: number, rate: number, target: SimulationInput['target']): Input {
  return {
    duration: 5000,
    mode: 'exact',
    seed: 7,
    arrival: { recordsPerSecond: rate, pattern: 'poisson' },
    topic: { partitions: 1 },
    group: {
      instances: 1,
      concurrency: lanes,
      order: 'none',
      batchesPerPartitionMax: lanes,
      batch: { recordsMax: 1, ageMs: 0 }
    },
    target
  }
}

/** Erlang's C formula: the probability that all of `servers` are busy, for a load in erlangs. */
function erlangC(servers: number, load: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; k < servers; k++) {
    term *= load / k
    sum += term
  }
  const last = (term * load) / servers / (1 - load / servers)
  return last / (sum + last)
}

test('one server with constant times waits as Pollaczek and Khinchin say (M/D/1)', () => {
  // λ = 8/s, service 100 ms: ρ = 0.8, mean wait ρ / (2 μ (1 - ρ)) = 0.2 s, so 0.3 s in the system.
  const { summary } = simulate(simulationConfig(queue(1, 8, { baseMs: 100 })))
  assert.ok(Math.abs(summary.delayMeanS - 0.3) < 0.02, `mean delay ${summary.delayMeanS}`)
  assert.ok(Math.abs(summary.targetSeconds / 5000 - 0.8) < 0.02)
})

test('one server with exponential times (M/M/1): mean and 99th percentile of the time in the system', () => {
  // μ - λ = 10 - 7 = 3: exponential with mean 1/3 s, 99 % below ln(100) / 3 = 1.535 s.
  const { summary } = simulate(simulationConfig(queue(1, 7, { baseMs: 100, spread: 'exponential' })))
  assert.ok(Math.abs(summary.delayMeanS - 1 / 3) < 0.03, `mean delay ${summary.delayMeanS}`)
  assert.ok(Math.abs(summary.delayP99S - 1.535) < 0.2, `p99 ${summary.delayP99S}`)
})

test('several servers wait as Erlang C says (M/M/c)', () => {
  // c = 4, λ = 34/s, μ = 10/s: a = 3.4 erlangs. Mean in the system: C(4, 3.4) / (40 - 34) + 0.1.
  const expectedS = erlangC(4, 3.4) / (40 - 34) + 0.1
  // The formula itself: C(2, 1) = 1/3 and C(3, 2) = 4/9 by hand.
  assert.ok(Math.abs(erlangC(2, 1) - 1 / 3) < 1e-12 && Math.abs(erlangC(3, 2) - 4 / 9) < 1e-12)
  const { summary } = simulate(simulationConfig(queue(4, 34, { baseMs: 100, spread: 'exponential' })))
  const error = Math.abs(summary.delayMeanS - expectedS) / expectedS
  assert.ok(error < 0.06, `mean delay ${summary.delayMeanS}, expected ${expectedS}`)
})

for (const mode of ['exact', 'fluid'] as const) {
  test(`a backlog drains in backlog / (service - arrival) (${mode})`, () => {
    // 4 partitions, a batch of 500 takes 250 ms: 8,000/s. 2,000/s come: 600,000 / 6,000 = 100 s.
    const { summary } = simulate(
      simulationConfig({
        duration: 200,
        sampleS: 0.5,
        mode,
        arrival: { recordsPerSecond: 2000 },
        topic: { partitions: 4, backlog: 600_000 },
        group: { instances: 1, concurrency: 4 },
        target: { baseMs: 250 }
      })
    )
    assert.equal(summary.peakLag, 600_000)
    assert.ok(Math.abs((summary.drainedAtS ?? 0) - 100) <= 1.5, `drained at ${summary.drainedAtS}`)
  })
}

for (const mode of ['exact', 'fluid'] as const) {
  test(`an instance does no more than it can fetch (${mode})`, () => {
    // 1,000,000 bytes/s are 5,000 records of 200 bytes; 8,000 come: 3,000 more each second, 300,000 after 100 s.
    const { summary } = simulate(
      simulationConfig({
        duration: 100,
        mode,
        arrival: { recordsPerSecond: 8000 },
        group: { fetchBytesPerSecond: 1_000_000 },
        target: { baseMs: 10 }
      })
    )
    assert.ok(Math.abs(summary.lagAtEnd / 300_000 - 1) < 0.03, `${summary.lagAtEnd}`)
  })
}

/** A scenario drawn from a seed: anything may happen in it. */
function drawn(seed: number): SimulationInput {
  const random = new SeededRandom(seed)
  const between = (low: number, high: number): number => low + random.next() * (high - low)
  const pick = <T>(...values: readonly [T, ...T[]]): T => values[Math.floor(random.next() * values.length)] ?? values[0]
  const instances = Math.ceil(between(1, 6))
  return {
    duration: 300,
    mode: pick('exact', 'fluid'),
    seed,
    arrival: {
      curve: [
        { at: 0, recordsPerSecond: between(0, 5000) },
        { at: 150, recordsPerSecond: between(0, 5000) }
      ],
      keys: pick({ type: 'even' }, { type: 'hashed', count: 300 }),
      ...(random.next() < 0.3 ? { limitPerSecond: between(100, 3000) } : {}),
      ...(random.next() < 0.3 ? { bursts: { everyS: 40, forS: 5, factor: 4 } } : {})
    },
    topic: {
      partitions: Math.ceil(between(1, 20)),
      backlog: pick(0, 50_000),
      retentionBytes: pick(undefined, 2_000_000),
      segmentBytes: 200_000,
      retentionCheck: 20
    },
    group: {
      instances,
      concurrency: Math.ceil(between(1, 8)),
      order: pick('partition', 'key'),
      protocol: pick('eager', 'cooperative'),
      drainsOnRevoke: pick(true, false),
      isStatic: pick(true, false),
      sessionTimeoutMs: 20_000,
      cpu: { perBatchMs: between(0, 3), perRecordUs: between(0, 100) }
    },
    target: {
      baseMs: between(5, 200),
      perRecordUs: between(0, 400),
      spread: pick('none', 'exponential'),
      concurrencyMax: pick(undefined, 3),
      phases: [
        pick({ from: 60, to: 120, factor: 5 }, { from: 60, to: 90, isDown: true }, { from: 60, errorRatio: 0.2 })
      ]
    },
    autoscale: pick(undefined, { policy: 'threshold', lag: 20_000, cooldownS: 30, bootS: 10, everyS: 10 }),
    events: [
      { at: 30, type: 'restart', instances: Math.min(2, instances), isGraceful: pick(true, false), downS: 15 },
      { at: 200, type: 'kill' },
      { at: 240, type: 'partitions', count: 30 }
    ]
  }
}

const firstSeed = Number(process.env['TEST_SEED'] ?? 1)

test('in every run what came is done, waits, is lost or was skipped', () => {
  for (let seed = firstSeed; seed < firstSeed + 14; seed++) {
    const { summary, series, mode } = simulate(simulationConfig(drawn(seed)))
    const place = `TEST_SEED=${seed} (${mode})`
    const sum = summary.consumed + summary.lagAtEnd + summary.lost + summary.skipped
    assert.ok(
      Math.abs(sum - summary.produced) <= 1e-6 * summary.produced + 1e-3,
      `${place}: ${sum} of ${summary.produced}`
    )
    assert.ok(
      series.lag.every(lag => lag >= 0),
      place
    )
  }
})

test('Little’s law: lag over time is the sum of all delays', () => {
  for (let seed = firstSeed; seed < firstSeed + 8; seed++) {
    const config = drawn(seed)
    const { summary, mode } = simulate(
      simulationConfig({
        ...config,
        duration: 600,
        sampleS: 0.13,
        arrival: { ...config.arrival, limitPerSecond: undefined, until: 300 },
        topic: { partitions: 12 },
        target: { ...config.target, baseMs: 20, perRecordUs: 50 },
        // What is killed for good leaves the group too small to end.
        events: (config.events ?? []).slice(0, 1)
      })
    )
    const place = `TEST_SEED=${seed} (${mode})`
    assert.ok(summary.lagAtEnd < 1, `${place}: everything is done at the end, but ${summary.lagAtEnd}`)
    const lagSeconds = summary.lagMean * summary.durationS
    const delaySeconds = summary.delayMeanS * summary.consumed
    assert.ok(Math.abs(delaySeconds / lagSeconds - 1) < 0.03, `${place}: ${delaySeconds} of ${lagSeconds}`)
  }
})
