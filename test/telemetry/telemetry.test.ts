/** Logs and metrics: what a line and an exposition look like to the programs that read them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, createMetrics, noopMeter, silentLogger } from '../../src/telemetry/index.ts'

test('a log line is one JSON object with level, time, the fields of its logger and the message', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const logger = createLogger({ destination, fields: { role: 'broker' } })

  logger.child({ topic: 't' }).warn({ partition: 3 }, 'the log is full')

  const [line] = lines.map(each => JSON.parse(each) as Record<string, unknown>)
  const { time, ...rest } = line ?? {}
  assert.deepEqual(rest, { level: 40, role: 'broker', topic: 't', partition: 3, msg: 'the log is full' })
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

test('lines below the level are not written', () => {
  const lines: string[] = []
  const logger = createLogger({ level: 'warn', destination: { write: (line: string) => void lines.push(line) } })

  logger.debug({}, 'no')
  logger.info({}, 'no')
  logger.error({}, 'yes')
  silentLogger.child({}).error({}, 'no')

  assert.equal(lines.length, 1)
})

test('counters, gauges and histograms appear in the Prometheus text with their labels', async t => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  metrics.meter.createCounter('records', { description: 'Records delivered.' }).add(5, { topic: 'a' })
  metrics.meter.createHistogram('batch_bytes').record(12)
  metrics.meter.createObservableGauge('lag').addCallback(result => result.observe(7, { partition: '3' }))

  const text = await metrics.prometheusText()

  assert.match(text, /^# TYPE records_total counter$/m)
  assert.match(text, /^records_total\{topic="a".*\} 5$/m)
  assert.match(text, /^batch_bytes_count(?:\{.*\})? 1$/m)
  assert.match(text, /^lag\{partition="3".*\} 7$/m)
})

test('closing the metrics twice is as good as once, and the silent meter takes everything', async () => {
  const metrics = createMetrics()
  await metrics.close()
  await metrics.close()
  noopMeter.createCounter('nothing').add(1)
})
