/** Spans of a distributor: whom they continue, what they are linked to, what a collector costs. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { createDistributor, type DistributorOptions } from '../../src/lambda/index.ts'
import { powertoolsObserver } from '../../src/lambda/observability/powertools-observer.ts'
import { type EndedSpan, type LogFields, Recorder, silentLogger } from '../../src/telemetry/index.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'

// The example of the W3C's recommendation.
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`
const context = { functionName: 'notify', awsRequestId: 'r-1', getRemainingTimeInMillis: () => 20_000 }
const event = { topic: 'trucks', partition: 3, messages: [{ codigo: 1 }], offsets: [7] }
const ok = {
  name: 's',
  limits: { recordsMax: 10, bytesMax: 1000 },
  deliver: () => Promise.resolve({ kind: 'ok' } as const),
  close: () => Promise.resolve()
}

function distributor(t: TestContext, options: DistributorOptions): ReturnType<typeof createDistributor> {
  const made = createDistributor({ sinks: { s: ok }, otherwise: ['s'], logger: silentLogger, ...options })
  t.after(() => made.close())
  return made
}

test('an invocation by AWS’s mapping is a trace of its own, linked to those of its records', async t => {
  const spans: EndedSpan[] = []
  const tracer = new Recorder({ sampling: { ratio: 0, keep: [] }, emit: span => spans.push(span) })
  const distribute = distributor(t, { tracer })
  const bytes = (text: string): number[] => [...Buffer.from(text)]
  const record = (offset: number, headers: readonly object[]): object => ({
    topic: 'trucks',
    partition: 3,
    offset,
    timestamp: 1_700_000_000_000,
    timestampType: 'CREATE_TIME',
    value: Buffer.from('{"codigo":1}').toString('base64'),
    headers
  })
  const unsampled = traceparent.replace(/01$/, '00')
  const records = [
    record(7, [{ tracestate: bytes('a=1') }, { traceparent: bytes(traceparent) }]),
    record(8, [{ traceparent: bytes(traceparent) }]),
    record(9, [{ traceparent: bytes(unsampled.replace('4bf9', '5bf9')) }]),
    record(10, [{ traceparent: bytes('garbage') }]),
    record(11, [])
  ]

  await distribute(
    { eventSource: 'SelfManagedKafka', bootstrapServers: 'b:9092', records: { 'trucks-3': records } },
    context
  )

  const [request, invocation] = spans
  assert.deepEqual(invocation?.links, [{ traceparent, tracestate: 'a=1' }])
  assert.partialDeepStrictEqual(invocation, { name: 'notify', kind: 'server', parentSpanId: undefined })
  assert.partialDeepStrictEqual(invocation?.attributes, {
    'messaging.batch.message_count': 5,
    'faas.invocation_id': 'r-1'
  })
  assert.partialDeepStrictEqual(request, { name: 'send s', parentSpanId: invocation?.spanId })
})

test('log lines have the trace of the caller, or of the invocation’s own span', async t => {
  const keys: LogFields[] = []
  const nothing = (): void => undefined
  const log = { addContext: nothing, removeKeys: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
  const observer = powertoolsObserver({ logger: { ...log, appendKeys: fields => void keys.push(fields) } })
  const called = { ...context, clientContext: { custom: { traceparent } } }
  const tracer = new Recorder({ emit: () => undefined })

  await distributor(t, { observer })(event, called)
  await distributor(t, { observer, tracer })(event, called)
  await distributor(t, { observer })(event, { ...context, clientContext: { custom: { traceparent: 7 } } })

  assert.deepEqual(keys[0], { batch: 'trucks-3-7-7', traceId: TRACE, spanId: '00f067aa0ba902b7' })
  assert.equal(keys[1]?.['traceId'], TRACE)
  assert.notEqual(keys[1]?.['spanId'], '00f067aa0ba902b7')
  assert.deepEqual(keys[2], { batch: 'trucks-3-7-7' })
})

test('a target that throws is there with an error, an event that cannot be read has no span', async t => {
  const spans: EndedSpan[] = []
  const tracer = new Recorder({ sampling: { ratio: 0 }, emit: span => spans.push(span) })
  const bad = { ...ok, deliver: () => Promise.reject(new Error('down')) }
  const distribute = distributor(t, { tracer, sinks: { s: bad }, retry: { attemptsMax: 1 } })

  await distribute(event, context)
  await assert.rejects(distribute({ neither: true }, context), { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' })

  assert.deepEqual(
    spans.map(({ name, errorType, attributes }) => [name, errorType, attributes['comporta.kept']]),
    [
      ['send s', 'unavailable', undefined],
      ['notify', undefined, 'failed']
    ]
  )
})

test('spans leave before the answer, headers by variable; a collector that fails is left alone a while', async t => {
  const receiver = await startOtlpReceiver(t)
  const headers = { authorization: { env: 'OTLP_TOKEN' } }
  const environment = { OTLP_TOKEN: 'Bearer t-1', AWS_LAMBDA_FUNCTION_NAME: 'notify' }
  const observed = { environment, observability: { otlp: { url: receiver.url, headers, ratio: 1 } } }
  await distributor(t, observed)(event, context)
  assert.deepEqual(
    receiver.spans.map(({ name, service }) => [name, service]),
    [
      ['send s', 'notify'],
      ['notify', 'notify']
    ]
  )
  assert.equal(receiver.headers.authorization, 'Bearer t-1')

  let requestCount = 0
  const failing = createServer((request, response) => {
    requestCount += 1
    request.resume().on('end', () => response.writeHead(500).end())
  })
  await new Promise<void>(resolve => failing.listen(0, '127.0.0.1', resolve))
  t.after(() => failing.close().closeAllConnections())
  const url = `http://127.0.0.1:${(failing.address() as AddressInfo).port}/v1/traces`
  const distribute = distributor(t, { observability: { otlp: { url, ratio: 1 } } })
  for (let each = 0; each < 3; each += 1) assert.deepEqual(await distribute(event, context), {})
  assert.equal(requestCount, 1)
})

test('settings of a collector that cannot work are named', () => {
  const problemOf = (otlp: object): string => {
    try {
      createDistributor({ sinks: { s: ok }, otherwise: ['s'], observability: { otlp: otlp as never } })
      return ''
    } catch (error) {
      return String(error)
    }
  }
  assert.match(problemOf({ url: 'ftp://x' }), /observability\.otlp\.url: is not an http or https address/)
  assert.match(problemOf({ url: 'http://x', ratio: 2 }), /otlp\.ratio: is not a number from 0 to 1/)
  assert.match(problemOf({ url: 'http://x', slowMs: 0 }), /otlp\.slowMs: is not an integer of at least 1/)
  assert.match(problemOf({ url: 'http://x', headers: { 'a b': 'c' } }), /otlp\.headers\.a b/)
  assert.match(problemOf({ url: 'http://x', path: 'y' }), /otlp\.path: is unknown/)
})
