/** Bytes that no client should send: each costs its own connection at most. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Broker } from '../../../src/broker/index.ts'
import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { ALL_APIS, apiVersionsApi, encodeRequest, metadataApi } from '../../../src/protocol/index.ts'
import { brokerFor, connectTo, RecordingLogger } from '../support.ts'

/** Sends bytes on a connection of their own and waits until the broker closes it or `timeoutMs` is over. */
async function sendAndClose(broker: Broker, bytes: Buffer): Promise<void> {
  const socket = connect(broker.port, broker.host)
  socket.on('error', () => undefined) // a reset is one way to close
  const closed = once(socket, 'close')
  socket.resume()
  socket.end(bytes)
  await closed
}

function frameOf(payload: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(payload.length)
  return Buffer.concat([length, payload])
}

test('random bytes, random frames and damaged requests never end the broker', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 7)
  console.log(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const broker = await brokerFor(t)
  const bytesOf = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => randomInt(random, 256)))
  const makers: (() => Buffer)[] = [
    () => bytesOf(randomInt(random, 200)),
    () => frameOf(bytesOf(8 + randomInt(random, 200))),
    () => {
      // A known API in a known version with a body of noise.
      const api = ALL_APIS[randomInt(random, ALL_APIS.length)] ?? metadataApi
      const header = Buffer.alloc(8)
      header.writeInt16BE(api.key, 0)
      header.writeInt16BE(api.minVersion + randomInt(random, api.maxVersion - api.minVersion + 1), 2)
      return frameOf(Buffer.concat([header, Buffer.from([0, 1, 97]), bytesOf(randomInt(random, 100))]))
    },
    () => {
      // A good request with some bytes turned.
      const header = { correlationId: 1, clientId: 'fuzz' }
      const frame = Buffer.concat(encodeRequest(metadataApi, 12, header, { topics: [{ name: 'topic' }] }))
      for (let count = 1 + randomInt(random, 4); count > 0; count--) {
        frame[4 + randomInt(random, frame.length - 4)] = randomInt(random, 256)
      }
      return frame
    }
  ]
  for (let round = 0; round < 300; round++) {
    const make = makers[round % makers.length]
    if (make !== undefined) await sendAndClose(broker, make())
  }
  const connection = await connectTo(t, broker)
  const versions = await connection.request(apiVersionsApi, { version: 0, message: {} })
  assert.equal(versions.errorCode, 0)
})

test('a malformed body closes its connection with a logged reason, and no other', async t => {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, { logger })
  const good = await connectTo(t, broker)
  const bad = await connectTo(t, broker)
  const frame = Buffer.concat(
    encodeRequest(metadataApi, 1, { correlationId: 1, clientId: null }, { topics: [{ name: 'a' }] })
  )
  frame.writeInt32BE(2_000_000_000, frame.length - 7) // the count of topics
  bad.send(frame)
  await bad.closed()
  await logger.until('warn', 'ERR_PROTOCOL_INVALID_LENGTH')
  assert.equal((await good.request(apiVersionsApi, { version: 0, message: {} })).errorCode, 0)
})

test('an unknown API key or version closes the connection with a logged reason', async t => {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, { logger })
  const connection = await connectTo(t, broker)
  connection.send(frameOf(Buffer.from([0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff])))
  await connection.closed()
  await logger.until('warn', 'ERR_BROKER_UNSUPPORTED_REQUEST')
})

test('a request that comes one byte at a time is answered', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  const frame = Buffer.concat(encodeRequest(apiVersionsApi, 0, { correlationId: 5, clientId: 'slow' }, {}))
  for (const byte of frame) {
    connection.send(Buffer.from([byte]))
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal((await connection.frame()).readInt32BE(0), 5)
})

test('half a request holds nobody up, and its connection goes when it is idle', async t => {
  const broker = await brokerFor(t, { config: { 'connections.max.idle.ms': '100' } })
  const half = await connectTo(t, broker)
  half.send(Buffer.from([0, 0, 0, 100, 0, 3]))
  const other = await connectTo(t, broker)
  assert.equal((await other.request(apiVersionsApi, { version: 0, message: {} })).errorCode, 0)
  await half.closed()
})
