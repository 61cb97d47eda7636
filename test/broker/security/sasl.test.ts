/** SASL listeners, seen by our own client: every mechanism, sessions, and what must never happen. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { SignJWT } from 'jose'
import type { Broker, BrokerOptions, ListenerSaslOptions } from '../../../src/broker/index.ts'
import { AUTHENTICATION_DEADLINE_MS } from '../../../src/broker/security/authentication/sasl-gate.ts'
import type { SaslOptions } from '../../../src/client/index.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { createTopicsApi, metadataApi, saslAuthenticateApi, saslHandshakeApi } from '../../../src/protocol/index.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { brokerFor, connectTo, RecordingLogger } from '../support.ts'
import { CA, connectClient, listenerOf, principalsIn, SERVER_TLS } from './support.ts'

const PASSWORD = 'hunter2-päss'
const config = { 'connection.failed.authentication.delay.ms': '1' }

async function saslBroker(
  t: TestContext,
  sasl: ListenerSaslOptions = {},
  options: BrokerOptions = {}
): Promise<{ broker: Broker; logger: RecordingLogger }> {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, {
    listeners: [{ name: 'SASL_SSL', tls: SERVER_TLS, sasl }],
    logger,
    config,
    ...options
  })
  return { broker, logger }
}

const tls = { ca: CA }

async function isRefused(t: TestContext, broker: Broker, sasl: SaslOptions): Promise<void> {
  await assert.rejects(connectClient(t, broker.bootstrapServers, { tls, sasl }), {
    code: 'ERR_CLIENT_AUTHENTICATION_FAILED'
  })
}

test('PLAIN and both SCRAMs over TLS, for users that were there from the start', async t => {
  const { broker, logger } = await saslBroker(
    t,
    { plainUsers: { plain: PASSWORD } },
    { scramUsers: [{ name: 'scram', password: PASSWORD, iterations: 4096 }] }
  )
  for (const [mechanism, username] of [
    ['PLAIN', 'plain'],
    ['SCRAM-SHA-256', 'scram'],
    ['SCRAM-SHA-512', 'scram']
  ] as const) {
    const cluster = await connectClient(t, broker.bootstrapServers, {
      tls,
      sasl: { mechanism, username, password: PASSWORD }
    })
    assert.equal((await cluster.metadata([])).brokers[0]?.port, broker.port)
    await isRefused(t, broker, { mechanism, username, password: 'wrong' })
  }
  assert.deepEqual(new Set(principalsIn(logger)), new Set(['User:plain', 'User:scram']))
})

test('no password, and nothing that stands for one, is ever logged', async t => {
  const { broker, logger } = await saslBroker(t, { plainUsers: { alice: PASSWORD } })
  const sasl = { mechanism: 'PLAIN', username: 'alice', password: PASSWORD } as const
  await connectClient(t, broker.bootstrapServers, { tls, sasl })
  await isRefused(t, broker, { ...sasl, password: `${PASSWORD}!` })
  const lines = JSON.stringify(logger.lines)
  assert.ok(lines.includes('wrong user or password'))
  assert.ok(!lines.includes(PASSWORD))
  assert.ok(!lines.includes(Buffer.from(PASSWORD).toString('base64')))
})

test('each listener has its own mechanisms and its own address', async t => {
  const broker = await brokerFor(t, {
    listeners: [
      { name: 'PLAINTEXT' },
      {
        name: 'INSIDE',
        securityProtocol: 'SASL_PLAINTEXT',
        sasl: { plainUsers: { a: 'b' }, enabledMechanisms: ['PLAIN'] }
      },
      { name: 'OUTSIDE', securityProtocol: 'SASL_SSL', tls: SERVER_TLS, advertisedHost: 'localhost' }
    ],
    scramUsers: [{ name: 'out', password: 'side', iterations: 4096, mechanisms: ['SCRAM-SHA-512'] }],
    config
  })
  const inside = listenerOf(broker, 'INSIDE')
  const outside = listenerOf(broker, 'OUTSIDE')
  const plain = { mechanism: 'PLAIN', username: 'a', password: 'b' } as const
  const scram = { mechanism: 'SCRAM-SHA-512', username: 'out', password: 'side' } as const
  const portOf = async (address: string, options: object): Promise<[string | undefined, number | undefined]> => {
    const { brokers } = await (await connectClient(t, address, options)).metadata([])
    return [brokers[0]?.host, brokers[0]?.port]
  }
  assert.deepEqual(await portOf(broker.bootstrapServers, {}), ['127.0.0.1', broker.port])
  assert.deepEqual(await portOf(inside.bootstrapServers, { sasl: plain }), ['127.0.0.1', inside.port])
  assert.deepEqual(await portOf(outside.bootstrapServers, { sasl: scram, tls }), ['localhost', outside.port])
  for (const [listener, options, expected] of [
    [inside, {}, ['PLAIN']],
    [outside, { tls }, ['SCRAM-SHA-256', 'SCRAM-SHA-512']]
  ] as const) {
    await assert.rejects(
      connectClient(t, listener.bootstrapServers, {
        ...options,
        sasl: { ...scram, mechanism: 'OAUTHBEARER', token: () => ({ value: 'x' }) }
      }),
      new RegExp(expected.join('.*'))
    )
  }
})

test('the principal that was proved is the one that ACLs are about', async t => {
  const { broker } = await saslBroker(
    t,
    { plainUsers: { admin: 'a', guest: 'g' } },
    { authorizer: { superUsers: ['User:admin'] } }
  )
  const create = async (username: string, password: string): Promise<number | undefined> => {
    const sasl = { mechanism: 'PLAIN', username, password } as const
    const cluster = await connectClient(t, broker.bootstrapServers, { tls, sasl })
    const topics = [{ name: `of-${username}`, numPartitions: 1, replicationFactor: 1 }]
    const answer = await cluster.send(createTopicsApi, { topics, timeoutMs: 1000 }, { to: 'any' })
    return answer.topics[0]?.errorCode
  }
  assert.equal(await create('admin', 'a'), 0)
  assert.equal(await create('guest', 'g'), 29)
})

test('a token with a signature is checked against the keys', async t => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }] }
  const { broker } = await saslBroker(t, { oauth: { jwks, issuer: 'https://issuer.test', audience: ['kafka'] } })
  const sign = (key: typeof privateKey, audience = 'kafka'): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setSubject('alice')
      .setIssuer('https://issuer.test')
      .setAudience(audience)
      .setExpirationTime('1m')
      .sign(key)
  const bearer = (value: string): SaslOptions => ({ mechanism: 'OAUTHBEARER', token: () => ({ value }) })
  const cluster = await connectClient(t, broker.bootstrapServers, { tls, sasl: bearer(await sign(privateKey)) })
  assert.equal((await cluster.metadata([])).brokers.length, 1)

  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await sign(privateKey)).split('.')[1]}.`
  for (const token of [await sign(stranger), await sign(privateKey, 'other'), unsigned]) {
    await isRefused(t, broker, bearer(token))
  }
})

test('a session ends in time, is renewed in time, and the client hears how long it lasts', async t => {
  const clock = new VirtualClock()
  const { broker, logger } = await plainBroker(t, { maxReauthMs: 60_000 }, { clock })
  const connection = await connectTo(t, broker)
  const authenticate = async (): Promise<bigint> => {
    await connection.request(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
    const message = { authBytes: Buffer.from('\0a\0b') }
    const answer = await connection.request(saslAuthenticateApi, { version: 2, message })
    assert.equal(answer.errorCode, 0, answer.errorMessage ?? '')
    return answer.sessionLifetimeMs
  }
  const metadata = { version: 9, message: { topics: [] } }
  assert.equal(await authenticate(), 60_000n)
  await clock.advance(60_000)
  await connection.request(metadataApi, metadata)
  assert.equal(await authenticate(), 60_000n)
  await clock.advance(59_000)
  await connection.request(metadataApi, metadata)
  await clock.advance(1_001)
  connection.sendOnly(metadataApi, metadata)
  await connection.closed()
  await logger.until('warn', 'ERR_BROKER_SESSION_EXPIRED')
})

async function plainBroker(
  t: TestContext,
  sasl: ListenerSaslOptions = {},
  options: BrokerOptions = {}
): Promise<{ broker: Broker; logger: RecordingLogger }> {
  const listeners = [{ name: 'SASL_PLAINTEXT', sasl: { plainUsers: { a: 'b' }, ...sasl } }]
  return saslBroker(t, {}, { listeners, ...options })
}

test('our own client renews its session in time, on the same connection', async t => {
  const clock = new VirtualClock()
  const { broker, logger } = await plainBroker(t, { maxReauthMs: 60_000 }, { clock })
  const sasl = { mechanism: 'PLAIN', username: 'a', password: 'b' } as const
  const cluster = await connectClient(t, broker.bootstrapServers, { sasl, clock })
  const connection = await cluster.connectionTo({ to: 'any' })
  for (let session = 0; session < 3; session++) {
    const before = principalsIn(logger).length
    await clock.advance(58_000)
    // Answered after the token that went before it.
    await connection.send(metadataApi, { topics: [] })
    assert.ok(principalsIn(logger).length > before, 'authenticated again')
  }
  assert.ok(connection.isOpen)
})

test('a token that never ends lets its client in, too', async t => {
  const listeners = [{ name: 'SASL_PLAINTEXT', sasl: { oauth: { isUnsecuredAllowed: true } } }]
  const connection = await connectTo(t, await brokerFor(t, { listeners }))
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = `${part({ alg: 'none' })}.${part({ sub: 'a', exp: 1e306 })}.`
  await connection.request(saslHandshakeApi, { version: 1, message: { mechanism: 'OAUTHBEARER' } })
  const authBytes = Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`)
  const answer = await connection.request(saslAuthenticateApi, { version: 2, message: { authBytes } })
  assert.equal(answer.errorCode, 0, answer.errorMessage ?? '')
  assert.equal(answer.sessionLifetimeMs, BigInt(Number.MAX_SAFE_INTEGER))
})

test('without an end of sessions there is no re-authentication', async t => {
  const { broker } = await plainBroker(t)
  const connection = await connectTo(t, broker)
  const handshake = { version: 1, message: { mechanism: 'PLAIN' } }
  await connection.request(saslHandshakeApi, handshake)
  const message = { authBytes: Buffer.from('\0a\0b') }
  const answer = await connection.request(saslAuthenticateApi, { version: 2, message })
  assert.deepEqual([answer.errorCode, answer.sessionLifetimeMs], [0, 0n])
  assert.equal((await connection.request(saslHandshakeApi, handshake)).errorCode, 34)
  await connection.request(metadataApi, { version: 9, message: { topics: [] } })
})

test('SASL on a listener without it is refused in words', async t => {
  const connection = await connectTo(t, await brokerFor(t))
  const answer = await connection.request(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  assert.deepEqual([answer.errorCode, answer.mechanisms], [34, []])
  const message = { authBytes: Buffer.from('\0a\0b') }
  assert.equal((await connection.request(saslAuthenticateApi, { version: 2, message })).errorCode, 34)
})

test('a request slipped behind the last token does not run unless the token is right', async t => {
  const { broker, logger } = await plainBroker(t)
  const connection = await connectTo(t, broker)
  connection.sendOnly(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  connection.sendOnly(saslAuthenticateApi, { version: 2, message: { authBytes: Buffer.from('\0a\0wrong') } })
  const topics = [{ name: 'slipped', numPartitions: 1, replicationFactor: 1 }]
  connection.sendOnly(createTopicsApi, { version: 4, message: { topics, timeoutMs: 1000 } })
  await connection.frame()
  await connection.frame()
  assert.equal(await connection.closed(), 0)
  await logger.until('warn', 'authentication failed')

  const good = await connectTo(t, broker)
  good.sendOnly(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  good.sendOnly(saslAuthenticateApi, { version: 2, message: { authBytes: Buffer.from('\0a\0b') } })
  await good.frame()
  await good.frame()
  const known = await good.request(metadataApi, { version: 9, message: { topics: null } })
  assert.deepEqual(known.topics, [])
})

test('who does not authenticate in time is closed, and who sends something else is told in the log', async t => {
  const clock = new VirtualClock()
  const { broker, logger } = await plainBroker(t, {}, { clock })
  const silent = await connectTo(t, broker)
  const early = await connectTo(t, broker)
  early.sendOnly(metadataApi, { version: 9, message: { topics: [] } })
  await early.closed()
  await logger.until('warn', 'ERR_BROKER_NOT_AUTHENTICATED')
  await clock.advance(AUTHENTICATION_DEADLINE_MS)
  await silent.closed()
  await logger.until('warn', 'not authenticated after')
})

test('fault rules hit SASL requests, too', async t => {
  const { broker } = await plainBroker(t)
  const sasl = { mechanism: 'PLAIN', username: 'a', password: 'b' } as const
  broker.faults.inject({ api: 'SaslAuthenticate', fault: { error: 'REQUEST_TIMED_OUT' } })
  const connection = await connectTo(t, broker)
  await connection.request(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  const message = { authBytes: Buffer.from('\0a\0b') }
  assert.equal((await connection.request(saslAuthenticateApi, { version: 2, message })).errorCode, 7)
  assert.equal((await connection.request(saslAuthenticateApi, { version: 2, message })).errorCode, 0)
  const injection = broker.faults.inject({ api: 'SaslHandshake', fault: 'close' })
  await connectClient(t, broker.bootstrapServers, { sasl })
  assert.equal(injection.applied, 1)
})

test('a refusal is held back, so that guessing is slow', async t => {
  const clock = new VirtualClock()
  const slow = { 'connection.failed.authentication.delay.ms': '5000' }
  const { broker } = await plainBroker(t, {}, { clock, config: slow })
  const connection = await RawConnection.open(t, { bootstrapServers: broker.bootstrapServers })
  await connection.request(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  const message = { authBytes: Buffer.from('\0a\0wrong') }
  let isAnswered = false
  const answer = connection.request(saslAuthenticateApi, { version: 2, message }).then(found => {
    isAnswered = true
    return found
  })
  // Another connection's whole conversation is later than this one's refusal.
  const other = await RawConnection.open(t, { bootstrapServers: broker.bootstrapServers })
  await other.request(saslHandshakeApi, { version: 1, message: { mechanism: 'PLAIN' } })
  await other.request(saslAuthenticateApi, { version: 2, message: { authBytes: Buffer.from('\0a\0b') } })
  await clock.advance(4_999)
  assert.equal(isAnswered, false)
  await clock.advance(1)
  assert.equal((await answer).errorCode, 58)
  await connection.closed()
})
