/** Simulator, bill and doctor as the console asks them. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Broker, startBroker } from '../../src/broker/index.ts'
import { Cluster } from '../../src/client/index.ts'
import { costDefaults, parsePipeline } from '../../src/config/index.ts'
import { costView } from '../../src/console/insight/cost-view.ts'
import { DoctorRunner } from '../../src/console/insight/doctor-runner.ts'
import { simulateDefaults, simulateSchema, simulateView } from '../../src/console/insight/simulate-view.ts'
import { systemClock } from '../../src/core/index.ts'
import { PRICES } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

/** 20,000 records/s at most: 4 instances, 10 invocations at once each, 500 records in 1 s. */
const request = {
  ...simulateDefaults(undefined, {}),
  recordsPerSecond: 10_000,
  partitions: 40,
  instances: 4,
  concurrency: 10,
  batchRecords: 500,
  invokeMs: 1000,
  outageSeconds: 300,
  durationSeconds: 3600
}
const monotonicMs = (): number => 0

test('after an outage the lag peaks at what came meanwhile, and drains at what is left of the capacity', async () => {
  const answer = await simulateView(request, undefined, monotonicMs)
  assert.equal(answer.capacityPerSecond, 20_000)
  assert.equal(answer.utilisation, 0.5)
  // 10,000/s for 300 s, then 10,000/s more than what comes: 300 s, by arithmetic.
  assert.ok(Math.abs(answer.peakLag - 3_000_000) < 150_000, `peak ${answer.peakLag}`)
  assert.ok(answer.drainSeconds !== null && Math.abs(answer.drainSeconds - 300) < 30, `drain ${answer.drainSeconds}`)
  assert.equal(answer.timesS.length, answer.lag.length)
})

test('what can never drain says so, and why', async () => {
  const answer = await simulateView({ ...request, recordsPerSecond: 50_000, partitions: 2 }, undefined, monotonicMs)
  assert.equal(answer.drainSeconds, null)
  assert.deepEqual(
    answer.summary.map(({ key }) => key),
    ['simulate.tooSlow', 'simulate.idleInstances', 'simulate.peak', 'simulate.neverDrains']
  )
})

test('the capacity is what the model can do: lanes of partitions, and what the function takes at once', async () => {
  // Symptom: 20,000/s were told, and 5 % in use, where four functions did 2,000/s; and without an outage a group that
  // got fifty times what it can do never fell behind.
  const text = `
name: shop
kafka: { bootstrapServers: embedded }
dispatcher: { groupId: g, topics: [orders], deadLetterTopic: dead, target: { type: lambda, functionName: f } }
lambda: { runtime: embedded, functions: { f: { handler: ./f.mjs, concurrency: 4 } } }
`
  const pipeline = parsePipeline(text, { fileName: 'pipeline.yaml', environment: {} })
  const flood = { ...request, recordsPerSecond: 1_000_000, outageSeconds: 0 }
  const capacities = [
    { change: {}, of: pipeline, perSecond: 2000 }, // 4 functions × 500 records, 1 s each
    { change: {}, of: undefined, perSecond: 20_000 }, // 40 partitions, one batch at a time
    { change: { partitions: 5 }, of: undefined, perSecond: 2500 } // 5 partitions, whatever their owners could do
  ]
  for (const { change, of, perSecond } of capacities) {
    const { capacityPerSecond, service, summary } = await simulateView({ ...flood, ...change }, of, monotonicMs)
    assert.equal(capacityPerSecond, perSecond)
    assert.ok(Math.abs((service.at(-1) ?? 0) / perSecond - 1) < 0.02, `${service.at(-1)} of ${perSecond}`)
    assert.equal(summary.map(({ key }) => key).includes('simulate.targetLimit'), of !== undefined)
  }
})

test('a run of thousands of partitions lets others have their turn', async () => {
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  let timeMs = 0
  await simulateView({ ...request, partitions: 500, recordsPerSecond: 1e6 }, undefined, () => (timeMs += 5))
  isOver = true
  assert.ok(turns > 100, `${turns} turns`)
})

test('the sliders have ends', () => {
  for (const wrong of [
    { partitions: 0 },
    { instances: 1.5 },
    { durationSeconds: 1e9 },
    { invokeMs: Number.NaN },
    { x: 1 }
  ]) {
    assert.equal(simulateSchema.safeParse({ ...request, ...wrong }).success, false, JSON.stringify(wrong))
  }
  assert.equal(simulateSchema.safeParse(simulateDefaults(undefined, {})).success, true)
  assert.equal(simulateDefaults(undefined, { recordsPerSecond: 123.4, partitions: 7 }).recordsPerSecond, 123)
})

test('the bill takes what is asked for before what is measured, and its lines add up', () => {
  const facts = { section: costDefaults(), pipeline: undefined, prices: PRICES }
  const measured = costView({ ...facts, asked: {}, measured: { recordsPerSecond: 100 } })
  assert.deepEqual([measured.load.recordsPerSecond, measured.load.isMeasured], [100, true])
  const asked = costView({
    ...facts,
    asked: { recordsPerSecond: 5000, batch: 250 },
    measured: { recordsPerSecond: 100 }
  })
  assert.deepEqual([asked.load.recordsPerSecond, asked.load.batch, asked.load.isMeasured], [5000, 250, false])
  const sum = asked.lines.reduce((total, { monthly }) => total + monthly, 0)
  assert.ok(Math.abs(sum - asked.monthly) < 0.001)
  assert.equal(asked.batchAdvice.filter(({ isAdvised }) => isAdvised).length, 1)
})

let broker: Broker
let cluster: Cluster

before(async () => {
  broker = await startBroker()
  cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'insight' })
})

after(async () => {
  await cluster.close()
  await broker.close()
})

test('the doctor looks when somebody asks first, once for all who ask, and its findings stay', async () => {
  const { signal } = new AbortController()
  let setBackMs = 0
  const runner = new DoctorRunner(
    {
      cluster,
      pipeline: undefined,
      clock: { ...systemClock, now: () => systemClock.now() - setBackMs },
      closing: signal,
      logger: silentLogger,
      bootstrapServers: [broker.bootstrapServers]
    },
    0
  )
  const first = runner.answer()
  assert.deepEqual([first.isRunning, first.findings.length], [true, 0])
  runner.run()
  await runner.settled()
  const answer = runner.answer()
  assert.equal(answer.isRunning, false)
  assert.ok(answer.findings.length >= 34, 'a finding of each check')
  const order = ['error', 'warn', 'unknown', 'info', 'ok']
  const severities = answer.findings.map(({ severity }) => order.indexOf(severity))
  assert.deepEqual(
    severities,
    severities.toSorted((left, right) => left - right)
  )
  setBackMs = 3_600_000 // findings of the future are not of now
  assert.equal(runner.answer().isRunning, true)
  await runner.settled()
})
