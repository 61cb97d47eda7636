/** Which spans are recorded, what they say, and what travels on. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import {
  type EndedSpan,
  readTraceContext,
  Recorder,
  type SamplingOptions,
  type TraceContext,
  xrayHeader
} from '../../src/telemetry/index.ts'
import { thresholdOf, thresholdState } from '../../src/telemetry/traces/sampling.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const sampled: TraceContext = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=1' }
const unsampled: TraceContext = { traceparent: `00-${TRACE}-${PARENT}-00` }

function bench(sampling: SamplingOptions): { recorder: Recorder; spans: EndedSpan[]; clock: VirtualClock } {
  const spans: EndedSpan[] = []
  const clock = new VirtualClock()
  return { recorder: new Recorder({ sampling, clock, emit: span => spans.push(span) }), spans, clock }
}

test('a sampled trace has its spans with their ids, parents, times and attributes', async () => {
  const { recorder, spans, clock } = bench({ ratio: 1 })
  const startMs = clock.now()

  const batch = recorder.start({ name: 'process t', kind: 'consumer', links: [sampled], linksLeftOut: 2 })
  await clock.advance(3)
  const invocation = batch.startChild({ name: 'invoke f', kind: 'client', attributes: { a: 1 } })
  invocation.set({ b: 'x' })
  invocation.fail('unavailable')
  await clock.advance(4)
  invocation.end()
  invocation.end()
  batch.end()

  const [child, root] = spans
  assert.equal(spans.length, 2)
  assert.partialDeepStrictEqual(child, {
    name: 'invoke f',
    traceId: batch.traceId,
    parentSpanId: batch.spanId,
    isParentRemote: false,
    startMs: startMs + 3,
    durationMs: 4,
    attributes: { a: 1, b: 'x' },
    errorType: 'unavailable'
  })
  assert.partialDeepStrictEqual(root, { parentSpanId: undefined, durationMs: 7, links: [sampled], linksLeftOut: 2 })
  // Sampled, and the id is random; 100 % have the threshold 0.
  assert.equal(batch.context?.traceparent, `00-${batch.traceId}-${batch.spanId}-03`)
  assert.equal(batch.context?.tracestate, 'ot=th:0')
})

test('a trace from elsewhere keeps its id, its state and its decision', () => {
  const { recorder, spans } = bench({ ratio: 0.5, keep: [] })

  const taken = recorder.start({ name: 'a', kind: 'server', parent: sampled })
  const left = recorder.start({ name: 'b', kind: 'server', parent: unsampled })
  left.fail('x')
  left.end()
  taken.end()

  assert.deepEqual(
    spans.map(({ name, traceId, parentSpanId, isParentRemote }) => ({ name, traceId, parentSpanId, isParentRemote })),
    [{ name: 'a', traceId: TRACE, parentSpanId: PARENT, isParentRemote: true }]
  )
  assert.deepEqual(taken.context, { traceparent: `00-${TRACE}-${taken.spanId}-01`, tracestate: 'a=1' })
  assert.equal(left.context?.traceparent, `00-${TRACE}-${left.spanId}-00`)
  assert.equal(left.isRecording, false)
})

test('a batch with a sampled record is sampled, whatever the share', () => {
  const { recorder, spans } = bench({ ratio: 0, keep: [] })

  recorder.start({ name: 'a', kind: 'consumer', links: [unsampled] }).end()
  recorder.start({ name: 'b', kind: 'consumer', links: [unsampled, sampled] }).end()

  assert.deepEqual(
    spans.map(({ name }) => name),
    ['b']
  )
})

test('what was not sampled is kept with all its spans if it went wrong or was slow, else forgotten', async () => {
  const { recorder, spans, clock } = bench({ ratio: 0, slowMs: 1000 })
  const run = async (name: string, ms: number, reason?: 'retried' | 'deadLettered'): Promise<void> => {
    const root = recorder.start({ name, kind: 'consumer' })
    const child = root.startChild({ name: `${name}/child`, kind: 'client' })
    await clock.advance(ms)
    child.end()
    if (reason !== undefined) root.keep(reason)
    root.end()
  }

  await run('good', 999)
  await run('slow', 1000)
  await run('again', 1, 'retried')
  const failed = recorder.start({ name: 'failed', kind: 'consumer' })
  failed.startChild({ name: 'failed/child', kind: 'client' }).fail('Http500')
  failed.end()

  assert.deepEqual(
    spans.map(({ name, attributes }) => [name, attributes['comporta.kept']]),
    [
      ['slow/child', undefined],
      ['slow', 'slow'],
      ['again/child', undefined],
      ['again', 'retried'],
      ['failed', 'failed']
    ]
  )
  assert.equal(failed.isSampled, false)
})

test('only the reasons that are asked for keep a trace', () => {
  const { recorder, spans } = bench({ ratio: 0, keep: ['deadLettered'] })

  const one = recorder.start({ name: 'one', kind: 'consumer' })
  one.fail('x')
  one.end()
  const two = recorder.start({ name: 'two', kind: 'consumer' })
  two.fail('x')
  two.keep('deadLettered')
  two.end()

  assert.deepEqual(
    spans.map(({ name }) => name),
    ['two']
  )
})

test('no more traces are recorded in a second than is allowed, and spans of one are held only so far', async () => {
  const { recorder, spans, clock } = bench({ ratio: 1, perSecondMax: 10, keep: [] })
  for (let each = 0; each < 100; each += 1) recorder.start({ name: 'a', kind: 'consumer' }).end()
  const first = spans.length
  // As many as there are in a second, and one that may go below zero.
  assert.ok(first === 10 || first === 11, String(first))
  await clock.advance(1000)
  for (let each = 0; each < 100; each += 1) recorder.start({ name: 'a', kind: 'consumer' }).end()
  assert.ok(spans.length - first >= 9 && spans.length - first <= 11, String(spans.length))

  const held = bench({ ratio: 0 })
  const root = held.recorder.start({ name: 'root', kind: 'consumer' })
  for (let each = 0; each < 70; each += 1) root.startChild({ name: 'child', kind: 'client' }).end()
  root.keep('retried')
  root.end()
  assert.equal(held.spans.length, 65)
  assert.equal(held.spans.at(-1)?.attributes['comporta.spans_left_out'], 6)
})

test('the threshold of a ratio is the one of OpenTelemetry', () => {
  // From the specification's own examples: 1 in 4 is th:c, 1 in 2 is th:8, all is th:0.
  assert.equal(thresholdState(thresholdOf(0.25)), 'ot=th:c')
  assert.equal(thresholdState(thresholdOf(0.5)), 'ot=th:8')
  assert.equal(thresholdState(thresholdOf(1)), 'ot=th:0')
  assert.equal(thresholdState(thresholdOf(0)), undefined)
  const { recorder } = bench({ ratio: 0.1, keep: [], perSecondMax: 1e9 })
  let count = 0
  for (let each = 0; each < 5000; each += 1) if (recorder.start({ name: 'a', kind: 'consumer' }).isSampled) count += 1
  assert.ok(count > 380 && count < 620, String(count))
})

test('a context in the form of AWS has the same ids', () => {
  // Ids of the W3C's example in the layout of X-Ray's developer guide.
  assert.equal(xrayHeader(sampled), 'Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1')
  assert.deepEqual(readTraceContext(sampled.traceparent, 'a=1'), sampled)
  assert.equal(readTraceContext('nonsense', 'a=1'), undefined)
  assert.equal(readTraceContext(undefined), undefined)
})
