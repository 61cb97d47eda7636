/** One connection: opening, versions, TLS, SASL, endings. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Cluster, type SaslOptions } from '../../src/client/index.ts'
import { Connection, type ConnectionOptions } from '../../src/client/connection.ts'
import { PipelineError } from '../../src/core/index.ts'
import {
  apiVersionsApi,
  encodeResponse,
  findCoordinatorApi,
  metadataApi,
  saslAuthenticateApi,
  saslHandshakeApi
} from '../../src/protocol/index.ts'
import { type FakeBroker, type RequestHandler, startFakeBroker } from './fake-broker.ts'

const tlsDir = join(import.meta.dirname, '../fixtures/client/tls')
const [cert, key] = ['cert.pem', 'key.pem'].map(name => readFileSync(join(tlsDir, name)))

async function open(
  t: TestContext,
  handle: RequestHandler,
  options: Partial<ConnectionOptions> = {}
): Promise<{ connection: Connection; broker: FakeBroker }> {
  const broker = await startFakeBroker(t, handle)
  const connection = await Connection.open({ host: broker.host, port: broker.port, ...options })
  t.after(() => connection.close())
  return { connection, broker }
}

const metadata = { clusterId: 'c', controllerId: 1, brokers: [], topics: [] }
const silent: RequestHandler = () => false

test('the highest version that both sides know is used', async t => {
  const { connection, broker } = await open(t, request => {
    if (request.apiKey !== apiVersionsApi.key) return request.answer(metadataApi, metadata)
    return request.answer(apiVersionsApi, { apiKeys: [{ apiKey: 3, minVersion: 2, maxVersion: 7 }] })
  })
  assert.equal(connection.versionOf(metadataApi), 7)
  assert.equal(connection.versionOf(metadataApi, 5), 5)
  await connection.send(metadataApi, {})
  assert.equal(broker.requests.at(-1)?.apiVersion, 7)
})

test('an API that the broker does not offer, or only in other versions, is an error that names both sides', async t => {
  const { connection } = await open(t, request =>
    request.answer(apiVersionsApi, { apiKeys: [{ apiKey: 3, minVersion: 9, maxVersion: 9 }] })
  )
  assert.throws(() => connection.versionOf(findCoordinatorApi), {
    code: 'ERR_CLIENT_VERSION_UNSUPPORTED',
    message: /does not offer it/
  })
  assert.throws(() => connection.versionOf(metadataApi, 8), { message: /offers 9 to 9/ })
})

test('a broker that knows only an older ApiVersions is asked again in version 0', async t => {
  const { connection, broker } = await open(t, request => {
    if (request.apiVersion > 0) {
      // What every broker answers to a version it does not know: version 0 with error 35.
      const answer = { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 0 }] }
      for (const chunk of encodeResponse(apiVersionsApi, 0, request.correlationId, answer)) request.write(chunk)
      return
    }
    request.answer(apiVersionsApi, { apiKeys: [{ apiKey: 3, minVersion: 0, maxVersion: 1 }] })
  })
  assert.deepEqual(
    broker.requests.map(({ apiVersion }) => apiVersion),
    [3, 0]
  )
  assert.equal(connection.versionOf(metadataApi), 1)
})

test('nobody listening, and a listener that never answers, are failed connections', async t => {
  const broker = await startFakeBroker(t, () => true)
  await assert.rejects(Connection.open({ host: '127.0.0.1', port: 1 }), { code: 'ERR_CLIENT_CONNECT_FAILED' })
  await assert.rejects(Connection.open({ host: broker.host, port: broker.port, connectTimeoutMs: 100 }), {
    code: 'ERR_CLIENT_CONNECT_FAILED',
    message: /not ready after 100 ms/,
    retriable: true
  })
})

test('when the broker hangs up, what is in flight fails and the connection says so once', async t => {
  const reasons: string[] = []
  const { connection, broker } = await open(t, silent, { onClose: error => void reasons.push(error.code) })
  const answer = connection.send(metadataApi, {})
  broker.disconnectAll()
  await assert.rejects(answer, { code: 'ERR_CLIENT_DISCONNECTED', retriable: true })
  await assert.rejects(connection.send(metadataApi, {}), { code: 'ERR_CLIENT_DISCONNECTED' })
  assert.deepEqual(reasons, ['ERR_CLIENT_DISCONNECTED'])
  assert.equal(connection.isOpen, false)
})

test('an answer that is not one ends the connection with its reason', async t => {
  const { connection } = await open(t, request => {
    if (request.apiKey === apiVersionsApi.key) return false
    const garbage = Buffer.alloc(12, 0xff)
    garbage.writeInt32BE(8, 0)
    garbage.writeInt32BE(request.correlationId, 4)
    request.write(garbage)
    return true
  })
  await assert.rejects(connection.send(metadataApi, {}), { code: 'ERR_CLIENT_RESPONSE_INVALID' })
  assert.equal(connection.isOpen, false)
})

test('TLS connects to a certificate that is trusted, and to no other', async t => {
  assert.ok(cert !== undefined && key !== undefined)
  const broker = await startFakeBroker(t, silent, { cert, key })
  const { host, port } = broker
  const connection = await Connection.open({ host, port, tls: { ca: cert } })
  t.after(() => connection.close())
  assert.ok(connection.isOpen)
  await assert.rejects(Connection.open({ host, port, tls: true }), {
    code: 'ERR_CLIENT_CONNECT_FAILED',
    message: /self-signed certificate/
  })
  await assert.rejects(Connection.open({ host, port, tls: { ca: cert, servername: 'elsewhere' } }), {
    message: /does not match/
  })
})

test('the environment does not switch the verification of certificates off', async t => {
  assert.ok(cert !== undefined && key !== undefined)
  const { host, port } = await startFakeBroker(t, silent, { cert, key })
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  t.after(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
  await assert.rejects(Connection.open({ host, port, tls: true }), { message: /self-signed certificate/ })
})

test('plain text to a TLS listener fails at once', async t => {
  assert.ok(cert !== undefined && key !== undefined)
  const { host, port } = await startFakeBroker(t, silent, { cert, key })
  const error: unknown = await Connection.open({ host, port }).catch((cause: unknown) => cause)
  assert.ok(PipelineError.is(error))
  assert.ok(['ERR_CLIENT_RESPONSE_INVALID', 'ERR_CLIENT_CONNECT_FAILED'].includes(error.code), error.code)
})

/** A broker with SASL PLAIN: one user, sessions of the given length. */
function plainBroker(password: string, sessionLifetimeMs: bigint, isOk: () => boolean = () => true): RequestHandler {
  return request => {
    switch (request.apiKey) {
      case saslHandshakeApi.key: {
        const { mechanism } = request.message as { mechanism: string } // Decoded by our own codec.
        const errorCode = mechanism === 'PLAIN' ? 0 : 33
        return request.answer(saslHandshakeApi, { errorCode, mechanisms: ['PLAIN'] })
      }
      case saslAuthenticateApi.key: {
        const { authBytes } = request.message as { authBytes: Buffer }
        const isRight = isOk() && authBytes.toString() === `\0user\0${password}`
        const errorMessage = isRight ? null : `invalid credentials ${authBytes.toString()}`
        return request.answer(saslAuthenticateApi, { errorCode: isRight ? 0 : 58, errorMessage, sessionLifetimeMs })
      }
      case metadataApi.key:
        return request.answer(metadataApi, metadata)
      default:
        return false
    }
  }
}

