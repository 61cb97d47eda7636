import assert from 'node:assert/strict'
import { test } from 'node:test'

import { costDefaults } from '../../../src/config/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { adviseBatch } from '../../../src/ops/cost/batch.ts'
import { compareCosts } from '../../../src/ops/cost/compare.ts'
import { type CostLine, priceWorkload } from '../../../src/ops/cost/model.ts'
import { PRICES, readPriceList, tieredPrice } from '../../../src/ops/cost/prices.ts'
import type { CostWorkload } from '../../../src/ops/cost/workload-types.ts'
import { workloadOf } from '../../../src/ops/cost/workload.ts'
import { cheapestSize, EXPRESS_SIZES, STANDARD_SIZES } from '../../../src/ops/cost/sizing.ts'

const limits = { waitMaxMs: 5000, timeoutMs: 900_000 }

function workload(changes: Partial<CostWorkload> = {}): CostWorkload {
  return { ...workloadOf(costDefaults(), undefined), ...changes }
}

function lineOf(lines: readonly CostLine[], item: string): CostLine {
  const found = lines.find(each => each.item === item)
  assert.ok(found, `no line "${item}" in ${lines.map(each => each.item).join(', ')}`)
  return found
}

function near(actual: number, expected: number, share = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * share, `${actual} is not ${expected}`)
}

test('a function costs what AWS’s own example says: 3 million calls of 120 ms with 1,536 MB', () => {
  // Source: AWS Lambda pricing, "Example 1: Mobile application backend": 540,000 GB-seconds, before the free tier.
  const { lines } = priceWorkload(
    workload({
      recordsPerSecond: 3_000_000 / (730 * 3600),
      partitions: 1,
      function: {
        memoryMb: 1536,
        architecture: 'x86_64',
        baseMs: 120,
        perRecordMs: 0,
        recordsMax: 1,
        ageMs: 1000,
        retryRatio: 0
      }
    }),
    PRICES
  )
  near(lineOf(lines, 'requests').monthly, 0.6)
  near(lineOf(lines, 'duration').quantity, 540_000)
  near(lineOf(lines, 'duration').monthly, 9.000018)
})

test('prices fall by tiers', () => {
  // 6 billion at 0.0000166667, 1 billion at 0.000015.
  near(tieredPrice(PRICES.lambda.gbSecond.x86_64, 7e9), 100_000.2 + 15_000)
  assert.equal(tieredPrice(PRICES.lambda.gbSecond.x86_64, 0), 0)
})

test('the users’ example on Standard brokers, line by line', () => {
  const report = priceWorkload(workload({ cluster: { kind: 'standard', instance: 'm5.large', brokers: 3 } }), PRICES)
  near(lineOf(report.lines, '3 × kafka.m5.large').monthly, 3 * 730 * 0.21)
  // 2.6 MB/s for 168 hours are 1,572,480 MB; three copies, and as much free.
  near(lineOf(report.lines, 'disks, replicas and as much free').quantity, ((2.6e6 * 168 * 3600) / 2 ** 30) * 6)
  // Two thirds of what is written in 730 hours go to another zone.
  near(lineOf(report.lines, 'producers to other zones').quantity, ((2.6e6 * 730 * 3600) / 2 ** 30) * (2 / 3))
  near(report.recordsMonthly, 13_000 * 730 * 3600)
  near(report.perMillion, (report.monthly / report.recordsMonthly) * 1e6)
  near(
    report.monthly,
    report.lines.reduce((sum, { monthly }) => sum + monthly, 0)
  )
})

test('rack-aware readers cross no zone', () => {
  const { lines } = priceWorkload(workload({ isRackAware: true }), PRICES)
  assert.equal(lineOf(lines, 'consumers from other zones').monthly, 0)
})

test('tiered storage holds everything, the disks what is local', () => {
  const { lines } = priceWorkload(workload({ cluster: { kind: 'standard', localRetentionHours: 24 } }), PRICES)
  const all = (2.6e6 * 168 * 3600) / 2 ** 30
  near(lineOf(lines, 'tiered storage').quantity, all)
  near(lineOf(lines, 'disks, replicas and as much free').quantity, (all / 7) * 6)
})

test('MSK Serverless charges for hours, partitions and bytes, and says what is above its limits', () => {
  const report = priceWorkload(workload({ partitions: 20, cluster: { kind: 'serverless' } }), PRICES)
  near(lineOf(report.lines, 'cluster').monthly, 730 * 0.75)
  near(lineOf(report.lines, 'partitions').monthly, 730 * 20 * 0.0015)
  const big = workload({ recordsPerSecond: 2_000_000, partitions: 2500, cluster: { kind: 'serverless' } })
  const notes = priceWorkload(big, PRICES).notes.join('\n')
  assert.match(notes, /takes 200 MiB\/s at most/)
  assert.match(notes, /2,400 partitions at most/)
})

test('event pollers: one unit of ten for each 50 MB/s', () => {
  const provisioned = workload({ recordsPerSecond: 130_000, invoker: 'mappingProvisioned' })
  // 26 MB/s, twice that at the peak: 11 pollers, 2 units.
  near(lineOf(priceWorkload(provisioned, PRICES).lines, 'event pollers').monthly, 2 * 730 * 0.185)
})

