/** What programs get that read our metrics: Prometheus, an OpenTelemetry collector, CloudWatch. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import { Ajv } from 'ajv'

import { VirtualClock } from '../../src/core/index.ts'
import { createMetrics, type CollectedMetrics, type Meter } from '../../src/telemetry/index.ts'
import { EmfLines } from '../../src/telemetry/exporters/emf.ts'
import { ExportLoop, type MetricsExporter } from '../../src/telemetry/exporters/export-loop.ts'
import { resourceMetricsOf } from '../../src/telemetry/exporters/otlp-metrics.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { startMetricsReceiver } from '../support/otlp-metrics-receiver.ts'

const require = createRequire(import.meta.url)

const HOSTILE = 'a"b\\c\nd} 1\n# HELP x \u0000é\u{1f600}'

function fill(meter: Meter): void {
  meter
    .createCounter('comporta.dispatcher.records', { unit: '{record}', description: 'Records\nthat \\ left' })
    .add(5, {
      group: HOSTILE,
      result: 'delivered'
    })
  meter.createUpDownCounter('open.things').add(-2)
  const histogram = meter.createHistogram('comporta.dispatcher.invoke.duration', {
    unit: 'ms',
    advice: { explicitBucketBoundaries: [10, 100] }
  })
  for (const value of [4, 10, 50, 1000]) histogram.record(value, { group: 'g', outcome: 'ok' })
  meter.createObservableGauge('comporta.dispatcher.lag').addCallback(result => {
    result.observe(7.5, { group: 'g', topic: 't', partition: '3' })
  })
  meter.createObservableGauge('comporta.dispatcher.partitions').addCallback(result => result.observe(2, { group: 'g' }))
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(resolve => setImmediate(resolve))
}

test('the Prometheus text is what OpenTelemetry’s own exporter writes, hostile labels included', async t => {
  const metrics = createMetrics({ clock: new VirtualClock(), resource: { 'service.name': 'comporta-dispatcher' } })
  t.after(() => metrics.close())
  fill(metrics.meter)
  // The types are those of the modules that are named.
  const { PrometheusSerializer } = require('@opentelemetry/exporter-prometheus') as {
    PrometheusSerializer: new (...options: unknown[]) => { serialize(metrics: unknown): string }
  }
  const { resourceFromAttributes } = require('@opentelemetry/resources') as typeof import('@opentelemetry/resources')
  const sdk = require('@opentelemetry/sdk-metrics') as typeof import('@opentelemetry/sdk-metrics')
  const collected = await metrics.collect()
  const resource = resourceFromAttributes({ ...collected.resource })
  const theirs = new PrometheusSerializer(undefined, false, undefined, false, true).serialize(
    resourceMetricsOf(collected, resource, sdk)
  )

  const ours = await metrics.prometheusText()

  // Units are comments that nobody reads; the order of lines within a histogram is free.
  const linesOf = (text: string): string[] => text.split('\n').filter(line => line !== '' && !line.startsWith('# UNIT'))
  assert.deepEqual(linesOf(ours).toSorted(), linesOf(theirs).toSorted())
  assert.ok(ours.includes('comporta_dispatcher_records_total{group="a\\"b\\\\c\\nd} 1\\n# HELP x'))
  assert.ok(!ours.split('\n').some(line => line.startsWith('# HELP x')))
})

test('a collector gets every metric by OTLP, sums from the start on, with headers and resource', async t => {
  const receiver = await startMetricsReceiver(t)
  const clock = new VirtualClock()
  const otlp = {
    endpoint: receiver.url,
    headers: { authorization: 'Bearer abc' },
    timeoutMs: 5000,
    compression: 'gzip' as const,
    intervalMs: 1000
  }
  const metrics = createMetrics({ clock, resource: { 'service.name': 'comporta-dispatcher' }, otlp })
  t.after(() => metrics.close())
  fill(metrics.meter)

  await clock.advance(1000)
  await until(() => receiver.exports.length === 1)
  metrics.meter.createCounter('comporta.dispatcher.records').add(1, { group: HOSTILE, result: 'delivered' })
  await until(() => {
    void clock.advance(1000)
    return receiver.exports.length >= 2
  })

  const [first, second] = receiver.exports
  assert.equal(first?.headers['authorization'], 'Bearer abc')
  assert.deepEqual(first?.resource, { 'service.name': 'comporta-dispatcher' })
  const byName = new Map(second?.metrics.map(metric => [metric.name, metric]))
  const records = byName.get('comporta.dispatcher.records')
  assert.deepEqual(
    [records?.kind, records?.isMonotonic, records?.temporality, records?.unit],
    ['sum', true, 2, '{record}']
  )
  assert.deepEqual(records?.points[0]?.attributes, { group: HOSTILE, result: 'delivered' })
  assert.equal(records?.points[0]?.value, 6)
  const duration = byName.get('comporta.dispatcher.invoke.duration')
  assert.deepEqual(duration?.points[0]?.bucketCounts, [2, 1, 1])
  assert.deepEqual(duration?.points[0]?.bounds, [10, 100])
  assert.deepEqual([duration?.points[0]?.count, duration?.points[0]?.sum], [4, 1064])
  assert.equal(byName.get('comporta.dispatcher.lag')?.points[0]?.value, 7.5)
  assert.deepEqual(byName.get('comporta.telemetry.exports')?.points[0]?.attributes, { exporter: 'otlp', outcome: 'ok' })
  // While the collector is there: without it the last export is tried for five seconds.
  await metrics.close()
})

test('a collector that is silent holds nobody up: one export at a time, nothing kept, and an end in time', async t => {
  const receiver = await startMetricsReceiver(t)
  receiver.mode = 'silent'
  const clock = new VirtualClock()
  const otlp = {
    endpoint: receiver.url,
    headers: {},
    timeoutMs: 60_000,
    compression: 'none' as const,
    intervalMs: 1000
  }
  const metrics = createMetrics({ clock, otlp })
  fill(metrics.meter)
  await clock.advance(1000)
  await until(() => receiver.requestCount === 1)

  // An hour of intervals while one export is under way.
  for (let index = 0; index < 50; index += 1) {
    await clock.advance(1000)
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(receiver.requestCount, 1)
  assert.match(await metrics.prometheusText(), /^comporta_dispatcher_records_total/m)

  const closed = metrics.close()
  let isClosed = false
  void closed.then(() => (isClosed = true))
  await until(() => {
    void clock.advance(1000)
    return isClosed
  })
})

test('exports that fail are counted, said once, and end with one that arrives', async () => {
  const clock = new VirtualClock()
  const lines: string[] = []
  const outcomes: string[] = []
  let isAway = true
  const exporter: MetricsExporter = {
    name: 'otlp',
    timeoutMs: 5000,
    send: () => (isAway ? Promise.reject(new Error('connect ECONNREFUSED')) : Promise.resolve()),
    close: () => Promise.resolve()
  }
  const loop = new ExportLoop({
    exporter,
    intervalMs: 1000,
    collect: () => Promise.resolve({ resource: {}, startMs: 0, timeMs: 0, metrics: [] }),
    onEnded: outcome => void outcomes.push(outcome),
    clock,
    logger: { ...silentLogger, warn: (_, text) => void lines.push(text), info: (_, text) => void lines.push(text) }
  })
  const export1 = async (): Promise<void> => {
    const before = outcomes.length
    await clock.advance(1000)
    await until(() => outcomes.length > before)
    // Its place is free again.
    await new Promise(resolve => setImmediate(resolve))
  }
  await export1()
  await export1()
  isAway = false
  await export1()
  await export1()
  await loop.close()

  assert.deepEqual(outcomes, ['failed', 'failed', 'ok', 'ok', 'ok'])
  assert.deepEqual(lines, ['metrics cannot be exported: trying again', 'metrics are exported again'])
})

// The constraints of the schema that AWS publishes with the specification of the format, and those of its text.
const text = (maxLength: number): object => ({ type: 'string', pattern: '^(.*)$', minLength: 1, maxLength })
const isEmf = new Ajv({ allowUnionTypes: true }).compile({
  type: 'object',
  required: ['_aws'],
  properties: {
    _aws: {
      type: 'object',
      required: ['Timestamp', 'CloudWatchMetrics'],
      properties: {
        Timestamp: { type: 'integer' },
        CloudWatchMetrics: {
          type: 'array',
          items: {
            type: 'object',
            required: ['Namespace', 'Dimensions', 'Metrics'],
            properties: {
              Namespace: text(1024),
              Dimensions: { type: 'array', minItems: 1, items: { type: 'array', maxItems: 30, items: text(250) } },
              Metrics: {
                type: 'array',
                maxItems: 100,
                items: {
                  type: 'object',
                  required: ['Name'],
                  additionalProperties: false,
                  properties: {
                    Name: text(1024),
                    Unit: { enum: ['Seconds', 'Milliseconds', 'Bytes', 'Count', 'None'] },
                    StorageResolution: { type: 'integer' }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
})

interface EmfLine {
  readonly [member: string]: unknown
  readonly _aws: {
    readonly Timestamp: number
    readonly CloudWatchMetrics: readonly [{ Namespace: string; Dimensions: [string[]]; Metrics: { Name: string }[] }]
  }
}

function linesOf(lines: EmfLines, collected: CollectedMetrics): EmfLine[] {
  const written = lines.write(collected).split('\n').slice(0, -1)
  return written.map(line => {
    const parsed = JSON.parse(line) as EmfLine
    assert.ok(isEmf(parsed), JSON.stringify(isEmf.errors))
    const [directive] = parsed._aws.CloudWatchMetrics
    for (const name of directive.Dimensions[0]) {
      const value = parsed[name]
      assert.ok(typeof value === 'string' && value.length >= 1 && value.length <= 1024, name)
    }
    for (const { Name } of directive.Metrics) assert.ok(Name in parsed, Name)
    return parsed
  })
}

test('lines for CloudWatch follow its format: a line for each set of attributes, what came since the last', async t => {
  const clock = new VirtualClock()
  const metrics = createMetrics({ clock, resource: { 'service.name': 'comporta-dispatcher', host: 'h1' } })
  t.after(() => metrics.close())
  fill(metrics.meter)
  const lines = new EmfLines('orders')

  // What does not arrive is told again.
  linesOf(lines, await metrics.collect())
  const first = linesOf(lines, await metrics.collect())
  lines.written()
  metrics.meter.createCounter('comporta.dispatcher.records').add(2, { group: HOSTILE, result: 'delivered' })
  metrics.meter.createHistogram('comporta.dispatcher.invoke.duration').record(60, { group: 'g', outcome: 'ok' })
  const second = linesOf(lines, await metrics.collect())

  const find = (all: readonly EmfLine[], name: string): EmfLine | undefined => all.find(line => name in line)
  const records = find(first, 'comporta.dispatcher.records')
  assert.deepEqual(records?._aws.CloudWatchMetrics[0].Dimensions, [['service.name', 'group', 'result']])
  assert.equal(records?.['host'], 'h1')
  assert.equal(records?._aws.CloudWatchMetrics[0].Namespace, 'orders')
  assert.doesNotMatch(String(records?.['group']), /\p{Cc}/u)
  assert.equal(records?.['comporta.dispatcher.records'], 5)
  assert.equal(find(second, 'comporta.dispatcher.records')?.['comporta.dispatcher.records'], 2)
  // 4 and 10 lie between the smallest and 10; 50 between 10 and 100; 1000 between 100 and the largest.
  assert.deepEqual(find(first, 'comporta.dispatcher.invoke.duration')?.['comporta.dispatcher.invoke.duration'], {
    Values: [7, 55, 550],
    Counts: [2, 1, 1],
    Min: 7,
    Max: 550,
    Count: 4,
    Sum: 1064
  })
  assert.deepEqual(find(second, 'comporta.dispatcher.invoke.duration')?.['comporta.dispatcher.invoke.duration'], {
    Values: [55],
    Counts: [1],
    Min: 55,
    Max: 55,
    Count: 1,
    Sum: 60
  })
  assert.equal(find(first, 'open.things')?.['open.things'], -2)
  assert.equal(find(first, 'comporta.dispatcher.lag'), undefined, 'by partition it is not written')
})

test('what could not be written for CloudWatch comes with the next lines, once', async () => {
  const clock = new VirtualClock()
  const texts: string[] = []
  let isFull = true
  const write = (text: string): Promise<void> => {
    if (isFull) return Promise.reject(new Error('the disk is full'))
    texts.push(text)
    return Promise.resolve()
  }
  const metrics = createMetrics({ clock, emf: { namespace: 'n', intervalMs: 1000, write } })
  metrics.meter.createCounter('open.events').add(3)
  await clock.advance(1000)
  metrics.meter.createCounter('open.events').add(1)
  isFull = false
  await clock.advance(1000)
  await metrics.close()

  const told = texts.map(text => /"open.events":(\d+)/.exec(text)?.[1])
  assert.deepEqual(told, ['4', '0'])
})

test('a line for CloudWatch has no more than 100 metrics and 30 dimensions', () => {
  const attributes = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`a${index}`, index === 0 ? '' : 'v']))
  const metrics = Array.from({ length: 250 }, (_, index) => ({
    name: `m${index}`,
    kind: 'gauge' as const,
    unit: '',
    description: '',
    boundaries: [],
    points: [{ attributes, value: index }]
  }))

  const lines = linesOf(new EmfLines('comporta'), { resource: {}, startMs: 0, timeMs: 5, metrics })

  assert.deepEqual(
    lines.map(line => line._aws.CloudWatchMetrics[0].Metrics.length),
    [100, 100, 50]
  )
  assert.equal(lines[0]?._aws.CloudWatchMetrics[0].Dimensions[0].length, 30)
  assert.equal(lines[0]?.['a39'], 'v', 'the others are members that can be searched')
})
