import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { ByteOutput } from '../../src/dispatcher/byte-output.ts'
import { createPayloadEncoder, type EventOrigin, type PayloadColumn } from '../../src/dispatcher/payload.ts'
import type { RecordTable } from '../../src/dispatcher/record-table.ts'
import { seedOf, tableOf, type TestRecord } from './support.ts'

interface EncodeOptions {
  format?: 'json' | 'esm'
  include?: readonly PayloadColumn[]
  bytesMax?: number
  bodyBytesMax?: number
  origin?: EventOrigin
}

function encoderOf(options: EncodeOptions = {}) {
  const { format = 'json', include = ['offsets', 'timestamps', 'keys'], bytesMax = 1e6, bodyBytesMax = 1e6 } = options
  const origin = options.origin ?? { bootstrapServers: 'localhost:9092' }
  return createPayloadEncoder({ format, include, limits: { bytesMax, bodyBytesMax }, origin })
}

function encode(table: RecordTable, options: EncodeOptions = {}): string {
  const encoder = encoderOf(options)
  encoder.begin('mt-c400', 3, false)
  for (let row = 0; row < table.count; row += 1) assert.equal(encoder.append(table, row), 'added')
  return encoder.finish(table).toString('utf8')
}

test('the json payload has values verbatim and columns index by index', () => {
  const table = tableOf(41n, [
    { key: 'T-1', value: '{"codigo": 400}', timestampMs: 1_545_084_650_987 },
    { key: null, value: '[1,2]', timestampMs: 1_545_084_650_988 },
    { key: 'a"\\\n\u0001é', value: null, timestampMs: 5 }
  ])
  assert.equal(
    encode(table),
    '{"topic":"mt-c400","partition":3,"messages":[{"codigo": 400},[1,2],null],"offsets":[41,42,43],' +
      '"timestamps":[1545084650987,1545084650988,5],"keys":["T-1",null,"a\\"\\\\\\n\\u0001é"]}'
  )
})

test('the json payload has only the columns that were asked for', () => {
  const table = tableOf(7n, [{ value: '1', headers: [{ key: 'h', value: Buffer.from('v') }] }])
  const head = '{"topic":"mt-c400","partition":3,"messages":[1]'
  assert.equal(encode(table, { include: [] }), `${head}}`)
  assert.equal(encode(table, { include: ['offsets'] }), `${head},"offsets":[7]}`)
  assert.equal(encode(table, { include: ['headers'] }), `${head},"headers":[[{"h":"v"}]]}`)
})

test('keys and header values that are not UTF-8 are told as base64, repeated headers stay', () => {
  const table = tableOf(0n, [
    {
      key: Buffer.from([0xff, 0x00]),
      value: '{}',
      headers: [
        { key: 'a', value: Buffer.from([0xc3]) },
        { key: 'a', value: null },
        { key: 'b', value: Buffer.from('') }
      ]
    }
  ])
  const parsed: unknown = JSON.parse(encode(table, { include: ['keys', 'headers'] }))
  assert.deepEqual(parsed, {
    topic: 'mt-c400',
    partition: 3,
    messages: [{}],
    keys: [{ base64: '/wA=' }],
    headers: [[{ a: { base64: 'ww==' } }, { a: null }, { b: '' }]]
  })
})

const AWS_ARN = 'arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e-d7975eb44dd7-2'
const AWS_BROKERS = ['b-2', 'b-1']
  .map(name => `${name}.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092`)
  .join(',')

test('the esm event is the one that AWS documents, byte for byte', () => {
  // AWS Lambda developer guide, "Using Lambda with Amazon MSK", example event; white space removed.
  const expected =
    '{"eventSource":"aws:kafka",' +
    `"eventSourceArn":"${AWS_ARN}",` +
    `"bootstrapServers":"${AWS_BROKERS}",` +
    '"records":{"mytopic-0":[{"topic":"mytopic","partition":0,"offset":15,"timestamp":1545084650987,' +
    '"timestampType":"CREATE_TIME","key":"abcDEFghiJKLmnoPQRstuVWXyz1234==",' +
    '"value":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",' +
    '"headers":[{"headerKey":[104,101,97,100,101,114,86,97,108,117,101]}]}]}}'
  const table = tableOf(15n, [
    {
      key: Buffer.from('abcDEFghiJKLmnoPQRstuVWXyz1234==', 'base64'),
      value: 'Hello, this is a test.',
      headers: [{ key: 'headerKey', value: Buffer.from('headerValue') }],
      timestampMs: 1_545_084_650_987
    }
  ])
  const encoder = encoderOf({
    format: 'esm',
    origin: { eventSourceArn: AWS_ARN, bootstrapServers: AWS_BROKERS }
  })
  encoder.begin('mytopic', 0, false)
  assert.equal(encoder.append(table, 0), 'added')
  // The key of AWS's example is not canonical base64: its last unused bits are set. Ours are zero.
  const canonical = Buffer.from('abcDEFghiJKLmnoPQRstuVWXyz1234==', 'base64').toString('base64')
  assert.equal(encoder.finish(table).toString(), expected.replace('abcDEFghiJKLmnoPQRstuVWXyz1234==', canonical))
})

