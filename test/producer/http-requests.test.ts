import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'

import { VirtualClock } from '../../src/core/index.ts'
import { HttpSource, type HttpSourceOptions } from '../../src/producer/index.ts'
import type { Logger } from '../../src/telemetry/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { HeldIntake } from './held-intake.ts'

const token = 'a-token-of-sixteen+'
const idempotency = { windowMs: 60_000, keysMax: 100, bytesMax: 1_000_000 }

async function serve(
  t: TestContext,
  options: Partial<HttpSourceOptions> = {}
): Promise<{ intake: HeldIntake; url: string; port: number; clock: VirtualClock }> {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  const clock = new VirtualClock()
  const source = new HttpSource({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 1_000_000,
    pendingBytesMax: 4_000_000,
    idempotency,
    clock,
    ...options
  })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  t.after(async () => {
    stopping.abort()
    await source.close()
    await ended
  })
  const { port } = await source.listening
  return { intake, url: `http://127.0.0.1:${port}`, port, clock }
}

async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {}
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/events`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers }
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>
  }
}

function codeOf(body: Record<string, unknown>): unknown {
  return (body['error'] as { code?: unknown } | undefined)?.code
}

test('the same request again has the same answer, and its events are published once', async t => {
  const { intake, url, clock } = await serve(t)
  const key = { 'idempotency-key': '"k-1"' }
  const first = await post(url, '[{"a":1},2]', key)
  const again = await post(url, '[{"a":1},2]', key)
  assert.equal(first.status, 400)
  assert.equal(again.status, 400)
  assert.deepEqual(again.body, first.body)
  assert.equal(first.headers.get('idempotency-replayed'), null)
  assert.equal(again.headers.get('idempotency-replayed'), 'true')
  assert.equal(intake.held.length, 1)

  await clock.advance(60_000)
  assert.equal((await post(url, '[{"a":1},2]', key)).headers.get('idempotency-replayed'), null)
  assert.equal(intake.held.length, 2)
})

test('the key of another body is refused, and so is one that is none', async t => {
  const { intake, url } = await serve(t)
  await post(url, '{"a":1}', { 'idempotency-key': 'k-1' })
  const other = await post(url, '{"a":2}', { 'idempotency-key': '"k-1"' })
  assert.equal(other.status, 422)
  assert.equal(codeOf(other.body), 'ERR_PRODUCER_IDEMPOTENCY_KEY_REUSED')
  const invalid = await post(url, '{"a":2}', { 'idempotency-key': '""' })
  assert.equal(invalid.status, 400)
  assert.equal(codeOf(invalid.body), 'ERR_PRODUCER_IDEMPOTENCY_KEY_INVALID')
  assert.equal(intake.held.length, 1)
})

test('a request that comes again while the first is under way hears 409, and its answer after that', async t => {
  const { intake, url } = await serve(t)
  intake.isAutomatic = false
  const key = { 'idempotency-key': 'k-1' }
  const answering = post(url, '{"a":1}', key)
  const chunk = await intake.chunk(0)
  const busy = await post(url, '{"a":1}', key)
  assert.equal(busy.status, 409)
  assert.equal(busy.headers.get('retry-after'), '1')
  assert.equal(codeOf(busy.body), 'ERR_PRODUCER_IDEMPOTENCY_KEY_BUSY')
  chunk.acknowledge()
  assert.equal((await answering).status, 202)
  assert.equal((await post(url, '{"a":1}', key)).status, 202)
  assert.equal(intake.held.length, 1)
})

test('what Kafka did not take may come again under the same key', async t => {
  const { intake, url } = await serve(t)
  intake.isAutomatic = false
  const key = { 'idempotency-key': 'k-1' }
  const answering = post(url, '{"a":1}', key)
  ;(await intake.chunk(0)).fail()
  assert.equal((await answering).status, 503)
  const again = post(url, '{"a":1}', key)
  ;(await intake.chunk(1)).acknowledge()
  assert.equal((await again).status, 202)
})

test('a source with a token takes events only with it, and says how it is to anybody', async t => {
  const { intake, url } = await serve(t, { token })
  for (const authorization of [
    '',
    'Bearer ',
    `Bearer ${token}x`,
    `Basic ${token}`,
    token,
    `Bearer ${token.slice(1)}`
  ]) {
    const refused = await post(url, '{"a":1}', authorization === '' ? {} : { authorization })
    assert.equal(refused.status, 401, authorization)
    assert.equal(codeOf(refused.body), 'ERR_PRODUCER_UNAUTHORIZED')
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer')
  }
  assert.equal(intake.held.length, 0)
  assert.equal((await post(url, '{"a":1}', { authorization: `bearer  ${token}` })).status, 202)
  assert.equal((await fetch(`${url}/health`)).status, 200)
})

test('OPTIONS and HEAD are answered without a body, and nobody of another origin is let in', async t => {
  const { url } = await serve(t)
  const options = await fetch(`${url}/events`, { method: 'OPTIONS', headers: { origin: 'https://example.com' } })
  assert.equal(options.status, 204)
  assert.equal(options.headers.get('allow'), 'POST, OPTIONS')
  assert.equal(options.headers.get('access-control-allow-origin'), null)
  const health = await fetch(`${url}/health`, { method: 'HEAD' })
  assert.equal(health.status, 200)
  assert.equal(await health.text(), '')
  const head = await fetch(`${url}/events`, { method: 'HEAD' })
  assert.equal(head.status, 405)
  assert.equal(head.headers.get('allow'), 'POST, OPTIONS')
})

test('who asks before sending the body is invited, or hears why not', async t => {
  const { port } = await serve(t, { token })
  const ask = async (authorization: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    let hasBody = false
    socket.write(
      `POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: ${authorization}\r\n` +
        'content-length: 7\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n'
    )
    socket.on('data', (piece: Buffer) => {
      text += piece.toString()
      if (!text.includes('100 Continue') || hasBody) return
      hasBody = true
      socket.write('{"a":1}')
    })
    await once(socket, 'close')
    return text
  }
  assert.match(await ask(`Bearer ${token}`), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /)
  assert.match(await ask('Bearer wrong'), /^HTTP\/1\.1 401 /)
})

test('what a request says about its events goes with them', async t => {
  const { intake, url } = await serve(t)
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = { traceparent, tracestate: 'a=1', 'x-request-id': 'r-1', 'idempotency-key': 'k-1' }
  await post(url, '{"a":1}', headers)
  const { receivedAtMs, ...context } = intake.contexts[0] ?? {}
  assert.deepEqual(context, {
    isOneRequest: true,
    correlationId: 'r-1',
    traceparent,
    tracestate: 'a=1',
    idempotencyKey: 'k-1'
  })
  assert.equal(receivedAtMs, 1_700_000_000_000)
})

test('Retry-After of a full source says how long the rate limit needs', async t => {
  const { intake, url } = await serve(t, { requestsMax: 0 })
  assert.equal((await post(url, '{"a":1}')).headers.get('retry-after'), '1')
  for (const [waitMs, seconds] of [
    [1001, '2'],
    [86_400_000, '3600'],
    [Number.POSITIVE_INFINITY, '30']
  ] as const) {
    intake.retryAfterMs = () => waitMs
    const busy = await post(url, '{"a":1}')
    assert.equal(busy.status, 429)
    assert.equal(busy.headers.get('retry-after'), seconds)
  }
})

test('a source that listens beyond this machine without a token says so', async t => {
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warnings.push(message ?? '') }
  await serve(t, { host: '0.0.0.0', logger })
  assert.match(warnings.join(), /anybody who reaches this address may publish events/)
  warnings.length = 0
  await serve(t, { host: '0.0.0.0', token, logger })
  await serve(t, { host: '127.0.0.1', logger })
  assert.deepEqual(warnings, [])
})
