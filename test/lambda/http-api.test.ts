/** The runtime against requests that no SDK would send, and the limits of the ones it would. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'

import { RequestTooLargeException } from '@aws-sdk/client-lambda'

import type { LambdaRuntime } from '../../src/lambda/index.ts'
import { parseFunctionReference } from '../../src/lambda/runtime/function-name.ts'
import { basic, sdkFor, startRuntime, until } from './support.ts'

/** Sends bytes as they are and gives back everything that comes until the peer ends or `isEnough`. */
async function raw(runtime: LambdaRuntime, text: string, isEnough = /never/): Promise<string> {
  const socket = connect(runtime.port, runtime.host)
  let received = ''
  socket.setEncoding('utf8')
  socket.on('data', chunk => {
    received += String(chunk)
    if (isEnough.test(received)) socket.destroy()
  })
  socket.on('error', () => undefined) // a connection that is cut is one of the right answers
  socket.write(text)
  await new Promise(resolve => socket.once('close', resolve))
  return received
}

async function start(t: TestContext): Promise<LambdaRuntime> {
  return startRuntime(t, { functions: { sync: basic('sync'), echo: basic('handler') } })
}

const INVOKE = '/2015-03-31/functions/sync/invocations'

test('an event may have 6 MB, and one byte more is refused on a connection that lives on', async t => {
  const runtime = await start(t)
  const client = sdkFor(t, runtime)
  // {"value":1,"pad":"…"} with exactly the wanted number of bytes.
  const sized = (bytes: number): string => `{"value":1,"pad":"${'x'.repeat(bytes - 20)}"}`
  assert.equal(sized(100).length, 100)

  assert.equal((await client.invoke('sync', {}, { Payload: sized(6_291_456) })).payload, 2)
  await assert.rejects(client.invoke('sync', {}, { Payload: sized(6_291_457) }), error => {
    assert.ok(error instanceof RequestTooLargeException)
    assert.equal(error.$metadata.httpStatusCode, 413)
    assert.equal(error.message, 'Request must be smaller than 6291456 bytes for the InvokeFunction operation')
    return true
  })
  const event = { InvocationType: 'Event' as const }
  await assert.rejects(client.invoke('sync', {}, { Payload: sized(1_048_577), ...event }), RequestTooLargeException)
  assert.equal((await client.invoke('sync', {}, { Payload: sized(1_048_576), ...event })).output.StatusCode, 202)
  assert.equal((await client.invoke('sync', { value: 4 })).payload, 8)
})

