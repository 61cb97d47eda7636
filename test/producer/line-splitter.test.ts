import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import type { EventChunk } from '../../src/producer/event-chunk.ts'
import { LineSplitter } from '../../src/producer/line-splitter.ts'

function eventsOf(chunk: EventChunk | undefined): [line: number, text: string][] {
  if (chunk === undefined) return []
  return Array.from({ length: chunk.count }, (_, index) => {
    const text = chunk.bytes.toString('utf8', chunk.spans[index * 2], chunk.spans[index * 2 + 1])
    return [chunk.lines[index] ?? 0, text]
  })
}

function split(pieces: readonly (string | Buffer)[], lineBytesMax = 1000): [number, string][] {
  const splitter = new LineSplitter(lineBytesMax)
  const events = pieces.flatMap(piece => eventsOf(splitter.push(Buffer.from(piece))))
  return [...events, ...eventsOf(splitter.end())]
}

test('lines end with LF or CRLF, the last one with the end of the stream', () => {
  assert.deepEqual(split(['{"a":1}\n{"b":2}\r\n{"c":3}']), [
    [1, '{"a":1}'],
    [2, '{"b":2}'],
    [3, '{"c":3}']
  ])
})

test('empty and blank lines are skipped but counted', () => {
  assert.deepEqual(split(['\n\r\n  \t\n{"a":1}\n\n{"b":2}\n   ']), [
    [4, '{"a":1}'],
    [6, '{"b":2}']
  ])
})

test('a byte order mark is no part of the first line, even when it comes byte by byte', () => {
  const bytes = Buffer.from([0xef, 0xbb, 0xbf, ...Buffer.from('{"a":1}\n{"b":2}\n')])
  assert.deepEqual(split([bytes]), [
    [1, '{"a":1}'],
    [2, '{"b":2}']
  ])
  assert.deepEqual(split([...bytes].map(byte => Buffer.from([byte]))), [
    [1, '{"a":1}'],
    [2, '{"b":2}']
  ])
})

test('a byte order mark on a later line stays, and makes that line bad JSON', () => {
  assert.deepEqual(split(['1\n\uFEFF2\n']), [
    [1, '1'],
    [2, '\uFEFF2']
  ])
})

test('an empty stream and a stream of newlines have no events', () => {
  assert.deepEqual(split([]), [])
  assert.deepEqual(split(['']), [])
  assert.deepEqual(split(['\n\n\n']), [])
})

test('a line of just the limit is whole, with LF, CRLF and at the end', () => {
  const line = 'x'.repeat(10)
  for (const end of ['\n', '\r\n', '']) {
    const splitter = new LineSplitter(10)
    const chunk = splitter.push(Buffer.from(line + end)) ?? splitter.end()
    assert.deepEqual(eventsOf(chunk), [[1, line]])
    assert.equal(chunk?.truncated, undefined)
  }
})

test('a line far beyond the limit keeps its beginning and its length, and the lines behind it are whole', () => {
  const splitter = new LineSplitter(10)
  assert.equal(splitter.push(Buffer.from('a'.repeat(50))), undefined)
  assert.equal(splitter.push(Buffer.from('b'.repeat(50))), undefined)
  const chunk = splitter.push(Buffer.from('c\n{"a":1}\n{"b":2'))

  assert.equal(chunk?.truncated?.get(0), 101)
  assert.deepEqual(eventsOf(chunk), [
    [1, 'a'.repeat(11)],
    [2, '{"a":1}']
  ])
  assert.deepEqual(eventsOf(splitter.end()), [[3, '{"b":2']])
})

test('a line beyond the limit at the end of the stream is handed over truncated', () => {
  const splitter = new LineSplitter(10)
  splitter.push(Buffer.from('a'.repeat(40)))
  const chunk = splitter.end()
  assert.equal(chunk?.truncated?.get(0), 40)
  assert.equal(chunk?.bytes.length, 11)
})

test('a line without an end never holds more than the limit', () => {
  const splitter = new LineSplitter(1000)
  const piece = Buffer.alloc(65_536, 'x')
  for (let count = 0; count < 100; count += 1) splitter.push(piece)
  const chunk = splitter.end()
  assert.equal(chunk?.truncated?.get(0), 6_553_600)
  assert.equal(chunk?.bytes.length, 1001)
})

test('a chunk ends where its last whole line ends', () => {
  const splitter = new LineSplitter(100)
  assert.equal(splitter.push(Buffer.from('{"a":1}\n{"b'))?.position, 8)
  assert.equal(splitter.push(Buffer.from('":2}\n\n'))?.position, 17)
})

test('however a stream is cut, its lines are the same', t => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 200; round += 1) {
    const ends = ['\n', '\r\n', '\n\n', '\n \n']
    let text = ''
    for (let line = randomInt(random, 8); line >= 0; line -= 1) {
      text += 'é{"x":1}'.repeat(randomInt(random, 4)) + (ends[randomInt(random, ends.length)] ?? '')
    }
    const expected = text
      .split('\n')
      .map((line, index): [number, string] => [index + 1, line.endsWith('\r') ? line.slice(0, -1) : line])
      .filter(([, line]) => line.trim() !== '')
    const bytes = Buffer.from(text)
    const pieces: Buffer[] = []
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + 1 + randomInt(random, 12))
      pieces.push(bytes.subarray(at, end))
      at = end
    }
    assert.deepEqual(split(pieces), expected)
  }
})
