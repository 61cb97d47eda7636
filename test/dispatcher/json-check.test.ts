import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { isJsonValue, isUtf8Range, JSON_DEPTH_MAX } from '../../src/dispatcher/json-check.ts'
import { seedOf } from './support.ts'

const check = (text: string | Buffer): boolean => {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text
  return isJsonValue(bytes, 0, bytes.length)
}

/** The answer of the platform: valid UTF-8 and accepted by JSON.parse. */
function expected(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

const GOOD = [
  '{}',
  '[]',
  'null',
  'true',
  'false',
  '0',
  '-0',
  '12.5e-3',
  '1E+9',
  '""',
  '"é𝄞"',
  '"\\u00e9\\ud834\\udd1e\\n"',
  ' {"a" : [1 , 2 , {"b":null}] }\r\n\t',
  '[[],{},[[]]]',
  '{"a":{"b":{"c":[]}}}',
  '{"":""}',
  '"\\ud800"',
  '"\u007f"',
  '{"codigo":400,"truck_id":"T-1","lat":-23.55,"ok":true,"tags":["a","b"],"note":"\\"quoted\\" \\/ \\\\"}'
]

const BAD = [
  '',
  ' ',
  '{',
  '}',
  '[1,]',
  '{"a":1,}',
  '{,}',
  '[,]',
  '{"a"}',
  '{"a":}',
  '{a:1}',
  "{'a':1}",
  '01',
  '1.',
  '.5',
  '-',
  '+1',
  '1e',
  '1e+',
  'nul',
  'nulll',
  'True',
  'NaN',
  'Infinity',
  '"',
  '"a',
  '"\\x"',
  '"\\u12g4"',
  '"\\u123"',
  '"a\nb"',
  '"\u0001"',
  '1 2',
  '{} {}',
  '[1 2]',
  '{"a":1 "b":2}',
  '{"a":1]',
  '[1}',
  '\ufeff{}',
  '{"a":1}x',
  '/*c*/1',
  '],[',
  '"}],"x":["',
  '{"a":1}}'
]

test('text that RFC 8259 allows is one JSON value', () => {
  for (const text of GOOD) assert.equal(check(text), true, text)
})

test('text that RFC 8259 does not allow is refused', () => {
  for (const text of BAD) assert.equal(check(text), false, text)
})

test('bytes that are not UTF-8 are refused inside strings, overlong forms and surrogates included', () => {
  for (const bytes of [
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xe2, 0x82],
    [0xc3],
    [0xff]
  ]) {
    const text = Buffer.concat([Buffer.from('"'), Buffer.from(bytes), Buffer.from('"')])
    assert.equal(check(text), false, text.toString('hex'))
    assert.equal(isUtf8Range(Buffer.from(bytes), 0, bytes.length), false)
  }
})

test('only the given range counts, not what lies around it', () => {
  const bytes = Buffer.from('x{"a":1}y')
  assert.equal(isJsonValue(bytes, 1, 8), true)
  assert.equal(isJsonValue(bytes, 1, 7), false)
  assert.equal(isJsonValue(bytes, 1, 9), false)
  // A word, an escape and a number that go on behind the end of the range.
  assert.equal(isJsonValue(Buffer.from('true'), 0, 3), false)
  assert.equal(isJsonValue(Buffer.from('"\\u00e9"'), 0, 6), false)
  assert.equal(isJsonValue(Buffer.from('[]'), 0, 1), false)
  assert.equal(isJsonValue(Buffer.from('12'), 0, 1), true)
})

test('nesting is accepted up to its limit and refused beyond it', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  assert.equal(check(nested(JSON_DEPTH_MAX)), true)
  assert.equal(check(nested(JSON_DEPTH_MAX + 1)), false)
  assert.equal(check('['.repeat(1_000_000)), false)
})

test('mutated JSON is judged exactly as the platform judges it', t => {
  const random = new SeededRandom(seedOf(t))
  const corpus = [...GOOD, ...BAD].map(text => Buffer.from(text, 'utf8'))
  const alphabet = Buffer.from('{}[]",:\\ \n0123456789.eE+-truefalsn/u\u00e9\u{1d11e}\u0000\u001f', 'utf8')
  const verdicts = { good: 0, bad: 0 }
  for (let round = 0; round < 60_000; round += 1) {
    const source = corpus[randomInt(random, corpus.length)] ?? Buffer.alloc(0)
    let bytes = Buffer.from(source)
    for (let edits = randomInt(random, 4); edits >= 0; edits -= 1) {
      const at = randomInt(random, bytes.length + 1)
      const byte = random.next() < 0.9 ? (alphabet[randomInt(random, alphabet.length)] ?? 0) : randomInt(random, 256)
      const kept = random.next() < 0.5 ? at : Math.min(bytes.length, at + 1)
      bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(kept)])
      if (random.next() < 0.2) bytes = bytes.subarray(0, randomInt(random, bytes.length + 1))
    }
    const verdict = expected(bytes)
    verdicts[verdict ? 'good' : 'bad'] += 1
    assert.equal(check(bytes), verdict, bytes.toString('hex'))
    assert.equal(isUtf8Range(bytes, 0, bytes.length), isUtf8(bytes), bytes.toString('hex'))
  }
  assert.ok(verdicts.good > 1000 && verdicts.bad > 1000, JSON.stringify(verdicts))
})
