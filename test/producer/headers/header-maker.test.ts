import assert from 'node:assert/strict'
import { test } from 'node:test'

import { producerConfig, type ProducerInput } from '../../../src/config/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import type { ChunkContext } from '../../../src/producer/chunk-context.ts'
import type { EventChunk } from '../../../src/producer/event-chunk.ts'
import { FieldSet } from '../../../src/producer/event-fields.ts'
import { type HeaderEvent, RecordHeaders } from '../../../src/producer/headers/header-maker.ts'
import { LineSplitter } from '../../../src/producer/index.ts'

type HeaderInput = NonNullable<ProducerInput['headers']>
type Texts = Readonly<Record<string, string>>

const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

class Bench {
  readonly clock = new VirtualClock(Date.UTC(2026, 0, 31, 12))
  readonly #maker: RecordHeaders
  readonly #fields = new FieldSet()
  #ids = 0

  constructor(headers: HeaderInput) {
    const config = producerConfig({ route: { topic: 'events' }, deadLetterTopic: 'dead', headers }).headers
    assert.ok(config !== undefined)
    const newId = (): string => `id-${(this.#ids += 1)}`
    this.#maker = new RecordHeaders({
      config,
      fields: this.#fields,
      clock: this.clock,
      newId,
      fill: bytes => bytes.fill(7)
    })
  }

  /** The headers of each event of a chunk, whose fields have these texts, as objects. */
  of(events: readonly Texts[], context: ChunkContext = {}, extra: Partial<EventChunk> = {}): Record<string, string>[] {
    return this.raw(events, context, extra).map(headers =>
      Object.fromEntries((headers ?? []).map(({ key, value }) => [key, value?.toString() ?? '']))
    )
  }

  raw(
    events: readonly Texts[],
    context: ChunkContext = {},
    extra: Partial<EventChunk> = {}
  ): ReturnType<RecordHeaders['headersFor']>[] {
    const lines = new LineSplitter(1000).push(Buffer.from('{}\n'.repeat(events.length)))
    assert.ok(lines !== undefined)
    const chunk = { ...lines, ...extra }
    return events.map((texts, index) => {
      const text = (field: number): string | undefined => texts[this.#fields.paths[field]?.join('.') ?? '']
      const event: HeaderEvent = { chunk, context, index, text }
      return this.#maker.headersFor(event, 'events')
    })
  }
}

test('what does not depend on the event is made once and shared by the chunk', () => {
  const bench = new Bench({
    correlationId: true,
    trace: true,
    ingestTime: true,
    producerId: { value: 'gate-1' },
    static: { team: 'trucks' },
    schemaId: { value: '7' }
  })
  const [first, second] = bench.raw([{}, {}], { isOneRequest: true })
  assert.equal(first, second)
  assert.deepEqual(bench.of([{}], { isOneRequest: true }), [
    {
      team: 'trucks',
      'producer-id': 'gate-1',
      'ingest-time': '2026-01-31T12:00:00.000Z',
      'schema-id': '7',
      'correlation-id': 'id-2',
      traceparent: `00-${'07'.repeat(16)}-${'07'.repeat(8)}-01`
    }
  ])
})

test('without a request every event gets an id and a trace of its own', () => {
  const bench = new Bench({ correlationId: true })
  assert.deepEqual(bench.of([{}, {}]), [{ 'correlation-id': 'id-1' }, { 'correlation-id': 'id-2' }])
})

test('the field of the event counts before the request, and the request before a new one', () => {
  const bench = new Bench({ correlationId: { field: 'meta.id' } })
  assert.deepEqual(bench.of([{ 'meta.id': 'a' }, {}], { correlationId: 'r', isOneRequest: true }), [
    { 'correlation-id': 'a' },
    { 'correlation-id': 'r' }
  ])
  assert.deepEqual(bench.of([{}, {}], { isOneRequest: true }), [
    { 'correlation-id': 'id-1' },
    { 'correlation-id': 'id-1' }
  ])
  const silent = new Bench({ correlationId: { field: 'meta.id', generate: false } })
  assert.deepEqual(silent.raw([{}]), [undefined])
})

