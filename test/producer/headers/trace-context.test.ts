import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TraceMaker } from '../../../src/producer/headers/trace-maker.ts'
import { readTraceparent, readTracestate } from '../../../src/telemetry/index.ts'

// The example of the specification, §3.2.4.
const example = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a traceparent of the specification is passed on as it is', () => {
  assert.equal(readTraceparent(example), example)
  assert.equal(readTraceparent(example.replace(/01$/, '00')), example.replace(/01$/, '00'))
})

test('a traceparent of a later version is read by the layout of this one', () => {
  // From the W3C's own test suite: test_traceparent_version_0xcc.
  const ids = '12345678901234567890123456789012-1234567890123456'
  assert.equal(readTraceparent(`cc-${ids}-01`), `00-${ids}-01`)
  assert.equal(readTraceparent(`cc-${ids}-01-what-the-future-will-be-like`), `00-${ids}-01`)
  assert.equal(readTraceparent(`cc-${ids}-01.what-the-future-will-be-like`), undefined)
})

test('what the specification calls invalid begins a new trace', () => {
  const ids = '12345678901234567890123456789012-1234567890123456'
  for (const text of [
    '',
    `ff-${ids}-01`,
    `00-${ids}-01-what-the-future-will-be-like`,
    `00-${ids}-01.`,
    `00-${'0'.repeat(32)}-1234567890123456-01`,
    '00-12345678901234567890123456789012-0000000000000000-01',
    `00-${ids}-1`,
    `00-${ids}-1234`,
    `0-${ids}-01`,
    `00-${ids.toUpperCase().replace('1', 'A')}-01`,
    `00-${ids.replace('1', '.')}-01`,
    `00-${ids}-.1`,
    ` 00-${ids}-01`,
    `00-${ids}-01\r\nx: y`,
    `${example}, ${example}`,
    `00-${ids}-01-${'a'.repeat(5000)}`
  ]) {
    assert.equal(readTraceparent(text), undefined, JSON.stringify(text))
  }
})

test('a tracestate is passed on without blanks and empty members', () => {
  assert.equal(readTracestate('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'), 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')
  assert.equal(readTracestate('foo=1 \t , \t bar=2, \t baz=3'), 'foo=1,bar=2,baz=3')
  assert.equal(readTracestate('foo=1,,,'), 'foo=1')
  assert.equal(readTracestate('fw529a3039@dt=FfU#=x'.replace('=x', '')), 'fw529a3039@dt=FfU#')
})

test('an invalid tracestate counts as none', () => {
  for (const text of [
    '',
    ',',
    'foo',
    'foo =1',
    'FOO=1',
    'foo.bar=1',
    'foo@=1',
    '@foo=1',
    'foo@@bar=1',
    'foo=bar=baz',
    'foo=bar\nbaz=1',
    'foo=1,foo=2',
    'foo=é',
    `${'z'.repeat(257)}=1`,
    Array.from({ length: 33 }, (_, index) => `bar${index}=1`).join(',')
  ]) {
    assert.equal(readTracestate(text), undefined, JSON.stringify(text))
  }
})

test('a tracestate that is too long loses whole members, long ones first, then the last ones', () => {
  const long = `long=${'x'.repeat(200)}`
  const short = Array.from({ length: 8 }, (_, index) => `k${index}=${'y'.repeat(115)}`)
  assert.equal(readTracestate([short[0], long, ...short.slice(1)].join(',')), short.join(','))
  const many = Array.from({ length: 12 }, (_, index) => `k${index}=${'y'.repeat(115)}`)
  assert.equal(readTracestate(many.join(',')), many.slice(0, 8).join(','))
})

test('new traces are valid, differ, and are sampled by their ratio', () => {
  const maker = new TraceMaker(0.25)
  const seen = new Set<string>()
  let sampledCount = 0
  for (let round = 0; round < 4000; round += 1) {
    const text = maker.next()
    assert.equal(readTraceparent(text), text)
    seen.add(text.slice(3, 35))
    if (text.endsWith('-01')) sampledCount += 1
  }
  assert.equal(seen.size, 4000)
  assert.ok(sampledCount > 850 && sampledCount < 1150, `${sampledCount}`)
  assert.ok(new TraceMaker(1).next().endsWith('-01'))
  assert.ok(new TraceMaker(0).next().endsWith('-00'))
})

test('ids of zeros alone are never given out', () => {
  let fills = 0
  const maker = new TraceMaker(1, bytes => bytes.fill(fills++ === 0 ? 0 : 7))
  assert.equal(maker.next(), `00-${'07'.repeat(16)}-${'07'.repeat(8)}-01`)
})
