/**
 * Events read by the kernel in WebAssembly are what parsing them would give, whatever the bytes are: the same events
 * are taken, and every field has the same text.
 *
 * `FUZZ=long` (npm run test:fuzz-kernel) compares as many chunks as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { type ChunkEvents, ParsedEvents } from '../../src/producer/chunk-events.ts'
import { ChunkBuilder, type EventChunk } from '../../src/producer/event-chunk.ts'
import { FieldSet } from '../../src/producer/event-fields.ts'
import { eventReader } from '../../src/producer/event-reader.ts'
import { canTake } from '../../src/producer/kernel/event-kernel.ts'
import { ScannedEvents } from '../../src/producer/scanned-events.ts'

const RECORD_BYTES_MAX = 4096
const NAMES = [
  'codigo',
  'truck_id',
  'a',
  'a.b',
  'a.b.c',
  'vehicle.id',
  '',
  'a.',
  'é.ü',
  '__proto__',
  '__proto__.x',
  'id'
]

function seedOf(t: TestContext): number {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`TEST_SEED=${seed}`)
  return seed
}

function chunkOf(events: readonly Buffer[]): EventChunk {
  const builder = new ChunkBuilder()
  let at = 0
  for (const [index, event] of events.entries()) {
    builder.add(at, at + event.length, index + 1)
    at += event.length + 1
  }
  return builder.build(Buffer.concat(events.flatMap(event => [event, Buffer.from('\n')])), at)
}

/** Compares how a chunk is read with how it is parsed; the number of sound events. */
class Comparison {
  readonly #names: readonly string[]
  readonly #fields = new FieldSet()
  readonly #reader: ReturnType<typeof eventReader>
  soundCount = 0

