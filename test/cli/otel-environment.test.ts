/** What OpenTelemetry's variables and the pipeline file say together of traces. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { traceSettings, type TraceSettings } from '../../src/cli/telemetry/otel-environment.ts'
import { parsePipeline, telemetryDefaults } from '../../src/config/index.ts'
import { SAMPLING_RATIO, SLOW_MS, TRACES_PER_SECOND_MAX } from '../../src/telemetry/index.ts'

const problems: string[] = []

function settings(yaml: string, environment: Record<string, string> = {}): TraceSettings | undefined {
  const resource = '{ deployment.environment.name: test, team: a }'
  const kafka = '{ bootstrapServers: embedded }'
  const text = `name: t\nkafka: ${kafka}\ntelemetry:\n  traces: ${yaml}\n  resource: ${resource}\n`
  const { telemetry } = parsePipeline(text, { fileName: 'comporta.yaml', environment: {} })
  problems.length = 0
  return traceSettings(telemetry, { role: 'dispatcher', environment }, problem => problems.push(problem))
}

test('traces are off until the file or a variable asks for them, and a variable has the last word', () => {
  assert.equal(settings('{}'), undefined)
  assert.ok(settings('{ exporter: otlp }'))
  assert.ok(settings('{}', { OTEL_TRACES_EXPORTER: 'otlp' }))
  assert.ok(settings('{}', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }))
  assert.equal(settings('{ exporter: none }', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }), undefined)
  assert.equal(settings('{ exporter: otlp }', { OTEL_TRACES_EXPORTER: 'none' }), undefined)
  assert.equal(settings('{ exporter: otlp }', { OTEL_SDK_DISABLED: 'true' }), undefined)
  assert.ok(settings('{ exporter: otlp }', { OTEL_TRACES_EXPORTER: 'zipkin' }))
  assert.deepEqual(problems, ['OTEL_TRACES_EXPORTER: there are otlp and none, not zipkin'])
})

test('the address is the file’s, else that of traces, else the general one with the path of traces', () => {
  const general = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }
  const own = { ...general, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:1/spans' }
  assert.equal(settings('{ exporter: otlp }')?.traces.url, 'http://localhost:4318/v1/traces')
  assert.equal(settings('{}', general)?.traces.url, 'http://c:4318/v1/traces')
  assert.equal(settings('{}', own)?.traces.url, 'http://t:1/spans')
  assert.equal(settings('{ exporter: otlp, endpoint: http://f:2/v1/traces }', own)?.traces.url, 'http://f:2/v1/traces')
})

test('an address that is none is told without what is in it, and has no effect: nothing ends for it', () => {
  const wrong = { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'u:secret@c' }
  assert.equal(settings('{}', wrong), undefined)
  assert.deepEqual(problems, [
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is not an http or https address, and has no effect',
    'OTEL_EXPORTER_OTLP_ENDPOINT: is not an http or https address, and has no effect'
  ])
  assert.equal(settings('{ exporter: otlp }', wrong)?.traces.url, 'http://localhost:4318/v1/traces')
})

test('a time beyond that of timers, and a queue beyond that of the file, are told and have no effect', () => {
  const found = settings('{ exporter: otlp }', {
    OTEL_BSP_SCHEDULE_DELAY: '9999999999',
    OTEL_BSP_MAX_QUEUE_SIZE: '9999999999'
  })
  assert.equal(problems.length, 2)
  assert.deepEqual([found?.traces.delayMs, found?.traces.queueMax], [undefined, 2048])
})

test('samplers of OpenTelemetry come before the file, what is kept does not change with them', () => {
  const asked = (environment: Record<string, string>): object | undefined =>
    settings('{ exporter: otlp, sampling: { ratio: 0.2, slowMs: 7 } }', environment)?.traces.sampling
  const kept = { keep: ['failed', 'retried', 'deadLettered', 'slow'], slowMs: 7, perSecondMax: 100 }
  assert.deepEqual(asked({}), { ...kept, ratio: 0.2, isParentBased: true })
  assert.deepEqual(asked({ OTEL_TRACES_SAMPLER: 'always_on' }), { ...kept, ratio: 1, isParentBased: false })
  assert.deepEqual(asked({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' }), {
    ...kept,
    ratio: 0.5,
    isParentBased: true
  })
  assert.deepEqual(asked({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'much' }), {
    ...kept,
    ratio: 1,
    isParentBased: false
  })
  assert.deepEqual(problems, ['OTEL_TRACES_SAMPLER_ARG: is not a number from 0 to 1: much'])
  assert.deepEqual(asked({ OTEL_TRACES_SAMPLER: 'sometimes' }), { ...kept, ratio: 0.2, isParentBased: true })
  assert.equal(problems.length, 1)
})

test('resource, queue, compression and propagators are honoured', () => {
  const made = settings('{ exporter: otlp }', {
    OTEL_SERVICE_NAME: 'trucks',
    OTEL_RESOURCE_ATTRIBUTES: 'team=b,service.name=x,text=a%20b,=no,bad=%zz',
    OTEL_BSP_MAX_QUEUE_SIZE: '100',
    OTEL_BSP_SCHEDULE_DELAY: 'soon',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_PROPAGATORS: 'tracecontext, xray'
  })
  assert.partialDeepStrictEqual(made, {
    isXrayPropagated: true,
    traces: {
      queueMax: 100,
      compression: 'gzip',
      resource: { 'service.name': 'trucks', team: 'b', text: 'a b', 'deployment.environment.name': 'test' }
    }
  })
  assert.deepEqual(problems, ['OTEL_BSP_SCHEDULE_DELAY: is not a whole number from 1 to 2147483647: soon'])
  assert.equal(settings('{ exporter: otlp }')?.traces.resource?.['service.name'], 'comporta-dispatcher')
  assert.equal(settings('{ exporter: otlp, propagateXray: true }')?.isXrayPropagated, true)
})

test('the defaults of the file are those of the recorder', () => {
  const { ratio, slowMs, perSecondMax } = telemetryDefaults().traces.sampling
  assert.deepEqual([ratio, slowMs, perSecondMax], [SAMPLING_RATIO, SLOW_MS, TRACES_PER_SECOND_MAX])
})
