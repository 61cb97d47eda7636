/** The meter that keeps the numbers: series, their limits, what is gone, and what cannot be read. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { createMetrics, type Metrics, type MetricsOptions, silentLogger } from '../../src/telemetry/index.ts'
import { Series } from '../../src/telemetry/metrics/series.ts'
import { Sampled } from '../../src/telemetry/sampled.ts'

async function seriesOf(metrics: Metrics, name: string): Promise<(readonly [Record<string, unknown>, number])[]> {
  const { metrics: all } = await metrics.collect()
  const found = all.find(metric => metric.name === name)
  return (found?.points ?? []).map(({ attributes, value }) => [{ ...attributes }, value])
}

function metricsOf(t: { after(end: () => Promise<void>): void }, options: MetricsOptions = {}): Metrics {
  const metrics = createMetrics({ clock: new VirtualClock(), ...options })
  t.after(() => metrics.close())
  return metrics
}

test('the same attributes are one series, whatever object and order they come in', async t => {
  const metrics = metricsOf(t)
  const counter = metrics.meter.createCounter('records')
  const kept = { topic: 'a', group: 'g' }

  counter.add(1, kept)
  counter.add(2, kept)
  counter.add(4, { group: 'g', topic: 'a' })
  counter.add(8, { group: 'g', topic: 'b' })
  counter.add(16)
  counter.add(32, {})

  assert.deepEqual(await seriesOf(metrics, 'records'), [
    [{ topic: 'a', group: 'g' }, 7],
    [{ group: 'g', topic: 'b' }, 8],
    [{}, 48]
  ])
})

test('names and values that read alike when they are joined are different series', () => {
  const series = new Series(100, () => ({}))
  const sets = [{ a: 'b', c: 'd' }, { a: 'bc:d' }, { a: '1' }, { a: 1 }, { a: 'true' }, { a: true }, { 'a"': 'b' }, {}]

  assert.equal(new Set(sets.map(set => series.of(set))).size, sets.length)
})

test('what would spoil a sum for ever is not counted: less than nothing, and what is no number', async t => {
  const metrics = metricsOf(t)
  const counter = metrics.meter.createCounter('records')
  const sum = metrics.meter.createUpDownCounter('open')
  for (const value of [3, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    counter.add(value)
    sum.add(value)
  }

  assert.deepEqual(await seriesOf(metrics, 'records'), [[{}, 3]])
  assert.deepEqual(await seriesOf(metrics, 'open'), [[{}, 2]])
})

test('a value on a boundary belongs to the bucket below, as everywhere in Prometheus and OpenTelemetry', async t => {
  const metrics = metricsOf(t)
  const histogram = metrics.meter.createHistogram('took', { advice: { explicitBucketBoundaries: [1, 5] } })
  for (const value of [0, 1, 1.1, 5, 6, -3]) histogram.record(value)

  const { metrics: all } = await metrics.collect()
  const point = all.find(({ name }) => name === 'took')?.points[0]

  assert.deepEqual(point?.histogram, { count: 6, sum: 10.1, min: -3, max: 6, counts: [3, 2, 1] })
})

test('a hundred thousand names make as many series as are allowed; what they counted is not lost', async t => {
  const metrics = metricsOf(t, { seriesMax: 50 })
  const counter = metrics.meter.createCounter('records')
  const names = 100_000
  for (let index = 0; index < names; index += 1) counter.add(1, { topic: `topic-${index}` })

  const series = await seriesOf(metrics, 'records')

  assert.equal(series.length, 50)
  assert.deepEqual(series.at(-1), [{ 'otel.metric.overflow': true }, names - 49])
  assert.equal(
    series.reduce((sum, [, value]) => sum + value, 0),
    names
  )
  assert.deepEqual(await seriesOf(metrics, 'comporta.telemetry.overflows'), [[{}, 1]])
})

test('what is asked for has its limit too: sums keep their rest, gauges leave it out', async t => {
  const metrics = metricsOf(t, { seriesMax: 3 })
  const tell = (result: { observe(value: number, attributes: Record<string, string>): void }): void => {
    for (let index = 1; index <= 5; index += 1) result.observe(index, { topic: `t${index}` })
  }
  metrics.meter.createObservableCounter('bytes').addCallback(tell)
  metrics.meter.createObservableGauge('lag').addCallback(tell)

  assert.deepEqual(await seriesOf(metrics, 'bytes'), [
    [{ topic: 't1' }, 1],
    [{ topic: 't2' }, 2],
    [{ 'otel.metric.overflow': true }, 12]
  ])
  assert.deepEqual((await seriesOf(metrics, 'lag')).length, 3)
})

test('series by partition have a limit of their own and can be switched off, callbacks and all', async t => {
  const asked: string[] = []
  const observe = (metrics: Metrics, name: string): void =>
    metrics.meter.createObservableGauge('comporta.dispatcher.lag').addCallback(result => {
      asked.push(name)
      for (let partition = 0; partition < 10; partition += 1) result.observe(1, { partition: String(partition) })
    })
  const some = metricsOf(t, { partitionSeriesMax: 4 })
  const none = metricsOf(t, { partitionSeriesMax: 0 })
  observe(some, 'some')
  observe(none, 'none')

  assert.equal((await seriesOf(some, 'comporta.dispatcher.lag')).length, 4)
  assert.equal((await seriesOf(none, 'comporta.dispatcher.lag')).length, 0)
  assert.deepEqual(asked, ['some'])
})

test('a partition that went to another member is gone with the next look', async t => {
  // Symptom: its last lag was shown until the process ended. Cause: the SDK merges each look into the one before.
  const metrics = metricsOf(t)
  let partitions = ['0', '1']
  metrics.meter.createObservableGauge('lag').addCallback(result => {
    for (const partition of partitions) result.observe(9, { partition })
  })
  assert.equal((await seriesOf(metrics, 'lag')).length, 2)

  partitions = ['1']

  assert.deepEqual(await seriesOf(metrics, 'lag'), [[{ partition: '1' }, 9]])
  assert.doesNotMatch(await metrics.prometheusText(), /partition="0"/)
})

test('two who tell the same series of a sum are added, and a metric is made once', async t => {
  const metrics = metricsOf(t)
  metrics.meter.createObservableCounter('bytes').addCallback(result => result.observe(3, { client: 'c' }))
  metrics.meter.createObservableCounter('bytes').addCallback(result => result.observe(4, { client: 'c' }))
  metrics.meter.createCounter('records').add(1)
  metrics.meter.createCounter('records').add(1)

  assert.deepEqual(await seriesOf(metrics, 'bytes'), [[{ client: 'c' }, 7]])
  assert.deepEqual(await seriesOf(metrics, 'records'), [[{}, 2]])
  assert.throws(() => metrics.meter.createHistogram('records'), { code: 'ERR_CORE_INVARIANT' })
})

test('a metric that cannot be read is left out and said once; the others are read', async t => {
  const lines: string[] = []
  const logger = { ...silentLogger, warn: (fields: object) => void lines.push(JSON.stringify(fields)) }
  const metrics = metricsOf(t, { logger })
  metrics.meter.createObservableGauge('broken').addCallback(() => {
    throw new Error('no such thing')
  })
  metrics.meter.createObservableGauge('later').addCallback(() => Promise.reject(new Error('nor this')))
  metrics.meter.createObservableGauge('sound').addCallback(result => result.observe(1))

  await metrics.collect()
  const { metrics: all } = await metrics.collect()

  assert.deepEqual(
    all.map(({ name }) => name).filter(name => !name.startsWith('comporta.')),
    ['sound']
  )
  assert.deepEqual(lines, ['{"metric":"broken","reason":"no such thing"}', '{"metric":"later","reason":"nor this"}'])
})

test('averages and rates are of the last 30 to 60 seconds, as those of Kafka’s clients', () => {
  const sampled = new Sampled()
  assert.equal(sampled.average(0), undefined)

  sampled.record(10, 0)
  sampled.record(20, 10_000)
  assert.equal(sampled.average(10_000), 15)
  assert.equal(sampled.max(10_000), 20)
  // One whole sample counts as gone by: a first record is not a rate of thousands.
  assert.equal(sampled.sumPerSecond(10_000), 1)
  sampled.record(60, 30_000)
  assert.equal(sampled.average(45_000), 30)
  assert.equal(sampled.countPerSecond(45_000), 3 / 45)
  // The first sample is over.
  assert.equal(sampled.average(61_000), 60)
  assert.equal(sampled.max(120_000), undefined)
  assert.equal(sampled.sumPerSecond(120_000), 0)
})
