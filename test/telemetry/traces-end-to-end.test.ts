/** One event's way as spans: producer, dispatcher, function, service; and what is not recorded. */

import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { dispatcherConfig } from '../../src/config/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import { startLambdaRuntime } from '../../src/lambda/index.ts'
import { ChunkBuilder, type EventChunk, type Producer, startProducer } from '../../src/producer/index.ts'
import { createTarget } from '../../src/targets/index.ts'
import { createTraces, type SamplingOptions, type Traces } from '../../src/telemetry/index.ts'
import { type Stage, stage } from '../producer/kafka.ts'
import { uniqueName } from '../support/cluster.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'

interface Pipeline {
  readonly at: Stage
  readonly producer: Producer
  readonly receiver: OtlpReceiver
  /** What the service got: headers, and the events. */
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly text: string }[]
  /** Publishes one event and waits until nothing of it is left to do; the spans that came of it. */
  readonly run: (event: object, context?: { readonly traceparent: string }) => Promise<readonly ReceivedSpan[]>
}

/** Everything, with the same sampling in each of its processes. */
async function pipeline(t: TestContext, sampling: SamplingOptions): Promise<Pipeline> {
  const receiver = await startOtlpReceiver(t)
  const at = await stage(t)
  const { requests, url } = await service(t)
  const traces = [tracesOf('producer'), tracesOf('dispatcher')] as const
  function tracesOf(role: string): Traces {
    const made = createTraces({ url: receiver.url, sampling, resource: { 'service.name': role }, delayMs: 60_000 })
    t.after(() => made.close())
    return made
  }
  const producer = await startProducer({ config: at.config(), cluster: at.cluster, tracer: traces[0].tracing })
  t.after(() => producer.close())
  const otlp = { url: receiver.url, ratio: 0 }
  const runtime = await startLambdaRuntime({
    functions: {
      distribute: {
        handler: 'builtin:distributor',
        timeoutMs: 20_000,
        distributor: { targets: { s: url }, otherwise: ['s'], retry: { attemptsMax: 1 }, observability: { otlp } }
      }
    }
  })
  t.after(() => runtime.close())
  const target = { type: 'lambda', functionName: 'distribute', endpoint: runtime.endpoint, timeoutMs: 20_000 } as const
  const lambda = await createTarget(target)
  t.after(() => lambda.close())
  const config = dispatcherConfig({
    groupId: uniqueName('group'),
    topics: [at.topics.hot],
    deadLetterTopic: at.topics.dead,
    batch: { ageMs: 1 },
    target
  })
  const dispatcher = await startDispatcher({ config, cluster: at.cluster, target: lambda, tracer: traces[1].tracing })
  t.after(() => dispatcher.close())
  return {
    at,
    producer,
    receiver,
    requests,
    run: async (event, context) => {
      const before = receiver.spans.length
      const done = doneCount(dispatcher)
      const submitted = await producer.submit(chunkOf(event), { source: 'test', ...(context && { context }) })
      await submitted.settled
      // The batch ends behind the count of its last record.
      while (doneCount(dispatcher) === done || isBusy(dispatcher)) await new Promise(resolve => setTimeout(resolve, 5))
      await Promise.all(traces.map(each => each.flush(5000)))
      return receiver.spans.slice(before)
    }
  }
}

function doneCount(dispatcher: Dispatcher): number {
  const { records, deadLettered } = dispatcher.status().totals
  return records + deadLettered
}

function isBusy(dispatcher: Dispatcher): boolean {
  return dispatcher.status().partitions.some(({ inFlight }) => inFlight > 0)
}

function chunkOf(event: object): EventChunk {
  const bytes = Buffer.from(JSON.stringify(event))
  const builder = new ChunkBuilder()
  builder.add(0, bytes.length, 1)
  return builder.build(bytes, bytes.length)
}

