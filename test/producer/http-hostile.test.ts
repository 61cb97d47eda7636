/** Senders that mean harm: each costs an HTTP source no more than its limits say, and nobody else their answer. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { HttpSource, type HttpSourceOptions } from '../../src/producer/index.ts'
import { HeldIntake } from './held-intake.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { VirtualClock } from '../../src/core/virtual-clock.ts'

async function serve(
  t: TestContext,
  options: Partial<HttpSourceOptions> = {}
): Promise<{ intake: HeldIntake; source: HttpSource; port: number; stop: () => void; ended: Promise<void> }> {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  const source = new HttpSource({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 4_000_000,
    pendingBytesMax: 8_000_000,
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
  return { intake, source, port, stop: () => stopping.abort(), ended }
}

async function connected(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function send(socket: Socket, bytes: string | Buffer): Promise<void> {
  if (!socket.write(bytes)) await once(socket, 'drain')
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

const HEAD = 'POST /events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'

/*
 * Symptom: 100 MB of a body in chunks of one byte (16 MiB of content) ended the process for want of heap.
 * Cause: every chunk was kept as it came, a Buffer of some 200 bytes for one byte that counts. Reach: anybody who may
 * post, without a token where none is set.
 */
test('a body in chunks of one byte takes about as much memory as it has bytes', async t => {
  const { source, port, intake } = await serve(t)
  const socket = await connected(t, port)
  const before = heapBytes()
  await send(socket, `${HEAD}1\r\n{\r\n`)
  const count = 200_000
  for (let sent = 0; sent < count; sent += 10_000) await send(socket, '1\r\n \r\n'.repeat(10_000))
  while (source.pendingBytes < count) await new Promise(resolve => setImmediate(resolve))

  assert.ok(heapBytes() - before < 12_000_000, `${heapBytes() - before} bytes of heap`)
  await send(socket, '1\r\n}\r\n0\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 202 /)
  assert.equal(intake.held[0]?.events[0], `{${' '.repeat(count)}}`)
})

test('a body is what was sent, in pieces of whatever size', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 61)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const { port, intake } = await serve(t)
  for (let round = 0; round < 20; round += 1) {
    const socket = await connected(t, port)
    let text = `{"round":${round},"t":"`
    await send(socket, `${HEAD}${text.length.toString(16)}\r\n${text}\r\n`)
    for (let left = 60; left > 0; left -= 1) {
      const length = 1 + Math.floor(random.next() ** 3 * 5000)
      const piece = String.fromCharCode(97 + (left % 26)).repeat(length)
      text += piece
      await send(socket, `${length.toString(16)}\r\n${piece}\r\n`)
    }
    await send(socket, '2\r\n"}\r\n0\r\n\r\n')
    await once(socket, 'data')
    assert.equal(intake.held.at(-1)?.events[0], `${text}"}`)
    socket.destroy()
  }
})

/*
 * Symptom: with some hundred connections that send requests and never read an answer, every other sender hears 429 for
 * ever. Cause: a request counts until its answer was handed to the system, which never happens
 * on a connection whose buffers are full. Reach: anybody who reaches the port; a token does not help, a 401 is an
 * answer, too.
 */
test('senders that never read their answers are cut off, and block neither others nor the stop', async t => {
  const clock = new VirtualClock()
  const { port, stop, ended } = await serve(t, { requestsMax: 1, clock })
  const deaf = await Promise.all(Array.from({ length: 3 }, () => connected(t, port)))
  for (const socket of deaf) socket.pause()
  // The answer repeats the content type.
  const requests = `POST /events HTTP/1.1\r\nhost: a\r\ncontent-type: ${'x'.repeat(12_000)}\r\n\r\n`.repeat(20)
  const stuck = deaf.map(async socket => {
    // Until the server reads no more of it, because it cannot write.
    for (let round = 0; round < 1000 && !socket.destroyed && socket.writableLength < 1_000_000; round += 1) {
      socket.write(requests)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })
  await Promise.all(stuck)
  const post = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/events`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', connection: 'close' }
    })
  assert.equal((await post()).status, 429)

  await clock.advance(10_000)
  const closed = (socket: Socket): Promise<void> =>
    new Promise(resolve => (socket.closed ? resolve() : socket.once('close', () => resolve())))
  await Promise.all(deaf.map(socket => closed(socket.resume())))
  assert.equal((await post()).status, 202)
  stop()
  await ended
})

test('a sender that goes away with requests behind each other leaves nothing behind', async t => {
  const { port, stop, ended, intake } = await serve(t)
  intake.isAutomatic = false
  const socket = await connected(t, port)
  const request = 'POST /events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'
  await send(socket, request.repeat(3))
  const chunks = [await intake.chunk(0), await intake.chunk(1), await intake.chunk(2)]
  // The others have their answers, which wait behind that of the first.
  chunks[2]?.acknowledge()
  chunks[1]?.acknowledge()
  await new Promise(resolve => setTimeout(resolve, 20))
  socket.destroy()
  await new Promise(resolve => setTimeout(resolve, 50))
  chunks[0]?.acknowledge()
  stop()
  await ended
})