  constructor(names: readonly string[] = NAMES, seed = 1) {
    this.#names = names
    for (const name of names) this.#fields.add(name)
    const options = { fields: this.#fields, recordBytesMax: RECORD_BYTES_MAX }
    this.#reader = eventReader(options, new SeededRandom(seed))
  }

  open(chunk: EventChunk): ChunkEvents {
    const events = this.#reader.open(chunk, {})
    assert.ok(events instanceof ScannedEvents)
    return events
  }

  #expected(chunk: EventChunk): ParsedEvents {
    return new ParsedEvents(chunk, {}, { fields: this.#fields, recordBytesMax: RECORD_BYTES_MAX })
  }

  agree(events: readonly (string | Buffer)[]): void {
    const chunk = chunkOf(events.map(event => Buffer.from(event)))
    const expected = this.#expected(chunk)
    const actual = this.open(chunk)
    for (let index = 0; index < chunk.count; index += 1) this.agreeOn(index, actual, expected)
    actual.close()
  }

  agreeOn(index: number, actual: ChunkEvents, expected = this.#expected(actual.chunk)): void {
    const problem = expected.read(index)
    const event = (): string =>
      actual.chunk.bytes.toString('latin1', actual.chunk.spans[index * 2], actual.chunk.spans[index * 2 + 1])
    assert.deepEqual(actual.read(index), problem, event())
    if (problem !== undefined) return
    this.soundCount += 1
    for (const [field, name] of this.#names.entries()) {
      assert.equal(actual.text(field), expected.text(field), `${name} of ${event()}`)
    }
    assert.deepEqual(actual.parsed(), expected.parsed())
  }
}

test('fields have the texts that docs/reference/producer.md says', () => {
  const fields = new FieldSet()
  for (const name of ['x', 'vehicle.id']) fields.add(name)
  const reader = eventReader({ fields, recordBytesMax: 1000 })
  const texts = (event: string): (string | undefined)[] => {
    const events = reader.open(chunkOf([Buffer.from(event)]), {})
    assert.equal(events.read(0), undefined)
    return [events.text(0), events.text(1)]
  }
  assert.deepEqual(texts('{"x":"T-1","vehicle":{"id":400}}'), ['T-1', '400'])
  assert.deepEqual(texts('{ "x" : 4e2 , "vehicle" : { "id" : 400.0 } }'), ['400', '400'])
  assert.deepEqual(texts('{"x":true,"vehicle":{"id":false}}'), ['true', 'false'])
  assert.deepEqual(texts('{"x":null,"vehicle":{"id":[1]}}'), [undefined, undefined])
  assert.deepEqual(
    texts('{"x":9007199254740993,"vehicle":{"id":"9007199254740993"}}'),
    Array(2).fill('9007199254740993')
  )
  assert.deepEqual(texts('{"x":"a\\u0062\\n","vehicle":{"id":"São João"}}'), ['ab\n', 'São João'])
  assert.deepEqual(texts('{"x":1,"vehicle":{"id":1},"x":"last","vehicle":{}}'), ['last', undefined])
  assert.deepEqual(texts('{"\\u0078":1,"vehicle.id":2}'), ['1', undefined])
  assert.deepEqual(texts('{"x":"","vehicle":{"nested":{"id":1},"id":-0}}'), ['', '0'])
})

const VALUES = [
  '1',
  '-0',
  '400',
  '4e2',
  '400.0',
  '1.50',
  '1e400',
  '-1e-400',
  '9007199254740993',
  '12345678901234567890',
  '0.1e1',
  '123456789012345678901234567890123456789012345678901234567890',
  'true',
  'false',
  'null',
  '""',
  '"T-1"',
  '"é"',
  '"\\u00e9"',
  '"\\ud800"',
  '"\\ud834\\udd1e"',
  '"𝄞"',
  '"400"',
  '"true"',
  `"${'x'.repeat(48)}"`,
  `"${'x'.repeat(49)}"`,
  `"${'é'.repeat(24)}"`,
  '[]',
  '[1,{"b":2}]',
  '{}',
  '{"b":1}',
  '{"b":{"c":"deep"}}',
  '{"b":1,"b":{"c":2}}',
  '{"c":3}',
  '{"":7}',
  '{"id":"v"}',
  '{"x":1}',
  '{"b":[{"c":1}]}',
  '01',
  '1.',
  '"\u0001"',
  '"\\x"',
  'tru',
  '{"b"}',
  '[1,]',
  '{,}'
] as const

test('every kind of value at every kind of place is read as it is parsed', () => {
  const comparison = new Comparison()
  const events: string[] = []
  for (const name of ['codigo', 'a', 'é', '', '__proto__', 'other', '\\u0061', 'vehicle']) {
    for (const value of VALUES) {
      events.push(
        `{"${name}":${value}}`,
        ` { "${name}" : ${value} , "id":1}\r`,
        `{"id":{"a":1},"${name}":${value},"a":"x"}`
      )
      events.push(`{"a":${value},"${name}":${value}}`, `{"a":{"${name}":${value},"b":${value}}}`, `[${value}]`, value)
    }
  }
  comparison.agree(events)
  assert.ok(comparison.soundCount > 1000)
})

test('events at the limits of length and depth are read as they are parsed', () => {
  const comparison = new Comparison()
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
  const long = (bytes: number): string => `{"id":1,"x":"${'y'.repeat(bytes - 15)}"}`
  comparison.agree([
    ...[510, 511, 512, 513, 1000].map(nested),
    ...[RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1].map(long),
    '',
    ' ',
    '{',
    '}',
    '{}',
    '{} ',
    '{}}',
    '\ufeff{}',
    '{"id":1}\u0000'
  ])
})

test('more texts than have a number, and texts that never come again, stay right', () => {
  const comparison = new Comparison()
  for (let round = 0; round < 3; round += 1) {
    const events = Array.from(
      { length: 12_000 },
      (_, index) => `{"codigo":${round * 7000 + index},"truck_id":"T-${index}"}`
    )
    comparison.agree(events)
  }
  assert.equal(comparison.soundCount, 36_000)
})

test('ten thousand texts that differ in few bytes keep their numbers, whichever bytes those are', () => {
  const fields = new FieldSet()
  const id = fields.add('id')
  for (const idOf of [
    (number: number) => `"T-${String(number).padStart(5, '0')}"`,
    (number: number) => `"${String(number).padStart(5, '0')}-truck-of-the-fleet"`,
    (number: number) => String(number)
  ]) {
    const reader = eventReader({ fields, recordBytesMax: 1000 })
    const chunk = chunkOf(Array.from({ length: 10_000 }, (_, number) => Buffer.from(`{"id":${idOf(number)}}`)))
    const numbers = new Set<number | undefined>()
    const generations = new Set<number | undefined>()
    for (let round = 0; round < 2; round += 1) {
      const events = reader.open(chunk, {})
      for (let index = 0; index < chunk.count; index += 1) {
        events.read(index)
        numbers.add(events.textNumber?.(id))
        generations.add(events.textGeneration)
      }
    }
    assert.deepEqual([numbers.size, generations.size], [10_000, 1], idOf(1))
  }
})

test('chunks that are read in turns do not disturb each other', () => {
  const comparison = new Comparison()
  const open = [0, 1, 2].map(number => {
    const events = Array.from({ length: 1500 }, (_, index) =>
      Buffer.from(`{"id":"${number}-${index}","a":{"b":"${'é'.repeat(30)}"}}`)
    )
    return comparison.open(chunkOf(events))
  })
  for (const index of [0, 1, 700, 3, 1499, 512, 511]) for (const events of open) comparison.agreeOn(index, events)
  for (const [number, events] of open.entries()) {
    events.read(5)
    open[(number + 1) % 3]?.read(6)
    assert.equal(events.text(NAMES.indexOf('id')), `${number}-5`)
  }
})

test('an event longer than the window of the kernel is parsed', () => {
  const fields = new FieldSet()
  fields.add('id')
  const reader = eventReader({ fields, recordBytesMax: 10_000_000 })
  const long = Buffer.from(`{"x":"${'y'.repeat(1_100_000)}","id":"long"}`)
  const events = reader.open(chunkOf([Buffer.from('{"id":"short"}'), long, Buffer.from('{"id":"after"}')]), {})
  const ids = [0, 1, 2].map(index => (events.read(index) === undefined ? events.text(0) : undefined))
  assert.deepEqual(ids, ['short', 'long', 'after'])
})

test('fields for which the kernel has no room, or whose names have no bytes, are read by parsing', () => {
  assert.equal(canTake([['a', 'b'], ['c']]), true)
  assert.equal(canTake(Array.from({ length: 65 }, (_, index) => [`f${index}`])), false)
  assert.equal(canTake([Array.from({ length: 127 }, () => 'x')]), false)
  assert.equal(canTake([['x'.repeat(8193)]]), false)
  assert.equal(canTake([['\ud800']]), false)
  const fields = new FieldSet()
  fields.add('\ud800')
  const events = eventReader({ fields, recordBytesMax: 100 }).open(
    chunkOf([Buffer.from('{"\\ud800":1,"\ufffd":2}')]),
    {}
  )
  assert.equal(events.read(0), undefined)
  assert.equal(events.text(0), '1')
  assert.ok(events instanceof ParsedEvents)
})

const ALPHABET = Buffer.from('{}[]",:\\ \n0123456789.eE+-truefalsn/uabc\u00e9\u{1d11e}\u0000\u001f\u007f', 'utf8')

function mutated(source: Buffer, random: SeededRandom): Buffer {
  let bytes = source
  for (let edits = randomInt(random, 4); edits > 0; edits -= 1) {
    const at = randomInt(random, bytes.length + 1)
    const byte = random.next() < 0.9 ? (ALPHABET[randomInt(random, ALPHABET.length)] ?? 0) : randomInt(random, 256)
    const kept = random.next() < 0.5 ? at : Math.min(bytes.length, at + 1)
    bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(kept)])
  }
  return bytes
}

