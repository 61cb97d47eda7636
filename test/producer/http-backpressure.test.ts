import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { HttpSource, type HttpSourceOptions } from '../../src/producer/index.ts'
import { RawSender } from './fuzz/raw-http.ts'
import { HeldIntake } from './held-intake.ts'

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

async function serve(t: TestContext, options: Partial<HttpSourceOptions> = {}) {
  const intake = new HeldIntake()
  const source = new HttpSource({ host: '127.0.0.1', port: 0, bodyBytesMax: 1000, pendingBytesMax: 1000, ...options })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  t.after(async () => {
    stopping.abort()
    await source.close()
    await ended
  })
  const { port } = await source.listening
  return { intake, source, port }
}

const NDJSON = 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n'
const event = (bytes: number): Buffer => Buffer.from(`{"a":"${'x'.repeat(bytes - 8)}"}`)
const whole = (body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${NDJSON}content-length: ${body.length}\r\n\r\n`), body])

test('a body for which there is no room while it arrives is not read on until there is', async t => {
  const { intake, source, port } = await serve(t)
  const slow = await RawSender.open(port)
  const first = event(400)
  // Its length is not known in advance, so it cannot be refused in advance.
  await slow.send([
    Buffer.from(`${NDJSON}transfer-encoding: chunked\r\n\r\n`),
    Buffer.from(`c8\r\n`),
    first.subarray(0, 200)
  ])
  while (source.pendingBytes < 200) await settle()
  const other = await RawSender.open(port)
  await other.send([whole(event(700))])
  const held = await intake.chunk(0)

  await slow.send([Buffer.from(`\r\nc8\r\n`), first.subarray(200), Buffer.from('\r\n0\r\n\r\n')])
  await settle()
  assert.equal(source.pendingBytes, 900)
  held.acknowledge()
  assert.equal((await other.answer())?.status, 202)
  const taken = await intake.chunk(1)
  assert.deepEqual(taken.events, [first.toString()])
  assert.equal(source.pendingBytes, 400)
  taken.acknowledge()
  assert.equal((await slow.answer())?.status, 202)
  assert.equal(source.pendingBytes, 0)
  await Promise.all([slow.cut(), other.cut()])
})

test('half-read bodies that wait for each other are told to come again, and hold nothing', async t => {
  const { source, port } = await serve(t)
  const senders = await Promise.all([RawSender.open(port), RawSender.open(port)])
  const half = event(900).subarray(0, 450)
  const head = Buffer.from(`${NDJSON}transfer-encoding: chunked\r\n\r\n1c2\r\n`)
  for (const sender of senders) await sender.send([head, half, Buffer.from('\r\n')])
  while (source.pendingBytes < 900) await settle()
  for (const sender of senders) await sender.send([Buffer.from('1c2\r\n'), half, Buffer.from('\r\n0\r\n\r\n')])
  const answers = await Promise.all(senders.map(sender => sender.answer()))
  // One of them, or both: at latest when the first one has given back what it held, the other one has room.
  assert.ok(answers.some(answer => answer?.status === 429))
  for (const sender of senders) await sender.cut()
  while (source.pendingBytes > 0) await settle()
})

test('what stands behind a whole request does not take its answer away', async t => {
  const { intake, port } = await serve(t)
  const sender = await RawSender.open(port)
  await sender.send([Buffer.concat([whole(event(50)), Buffer.from('no request\r\n\r\n')])])
  const held = await intake.chunk(0)
  await settle()
  held.acknowledge()
  assert.equal((await sender.answer())?.body.accepted, 1)
  assert.equal((await sender.answer())?.status, 400)
  assert.equal(await sender.answer(), undefined)
  assert.equal(sender.isOpen, false)
})

test('a request that is not whole ends with its connection, and publishes nothing', async t => {
  const { intake, source, port } = await serve(t)
  const sender = await RawSender.open(port)
  const body = event(50)
  const head = Buffer.from(`${NDJSON}transfer-encoding: chunked\r\n\r\n32\r\n`)
  await sender.send([Buffer.concat([head, body, Buffer.from('\r\nno length\r\n')])])
  assert.equal((await sender.answer())?.status, 400)
  assert.equal(await sender.answer(), undefined)
  while (source.pendingBytes > 0) await settle()
  assert.equal(intake.held.length, 0)
})

test('events so short that their places take more than their bytes are counted with them', async t => {
  const { intake, source, port } = await serve(t, { bodyBytesMax: 3000, pendingBytesMax: 3000 })
  const sender = await RawSender.open(port)
  await sender.send([whole(Buffer.from('{}\n'.repeat(100)))])
  const held = await intake.chunk(0)
  assert.equal(source.pendingBytes, 1300)
  held.acknowledge()
  assert.equal((await sender.answer())?.body.accepted, 100)
  assert.equal(source.pendingBytes, 0)

  await sender.send([whole(Buffer.from('{}\n'.repeat(900)))])
  assert.equal((await sender.answer())?.status, 413)
  assert.equal(source.pendingBytes, 0)
  assert.equal(intake.held.length, 1)
  await sender.cut()
})
