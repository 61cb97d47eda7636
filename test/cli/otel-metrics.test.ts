/** What becomes of the section `telemetry.metrics` and OpenTelemetry's variables together. */

import assert from 'node:assert/strict'
import { readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { startRoleEndpoint } from '../../src/cli/roles/role-endpoint.ts'
import { hasExporter, metricsSettings } from '../../src/cli/telemetry/otel-metrics.ts'
import { parsePipeline, telemetryDefaults, type TelemetryConfig } from '../../src/config/index.ts'
import { type MetricsOptions, silentLogger } from '../../src/telemetry/index.ts'
import { startMetricsReceiver } from '../support/otlp-metrics-receiver.ts'

function settingsOf(
  environment: Record<string, string>,
  metrics: Partial<TelemetryConfig['metrics']> = {}
): { settings: MetricsOptions; warnings: string[] } {
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, text: string) => void warnings.push(text) }
  const telemetry = { ...telemetryDefaults(), metrics: { ...telemetryDefaults().metrics, ...metrics } }
  return { settings: metricsSettings(telemetry, { role: 'dispatcher', environment, logger }), warnings }
}

const otlp = { headers: {}, intervalMs: 5000, timeoutMs: 2000, compression: 'none' } as const

test('without a word nothing is exported', () => {
  const { settings } = settingsOf({})
  assert.equal(hasExporter(settings), false)
  assert.equal(settings.seriesMax, 2000)
  assert.equal(settings.partitionSeriesMax, 1000)
  assert.equal(settings.resource?.['service.name'], 'comporta-dispatcher')
})

test('a collector that is named gets metrics: by the file, or by OpenTelemetry’s variables', () => {
  const cases: [Record<string, string>, Partial<TelemetryConfig['metrics']>, string | undefined][] = [
    [{}, { otlp: { ...otlp, endpoint: 'https://c/v1/metrics' } }, 'https://c/v1/metrics'],
    [{}, { otlp }, 'http://localhost:4318/v1/metrics'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }, {}, 'http://c:4318/v1/metrics'],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://m/own' }, {}, 'http://m/own'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }, { otlp: { ...otlp, endpoint: 'http://file/' } }, 'http://file/'],
    [{ OTEL_METRICS_EXPORTER: 'otlp' }, {}, 'http://localhost:4318/v1/metrics'],
    [{ OTEL_METRICS_EXPORTER: 'none' }, { otlp }, undefined],
    [{ OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }, {}, undefined],
    [{ OTEL_SDK_DISABLED: 'true' }, { otlp }, undefined]
  ]
  for (const [environment, metrics, endpoint] of cases) {
    assert.equal(settingsOf(environment, metrics).settings.otlp?.endpoint, endpoint, JSON.stringify(environment))
  }
})

test('times and compression come from OpenTelemetry’s variables before the file; nonsense is told and left out', () => {
  const environment = {
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '300',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip'
  }
  const { settings } = settingsOf(environment, { otlp })
  assert.deepEqual(
    [settings.otlp?.intervalMs, settings.otlp?.timeoutMs, settings.otlp?.compression],
    [1000, 300, 'gzip']
  )
  const wrong = settingsOf(
    {
      OTEL_METRIC_EXPORT_INTERVAL: 'soon',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_METRICS_EXPORTER: 'otlp,statsd',
      OTEL_SERVICE_NAME: 'orders',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test'
    },
    { otlp }
  )
  assert.equal(wrong.settings.otlp?.intervalMs, 5000)
  assert.equal(wrong.warnings.length, 3)
  assert.equal(wrong.settings.resource?.['service.name'], 'orders')
  assert.equal(wrong.settings.resource?.['deployment.environment.name'], 'test')
})

test('an address that is none is told and has no effect: nothing ends for it', () => {
  const { settings, warnings } = settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'garbage' })
  assert.equal(hasExporter(settings), false)
  assert.deepEqual(warnings, ['OTEL_EXPORTER_OTLP_ENDPOINT: is not an http or https address, and has no effect'])
  const asked = settingsOf({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'ftp://u:secret@c/', OTEL_METRICS_EXPORTER: 'otlp' })
  assert.equal(asked.settings.otlp?.endpoint, 'http://localhost:4318/v1/metrics')
})

test('lines for CloudWatch are appended to the file that is named', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-emf-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'metrics.log')
  const { settings } = settingsOf({}, { emf: { file, namespace: 'orders', intervalMs: 1000 } })
  await settings.emf?.write('one\n')
  await settings.emf?.write('two\n')
  assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\n')
})

test('a header that could smuggle another, and a namespace of AWS’s own, are refused at their line', () => {
  const file = [
    'name: orders',
    'kafka: { brokers: [localhost:9092] }',
    'telemetry:',
    '  metrics:',
    '    otlp:',
    '      headers: { x: "a\\r\\nb: c" }',
    '    emf: { namespace: AWS/Lambda }',
    '    seriesMax: 1'
  ].join('\n')
  assert.throws(
    () => parsePipeline(file, { fileName: 'p.yaml', environment: {} }),
    (error: unknown) => {
      assert.ok(error instanceof Error)
      for (const part of ['not the value of an HTTP header', 'not a CloudWatch namespace', 'seriesMax']) {
        assert.ok(error.message.includes(part), `${part} in ${error.message}`)
      }
      return true
    }
  )
})

test('a role that serves nothing sends its metrics and those of its process, at the latest when it ends', async t => {
  const receiver = await startMetricsReceiver(t)
  const folder = mkdtempSync(join(tmpdir(), 'comporta-emf-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'metrics.log')
  const defaults = telemetryDefaults()
  const metrics = {
    ...defaults.metrics,
    otlp: { ...otlp, intervalMs: 60_000, endpoint: receiver.url },
    emf: { file, namespace: 'orders', intervalMs: 60_000 }
  }
  const telemetry = { ...defaults, metrics, resource: { 'deployment.environment.name': 'test' } }
  // Over a process boundary it goes as plain data.
  const options = { telemetry: JSON.parse(JSON.stringify(telemetry)) as TelemetryConfig }
  const endpoint = await startRoleEndpoint(options, { role: 'dispatcher', logger: silentLogger })
  assert.equal(endpoint.isServed, false)
  endpoint.meter.createCounter('comporta.dispatcher.batches').add(3, { group: 'g' })

  await endpoint.close()

  const [sent] = receiver.exports
  assert.equal(sent?.resource['service.name'], 'comporta-dispatcher')
  assert.equal(sent?.resource['deployment.environment.name'], 'test')
  const names = sent?.metrics.map(({ name }) => name) ?? []
  for (const name of ['comporta.dispatcher.batches', 'process.memory.usage', 'nodejs.eventloop.utilization']) {
    assert.ok(names.includes(name), name)
  }
  assert.match(readFileSync(file, 'utf8'), /"comporta\.dispatcher\.batches":3/)
})
