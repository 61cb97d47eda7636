import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventReader } from '../../src/producer/event-reader.ts'
import type { EventChunk } from '../../src/producer/event-chunk.ts'
import { FieldSet } from '../../src/producer/event-fields.ts'
import type { EventProblem } from '../../src/producer/event-problem.ts'
import { EventResolver, type EventResolverOptions } from '../../src/producer/event-resolver.ts'
import { LineSplitter } from '../../src/producer/line-splitter.ts'

type Outcome = { topic: string; key: string | null } | EventProblem

function chunkOf(lines: readonly (string | Buffer)[]): EventChunk {
  const bytes = Buffer.concat(lines.flatMap(line => [Buffer.from(line), Buffer.from('\n')]))
  const chunk = new LineSplitter(1_000_000).push(bytes)
  assert.ok(chunk)
  return chunk
}

type Options = Partial<EventResolverOptions> & { readonly recordBytesMax?: number }

function resolve(options: Options, ...lines: (string | Buffer)[]): Outcome[] {
  const fields = new FieldSet()
  const resolver = new EventResolver({
    route: { topic: 'events' },
    key: { strategy: 'none' },
    fields,
    ...options
  })
  const reader = eventReader({ fields, recordBytesMax: options.recordBytesMax ?? 1_000_000 })
  const events = reader.open(chunkOf(lines), {})
  return lines.map((_, index) => {
    const problem = events.read(index) ?? resolver.resolve(events)
    return problem ?? { topic: resolver.topic, key: resolver.key === null ? null : resolver.key.toString() }
  })
}

const byCode = {
  field: 'codigo',
  topics: { 'mt-c300': [300, { from: 301, to: 309 }], 'mt-c400': ['400', { from: 400, to: 499 }] }
}

function topicsOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(outcome => ('topic' in outcome ? outcome.topic : outcome.errorClass))
}

test('an event goes to the topic that names its value, alone or in a range, as number or text', () => {
  const outcomes = resolve(
    { route: byCode },
    '{"codigo":300}',
    '{"codigo":"300"}',
    '{"codigo":301}',
    '{"codigo":"309"}',
    '{"codigo":400}',
    '{"codigo":4.99e2}',
    '{"codigo":309.5}',
    '{"codigo":310}'
  )
  const c300 = 'mt-c300'
  const c400 = 'mt-c400'
  assert.deepEqual(topicsOf(outcomes), [c300, c300, c300, c300, c400, c400, 'unroutable', 'unroutable'])
})

test('a value by itself wins over a range that has it', () => {
  const route = { field: 'c', topics: { many: [{ from: 0, to: 100 }], one: [7] } }
  assert.deepEqual(topicsOf(resolve({ route }, '{"c":7}', '{"c":8}')), ['one', 'many'])
})

test('other values, and events without the field, go to the topic for the others if there is one', () => {
  const lines = ['{"codigo":9}', '{}', '{"codigo":null}', '{"codigo":{"a":1}}', '{"codigo":[300]}']
  const others = resolve({ route: { ...byCode, otherwise: 'mt-rest' } }, ...lines)
  assert.deepEqual(topicsOf(others), ['mt-rest', 'mt-rest', 'mt-rest', 'mt-rest', 'mt-rest'])

  const problems = resolve({ route: byCode }, ...lines) as EventProblem[]
  assert.deepEqual(problems[0], {
    errorClass: 'unroutable',
    reason: 'the field codigo has a value that no topic takes'
  })
  const missing = 'the field codigo is missing, or no string, number or boolean'
  for (const problem of problems.slice(1)) assert.deepEqual(problem, { errorClass: 'unroutable', reason: missing })
})

test('text that only looks like a number to JavaScript is in no range', () => {
  const lines = ['{"codigo":" 301"}', '{"codigo":"0x12d"}', '{"codigo":"301e0"}', '{"codigo":""}', '{"codigo":"0301"}']
  for (const topic of topicsOf(resolve({ route: byCode }, ...lines))) assert.equal(topic, 'unroutable')
})

test('a dotted field reads nested objects', () => {
  const outcomes = resolve(
    { key: { strategy: 'field', field: 'vehicle.id' } },
    '{"vehicle":{"id":"T-1"}}',
    '{"vehicle":"T-1"}',
    '{"vehicle.id":"T-1"}'
  )
  assert.deepEqual(outcomes[0], { topic: 'events', key: 'T-1' })
  assert.deepEqual(topicsOf(outcomes.slice(1)), ['unkeyed', 'unkeyed'])
})

test('the key of one field is its text, of several their texts joined', () => {
  const line = '{"codigo":400,"truck_id":"T-0042","ok":true}'
  const key = (options: EventResolverOptions['key']): unknown => resolve({ key: options }, line)[0]
  assert.deepEqual(key({ strategy: 'field', field: 'truck_id' }), { topic: 'events', key: 'T-0042' })
  const fields = ['codigo', 'truck_id', 'ok']
  assert.deepEqual(key({ strategy: 'fields', fields, separator: ':' }), { topic: 'events', key: '400:T-0042:true' })
  assert.deepEqual(key({ strategy: 'none' }), { topic: 'events', key: null })
})

