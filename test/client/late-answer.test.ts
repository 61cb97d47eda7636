/**
 * Why the client has connections of its own (docs/decisions/0001): what one
 * late answer does to the other requests on a connection, and what an answer
 * without end does to the memory, in @platformatic/kafka and here.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { apiVersionsV3, Connection as PeerConnection } from '@platformatic/kafka'
import { Connection } from '../../src/client/connection.ts'
import { apiVersionsApi } from '../../src/protocol/index.ts'
import { ALL_VERSIONS, type FakeBroker, startFakeBroker } from './fake-broker.ts'

const timeoutMs = 600
const isLate = (index: number, firstLate: number): boolean => index === firstLate

/** Answers in order, one request `1.5 * timeoutMs` late; those behind it come right after it. */
function slowBroker(t: TestContext, lateIndex: number): Promise<FakeBroker> {
  let previous = Promise.resolve()
  return startFakeBroker(t, request => {
    previous = previous.then(async () => {
      if (isLate(request.index, lateIndex)) await delay(1.5 * timeoutMs)
      request.answer(apiVersionsApi, { apiKeys: ALL_VERSIONS })
    })
  })
}

test('here, a late answer is dropped, and the request behind it gets its own answer', async t => {
  const { host, port } = await slowBroker(t, 2)
  const connection = await Connection.open({ host, port })
  t.after(() => connection.close())

  const late = connection.send(apiVersionsApi, {}, { timeoutMs })
  const behind = connection.send(apiVersionsApi, {}, { timeoutMs: 5 * timeoutMs })

  await assert.rejects(late, { code: 'ERR_CLIENT_REQUEST_TIMEOUT', retriable: true })
  assert.equal((await behind).errorCode, 0)
  assert.equal((await connection.send(apiVersionsApi, {})).errorCode, 0)
  assert.ok(connection.isOpen)
})

test('in @platformatic/kafka 2.12, a late answer closes the connection and fails the request behind it', async t => {
  const { host, port } = await slowBroker(t, 1)
  const connection = new PeerConnection('probe', { requestTimeout: timeoutMs })
  connection.on('error', () => undefined)
  t.after(() => connection.close())
  await connection.connect(host, port)

  const late = apiVersionsV3.api.async(connection, 'probe', '1')
  await delay(timeoutMs / 2) // The second request still has half its time when the first one is given up.
  const behind = apiVersionsV3.api.async(connection, 'probe', '1')

  await assert.rejects(late, /timed out/)
  await assert.rejects(behind, /Connection closed/)
  assert.equal(connection.isConnected(), false)
})

test('here, an answer longer than the limit closes the connection before any of it is kept', async t => {
  const { host, port } = await startFakeBroker(t, ({ index, write, correlationId }) => {
    if (index === 1) return false
    const endless = Buffer.alloc(8)
    endless.writeInt32BE(0x7fffffff, 0)
    endless.writeInt32BE(correlationId, 4)
    write(endless)
    return true
  })
  const connection = await Connection.open({ host, port, responseBytesMax: 1_000_000 })

  await assert.rejects(connection.send(apiVersionsApi, {}), { code: 'ERR_CLIENT_RESPONSE_INVALID' })
  assert.equal(connection.isOpen, false)
})

test('in @platformatic/kafka 2.12, an answer may announce any length and is collected', async t => {
  const received = Promise.withResolvers<void>()
  const megabyte = Buffer.alloc(1_000_000)
  const { host, port } = await startFakeBroker(t, async ({ correlationId, socket, write }) => {
    const endless = Buffer.alloc(8)
    endless.writeInt32BE(0x7fffffff, 0)
    endless.writeInt32BE(correlationId, 4)
    write(endless)
    for (let sent = 0; sent < 64; sent++) await new Promise(resolve => socket.write(megabyte, resolve))
    received.resolve()
  })
  const connection = new PeerConnection('probe', { requestTimeout: 20_000 })
  connection.on('error', () => undefined)
  t.after(() => connection.close())
  await connection.connect(host, port)
  const answer = apiVersionsV3.api.async(connection, 'probe', '1').catch(() => undefined)

  // 64 MB have gone into a connection that never refused one of them; it is still open and waits for 2 GB.
  await received.promise
  assert.equal(connection.isConnected(), true)
  await connection.close()
  await answer
})
