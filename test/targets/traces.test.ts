/** Where a trace goes with a request: headers of HTTP, client context of Lambda, attributes and headers of messages. */

import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { makeEvents } from '../../src/targets/aws/event-entries.ts'
import { templateOf } from '../../src/targets/aws/aws-settings.ts'
import { makeMessages } from '../../src/targets/aws/message-entries.ts'
import { messageSettings } from '../../src/targets/aws/message-settings.ts'
import { HttpTarget, LambdaTarget } from '../../src/targets/index.ts'
import { HttpSink } from '../../src/targets/sinks/index.ts'
import type { TraceContext } from '../../src/telemetry/index.ts'
import { sinkRequest } from './aws/sink-request.ts'
import { batchOf, never } from './support.ts'

// The example of the W3C's recommendation.
const trace: TraceContext = {
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  tracestate: 'congo=t61rcWkgMzE'
}
const unsampled: TraceContext = { traceparent: trace.traceparent.replace(/01$/, '00') }

async function server(t: TestContext): Promise<{ url: string; seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = []
  const listening = createServer((request, response) => {
    seen.push(request.headers)
    request.resume().on('end', () => response.end('{}'))
  })
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
  t.after(() => listening.close().closeAllConnections())
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, seen }
}

test('requests of HTTP have the headers of W3C Trace Context, and none without a trace', async t => {
  const { url, seen } = await server(t)
  const target = new HttpTarget({ url })
  const sink = new HttpSink({ name: 's', url, headers: { traceparent: 'of all requests' } })
  t.after(async () => await Promise.all([target.close(), sink.close()]))

  await target.invoke({ ...batchOf(), trace }, never)
  await sink.deliver({ ...sinkRequest([{ text: '{}' }]), trace }, never)
  await target.invoke(batchOf(), never)

  assert.partialDeepStrictEqual(seen[0], trace)
  assert.partialDeepStrictEqual(seen[1], trace)
  assert.equal(seen[2]?.['traceparent'], undefined)
})

test('an invocation of Lambda has the trace in its client context, and AWS’s header if it is asked for', async t => {
  const { url, seen } = await server(t)
  const plain = new LambdaTarget({ functionName: 'f', endpoint: url })
  const xray = new LambdaTarget({ functionName: 'f', endpoint: url, isXrayPropagated: true })
  t.after(async () => await Promise.all([plain.close(), xray.close()]))

  await plain.invoke({ ...batchOf(), trace }, never)
  await xray.invoke({ ...batchOf(), trace: { ...trace, tracestate: `a=${'x'.repeat(250)},`.repeat(20) } }, never)
  await plain.invoke(batchOf(), never)

  const contextOf = (index: number): unknown =>
    JSON.parse(Buffer.from(String(seen[index]?.['x-amz-client-context']), 'base64').toString())
  assert.deepEqual(contextOf(0), { custom: trace })
  assert.equal(seen[0]?.['x-amzn-trace-id'], undefined)
  // AWS takes 3,583 bytes: without the state it fits.
  assert.deepEqual(contextOf(1), { custom: { traceparent: trace.traceparent } })
  assert.equal(
    seen[1]?.['x-amzn-trace-id'],
    'Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1'
  )
  assert.equal(seen[2]?.['x-amz-client-context'], undefined)
})

test('messages have the trace as attributes as far as there is room, and none is refused for it', () => {
  const settings = messageSettings({ attributes: { k: '{key}' } }, { isFifo: false, bytesMax: 100 })
  const made = (text: string): readonly (readonly string[])[] => {
    const { entries, refused } = makeMessages({ ...sinkRequest([{ text, key: 'a' }]), trace }, settings)
    assert.equal(refused.size, 0)
    assert.ok(entries.every(({ bytes }) => bytes <= 100))
    return entries.map(({ attributes = {} }) => Object.keys(attributes))
  }

  // k takes 8 bytes, traceparent 72, tracestate 33.
  assert.deepEqual(made('{"n":1}'), [['k', 'traceparent']])
  assert.deepEqual(made(JSON.stringify({ t: 'x'.repeat(40) })), [['k', 'tracestate']])
  assert.deepEqual(made(JSON.stringify({ t: 'x'.repeat(80) })), [['k']])

  const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, '{key}']))
  const full = messageSettings({ attributes: many }, { isFifo: false, bytesMax: 10_000 })
  const [entry] = makeMessages({ ...sinkRequest([{ text: '1', key: 'a' }]), trace }, full).entries
  assert.equal(Object.keys(entry?.attributes ?? {}).length, 10)
})

test('an event of EventBridge has AWS’s header if the trace is sampled', () => {
  const settings = { source: templateOf('s'), detailType: templateOf('t'), resources: [], bytesMax: 10_000 }
  const headerOf = (of: TraceContext | undefined): string | undefined => {
    const request = sinkRequest([{ text: '{}' }])
    return makeEvents(of === undefined ? request : { ...request, trace: of }, settings).entries[0]?.traceHeader
  }

  assert.match(headerOf(trace) ?? '', /^Root=1-4bf92f35-.*;Sampled=1$/)
  assert.equal(headerOf(unsampled), undefined)
  assert.equal(headerOf(undefined), undefined)
})