test('an absurd content length is refused without reading, an endless body without keeping it', async t => {
  const runtime = await start(t)

  const absurd = await raw(runtime, `POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999\r\n\r\n{}`)
  assert.match(absurd, /^HTTP\/1\.1 413 [\s\S]*RequestTooLargeException/)
  const nonsense = await raw(runtime, `POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n{}`)
  assert.match(nonsense, /^HTTP\/1\.1 400 /)

  const socket = connect(runtime.port, runtime.host)
  socket.on('error', () => undefined)
  socket.write(`POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`)
  const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`
  let sentMb = 0
  while (!socket.destroyed && sentMb < 512) {
    sentMb += 1
    if (!socket.write(chunk)) await new Promise(resolve => socket.once('drain', resolve).once('close', resolve))
    socket.removeAllListeners('drain').removeAllListeners('close')
  }
  assert.ok(sentMb < 200, `${sentMb} MB were taken`)
  assert.equal((await sdkFor(t, runtime).invoke('sync', { value: 1 })).payload, 2)
})

test('bodies held at the same time have a limit', async t => {
  const functions = { sync: basic('sync') }
  const runtime = await startRuntime(t, { functions, requestBytesMax: 8_388_608 })
  const head = `POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: 6000000\r\n\r\n`
  const slow = connect(runtime.port, runtime.host)
  slow.on('error', () => undefined)
  t.after(() => slow.destroy())
  slow.write(`${head}{`)
  const refused = async (): Promise<boolean> => {
    const body = `{"value":1,"pad":"${'x'.repeat(5_000_000)}"}`
    const reply = await fetch(runtime.endpoint + INVOKE, { method: 'POST', body })
    if (reply.status === 200) return false
    assert.equal(reply.status, 429)
    assert.partialDeepStrictEqual(await reply.json(), { Reason: 'CallerRateLimitExceeded' })
    return true
  }

  // The first request's head may still be on its way.
  while (!(await refused())) continue
  slow.destroy()
  while (await refused()) continue
})

test('names that are none, and paths that lead elsewhere, are refused', async t => {
  const runtime = await start(t)
  const statusOf = async (path: string, method = 'POST'): Promise<number> =>
    Number(/^HTTP\/1\.1 (\d+)/.exec(await raw(runtime, `${method} ${path} HTTP/1.1\r\nhost: x\r\n\r\n`, /\}$/))?.[1])

  const names = [
    '..%2F..%2Fetc%2Fpasswd',
    '%',
    '%zz',
    'a%00b',
    'a b',
    'sync%2F..',
    'x'.repeat(200),
    '%2e%2e',
    '$LATEST'
  ]
  for (const name of names) {
    const path = `/2015-03-31/functions/${name.replace(' ', '%20')}/invocations`
    assert.equal(await statusOf(path), 400, name)
  }
  const paths = ['/', '/2015-03-31/functions/../../etc/passwd/invocations', '/2015-03-31/functions//invocations/']
  for (const path of [...paths, '/2015-03-31/functions/sync', '/2014-11-13/functions/sync/invocations']) {
    assert.equal(await statusOf(path), 404, path)
  }
  assert.equal(await statusOf('http://elsewhere/2015-03-31/functions'), 404)
  assert.equal(await statusOf('/2015-03-31/functions', 'DELETE'), 404)
})

test('names are read as Lambda reads them', () => {
  const arn = 'arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:orders'

  assert.deepEqual(parseFunctionReference(arn), { name: 'orders', qualifier: undefined })
  assert.deepEqual(parseFunctionReference(`${arn}:7`), { name: 'orders', qualifier: '7' })
  assert.deepEqual(parseFunctionReference('orders:$LATEST'), { name: 'orders', qualifier: '$LATEST' })
  for (const text of ['', ':', 'a:b:c:d', 'a/b', '../a', 'arn:aws:sqs:us-east-1:123456789012:queue', 'ä']) {
    assert.equal(parseFunctionReference(text), undefined, text)
  }
})

test('bytes that are not HTTP close that connection only', async t => {
  const runtime = await start(t)

  assert.match(await raw(runtime, '\x16\x03\x01\x02\x00garbage\r\n\r\n'), /^HTTP\/1\.1 400 |^$/)
  assert.match(await raw(runtime, `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`), /^HTTP\/1\.1 431 |^$/)
  assert.equal((await sdkFor(t, runtime).invoke('sync', { value: 1 })).payload, 2)
})

test('a client that goes away half way is forgotten', async t => {
  const runtime = await start(t)
  const socket = connect(runtime.port, runtime.host)
  socket.write(`POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"value"`)
  await once(socket, 'ready')
  socket.destroy()
  await once(socket, 'close')

  assert.equal((await sdkFor(t, runtime).invoke('sync', { value: 1 })).payload, 2)
  assert.equal(runtime.status()[0]?.invocations, 1)
})

test('a client that closes its half of the connection is taken for gone, as by every Node server', async t => {
  const runtime = await start(t)
  const socket = connect({ port: runtime.port, host: runtime.host, allowHalfOpen: true })
  socket.end(`POST ${INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n{"value":3}`)
  await once(socket.resume(), 'end')

  assert.equal((await sdkFor(t, runtime).invoke('sync', { value: 1 })).payload, 2)
  await until(() => runtime.status()[0]?.busyCount === 0)
})

test('a page in a browser cannot run functions', async t => {
  const runtime = await start(t)
  const send = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(runtime.endpoint + INVOKE, { method: 'POST', body: '{"value":1}', headers })).status

  assert.equal(await send({ origin: 'https://example.com' }), 403)
  assert.equal(await send({ 'sec-fetch-site': 'cross-site' }), 403)
  assert.equal(runtime.status()[0]?.invocations, 0)
  assert.equal(await send({}), 200)
})

test('an unknown invocation type is refused', async t => {
  const runtime = await start(t)
  const headers = { 'x-amz-invocation-type': 'Sometimes' }
  const reply = await fetch(runtime.endpoint + INVOKE, { method: 'POST', body: '{}', headers })

  assert.equal(reply.status, 400)
  assert.equal(reply.headers.get('x-amzn-errortype'), 'InvalidParameterValueException')
})

test('faults and status are within reach of other processes', async t => {
  const runtime = await start(t)
  const change = async (name: string, body: string): Promise<Response> =>
    fetch(`${runtime.endpoint}/comporta/functions/${name}/faults`, { method: 'PUT', body })

  const changed = await (await change('sync', '{"extraLatencyMs":1}')).json()
  assert.partialDeepStrictEqual(changed, { extraLatencyMs: 1, failureRatio: 0 })
  assert.equal((await change('absent', '{"extraLatencyMs":1}')).status, 404)
  for (const body of [
    '',
    'null',
    '[]',
    '{"extraLatencyMs":-1}',
    '{"failureRatio":"1"}',
    '{"other":1}',
    'x'.repeat(5000)
  ]) {
    const { status } = await change('sync', body)
    assert.ok(status === 400 || status === 413, `${body.slice(0, 30)}: ${status}`)
  }
  const status = await (await fetch(`${runtime.endpoint}/comporta/status`)).json()
  assert.partialDeepStrictEqual(status, { functions: [{ name: 'sync', faults: { extraLatencyMs: 1 } }] })
})

test('an answer that comes late for its client harms nobody', async t => {
  const runtime = await startRuntime(t, { functions: { sync: basic('sync') } })
  runtime.setFaults('sync', { extraLatencyMs: 50 })
  const controller = new AbortController()
  const request = fetch(runtime.endpoint + INVOKE, { method: 'POST', body: '{}', signal: controller.signal })
  await until(() => runtime.status()[0]?.busyCount === 1)
  controller.abort()
  await assert.rejects(request)

  await until(() => runtime.status()[0]?.busyCount === 0)
  assert.equal((await sdkFor(t, runtime).invoke('sync', { value: 1 })).payload, 2)
})