async function service(t: TestContext): Promise<{ requests: Pipeline['requests']; url: string }> {
  const requests: Pipeline['requests'] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', chunk => (text += String(chunk)))
    request.on('end', () => {
      requests.push({ headers: request.headers, text })
      response.writeHead(text.includes('poison') ? 422 : 200).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.find(span => span.name === name)
  assert.ok(found, `no span ${name} among ${spans.map(span => span.name).join(', ')}`)
  return found
}

async function chainOfSpans({ at, run, requests, receiver }: Pipeline): Promise<void> {
  const spans = await run({ codigo: 400, truck_id: 'a' }, { traceparent: `00-${TRACE}-${CALLER}-01` })

  const send = named(spans, 'send')
  assert.partialDeepStrictEqual(send, { service: 'producer', traceId: TRACE, parentSpanId: CALLER, kind: 4 })
  assert.partialDeepStrictEqual(send.attributes, {
    'messaging.system': 'kafka',
    'messaging.operation.type': 'send',
    'messaging.batch.message_count': 1
  })
  const [record] = await at.read(at.topics.hot)
  assert.equal(record?.headers['traceparent'], `00-${TRACE}-${send.spanId}-01`)

  const batch = named(spans, `process ${at.topics.hot}`)
  assert.partialDeepStrictEqual(batch, { service: 'dispatcher', parentSpanId: '', kind: 5, statusCode: 0 })
  assert.deepEqual(batch.links, [{ traceId: TRACE, spanId: send.spanId }])
  assert.partialDeepStrictEqual(batch.attributes, {
    'messaging.destination.name': at.topics.hot,
    'messaging.destination.partition.id': String(record?.partition),
    'messaging.kafka.offset': 0,
    'messaging.batch.message_count': 1,
    'comporta.batch.traced': 1,
    'comporta.outcome': 'done'
  })
  const invoke = named(spans, 'invoke lambda:distribute')
  const invocation = named(spans, 'distribute')
  const request = named(spans, 'send s')
  assert.partialDeepStrictEqual(invoke, { traceId: batch.traceId, parentSpanId: batch.spanId, kind: 3 })
  assert.partialDeepStrictEqual(invocation, { traceId: batch.traceId, parentSpanId: invoke.spanId, kind: 2 })
  assert.partialDeepStrictEqual(request, { traceId: batch.traceId, parentSpanId: invocation.spanId, kind: 3 })
  assert.equal(requests.at(-1)?.headers['traceparent'], `00-${batch.traceId}-${request.spanId}-03`)
  assert.equal(invoke.attributes['faas.invoked_name'], 'distribute')
  // Each within its parent: one clock for all spans of a process.
  assert.ok(invoke.startNanos >= batch.startNanos && invoke.endNanos <= batch.endNanos)
  assert.equal(spans.length, 5)
  assert.ok(receiver.contentTypes.includes('application/x-protobuf'), receiver.contentTypes.join())
}

async function nothingOfUnsampled({ at, run, requests }: Pipeline): Promise<void> {
  const spans = await run({ codigo: 400, truck_id: 'b' })

  assert.deepEqual(spans, [])
  const record = (await at.read(at.topics.hot)).find(({ key }) => key === 'b')
  assert.equal(record?.headers['traceparent'], undefined)
  assert.match(String(requests.at(-1)?.headers['traceparent']), /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/)
}

async function keptForTrouble({ at, run }: Pipeline): Promise<void> {
  const spans = await run({ codigo: 400, truck_id: 'poison' }, { traceparent: `00-${TRACE}-${CALLER}-00` })

  const batch = named(spans, `process ${at.topics.hot}`)
  assert.deepEqual(batch.links, [])
  assert.partialDeepStrictEqual(batch, { statusCode: 2, traceState: '' })
  assert.partialDeepStrictEqual(batch.attributes, {
    'comporta.kept': 'deadLettered',
    'comporta.batch.put_aside': 1
  })
  const invoke = named(spans, 'invoke lambda:distribute')
  const invocation = named(spans, 'distribute')
  assert.equal(invocation.parentSpanId, invoke.spanId)
  assert.equal(invocation.attributes['comporta.kept'], 'failed')
  assert.equal(named(spans, 'send s').attributes['error.type'], 'rejected')
  // The sender said no, and the producer had no trouble.
  assert.equal(
    spans.some(span => span.service === 'producer'),
    false
  )

  const sampled = await run({ codigo: 400, truck_id: 'poison' }, { traceparent: `00-${TRACE}-${CALLER}-01` })
  const letters = await at.read(at.topics.dead)
  const send = named(sampled, 'send')
  assert.equal(letters.at(-1)?.headers['traceparent'], `00-${TRACE}-${send.spanId}-01`)
  assert.equal(letters.at(-1)?.headers['comporta-origin-topic'], at.topics.hot)
}

test('a sampled event is one chain of spans; what is not sampled is there if it went wrong', async t => {
  const running = await pipeline(t, { ratio: 0 })

  await t.test('from its sender to the service behind the function', () => chainOfSpans(running))
  await t.test('neither span nor header of what is not sampled, but the service hears of the trace', () =>
    nothingOfUnsampled(running)
  )
  await t.test('a batch that went wrong is there, and its dead letter has the origin’s trace', () =>
    keptForTrouble(running)
  )
})
