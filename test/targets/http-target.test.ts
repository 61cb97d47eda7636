import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'

import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import { createTarget, httpStatusOutcome, HttpTarget } from '../../src/targets/index.ts'
import { batchOf, errorLog, never, serve } from './support.ts'

async function targetFor(
  t: Parameters<typeof serve>[0],
  answer: Parameters<typeof serve>[1],
  options: Partial<ConstructorParameters<typeof HttpTarget>[0]> = {}
) {
  const server = await serve(t, answer)
  const target = new HttpTarget({ url: `${server.url}/batches?x=1`, ...options })
  t.after(() => target.close())
  return { server, target }
}

test('a batch is one POST with the payload and what a receiver needs to know of it', async t => {
  const { server, target } = await targetFor(t, (_received, response) => response.writeHead(204).end(), {
    headers: { authorization: 'Bearer x' }
  })
  assert.deepEqual(await target.invoke(batchOf({ attempt: 2 }), never), { kind: 'ok' })
  const [received] = server.received
  assert.equal(received?.request.method, 'POST')
  assert.equal(received.request.url, '/batches?x=1')
  assert.equal(received.body, batchOf().body.toString())
  const { headers } = received.request
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['content-length'], String(batchOf().body.length))
  assert.equal(headers['idempotency-key'], 'g/mt-c400/3/12-14')
  assert.equal(headers['comporta-attempt'], '2')
  assert.equal(headers['comporta-record-count'], '2')
  assert.equal(headers.authorization, 'Bearer x')
})

test('connections are kept: a hundred batches one after the other do not need a hundred', async t => {
  const { server, target } = await targetFor(t, (_received, response) => response.end('{}'))
  for (let count = 0; count < 100; count += 1) assert.equal((await target.invoke(batchOf(), never)).kind, 'ok')
  // A second one may be opened while the first is still finishing an answer.
  assert.ok(server.connectionCount() <= 2)
})

test('the body of a 2xx answer may name failed records', async t => {
  let body = '{"failures":[{"offset":14,"reason":"no"}]}'
  const { target } = await targetFor(t, (_received, response) => response.writeHead(202).end(body))
  assert.deepEqual(await target.invoke(batchOf(), never), {
    kind: 'partial',
    failures: [{ offset: 14n, action: 'retry', reason: 'no' }]
  })
  body = 'accepted'
  assert.deepEqual(await target.invoke(batchOf(), never), { kind: 'ok' })
  body = '{"failures":1}'
  assert.equal((await target.invoke(batchOf(), never)).kind, 'rejected')
})

test('a reply without end is not read for ever', async t => {
  const { target } = await targetFor(t, (_received, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  const outcome = await target.invoke(batchOf(), never)
  assert.equal(outcome.kind === 'rejected' && outcome.errorClass, 'InvalidReply')
})

test('statuses are told apart: refused, too large, not now, broken, wrongly configured', () => {
  const verdict = (status: number): string => {
    const outcome = httpStatusOutcome(status)
    if (outcome.kind === 'rejected') return outcome.errorClass
    return outcome.kind === 'unavailable' && outcome.isSuspect === true ? 'suspect' : outcome.kind
  }
  for (const status of [400, 409, 410, 415, 422]) assert.equal(verdict(status), `Http${status}`)
  assert.equal(verdict(413), 'PayloadTooLarge')
  for (const status of [408, 425, 429, 503]) assert.equal(verdict(status), 'unavailable')
  for (const status of [500, 501, 502, 504, 599]) assert.equal(verdict(status), 'suspect')
  for (const status of [301, 302, 304, 307, 401, 403, 404, 405, 407]) assert.equal(verdict(status), 'unavailable')
})

test('Retry-After is honoured in seconds and as a date', async t => {
  let header = '7'
  const { target } = await targetFor(t, (_received, response) =>
    response.writeHead(429, { 'retry-after': header }).end()
  )
  const wait = async (): Promise<unknown> => {
    const outcome = await target.invoke(batchOf(), never)
    return outcome.kind === 'unavailable' ? outcome.retryAfterMs : outcome
  }
  assert.equal(await wait(), 7000)
  header = new Date(Date.now() + 60_000).toUTCString()
  const untilDate = Number(await wait())
  assert.ok(untilDate > 50_000 && untilDate <= 60_000, String(untilDate))
  header = 'soon'
  assert.equal(await wait(), undefined)
})

test('a wrong address is said loudly, but not with every batch', async t => {
  const { logger, errors } = errorLog()
  const { target } = await targetFor(t, (_received, response) => response.writeHead(404).end(), { logger })
  for (let count = 0; count < 5; count += 1) await target.invoke(batchOf(), never)
  assert.equal(errors.length, 1)
  assert.match(errors[0] ?? '', /404: check its URL and credentials/)
})

test('a target that is not there is unavailable, one that breaks off is suspect', async t => {
  const { server, target } = await targetFor(t, received => received.request.socket.destroy())
  const broken = await target.invoke(batchOf(), never)
  assert.equal(broken.kind === 'unavailable' && broken.isSuspect, true)
  await server.stop()
  const refused = await target.invoke(batchOf(), never)
  assert.equal(refused.kind, 'unavailable')
  assert.match(refused.kind === 'unavailable' ? refused.reason : '', /ECONNREFUSED/)
  assert.equal(refused.kind === 'unavailable' && refused.isSuspect, undefined)
})

test('an answer that ends half way is not success', async t => {
  const { target } = await targetFor(t, ({ request }, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"failures":[')
    request.socket.end()
  })
  const outcome = await target.invoke(batchOf(), never)
  assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect, true)
})

test('an aborted invocation ends at once', async t => {
  const abort = new AbortController()
  const { target } = await targetFor(t, () => abort.abort())
  assert.equal((await target.invoke(batchOf(), abort.signal)).kind, 'unavailable')
})

test('a target that cannot be made from its configuration does not start', async () => {
  const refused = (error: unknown): boolean =>
    PipelineError.is(error, 'ERR_DISPATCHER_TARGET_INVALID') && !error.retriable
  for (const url of ['not a url', 'ftp://x/']) {
    await assert.rejects(createTarget({ type: 'http', url, headers: {}, timeoutMs: 1000 }), refused)
  }
  for (const headers of [{ 'a b': 'x' }, { authorization: 'Bearer\nx' }, { Host: 'a', host: 'b' }]) {
    await assert.rejects(createTarget({ type: 'http', url: 'http://localhost', headers, timeoutMs: 1000 }), refused)
  }
})

test('a target that lets nobody connect is out of reach before the time of the invocation is over', async t => {
  const server = createServer(socket => t.after(() => socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo // a server of net listens on a port
  const clock = new VirtualClock()
  const target = new HttpTarget({ url: `https://127.0.0.1:${port}`, timeoutMs: 1_000, clock })
  t.after(() => target.close())
  const invoking = target.invoke(batchOf(), never)
  await once(server, 'connection')
  await clock.advance(900)
  const outcome = await invoking
  assert.equal(outcome.kind, 'unavailable')
  // Suspect would say that the records may be at fault.
  assert.equal(outcome.kind === 'unavailable' && outcome.isSuspect === true, false)
})
