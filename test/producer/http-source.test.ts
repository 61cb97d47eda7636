import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { HttpSource, type HttpSourceOptions } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'

interface Served {
  readonly intake: HeldIntake
  readonly source: HttpSource
  readonly url: string
  readonly port: number
  readonly stop: () => void
  readonly ended: Promise<void>
}

async function serve(
  t: TestContext,
  options: Partial<HttpSourceOptions> & { recordBytesMax?: number; isHeld?: boolean } = {}
): Promise<Served> {
  const { recordBytesMax, isHeld, ...rest } = options
  const intake = new HeldIntake(recordBytesMax)
  intake.isAutomatic = isHeld !== true
  const source = new HttpSource({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 1_000_000,
    pendingBytesMax: 4_000_000,
    ...rest
  })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  t.after(async () => {
    stopping.abort()
    await source.close()
    await ended
  })
  const { port } = await source.listening
  return { intake, source, url: `http://127.0.0.1:${port}`, port, stop: () => stopping.abort(), ended }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

async function post(
  url: string,
  body: string | Buffer | ReadableStream,
  headers: Record<string, string> = { 'content-type': 'application/json' }
): Promise<Answer> {
  const options = { method: 'POST', body, headers, duplex: 'half' as const }
  const response = await fetch(`${url}/events`, options)
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>
  }
}

const postHead = 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'
const ndjson = { 'content-type': 'application/x-ndjson' }

function codeOf(answer: Answer): unknown {
  return (answer.body['error'] as { code?: unknown } | undefined)?.code
}

test('an object, an array and lines are all events, published as they were written', async t => {
  const { intake, url } = await serve(t)

  const one = await post(url, ' {"a": 1,\n "b":"é"} ')
  assert.equal(one.status, 202)
  assert.deepEqual(one.body, { accepted: 1, deadLettered: 0 })
  assert.equal((await post(url, '[{"a":1},\n {"b" : 2}]')).body['accepted'], 2)
  assert.equal((await post(url, '{"a":1}\r\n\n{"b":2}', ndjson)).body['accepted'], 2)
  assert.deepEqual(
    intake.held.map(chunk => chunk.events),
    [['{"a": 1,\n "b":"é"}'], ['{"a":1}', '{"b" : 2}'], ['{"a":1}', '{"b":2}']]
  )
})

test('the answer comes only after the acknowledgement', async t => {
  const { intake, url } = await serve(t, { isHeld: true })
  let hasAnswer = false
  const answering = post(url, '{"a":1}').then(answer => {
    hasAnswer = true
    return answer
  })
  const chunk = await intake.chunk(0)
  await (await fetch(`${url}/health`)).text() // a whole round trip later
  assert.equal(hasAnswer, false)

  chunk.acknowledge()
  assert.equal((await answering).status, 202)
})

test('an event that Kafka does not acknowledge is answered with 503, Retry-After and what is safe', async t => {
  const { intake, url } = await serve(t, { isHeld: true })
  const answering = post(url, '{"a":1}\n{"b":2}\n', ndjson)
  ;(await intake.chunk(0)).fail()

  const answer = await answering
  assert.equal(answer.status, 503)
  assert.equal(codeOf(answer), 'ERR_PRODUCER_DELIVERY_FAILED')
  assert.equal(answer.headers.get('retry-after'), '5')
  assert.equal(answer.body['accepted'], 0)
  assert.equal(answer.body['failedCount'], 2)
})

test('bad lines are refused with their number and reason; the good ones are accepted', async t => {
  const { intake, url } = await serve(t, { recordBytesMax: 100 })
  const answer = await post(url, `{"a":1}\nnot json\n{"b":"${'x'.repeat(100)}"}\n\n[1]\n{"c":3}`, ndjson)

  assert.equal(answer.status, 400)
  assert.deepEqual(answer.body, {
    accepted: 2,
    deadLettered: 0,
    rejectedCount: 3,
    rejected: [
      { line: 2, reason: 'not JSON' },
      { line: 3, reason: 'the event has 108 bytes, allowed are 100' },
      { line: 5, reason: 'not a JSON object' }
    ]
  })
  assert.deepEqual(intake.held[0]?.events, ['{"a":1}', '{"c":3}'])
})

test('elements of an array are numbered from 1', async t => {
  const { url } = await serve(t)
  const answer = await post(url, '[{"a":1}, 2, {"b":3}]')
  assert.equal(answer.status, 400)
  assert.equal(answer.body['accepted'], 2)
  assert.deepEqual(answer.body['rejected'], [{ line: 2, reason: 'not a JSON object' }])
})

