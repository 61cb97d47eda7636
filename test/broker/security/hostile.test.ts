/** Bytes that no client should send to a secured listener: each costs its own connection at most. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { BoundListener } from '../../../src/broker/index.ts'
import { randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { encodeRequest, metadataApi, saslAuthenticateApi, saslHandshakeApi } from '../../../src/protocol/index.ts'
import { brokerFor, connectTo, RecordingLogger } from '../support.ts'
import { CA, connectClient, SERVER_TLS } from './support.ts'

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
const TOKENS = [
  '\0a\0b',
  'n,,n=a,r=abcdefgh',
  'n,a=x,n=a,r=abc,ext=1',
  'c=biws,r=abc,p=AAAA',
  'n,,\u0001auth=Bearer a.b.c\u0001\u0001',
  '\u0001'
]

test('random conversations and random bytes never end the broker, and let nobody in', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? 11)
  console.log(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const logger = new RecordingLogger()
  const sasl = { plainUsers: { a: 'secret' }, oauth: { isUnsecuredAllowed: true } }
  const broker = await brokerFor(t, {
    listeners: [
      { name: 'SASL_PLAINTEXT', sasl },
      { name: 'SASL_SSL', tls: SERVER_TLS, sasl }
    ],
    scramUsers: [{ name: 'a', password: 'secret', iterations: 4096 }],
    config: { 'connection.failed.authentication.delay.ms': '0' },
    logger
  })
  const pick = <T>(values: readonly T[]): T => values[randomInt(random, values.length)] as T
  const noise = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => randomInt(random, 256)))
  const framed = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const damaged = (token: string): Buffer => {
    const bytes = Buffer.from(token)
    if (bytes.length > 0) bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
    return bytes
  }
  const request = (): Buffer => {
    const header = { correlationId: randomInt(random, 100), clientId: 'fuzz' }
    const kind = randomInt(random, 5)
    if (kind === 0) return noise(randomInt(random, 60))
    if (kind === 1) return framed(noise(randomInt(random, 60)))
    if (kind === 2) return framed(damaged(pick(TOKENS)))
    if (kind === 3) {
      const mechanism = pick([...MECHANISMS, 'GSSAPI', ''])
      return Buffer.concat(encodeRequest(saslHandshakeApi, randomInt(random, 2), header, { mechanism }))
    }
    const authBytes = pick([() => damaged(pick(TOKENS)), () => noise(20), () => Buffer.from(pick(TOKENS))])()
    return Buffer.concat(encodeRequest(saslAuthenticateApi, randomInt(random, 3), header, { authBytes }))
  }
  const attack = async (listener: BoundListener): Promise<void> => {
    const { host, port } = listener
    const isTls = listener.name === 'SASL_SSL' && randomInt(random, 3) > 0
    const socket: Socket = isTls ? connectTls({ host, port, ca: CA }) : connect(port, host)
    socket.on('error', () => undefined) // a reset is one way to close
    const closed = once(socket, 'close')
    const handshake = { mechanism: pick(MECHANISMS) }
    const header = { correlationId: 0, clientId: null }
    const start =
      randomInt(random, 2) === 0 ? [] : encodeRequest(saslHandshakeApi, randomInt(random, 2), header, handshake)
    const rest = Array.from({ length: randomInt(random, 4) }, request)
    socket.resume()
    socket.end(Buffer.concat([...start, ...rest]))
    await closed
  }
  for (let round = 0; round < 200; round++) {
    const listener = broker.listeners[round % 2]
    if (listener !== undefined) await attack(listener)
  }
  assert.deepEqual(
    logger.lines.filter(line => line.message === 'authenticated' || line.level === 'error'),
    []
  )
  const good = { mechanism: 'SCRAM-SHA-256', username: 'a', password: 'secret' } as const
  await connectClient(t, broker.bootstrapServers, { sasl: good })
})

test('a client that sends a byte now and then is closed as an idle one is', async t => {
  const clock = new VirtualClock()
  const broker = await brokerFor(t, { config: { 'connections.max.idle.ms': '600000' }, clock })
  const witness = await connectTo(t, broker)
  const slow = connect(broker.port, broker.host)
  slow.on('error', () => undefined) // a reset is one way to close
  t.after(() => slow.destroy())
  const closed = once(slow.resume(), 'close')
  slow.write(Buffer.from([0, 0, 4, 0]))
  for (let minute = 0; minute < 12; minute++) {
    slow.write(Buffer.from([0]))
    // Its own connection stays busy, and its answer comes after the byte has.
    await witness.request(metadataApi, { version: 9, message: { topics: [] } })
    await clock.advance(60_000)
  }
  await closed
  await witness.request(metadataApi, { version: 9, message: { topics: [] } })
})
