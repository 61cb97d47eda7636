/** HTTP replies out of bytes: whole ones count, everything irregular is an error. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { type HttpReply, ReplyError, ReplyParser } from '../../src/targets/http1/reply-parser.ts'

const lines = (...text: string[]): string => text.join('\r\n')

function parse(chunks: readonly Buffer[], bodyBytesMax = 1_000): HttpReply | undefined {
  const parser = new ReplyParser(bodyBytesMax)
  let reply: HttpReply | undefined
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk)
    reply = parser.push(bytes) ?? reply
    bytes.fill(0) // a connection reads the next bytes to the same place
  }
  return reply
}

/** Replies, status and body, and whether the connection is kept. */
const GOOD: readonly (readonly [string, number, string, boolean])[] = [
  [lines('HTTP/1.1 200 OK', 'Content-Length: 2', '', '{}'), 200, '{}', true],
  [lines('HTTP/1.1 200', 'content-length:2', 'Connection: keep-alive', '', '{}'), 200, '{}', true],
  [lines('HTTP/1.1 200 ', 'content-length: 0 ', 'connection: a, close', '', ''), 200, '', false],
  [lines('HTTP/1.0 200 OK', 'Content-Length: 2', '', '{}'), 200, '{}', false],
  [lines('HTTP/1.1 204 No Content', '', ''), 204, '', true],
  [lines('HTTP/1.1 503 busy', 'Retry-After: 7', 'X:', 'Content-Length: 0', '', ''), 503, '', true],
  [lines('HTTP/1.1 100 Continue', '', 'HTTP/1.1 200 OK', 'Content-Length: 1', '', '1'), 200, '1', true],
  [
    lines(
      'HTTP/1.1 200 OK',
      'Transfer-Encoding: Chunked',
      '',
      '3',
      'abc',
      'A;x="y"',
      '0123456789',
      '0',
      'T: 1',
      '',
      ''
    ),
    200,
    'abc0123456789',
    true
  ]
]

test('a reply is the same wherever the stream is cut', () => {
  for (const [text, statusCode, body, isKept] of GOOD) {
    const bytes = Buffer.from(text, 'latin1')
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 7) {
        const reply = parse([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])
        assert.deepEqual([reply?.statusCode, reply?.body?.toString(), reply?.isKept], [statusCode, body, isKept], text)
      }
      if (first < bytes.length) assert.equal(parse([bytes.subarray(0, first)]), undefined)
    }
  }
})

test('what is malformed, ambiguous or smuggled is no reply', () => {
  for (const text of [
    lines('HTTP/2 200 OK', '', ''),
    lines('HTTP/1.1 20 OK', '', ''),
    lines('HTTP/1.1  200 OK', '', ''),
    lines('http/1.1 200 OK', '', ''),
    lines('220 mail.example ESMTP', '', ''),
    lines('HTTP/1.1 101 Switching Protocols', '', ''),
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n',
    lines('HTTP/1.1 200 OK', 'Content-Length: 2', 'Content-Length: 2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Content-Length: 2, 2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Content-Length: +2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Content-Length: 0x2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Content-Length: ', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Content-Length : 2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'A: b', ' folded', 'Content-Length: 0', '', ''),
    lines('HTTP/1.1 200 OK', 'A: b\rContent-Length: 0', '', ''),
    lines('HTTP/1.1 200 OK', 'no colon', '', ''),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Content-Length: 2', '', '{}'),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked', '', '0', '', ''),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: identity', '', '{}'),
    lines('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', '', '0', '', ''),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '-1', ''),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '2', '{}}', ''),
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '123456789', ''),
    lines('HTTP/1.1 200 OK', 'Content-Length: 2', '', '{}', 'HTTP/1.1 200 OK'),
    lines('HTTP/1.1 204 No Content', '', 'x'),
    `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(40_000)}`,
    lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', `1;${'x'.repeat(5_000)}`),
    `${lines('HTTP/1.1 100 Continue', '', '').repeat(2_000)}`
  ]) {
    assert.throws(() => parse([Buffer.from(text, 'latin1')]), ReplyError, text.slice(0, 200))
  }
})

test('a reply without a length ends with the connection, and only such a one does', () => {
  const parser = new ReplyParser(100)
  assert.equal(parser.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n{}')), undefined)
  const reply = parser.end()
  assert.deepEqual([reply?.statusCode, reply?.body?.toString(), reply?.isKept], [200, '{}', false])
  for (const text of ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}']) {
    const cut = new ReplyParser(100)
    cut.push(Buffer.from(text))
    assert.equal(cut.end(), undefined, text)
  }
})

test('a body beyond its limit is not kept, nor is its connection', () => {
  const reply = parse([Buffer.from(lines('HTTP/1.1 200 OK', 'Content-Length: 1000000', '', 'x'.repeat(60)))], 50)
  assert.deepEqual([reply?.statusCode, reply?.body, reply?.isKept], [200, undefined, false])
})

test('what a server says of its connections is read', () => {
  const [text] = GOOD[5] ?? ['']
  assert.equal(parse([Buffer.from(text)])?.retryAfter, '7')
  const kept = lines('HTTP/1.1 200 OK', 'Keep-Alive: timeout=5, max=100', 'Content-Length: 0', '', '')
  assert.equal(parse([Buffer.from(kept)])?.keepAliveMs, 5000)
})

test('mutated replies are whole, unfinished or refused, and never anything else', t => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(GOOD[randomInt(random, GOOD.length)]?.[0] ?? '', 'latin1')
    for (let edits = randomInt(random, 4); edits > 0; edits -= 1) {
      bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
    }
    const cut = randomInt(random, bytes.length + 1)
    try {
      const reply = parse([bytes.subarray(0, cut), bytes.subarray(cut)])
      assert.ok(reply === undefined || (reply.statusCode >= 200 && reply.statusCode <= 999))
    } catch (error) {
      assert.ok(error instanceof ReplyError, bytes.toString('latin1'))
    }
  }
})

/**
 * Symptom: a reply of 32 KiB held the process up for more than a second. Cause: the expression for a header looked for
 * the end of its white space from each place in it. Reach: whoever answers as the target.
 */
test('a header of white space takes no time', () => {
  const startMs = performance.now()
  for (const value of [' '.repeat(32_000), `${' '.repeat(16_000)}a${' '.repeat(15_000)}`]) {
    const head = lines('HTTP/1.1 200 OK', `X:${value}\u0001`, '', '')
    assert.throws(() => parse([Buffer.from(head, 'latin1')]), ReplyError)
  }
  assert.ok(performance.now() - startMs < 200, `${performance.now() - startMs} ms`)
})

test('a body of the smallest chunks weighs what its bytes do', () => {
  const parser = new ReplyParser(1_000_000)
  parser.push(Buffer.from(lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', ''), 'latin1'))
  const chunks = Buffer.from(lines('1', 'x', '').repeat(10_000), 'latin1')
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < 50; round += 1) parser.push(chunks)
  const keptBytes = process.memoryUsage().heapUsed - before
  const reply = parser.push(Buffer.from(lines('0', '', ''), 'latin1'))
  assert.equal(reply?.body?.length, 500_000)
  assert.ok(keptBytes < 40_000_000, `${keptBytes} bytes`)
})

test('bytes behind a body that is too long are never the next reply', () => {
  const smuggled = lines('HTTP/1.1 200 OK', 'Content-Length: 5', '', 'abcde') + lines('HTTP/1.1 200 OK', '', '')
  const reply = parse([Buffer.from(smuggled, 'latin1')], 4)
  assert.deepEqual([reply?.statusCode, reply?.body, reply?.isKept], [200, undefined, false])
})