test('no more than a hundred refusals are listed, all are counted', async t => {
  const { url } = await serve(t)
  const answer = await post(url, 'x\n'.repeat(5000), ndjson)
  assert.equal(answer.body['rejectedCount'], 5000)
  assert.equal((answer.body['rejected'] as unknown[]).length, 100)
})

test('a body that is no events at all is refused as a whole', async t => {
  const { intake, url } = await serve(t)
  for (const [body, headers] of [
    ['', ndjson],
    ['\n \r\n', ndjson],
    [' ', undefined],
    ['[{"a":1}', undefined],
    ['[{"a":1}]]', undefined]
  ] as const) {
    const answer = await post(url, body, headers)
    assert.equal(answer.status, 400, body)
    assert.equal(codeOf(answer), 'ERR_PRODUCER_BODY_INVALID', body)
  }
  assert.deepEqual((await post(url, '[]')).body, { accepted: 0, deadLettered: 0 })
  assert.equal(intake.held.flatMap(chunk => chunk.events).length, 0)
})

test('types that a page of another origin can send unasked are refused', async t => {
  const { intake, url } = await serve(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
    const answer = await post(url, Buffer.from('{"a":1}'), type === '' ? {} : { 'content-type': type })
    assert.equal(answer.status, 415, type)
    assert.equal(codeOf(answer), 'ERR_PRODUCER_CONTENT_TYPE')
  }
  assert.equal(intake.held.length, 0)
  assert.equal((await post(url, '{"a":1}', { 'content-type': 'Application/JSON; charset=utf-8' })).status, 202)
})

test('a body over the limit is refused by its announced length, or as soon as it is longer', async t => {
  const { intake, source, url } = await serve(t, { bodyBytesMax: 1000 })
  const announced = await post(url, Buffer.alloc(1001, ' '))
  assert.equal(announced.status, 413)
  assert.equal(codeOf(announced), 'ERR_PRODUCER_BODY_TOO_LARGE')

  const stream = new ReadableStream({
    start(controller) {
      for (let piece = 0; piece < 5; piece += 1) controller.enqueue(Buffer.alloc(300, ' '))
      controller.close()
    }
  })
  assert.equal((await post(url, stream)).status, 413)
  assert.equal((await post(url, `{"a":"${'x'.repeat(992)}"}`)).status, 202) // 1,000 bytes just fit
  assert.equal(intake.held.length, 1)
  assert.equal(source.pendingBytes, 0)
})

test('gzip is understood, and what it grows to is limited', async t => {
  const { source, url } = await serve(t, { bodyBytesMax: 100_000 })
  const gzip = { ...ndjson, 'content-encoding': 'gzip' }
  assert.equal((await post(url, gzipSync('{"a":1}\n{"b":2}\n'), gzip)).body['accepted'], 2)

  const bomb = await post(url, gzipSync(Buffer.alloc(50_000_000, '\n')), gzip)
  assert.equal(bomb.status, 413)
  assert.equal(source.pendingBytes, 0)
})

test('bytes that are not gzip, cut gzip and other encodings are refused', async t => {
  const { source, url } = await serve(t)
  const gzip = { ...ndjson, 'content-encoding': 'gzip' }
  for (const body of [Buffer.from('{"a":1}'), gzipSync('{"a":1}'.repeat(100)).subarray(0, 20), Buffer.alloc(0)]) {
    const answer = await post(url, body, gzip)
    assert.equal(answer.status, 400)
    assert.equal(codeOf(answer), 'ERR_PRODUCER_BODY_INVALID')
  }
  assert.equal((await post(url, '{"a":1}', { ...ndjson, 'content-encoding': 'br' })).status, 415)
  assert.equal(source.pendingBytes, 0)
})

test('when too much waits for Kafka the answer is 429 with Retry-After, and 202 again later', async t => {
  const { intake, url, source } = await serve(t, { isHeld: true, bodyBytesMax: 600, pendingBytesMax: 1000 })
  const event = `{"a":"${'x'.repeat(590)}"}`
  const first = post(url, event)
  const chunk = await intake.chunk(0)

  const full = await post(url, event)
  assert.equal(full.status, 429)
  assert.equal(codeOf(full), 'ERR_PRODUCER_BUSY')
  assert.equal(full.headers.get('retry-after'), '1')
  assert.equal(source.pendingBytes, event.length)

  chunk.acknowledge()
  assert.equal((await first).status, 202)
  const again = post(url, event)
  ;(await intake.chunk(1)).acknowledge()
  assert.equal((await again).status, 202)
})