const sasl = (password: string): SaslOptions => ({ mechanism: 'PLAIN', username: 'user', password })

test('SASL authenticates before anything else is sent', async t => {
  const { connection, broker } = await open(t, plainBroker('right', 0n), { sasl: sasl('right') })
  await connection.send(metadataApi, {})
  assert.deepEqual(
    broker.requests.map(({ apiKey }) => apiKey),
    [18, 17, 36, 3]
  )
})

test('refused credentials are an error that is not retried and has no secret in it', async t => {
  const broker = await startFakeBroker(t, plainBroker('right', 0n))
  const bootstrapServers = [...broker.bootstrapServers, ...broker.bootstrapServers]
  const options = { bootstrapServers, sasl: sasl('hunter2') }
  const error: unknown = await Cluster.connect(options).catch((cause: unknown) => cause)
  assert.ok(PipelineError.is(error, 'ERR_CLIENT_AUTHENTICATION_FAILED'))
  assert.equal(error.retriable, false)
  assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /hunter2/)
  assert.equal(broker.connectionCount(), 1)
})

test('a mechanism that the broker does not offer is an error that names what it offers', async t => {
  const { host, port } = await startFakeBroker(t, plainBroker('right', 0n))
  const options = { mechanism: 'SCRAM-SHA-512', username: 'user', password: 'right' } as const
  await assert.rejects(Connection.open({ host, port, sasl: options }), {
    code: 'ERR_CLIENT_AUTHENTICATION_FAILED',
    message: /does not offer SCRAM-SHA-512, only PLAIN/
  })
})

test('a session that ends is prolonged in time, without another connection', async t => {
  const twice = Promise.withResolvers<void>()
  let count = 0
  const isOk = (): boolean => {
    count += 1
    if (count === 3) twice.resolve()
    return true
  }
  const { connection, broker } = await open(t, plainBroker('right', 100n, isOk), { sasl: sasl('right') })
  await twice.promise
  await connection.send(metadataApi, {})
  assert.equal(broker.connectionCount(), 1)
})

test('a session that cannot be prolonged ends the connection', async t => {
  const ended = Promise.withResolvers<string>()
  let count = 0
  const isOk = (): boolean => ++count === 1
  await open(t, plainBroker('right', 50n, isOk), { sasl: sasl('right'), onClose: error => ended.resolve(error.code) })
  assert.equal(await ended.promise, 'ERR_CLIENT_AUTHENTICATION_FAILED')
})