/** A random object; names often repeat, and often are those that are asked for. */
function randomEvent(random: SeededRandom, depth = 0): string {
  const pick = <T>(items: readonly T[], fallback: T): T => items[randomInt(random, items.length)] ?? fallback
  const space = (): string => (random.next() < 0.1 ? pick([' ', '\t', '\r', '  '], ' ') : '')
  const members = Array.from({ length: randomInt(random, 6) }, () => {
    const name = pick(
      ['codigo', 'truck_id', 'a', 'b', 'c', 'id', 'vehicle', 'é', 'ü', '', 'x', '__proto__', 'other', '\\u0061'],
      'a'
    )
    const isNested = depth < 4 && random.next() < 0.3
    const value = isNested ? randomEvent(random, depth + 1) : pick(VALUES.slice(0, 38), '1')
    return `${space()}"${name}"${space()}:${space()}${value}${space()}`
  })
  return `{${members.join(',')}}`
}

test('random and mutated events are read as they are parsed', t => {
  const random = new SeededRandom(seedOf(t))
  const isLong = process.env['FUZZ'] === 'long'
  const endsAt = performance.now() + (isLong ? Number(process.env['FUZZ_SECONDS'] ?? 60) * 1000 : 700)
  const comparison = new Comparison(NAMES, randomInt(random, 1000))
  do {
    const events = Array.from({ length: 300 }, () => {
      const event = Buffer.from(randomEvent(random))
      return random.next() < 0.6 ? event : mutated(event, random)
    })
    comparison.agree(events)
  } while (performance.now() < endsAt)
  assert.ok(comparison.soundCount > 100)
})
