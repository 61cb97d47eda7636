/** Spans on their way to a collector, and programs that bring a tracer of their own. */

import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'

import { INVALID_SPAN_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

import { VirtualClock } from '../../src/core/index.ts'
import {
  createMetrics,
  createTraces,
  type LogFields,
  type Logger,
  silentLogger,
  tracingOf
} from '../../src/telemetry/index.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'

test('spans arrive as protobuf with resource, links, state and status', async t => {
  const receiver = await startOtlpReceiver(t)
  const traces = createTraces({
    url: receiver.url,
    headers: { authorization: 'Bearer secret' },
    compression: 'gzip',
    sampling: { ratio: 1 },
    resource: { 'service.name': 'trucks' }
  })
  const link = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1' }

  const span = traces.tracing.start({ name: 'a', kind: 'consumer', links: [link], linksLeftOut: 3 })
  span.set({ text: 'x', number: 7, share: 0.5, flag: true, nothing: undefined })
  span.fail('unavailable')
  span.end()
  await traces.close()
  await traces.close()

  const [received] = receiver.spans
  assert.partialDeepStrictEqual(received, {
    service: 'trucks',
    traceId: span.traceId,
    spanId: span.spanId,
    kind: 5,
    traceState: 'ot=th:0',
    links: [{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }],
    droppedLinksCount: 3,
    statusCode: 2,
    attributes: { text: 'x', number: 7, share: 0.5, flag: true, 'error.type': 'unavailable' }
  })
  assert.equal(receiver.headers.authorization, 'Bearer secret')
  assert.equal(traces.droppedCount, 0)
})

test('a collector that never answers holds nobody up, and what does not fit is counted', async t => {
  const sockets: Socket[] = []
  const server = createServer(socket => void sockets.push(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const lines: LogFields[] = []
  const logger: Logger = { ...silentLogger, warn: fields => void lines.push(fields) }
  const traces = createTraces({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    sampling: { ratio: 1, perSecondMax: 1_000_000 },
    queueMax: 64,
    delayMs: 60_000,
    timeoutMs: 1000,
    logger
  })

  for (let each = 0; each < 1000; each += 1) traces.tracing.start({ name: 'a', kind: 'consumer' }).end()
  await traces.close(1)

  // The queue is handed over once when it is full; the rest has no place.
  assert.ok(traces.droppedCount >= 1000 - 2 * 64, String(traces.droppedCount))
  assert.equal(lines.length, 1)
})

test('what a collector holds when its time is over ends at once: neither spans nor metrics keep a process', async t => {
  // OpenTelemetry's exporters try again for ten seconds, and a process that has drained would stay for them.
  let open = 0
  const collector = createServer(socket => {
    open += 1
    socket
      .on('error', () => undefined)
      .on('close', () => (open -= 1))
      .resume()
  })
  await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
  t.after(() => collector.close())
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/`
  const clock = new VirtualClock()
  const traces = createTraces({ url, sampling: { ratio: 1 }, clock })
  traces.tracing.start({ name: 'a', kind: 'client' }).end()
  const otlp = { endpoint: url, headers: {}, timeoutMs: 10_000, compression: 'none', intervalMs: 60_000 } as const
  const metrics = createMetrics({ clock, otlp })

  const closing = [traces.close(), metrics.close()]
  while (open < 2) await new Promise(resolve => setImmediate(resolve))
  await clock.advance(5000)
  await Promise.all(closing)
  while (open > 0 || traces.droppedCount === 0) await new Promise(resolve => setImmediate(resolve))

  assert.equal(traces.droppedCount, 1)
})

test('a program’s own tracer gets the same spans, with parents, links, kinds and contexts', () => {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
  const parent = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1' }

  const tracing = tracingOf(provider)
  const root = tracing?.start({ name: 'process t', kind: 'consumer', parent, links: [parent], linksLeftOut: 2 })
  const child = root?.startChild({ name: 'invoke f', kind: 'client', attributes: { a: 1 } })
  child?.fail('Http500')
  child?.end()
  root?.end()

  const [first, second] = exporter.getFinishedSpans()
  assert.equal(first?.parentSpanContext?.spanId, root?.spanId)
  assert.partialDeepStrictEqual(first?.attributes, { a: 1, 'error.type': 'Http500', 'comporta.kept': 'failed' })
  assert.equal(first?.status.code, 2)
  assert.equal(second?.parentSpanContext?.spanId, '00f067aa0ba902b7')
  assert.equal(second?.links[0]?.context.spanId, '00f067aa0ba902b7')
  assert.equal(second?.attributes['comporta.links_left_out'], 2)
  assert.match(root?.context?.traceparent ?? '', /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/)
  assert.equal(root?.context?.tracestate, 'a=1')
  assert.equal(tracingOf(undefined), undefined)
  assert.equal(tracingOf(provider.getTracer('x')) === undefined, false)
})

test('a tracer that throws, whenever it is asked, costs spans and nothing else, and is named once', () => {
  const lines: LogFields[] = []
  const logger: Logger = { ...silentLogger, warn: fields => void lines.push(fields) }
  const broken = (): never => {
    throw new Error('no exporter')
  }
  const startSpan = (): Span => ({ ...trace.wrapSpanContext(INVALID_SPAN_CONTEXT), setAttributes: broken }) as Span
  const tracers = [
    { startSpan: broken, startActiveSpan: broken },
    { startSpan, startActiveSpan: broken },
    new Proxy({ startSpan: () => new Proxy({} as Span, { get: broken }), startActiveSpan: broken }, {})
  ]
  for (const tracer of tracers) {
    lines.length = 0
    const tracing = tracingOf(tracer, logger)
    assert.ok(tracing)
    const root = tracing.start({ name: 'process t', kind: 'consumer' })
    const child = root.startChild({ name: 'invoke f', kind: 'client' })
    for (const span of [root, child]) {
      span.set({ a: 1 })
      span.fail('x')
      span.keep('slow')
      assert.deepEqual([span.context, span.isSampled, span.isRecording], [undefined, false, false])
      assert.match(`${span.traceId}/${span.spanId}`, /^0{32}\/0{16}$/)
      span.end()
    }
    assert.deepEqual(lines.length, 1)
  }
})

test('a tracer of nobody has no context that goes on', () => {
  const span = tracingOf(trace.getTracer('x'))?.start({ name: 'a', kind: 'client' })
  assert.equal(span?.context, undefined)
})