test('brokers are sized by bytes and by partitions, in threes', () => {
  const load = { inMiBps: 10, readers: 1, partitions: 100, replicationFactor: 3 }
  // m7g.large: 630 Mbit/s of disk are 75.1 MiB/s; half of it for 6.5 times the bytes written: 5.78 MiB/s a broker.
  near(STANDARD_SIZES[0]?.inMiBps(1) ?? 0, 5.7769, 1e-3)
  assert.deepEqual(cheapestSize(STANDARD_SIZES, load, PRICES.kafka.brokerHour), { instance: 'm7g.large', brokers: 3 })
  assert.deepEqual(cheapestSize(STANDARD_SIZES.slice(0, 1), { ...load, partitions: 1500 }, PRICES.kafka.brokerHour), {
    instance: 'm7g.large',
    brokers: 6
  })
  // 100 MiB/s on brokers that sustain 15.6.
  assert.deepEqual(cheapestSize(EXPRESS_SIZES.slice(0, 1), { ...load, inMiBps: 100 }, { 'm7g.large': 0.408 }), {
    instance: 'm7g.large',
    brokers: 9
  })
})

test('too few brokers are said, and an unknown size has no price', () => {
  const few = workload({ recordsPerSecond: 200_000, cluster: { kind: 'standard', instance: 'm7g.large', brokers: 3 } })
  assert.match(priceWorkload(few, PRICES).notes.join('\n'), /fewer than the load needs/)
  const unknown = workload({ cluster: { kind: 'standard', instance: 'm99.huge' } })
  assert.throws(
    () => priceWorkload(unknown, PRICES),
    (error: unknown) => PipelineError.is(error, 'ERR_OPS_NOT_FOUND') && /no price of m99\.huge/.test(error.message)
  )
})

test('a batch that never fills is closed by its age, and the advice does not offer larger ones', () => {
  // 13,000/s over 130 partitions: 100 records a second each, so 100 within the second.
  const thin = workload({ partitions: 130 })
  assert.match(priceWorkload(thin, PRICES).notes.join('\n'), /closed by age: 100 records at this rate, not 500/)
  const { best, options } = adviseBatch(thin, PRICES, limits)
  assert.equal(best.records, 100)
  assert.deepEqual(
    options.map(({ recordsMax }) => recordsMax),
    [1, 10, 25, 50, 100, 250, 500]
  )
})

test('the advice is the smallest batch within 5 % of the cheapest that keeps to the limits', () => {
  const options = { ...workload(), partitions: 1 }
  const { best } = adviseBatch(options, PRICES, limits)
  const all = adviseBatch(options, PRICES, { waitMaxMs: 1e9, timeoutMs: 1e9 })
  for (const { recordsMax, monthly } of all.options) {
    if (recordsMax < best.recordsMax) assert.ok(monthly > best.monthly, `${recordsMax} is cheaper`)
  }
  const slow = { ...options.function, baseMs: 100, perRecordMs: 10 }
  const bounded = adviseBatch({ ...options, function: slow }, PRICES, { waitMaxMs: 5000, timeoutMs: 3000 })
  assert.ok(bounded.best.durationMs <= 3000)
  const never = adviseBatch(options, PRICES, { waitMaxMs: 50, timeoutMs: 3000 })
  assert.match(never.reason, /no batch keeps to 50 ms/)
})

test('Little’s law: invocations at once are the rate of batches times their duration', () => {
  const { options } = adviseBatch(workload({ partitions: 1, peakFactor: 1 }), PRICES, limits)
  const batch = options.find(({ recordsMax }) => recordsMax === 500)
  near(batch?.concurrency ?? 0, (13_000 / 500) * 0.12)
})

test('every kind of cluster with every invoker is compared, the cheapest first', () => {
  const alternatives = compareCosts(workload(), PRICES)
  assert.equal(alternatives.length, 9)
  const sums = alternatives.map(({ report }) => report.monthly)
  assert.deepEqual(
    sums,
    [...sums].sort((left, right) => left - right)
  )
  const same = alternatives.find(({ cluster, invoker }) => cluster === 'standard' && invoker === 'dispatcher')
  assert.equal(same?.difference, 0)
})

test('a price list that is written can be read, and a damaged one names the place', () => {
  assert.deepEqual(readPriceList(JSON.stringify(PRICES), 'prices.json'), PRICES)
  const wrong = (change: object): string => JSON.stringify({ ...PRICES, ...change })
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{', /prices\.json is not JSON/],
    ['[]', /must be/],
    [wrong({ format: 2 }), /format is of another version/],
    [wrong({ kafka: { ...PRICES.kafka, storageGiBMonth: -1 } }), /kafka\.storageGiBMonth must be a number from 0 on/],
    [
      wrong({ kafka: { ...PRICES.kafka, brokerHour: { 'x9.large': 'dear' } } }),
      /brokerHour\.x9\.large must be a number/
    ],
    [wrong({ lambda: { ...PRICES.lambda, gbSecond: { x86_64: [], arm64: [] } } }), /must end with a tier of upTo null/]
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => readPriceList(text, 'prices.json'),
      (error: unknown) => PipelineError.is(error, 'ERR_OPS_PRICES_INVALID') && message.test(error.message),
      text.slice(0, 60)
    )
  }
})
