/** Records as text: nothing is lost for programs, nothing hurts a terminal. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { printableBytes } from '../../../src/ops/records/printable.ts'
import type { ReadRecord } from '../../../src/ops/records/read-record.ts'
import { type JsonRecord, recordFormat } from '../../../src/ops/records/record-format.ts'
import { printableText, SeededRandom } from '../../../src/core/index.ts'

const record: ReadRecord = {
  topic: 't',
  partition: 3,
  offset: 9_007_199_254_740_993n,
  timestampMs: 1_772_355_600_000,
  isLogAppendTime: false,
  key: Buffer.from('k,"1'),
  value: Buffer.from('{"n":1}'),
  headers: [
    { key: 'h', value: Buffer.from([0xff, 0x00]) },
    { key: 'none', value: null }
  ]
}

const show = (format: string, given: Partial<ReadRecord> = {}, options = {}): string =>
  recordFormat(format, options)
    .format({ ...record, ...given })
    .toString()

test('pretty shows one line with everything', () => {
  assert.equal(
    show('pretty'),
    '2026-03-01T09:00:00.000Z  t-3@9007199254740993  k,"1  {h=\\xff\\u0000, none=null}  {"n":1}\n'
  )
  assert.equal(show('pretty', { key: null, value: null, headers: [] }).trim().endsWith('null  null'), true)
})

test('a terminal is told nothing by a record: escape sequences, line ends and marks of direction are escaped', () => {
  const attack = '\u001b]0;owned\u0007\u009b2J\r\nfake line\u202Etxt.exe\u200b\u2028\u007f'
  const line = show('pretty', { key: Buffer.from(attack), value: Buffer.from(attack) })
  // oxlint-disable-next-line no-control-regex -- that none is left is what this is about
  assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/)
  assert.match(line, /\\e\]0;owned\\u0007\\u009b2J\\r\\nfake line\\u202etxt\.exe\\u200b\\u2028\\u007f/)
  const json = show('json', { value: Buffer.from(attack) })
  // oxlint-disable-next-line no-control-regex -- that none is left is what this is about
  assert.doesNotMatch(json.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/)
  assert.equal((JSON.parse(json) as JsonRecord).value, attack)
  assert.equal(printableText('\u{e0041}é漢😀'), '\\u{e0041}é漢😀')
})

test('what is long is cut between two characters, and the rest is said', () => {
  assert.equal(printableBytes(Buffer.from('abcdef'), 4), 'abcd…(+2 bytes)')
  assert.equal(printableBytes(Buffer.from('ab€def'), 4), 'ab…(+6 bytes)')
  assert.equal(printableBytes(Buffer.from('abcdef'), 0), 'abcdef')
  assert.equal(printableBytes(Buffer.from([0x61, 0xe2, 0x82, 0x62]), 0), 'a\\xe2\\x82b')
})

test('json loses nothing: text as text, other bytes as Base64, whatever they are', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 8)
  const random = new SeededRandom(seed)
  const bytes = (): Buffer | null => {
    if (random.next() < 0.1) return null
    const isText = random.next() < 0.5
    return Buffer.from(
      Array.from({ length: Math.floor(random.next() * 20) }, () => Math.floor(random.next() * (isText ? 128 : 256)))
    )
  }
  const back = (text: string | null | undefined, base64: string | undefined): Buffer | null => {
    if (base64 !== undefined) return Buffer.from(base64, 'base64')
    return text === null || text === undefined ? null : Buffer.from(text)
  }
  for (let round = 0; round < 300; round += 1) {
    const given = { key: bytes(), value: bytes(), headers: [{ key: 'h', value: bytes() }] }
    const line = show('json', given)
    assert.equal(line.split('\n').length, 2)
    const json = JSON.parse(line) as JsonRecord
    const [header] = json.headers ?? []
    assert.deepEqual(back(json.key, json.keyBase64), given.key, `seed ${seed}, round ${round}`)
    assert.deepEqual(back(json.value, json.valueBase64), given.value, `seed ${seed}, round ${round}`)
    assert.deepEqual(back(header?.value, header?.valueBase64), given.headers[0]?.value, `seed ${seed}, round ${round}`)
    assert.equal(json.offset, '9007199254740993')
  }
})

test('csv is RFC 4180, hex is a dump, raw is the value', () => {
  assert.equal(
    show('csv', { headers: [] }),
    '2026-03-01T09:00:00.000Z,t,3,9007199254740993,"k,""1",utf8,"{""n"":1}",utf8,\r\n'
  )
  assert.match(recordFormat('csv').head, /^timestamp,topic,partition,offset,key,key_encoding,value/)
  assert.match(show('hex'), /^value: 7 bytes\n00000000 {2}7b 22 6e 22 3a 31 7d {13,}\|\{"n":1\}\|$/m)
  assert.equal(show('raw'), '{"n":1}\n')
})

test('a template has the fields of kcat, escapes and a line end of its own', () => {
  assert.equal(show('%t %p %o %T %K %k %S %s'), 't 3 9007199254740993 1772355600000 4 k,"1 7 {"n":1}\n')
  assert.equal(show('%v\\t%D%%\\n'), '{"n":1}\t2026-03-01T09:00:00.000Z%\n')
  assert.equal(show('%K|%k|%S\\x00', { key: null, value: null }), '-1||-1\0')
  const headers = recordFormat('%h').format(record) as Buffer
  assert.deepEqual(headers, Buffer.concat([Buffer.from('h='), Buffer.from([0xff, 0]), Buffer.from(',none=NULL\n')]))
  for (const [format, message] of [
    ['yaml', /no such format: yaml; there are pretty, json, csv, raw, hex/],
    ['%x', /the format has %x; fields are %t/],
    ['%s\\q', /the format has \\q; escapes are/]
  ] as const) {
    assert.throws(() => recordFormat(format), { code: 'ERR_OPS_QUERY_INVALID', message })
  }
})