test('the esm event of another cluster has no ARN, signed header bytes, and leaves out null keys and values', () => {
  const table = tableOf(1n, [
    { key: null, value: null, timestampMs: -1, headers: [{ key: 'h', value: Buffer.from([0, 127, 128, 255]) }] },
    { key: 'k', value: Buffer.from([0xff, 0xfe]), headers: [{ key: 'h', value: null }] }
  ])
  assert.equal(
    encode(table, { format: 'esm' }),
    '{"eventSource":"SelfManagedKafka","bootstrapServers":"localhost:9092","records":{"mt-c400-3":[' +
      '{"topic":"mt-c400","partition":3,"offset":1,"timestamp":-1,"timestampType":"CREATE_TIME",' +
      '"headers":[{"h":[0,127,-128,-1]}]},' +
      '{"topic":"mt-c400","partition":3,"offset":2,"timestamp":1700000000000,"timestampType":"CREATE_TIME",' +
      '"key":"aw==","value":"//4=","headers":[{"h":null}]}]}}'
  )
})

test('offsets beyond 2^53 are written exactly', () => {
  const table = tableOf(9_223_372_036_854_775_000n, [{ value: '1' }, { value: '2' }])
  assert.match(encode(table), /"offsets":\[9223372036854775000,9223372036854775001\]/)
  assert.match(encode(table, { format: 'esm' }), /"offset":9223372036854775001,/)
})

test('a value that is not one JSON value is refused by json and taken by esm', () => {
  for (const value of ['{"a":1', '1],"offsets":[9', '', '{} {}', '\ufeff1']) {
    const table = tableOf(0n, [{ value }])
    const json = encoderOf()
    json.begin('t', 0, false)
    assert.equal(json.append(table, 0), 'malformed', value)
    assert.equal(json.rowCount, 0)
    const esm = encoderOf({ format: 'esm' })
    esm.begin('t', 0, false)
    assert.equal(esm.append(table, 0), 'added', value)
  }
})

test('a record that only the soft limit refuses goes alone, one that the target refuses is too large', () => {
  const table = tableOf(0n, [{ value: `"${'x'.repeat(500)}"` }, { value: '1' }, { value: `"${'x'.repeat(5000)}"` }])
  for (const format of ['json', 'esm'] as const) {
    const encoder = encoderOf({ format, bytesMax: 300, bodyBytesMax: 2000 })
    encoder.begin('t', 0, false)
    assert.equal(encoder.append(table, 0), 'added')
    assert.equal(encoder.append(table, 1), 'full')
    encoder.begin('t', 0, false)
    assert.equal(encoder.append(table, 2), 'tooLarge')
    assert.equal(encoder.append(table, 1), 'added')
    assert.ok(encoder.finish(table).length < 300)
  }
})

test('a payload never passes its limit, loses no record on the way and parses to what was put in', t => {
  const random = new SeededRandom(seedOf(t))
  const columns = ['offsets', 'timestamps', 'keys', 'headers'] as const
  for (let round = 0; round < 300; round += 1) {
    const records: TestRecord[] = Array.from({ length: 1 + randomInt(random, 60) }, () => randomRecord(random))
    const base = BigInt(randomInt(random, 1_000_000_000)) * 7919n
    const table = tableOf(base, records)
    const include = columns.filter(() => random.next() < 0.7)
    const bytesMax = 200 + randomInt(random, 3000)
    const encoder = encoderOf({ include, bytesMax, bodyBytesMax: 1e6, format: round % 2 === 0 ? 'json' : 'esm' })
    for (let row = 0; row < table.count;) {
      encoder.begin('t', 1, random.next() < 0.2)
      const first = row
      while (row < table.count && encoder.append(table, row) === 'added') row += 1
      assert.equal(encoder.rowCount, row - first)
      assert.ok(row > first, 'each payload takes at least one record')
      const body = encoder.finish(table)
      assert.ok(body.length <= bytesMax || row - first === 1, `${body.length} bytes are over ${bytesMax}`)
      const parsed = JSON.parse(body.toString()) as Record<string, unknown>
      if (round % 2 === 0)
        assertJson(parsed, { records: records.slice(first, row), base: base + BigInt(first), include })
      else assertEsm(parsed, records.slice(first, row))
    }
  }
})