test('requests beyond the limit on their number get 429', async t => {
  const { intake, url } = await serve(t, { isHeld: true, requestsMax: 2 })
  const waiting = [post(url, '{"a":1}'), post(url, '{"a":2}')]
  await intake.chunk(1)
  assert.equal((await post(url, '{"a":3}')).status, 429)
  for (const chunk of intake.held) chunk.acknowledge()
  for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 202)
})

test('a stop finishes what was taken and answers 503 to everything new', async t => {
  const { intake, url, stop, ended } = await serve(t, { isHeld: true })
  const taken = post(url, '{"a":1}')
  const chunk = await intake.chunk(0)
  assert.equal((await fetch(`${url}/health`)).status, 200)
  stop()

  const late = await post(url, '{"a":2}')
  assert.equal(late.status, 503)
  assert.equal(codeOf(late), 'ERR_PRODUCER_DRAINING')
  const health = await fetch(`${url}/health`)
  assert.equal(health.status, 503)
  assert.equal(((await health.json()) as { status: string }).status, 'draining')

  chunk.acknowledge()
  assert.equal((await taken).status, 202)
  await ended
  await assert.rejects(fetch(`${url}/health`))
})

test('other paths and methods are refused', async t => {
  const { url } = await serve(t)
  assert.equal((await fetch(`${url}/`)).status, 404)
  const get = await fetch(`${url}/events`)
  assert.equal(get.status, 405)
  assert.equal(get.headers.get('allow'), 'POST, OPTIONS')
  assert.equal((await fetch(`${url}/health`, { method: 'DELETE' })).status, 405)
})

test('hostile events spoil nothing but themselves', async t => {
  const { intake, url } = await serve(t)
  const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  const lines = ['{"__proto__":{"polluted":true}}', deep, `{"n":${'9'.repeat(10_000)}}`, '{"a":"\\ud800"}', '{"z":0}']
  const answer = await post(url, lines.join('\n'), ndjson)
  assert.equal(answer.status, 202)
  assert.deepEqual(intake.held[0]?.events, lines)
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)

  const broken = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}\n{"b":1}\n')])
  const refused = await post(url, broken, ndjson)
  assert.deepEqual(refused.body['rejected'], [{ line: 1, reason: 'the bytes are not UTF-8' }])
  assert.equal(refused.body['accepted'], 1)
})

test('a sender that goes away in the middle of its body leaves nothing behind', async t => {
  const { source, intake, port, url } = await serve(t)
  for (const encoding of ['identity', 'gzip']) {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`${postHead}content-encoding: ${encoding}\r\ncontent-length: 1000\r\n\r\n`)
    socket.write(encoding === 'gzip' ? gzipSync('{"a":1}').subarray(0, 15) : '{"a":1')
    await (await fetch(`${url}/health`)).text()
    socket.destroy()
    await once(socket, 'close')
  }
  while (source.pendingBytes > 0) await (await fetch(`${url}/health`)).text()
  assert.equal(intake.held.length, 0)
})

test('a sender that dribbles its headers or its body is cut off', async t => {
  const { port } = await serve(t, { headersTimeoutMs: 100, requestTimeoutMs: 200 })
  for (const start of ['POST /ev', `${postHead}content-length: 99\r\n\r\n{`]) {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (piece: Buffer) => (answer += piece.toString()))
    socket.write(start)
    await once(socket, 'close')
    assert.match(answer, /^HTTP\/1\.1 408 /)
  }
})

test('a port that is taken is an error with a code, from run and from listening', async t => {
  const { port } = await serve(t)
  const second = new HttpSource({ host: '127.0.0.1', port, bodyBytesMax: 1000, pendingBytesMax: 1000 })
  const running = second.run(new HeldIntake(), new AbortController().signal)
  await assert.rejects(second.listening, { code: 'ERR_PRODUCER_LISTEN_FAILED' })
  await assert.rejects(running, { code: 'ERR_PRODUCER_LISTEN_FAILED' })
})

test('many requests on one kept connection are served in turn', async t => {
  const { intake, port } = await serve(t)
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  const body = '{"a":1}'
  const request = `${postHead}content-length: ${body.length}\r\n\r\n${body}`
  let answers = ''
  const complete = new Promise<void>(resolve => {
    socket.on('data', (piece: Buffer) => {
      answers += piece.toString()
      if (answers.split('HTTP/1.1 202').length - 1 === 50) resolve()
    })
  })
  socket.write(request.repeat(50))
  await complete
  assert.equal(intake.held.length, 50)
})
