/** Which records match a query: text, patterns, JSON fields, event patterns, times. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileQuery, type RecordQuery } from '../../../src/ops/records/record-query.ts'
import { RecordBatchBuilder, RecordCursor } from '../../../src/protocol/index.ts'
import { SeededRandom } from '../../../src/core/index.ts'

interface Given {
  readonly key?: string | null
  readonly value?: string | Buffer | null
  readonly headers?: Readonly<Record<string, string>>
  readonly timestampMs?: number
}

/** Numbers of the records that match; a batch that may not match at all is passed over, as the reader does. */
function found(query: RecordQuery, records: readonly Given[]): number[] {
  const builder = new RecordBatchBuilder({})
  for (const { key = null, value = null, headers = {}, timestampMs = 1000 } of records) {
    const list = Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
    const bytes = (part: string | Buffer | null): Buffer | null => (part === null ? null : Buffer.from(part as string))
    builder.tryAppend(timestampMs, bytes(key), bytes(value), list)
  }
  const matcher = compileQuery(query)
  const cursor = new RecordCursor()
  cursor.reset(builder.build({}))
  const matches: number[] = []
  while (cursor.nextBatch()) {
    if (!matcher.mayMatch(cursor)) return []
    while (cursor.nextRecord()) if (matcher.matches(cursor)) matches.push(cursor.offsetDelta)
  }
  return matches
}

const truck = (code: unknown, more: object = {}): string => JSON.stringify({ vehicle: { code }, ...more })

test('text is looked for in key, value and headers, or in one of them', () => {
  const records: Given[] = [
    { key: 'needle' },
    { value: 'a needle here' },
    { headers: { h: 'needle', other: 'x' } },
    { headers: { needle: 'name of a header only' } },
    { key: 'x', value: 'NEEDLE' }
  ]
  assert.deepEqual(found({ text: [{ contains: 'needle' }] }, records), [0, 1, 2])
  assert.deepEqual(found({ text: [{ contains: 'needle', in: 'key' }] }, records), [0])
  assert.deepEqual(found({ text: [{ contains: 'needle', in: 'value' }] }, records), [1])
  assert.deepEqual(found({ text: [{ contains: 'needle', in: 'headers' }] }, records), [2])
  assert.deepEqual(found({ text: [{ contains: 'needle', in: { header: 'other' } }] }, records), [])
  assert.deepEqual(found({ text: [{ contains: 'Needle', isCaseIgnored: true }] }, records), [0, 1, 2, 4])
  assert.deepEqual(found({ text: [{ equals: 'needle' }] }, records), [0, 2])
  assert.deepEqual(found({ text: [{ contains: 'needle' }], isInverted: true }, records), [3, 4])
  assert.deepEqual(found({ text: [{ contains: 'a' }, { contains: 'here' }] }, records), [1])
})

test('text that is split between two records of a batch is in neither', () => {
  assert.deepEqual(found({ text: [{ contains: 'ab' }] }, [{ value: 'a' }, { value: 'b' }]), [])
})

test('a regular expression runs on RE2: what takes others years is linear', () => {
  const hostile = `${'a'.repeat(50_000)}!`
  const records = [{ value: hostile }, { value: 'truck 17' }]
  assert.deepEqual(found({ text: [{ regex: '(a+)+$' }] }, records), [])
  assert.deepEqual(found({ text: [{ regex: '^truck \\d+$', in: 'value' }] }, records), [1])
  assert.deepEqual(found({ text: [{ regex: 'TRUCK', isCaseIgnored: true }] }, records), [1])
})

test('fields of a JSON value: values, ranges, operators, lists, absent fields; what is not JSON has none', () => {
  const records: Given[] = [
    { value: truck(400) },
    { value: truck('400') },
    { value: truck(450.5, { tags: ['a', 'b'] }) },
    { value: truck(null) },
    { value: '{"vehicle":' },
    { value: '400' },
    { value: null },
    { value: '{"__proto__":{"vehicle":{"code":400}}}' }
  ]
  const where = (path: string, ...condition: unknown[]): number[] => found({ fields: { [path]: condition } }, records)
  assert.deepEqual(where('vehicle.code', 400), [0, 1])
  assert.deepEqual(where('vehicle.code', { from: 400, to: 500 }), [0, 1, 2])
  assert.deepEqual(where('tags', 'b'), [2])
  assert.deepEqual(where('tags.1', 'b'), [2])
  assert.deepEqual(where('vehicle.code', 'null'), [3])
  assert.deepEqual(where('tags', { exists: false }), [0, 1, 3, 5, 7])
  assert.deepEqual(where('vehicle', { exists: true }), [0, 1, 2, 3])
  assert.deepEqual(found({ pattern: { vehicle: { code: [{ numeric: ['>', 420] }] } } }, records), [2])
})

test('a value is found however JSON writes it', () => {
  const records = [
    { value: '{"a":"caf\u00e9"}' },
    { value: '{"a":"caf\\u00e9"}' },
    { value: '{"a":"x\\/y"}' },
    { value: '{"a":4e2}' },
    { value: '{"a":400.0}' },
    { value: '{"a":true}' },
    { value: '{"b":"caf\u00e9"}' }
  ]
  const where = (condition: unknown): number[] => found({ fields: { a: [condition] } }, records)
  assert.deepEqual(where('caf\u00e9'), [0, 1])
  assert.deepEqual(where('x/y'), [2])
  assert.deepEqual(where('400'), [3, 4])
  assert.deepEqual(where('true'), [5])
  assert.deepEqual(found({ fields: { a: ['true'] }, isInverted: true }, records), [0, 1, 2, 3, 4, 6])
})

test('times are compared record by record', () => {
  const records = [{ timestampMs: 1000 }, { timestampMs: 3000 }, { timestampMs: 2000 }]
  assert.deepEqual(found({ fromMs: 2000, toMs: 3000 }, records), [2])
})

test('what is wrong with a query is said, all of it', () => {
  const wrong = (query: RecordQuery, message: RegExp): void => {
    assert.throws(() => compileQuery(query), { code: 'ERR_OPS_QUERY_INVALID', message })
  }
  wrong({ text: [{ regex: '(' }] }, /the regular expression "\(": .*RE2 has no lookaround/)
  wrong({ text: [{ regex: 'a(?=b)' }] }, /RE2 has no lookaround/)
  wrong({ text: [{ regex: 'x'.repeat(2001) }] }, /more than 2000 characters/)
  wrong({ text: [{ regex: '(a{1000}){1000}' }] }, /regular expression/)
  wrong({ text: [{}] }, /exactly one of contains, equals and regex/)
  wrong({ fields: { 'a..b': [1] } }, /no path of fields/)
  wrong({ fields: { a: [] } }, /is empty/)
  wrong({ pattern: { a: [{ nope: 1 }] } }, /pattern at a.0.nope: is no operator/)
})

test('whatever the records are, a batch is passed over only if none of them matches', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_261_121)
  const random = new SeededRandom(seed)
  const letter = (): string => 'ab{}":'[Math.floor(random.next() * 6)] ?? 'a'
  const word = (length: number): string => Array.from({ length: Math.floor(random.next() * length) }, letter).join('')
  for (let round = 0; round < 300; round += 1) {
    const records = Array.from({ length: 4 }, () => ({ key: word(3), value: word(6), headers: { h: word(3) } }))
    const contains = word(3)
    const expected = records.flatMap(({ key, value, headers }, index) =>
      [key, value, headers.h].some(part => part.includes(contains)) ? [index] : []
    )
    assert.deepEqual(found({ text: [{ contains }] }, records), expected, `seed ${seed}, round ${round}`)
  }
})