test('a trace is taken over from the field or the request; an invalid one begins anew, without its state', () => {
  const bench = new Bench({ trace: { field: 'tp', stateField: 'ts' } })
  const anew = `00-${'07'.repeat(16)}-${'07'.repeat(8)}-01`
  const request = { traceparent: parent, tracestate: 'a=1', isOneRequest: true }
  const other = parent.replace('4b', '5b')
  assert.deepEqual(bench.of([{}, { tp: other, ts: 'b=2' }, { tp: other, ts: 'B' }, { tp: 'x', ts: 'b=2' }], request), [
    { traceparent: parent, tracestate: 'a=1' },
    { traceparent: other, tracestate: 'b=2' },
    { traceparent: other },
    { traceparent: parent, tracestate: 'a=1' }
  ])
  assert.deepEqual(bench.of([{}], { traceparent: `${parent}-x`, tracestate: 'a=1' }), [{ traceparent: anew }])
  const still = new Bench({ trace: { generate: false } })
  assert.deepEqual(still.raw([{}], { traceparent: 'x' }), [undefined])
})

test('a value from outside that is long, empty or has control characters counts as absent', () => {
  const bench = new Bench({ correlationId: { field: 'id', generate: false } })
  const good = ['x'.repeat(1024), 'é'.repeat(512), 'a b=ü, "x"']
  const bad = ['', 'x'.repeat(1025), 'é'.repeat(513), 'a\r\nb: c', 'a\0', '\u007f', '\u0085', '\u2028', '\ud800']
  for (const id of good) assert.deepEqual(bench.of([{ id }]), [{ 'correlation-id': id }])
  for (const id of bad) {
    assert.deepEqual(bench.raw([{ id }]), [undefined], JSON.stringify(id))
    assert.deepEqual(bench.raw([{}], { correlationId: id }), [undefined], JSON.stringify(id))
  }
})

test('headers that a record brings stay and are not doubled', () => {
  const bench = new Bench({ correlationId: true, trace: true, static: { team: 'trucks' } })
  const brought = [
    { key: 'correlation-id', value: Buffer.from('theirs') },
    { key: 'traceparent', value: Buffer.from(parent) }
  ]
  const context = { traceparent: parent.replace('4b', '5b'), tracestate: 'a=1' }
  const [own] = bench.raw([{}], context, { rowHeaders: () => brought })
  assert.deepEqual(own, [{ key: 'team', value: Buffer.from('trucks') }])
})

test('the idempotency key goes with the line of the event', () => {
  const bench = new Bench({ idempotencyKey: true })
  assert.deepEqual(bench.of([{}, {}], { idempotencyKey: 'k' }), [
    { 'idempotency-key': 'k/1' },
    { 'idempotency-key': 'k/2' }
  ])
  assert.deepEqual(bench.raw([{}]), [undefined])
})

test('the schema id is that of the topic; the time is when the source received the chunk', () => {
  const bench = new Bench({ schemaId: { topics: { events: '12' } }, ingestTime: { format: 'epochMs', name: 'at' } })
  assert.deepEqual(bench.of([{}], { receivedAtMs: 5 }), [{ at: '5', 'schema-id': '12' }])
})

test('two headers with one name, or one that dead letters have, are refused', () => {
  const config = (headers: HeaderInput): unknown =>
    producerConfig({ route: { topic: 'events' }, deadLetterTopic: 'dead', headers })
  const code = { code: 'ERR_CONFIG_INVALID' }
  assert.throws(() => config({ trace: true, static: { traceparent: 'x' } }), code)
  assert.throws(() => config({ static: { 'comporta-line': 'x' } }), code)
  assert.throws(() => config({ static: { 'a b': 'x' } }), code)
  assert.throws(() => config({ static: { a: 'x\ny' } }), code)
  assert.throws(() => config({ schemaId: {} }), code)
})