test('integers are written as decimal text, whatever their size', () => {
  const random = new SeededRandom(11)
  const values = [
    0,
    9,
    10,
    999_999_999,
    1e9,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    1e15,
    Number.MAX_SAFE_INTEGER,
    2 ** 63,
    -1,
    -128
  ]
  for (let round = 0; round < 2000; round += 1) values.push(Math.floor(random.next() * 10 ** randomInt(random, 16)))
  for (const value of values) {
    const out = new ByteOutput(1)
    out.integer(value)
    assert.equal(out.view().toString(), BigInt(value).toString())
  }
})

test('a shared payload is not written over by the next one', () => {
  const table = tableOf(0n, [{ value: '"first"' }, { value: '"other"' }])
  const encoder = encoderOf({ include: [] })
  encoder.begin('t', 0, false)
  encoder.append(table, 0)
  const first = encoder.finish(table)
  encoder.begin('t', 0, true)
  encoder.append(table, 1)
  assert.equal(encoder.finish(table).toString(), '{"topic":"t","partition":0,"messages":["other"]}')
  assert.equal(first.toString(), '{"topic":"t","partition":0,"messages":["first"]}')
})

function randomRecord(random: SeededRandom): TestRecord {
  const text = (): string =>
    Array.from({ length: randomInt(random, 20) }, () => 'aé"\\\n𝄞\u0000'[randomInt(random, 7)]).join('')
  return {
    key: random.next() < 0.3 ? null : text(),
    value: random.next() < 0.1 ? null : JSON.stringify({ [text()]: [text(), random.next(), null] }),
    timestampMs: randomInt(random, 2_000_000_000) * 1000,
    headers: Array.from({ length: randomInt(random, 3) }, () => ({
      key: text(),
      value: random.next() < 0.2 ? null : Buffer.from(text())
    }))
  }
}

function assertJson(
  parsed: Record<string, unknown>,
  { records, base, include }: { records: readonly TestRecord[]; base: bigint; include: readonly PayloadColumn[] }
): void {
  const expected: Record<string, unknown> = {
    topic: 't',
    partition: 1,
    messages: records.map(({ value }) => (typeof value === 'string' ? (JSON.parse(value) as unknown) : null))
  }
  if (include.includes('offsets')) expected['offsets'] = records.map((_, index) => Number(base) + index)
  if (include.includes('timestamps')) expected['timestamps'] = records.map(({ timestampMs }) => timestampMs)
  // A lone surrogate in a key becomes U+FFFD when the string is turned into bytes.
  if (include.includes('keys')) expected['keys'] = records.map(({ key }) => utf8(key))
  if (include.includes('headers')) {
    expected['headers'] = records.map(({ headers = [] }) =>
      headers.map(({ key, value }) => ({ [utf8(key) ?? '']: value === null ? null : value.toString('utf8') }))
    )
  }
  assert.deepEqual(parsed, expected)
}

function assertEsm(parsed: Record<string, unknown>, records: readonly TestRecord[]): void {
  const byPartition = parsed['records'] as Record<string, Record<string, unknown>[]>
  const list = byPartition['t-1'] ?? []
  assert.equal(list.length, records.length)
  for (const [index, { key, value, headers = [] }] of records.entries()) {
    const event = list[index] ?? {}
    assert.equal(event['key'], key === null ? undefined : Buffer.from(String(key)).toString('base64'))
    assert.equal(event['value'], value === null ? undefined : Buffer.from(String(value)).toString('base64'))
    const signed = headers.map(header => ({
      [utf8(header.key) ?? '']: header.value === null ? null : [...new Int8Array(header.value)]
    }))
    assert.deepEqual(event['headers'], signed)
  }
}

function utf8(text: string | Buffer | null | undefined): string | null {
  return text === null || text === undefined ? null : Buffer.from(text.toString(), 'utf8').toString('utf8')
}
