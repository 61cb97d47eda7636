/** The HTTP sink against real servers. What replies mean is walked in test/lambda. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { VirtualClock } from '../../../src/core/index.ts'
import { HttpSink, type HttpSinkOptions, httpSinkProblems, type SinkRequest } from '../../../src/targets/sinks/index.ts'
import { never, serve } from '../support.ts'

function requestOf(more: Partial<SinkRequest> = {}): SinkRequest {
  return {
    topic: 't',
    partition: 3,
    offsets: [12, 14],
    texts: ['{"n":1.50}', '"é"'],
    keys: undefined,
    timestamps: undefined,
    recordIds: ['t-3-12', 't-3-14'],
    requestId: 't-3-12-14-abc',
    ...more
  }
}

function sinkFor(t: { after(close: () => unknown): void }, options: Omit<HttpSinkOptions, 'name'>): HttpSink {
  const sink = new HttpSink({ name: 's', ...options })
  t.after(() => sink.close())
  return sink
}

test('a request carries the texts as they are, its own headers, and those of the configuration', async t => {
  const server = await serve(t, (_, response) => response.end())
  const headers = { 'X-Fixed': 'a b', Host: 'events.example.com', 'idempotency-key': 'mine', 'Content-Type': 'text/x' }
  const sink = sinkFor(t, { url: `${server.url}/in?x=1`, headers })

  assert.deepEqual(await sink.deliver(requestOf(), never), { kind: 'ok' })
  const [received] = server.received
  assert.equal(
    received?.body,
    '{"source":{"topic":"t","partition":3},"messages":[{"n":1.50},"é"],"offsets":[12,14],' +
      '"idempotencyKeys":["t-3-12","t-3-14"]}'
  )
  assert.equal(received?.request.url, '/in?x=1')
  assert.partialDeepStrictEqual(received?.request.headers, {
    'x-fixed': 'a b',
    host: 'events.example.com',
    'content-type': 'text/x',
    'idempotency-key': 't-3-12-14-abc-s'
  })
})

test('an id that a header cannot hold does not become another header', async t => {
  const server = await serve(t, (_, response) => response.end())
  const sink = sinkFor(t, { url: server.url })

  for (const requestId of ['a\r\nx-evil: 1', 'ação', '\ud800']) {
    assert.deepEqual(await sink.deliver(requestOf({ requestId }), never), { kind: 'ok' })
  }
  const keys = server.received.map(each => each.request.headers['idempotency-key'])
  assert.deepEqual(keys, ['a%0D%0Ax-evil%3A%201-s', 'a%C3%A7%C3%A3o-s', '%EF%BF%BD-s'])
  assert.equal(server.received[0]?.request.headers['x-evil'], undefined)
})

test('connections are kept, and never more than allowed', async t => {
  const server = await serve(t, (_, response) => response.end('{}'))
  const sink = sinkFor(t, { url: server.url, connectionsMax: 2 })

  await Promise.all(Array.from({ length: 10 }, () => sink.deliver(requestOf(), never)))
  for (let count = 0; count < 5; count += 1) await sink.deliver(requestOf(), never)
  assert.equal(server.received.length, 15)
  assert.equal(server.connectionCount(), 2)
})

test('a request that is given up is an outcome, also one that waits for a connection', async t => {
  const server = await serve(t, () => undefined)
  const sink = sinkFor(t, { url: server.url, connectionsMax: 1, clock: new VirtualClock() })
  const controller = new AbortController()
  const both = [sink.deliver(requestOf(), controller.signal), sink.deliver(requestOf(), controller.signal)]
  while (server.received.length === 0) await new Promise(resolve => setImmediate(resolve))
  controller.abort(new Error('too late'))

  for (const outcome of await Promise.all(both)) {
    assert.deepEqual(outcome, { kind: 'unavailable', reason: 'target s: too late', isSuspect: true })
  }
  await sink.close()
  await sink.close()
  assert.partialDeepStrictEqual(await sink.deliver(requestOf(), never), { kind: 'unavailable' })
})

test('settings that cannot work are refused, and values are not repeated', () => {
  assert.throws(() => new HttpSink({ name: 's', url: 'ftp://x' }), {
    code: 'ERR_DISPATCHER_TARGET_INVALID',
    message: 'target s: url: is not an http or https address'
  })
  const secret = 'Bearer\n1234'
  const problems = httpSinkProblems({ type: 'http', url: 'http://127.0.0.1/', headers: { a: secret, b: { env: 1 } } })
  assert.deepEqual(problems, [
    'headers.a: has a value that a header cannot hold',
    'headers.b: is neither a text nor { env: NAME }'
  ])
  assert.deepEqual(httpSinkProblems(undefined), ['is not an object'])
  assert.deepEqual(httpSinkProblems({ type: 'http', url: 'https://x', headers: { a: { env: 'TOKEN' } } }), [])
})