test('the hashed key is FNV-1a of the texts joined by a bar, as sixteen digits', () => {
  // Published vectors: FNV-1a 64 of "foobar" and of "a" (isthe.com/chongo/tech/comp/fnv, test_fnv.c).
  const hash = { strategy: 'hash' as const, fields: ['x'] }
  assert.deepEqual(resolve({ key: hash }, '{"x":"foobar"}', '{"x":"a"}', '{"x":""}'), [
    { topic: 'events', key: '85944171f73967e8' },
    { topic: 'events', key: 'af63dc4c8601ec8c' },
    { topic: 'events', key: 'cbf29ce484222325' }
  ])
  // "400|T-0042", computed with Python: h = (h ^ byte) * 0x100000001b3 mod 2**64.
  const both = { strategy: 'hash' as const, fields: ['codigo', 'truck_id'] }
  assert.deepEqual(resolve({ key: both }, '{"codigo":400,"truck_id":"T-0042"}'), [
    { topic: 'events', key: 'c6b192027c08b088' }
  ])
})

test('keys beyond ASCII and beyond the scratch buffer are whole UTF-8', () => {
  const long = 'ç'.repeat(5000)
  const key = { strategy: 'field' as const, field: 'k' }
  const outcomes = resolve({ key }, `{"k":"São João"}`, `{"k":"${long}"}`, '{"k":"short"}')
  assert.deepEqual(
    outcomes.map(outcome => ('key' in outcome ? outcome.key : outcome)),
    ['São João', long, 'short']
  )
})

test('an event without a key field is not keyed, whatever else it has', () => {
  const key = { strategy: 'hash' as const, fields: ['codigo', 'truck_id'] }
  const reason = 'the key field truck_id is missing, or no string, number or boolean'
  assert.deepEqual(resolve({ key }, '{"codigo":1}', '{"codigo":1,"truck_id":null}'), [
    { errorClass: 'unkeyed', reason },
    { errorClass: 'unkeyed', reason }
  ])
})

test('whole numbers too large for a double keep their digits, so that two ids never become one key', () => {
  const key = { strategy: 'field' as const, field: 'id' }
  const outcomes = resolve(
    { key },
    '{"id":9007199254740993}',
    '{"id":9007199254740992}',
    '{"a":{"id":5},"id":12345678901234567890}',
    '{"id":1e400}',
    '{"id":-0}',
    '{"id":1.50}'
  )
  assert.deepEqual(
    outcomes.map(outcome => ('key' in outcome ? outcome.key : outcome)),
    ['9007199254740993', '9007199254740992', '12345678901234567890', '1e400', '0', '1.5']
  )
})

test('a member named __proto__ or constructor lends an event no fields', () => {
  const key = { strategy: 'field' as const, field: 'truck_id' }
  const outcomes = resolve(
    { key },
    '{"__proto__":{"truck_id":"T-1"}}',
    '{"constructor":{"prototype":{"truck_id":"T-1"}}}',
    '{"truck_id":"T-2","__proto__":{"truck_id":"T-1"}}'
  )
  assert.deepEqual(topicsOf(outcomes.slice(0, 2)), ['unkeyed', 'unkeyed'])
  assert.deepEqual(outcomes[2], { topic: 'events', key: 'T-2' })
  assert.equal(Object.hasOwn(Object.prototype, 'truck_id'), false)
  assert.deepEqual(topicsOf(resolve({ key: { strategy: 'field', field: 'toString' } }, '{}')), ['unkeyed'])
})

test('of two members with one name the last one counts', () => {
  assert.deepEqual(topicsOf(resolve({ route: byCode }, '{"codigo":400,"codigo":300}')), ['mt-c300'])
})

test('what is not one JSON object is malformed, with a reason that quotes nothing', () => {
  const lines = ['secret', '{"a":1', '{"a":1}}', '[1]', '"text"', '12', 'null', "{'a':1}", '{"a":NaN}', '\u0000']
  for (const outcome of resolve({}, ...lines)) {
    assert.ok('errorClass' in outcome)
    assert.equal(outcome.errorClass, 'malformed')
    assert.match(outcome.reason, /^not (JSON|a JSON object)/)
    assert.doesNotMatch(outcome.reason, /secret/)
  }
})

test('bytes that are not UTF-8 spoil their own event, not its neighbours', () => {
  const bad = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
  const outcomes = resolve({}, '{"a":"é"}', bad, '{"b":2}')
  assert.deepEqual(topicsOf(outcomes), ['events', 'malformed', 'events'])
  assert.deepEqual(outcomes[1], { errorClass: 'malformed', reason: 'the bytes are not UTF-8' })
})

test('an event over the limit is oversized, one at the limit is not', () => {
  const event = '{"a":"0123456789"}'
  const outcomes = resolve({ recordBytesMax: event.length }, event, event.replace('0', '00'))
  assert.deepEqual(outcomes, [
    { topic: 'events', key: null },
    { errorClass: 'oversized', reason: 'the event has 19 bytes, allowed are 18' }
  ])
})

test('an event nested a hundred thousand deep neither crashes nor holds up the next one', () => {
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const key = { strategy: 'field' as const, field: 'id' }
  const outcomes = resolve({ key }, deep, `{"id":90071992547409930,"a":${deep}}`, '{"id":1}')
  assert.deepEqual(topicsOf(outcomes.slice(0, 1)), ['unkeyed'])
  assert.deepEqual(outcomes[2], { topic: 'events', key: '1' })
})
