/** Users, secrets and tokens of a pipeline file against the embedded broker, while they change. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SignJWT } from 'jose'

import { connectRole } from '../../../src/cli/wiring.ts'
import type { ListenerSaslOptions } from '../../../src/broker/index.ts'
import type { Cluster } from '../../../src/client/index.ts'
import { type KafkaConfig, parsePipeline } from '../../../src/config/index.ts'
import { metadataApi } from '../../../src/protocol/index.ts'
import { principalsIn } from '../../broker/security/support.ts'
import { brokerFor, RecordingLogger } from '../../broker/support.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = { keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }] }

const tokenFor = (subject: string, lifeSeconds = 60): Promise<string> =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setSubject(subject)
    .setExpirationTime(`${lifeSeconds}s`)
    .sign(ec.privateKey)

interface Setup {
  readonly brokerLog: RecordingLogger
  readonly clientLog: RecordingLogger
  readonly connect: (sasl: string, environment?: Record<string, string>) => Promise<Cluster>
}

async function setUp(t: TestContext, sasl: ListenerSaslOptions): Promise<Setup> {
  const brokerLog = new RecordingLogger()
  const clientLog = new RecordingLogger()
  const users = [
    { name: 'alice', password: 'one' },
    { name: 'bob', password: 'two' }
  ]
  const listeners = [{ name: 'SASL_PLAINTEXT', sasl }]
  const broker = await brokerFor(t, { listeners, scramUsers: users, logger: brokerLog })
  const connect = async (text: string, environment: Record<string, string> = {}): Promise<Cluster> => {
    const kafka = kafkaOf(broker.bootstrapServers, text, environment)
    const cluster = await connectRole(kafka, 'test', { logger: clientLog })
    t.after(() => cluster.close())
    return cluster
  }
  return { brokerLog, clientLog, connect }
}

/** As a file says; looked at more often than a file may ask for. */
function kafkaOf(bootstrapServers: string, sasl: string, environment: Record<string, string>): KafkaConfig {
  const text = `name: x\nkafka:\n  bootstrapServers: ${bootstrapServers}\n  connectTimeoutMs: 250\n  sasl: ${sasl}\n`
  const { kafka } = parsePipeline(text, { fileName: 'x', environment })
  return kafka.sasl !== undefined && 'reloadMs' in kafka.sasl
    ? { ...kafka, sasl: { ...kafka.sasl, reloadMs: 20 } }
    : kafka
}

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-sasl-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return dir
}

const opened = async (cluster: Cluster): Promise<void> =>
  void (await cluster.send(metadataApi, { topics: [] }, { to: 'any', lane: cluster.newLane('test') }))

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

test('a SCRAM secret that is replaced is the one of all connections soon, open ones too', async t => {
  const { brokerLog, clientLog, connect } = await setUp(t, {})
  const file = join(folder(t), 'secret.json')
  writeFileSync(file, JSON.stringify({ username: 'alice', password: 'one' }))
  const cluster = await connect(`{ mechanism: SCRAM-SHA-512, credentials: { file: ${file} }, reloadMs: 1000 }`)
  await opened(cluster)
  assert.deepEqual(principalsIn(brokerLog), ['User:alice', 'User:alice'])
  writeFileSync(file, JSON.stringify({ username: 'bob', password: 'two' }))
  await clientLog.until('info', 'connections use the new credentials')
  await opened(cluster)
  assert.deepEqual(principalsIn(brokerLog).slice(2), ['User:bob', 'User:bob', 'User:bob'])
  assert.doesNotMatch(JSON.stringify(clientLog.lines), /"(one|two)"/)
})

test('user and password may come from places of their own', async t => {
  const { brokerLog, connect } = await setUp(t, {})
  const file = join(folder(t), 'password')
  writeFileSync(file, 'two\n')
  await connect(`{ mechanism: SCRAM-SHA-256, username: { env: WHO }, password: { file: ${file} } }`, {
    WHO: 'x'
  }).catch((error: unknown) =>
    assert.match(String(error), /kafka\.sasl\.username: the environment variable WHO is not set/)
  )
  await connect(`{ mechanism: SCRAM-SHA-256, username: bob, password: { file: ${file} } }`)
  assert.deepEqual(new Set(principalsIn(brokerLog)), new Set(['User:bob']))
})

/** A token endpoint with one client; its tokens are for `alice`. */
async function tokenEndpoint(t: TestContext, lifeSeconds: number): Promise<{ url: string; issued: () => number }> {
  let issued = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const isRight = request.headers.authorization === `Basic ${Buffer.from('ingest:hush').toString('base64')}`
      response.setHeader('content-type', 'application/json')
      if (!isRight) return response.writeHead(401).end(JSON.stringify({ error: 'invalid_client' }))
      issued += 1
      return void tokenFor('alice').then(token =>
        response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: lifeSeconds }))
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, issued: () => issued }
}

const bearer = (url: string, secret: string): string =>
  `{ mechanism: OAUTHBEARER, tokenEndpoint: "${url}", clientId: ingest, clientSecret: "${secret}" }`

test('tokens are fetched anew, and a session is prolonged with a new one, on the same connection', async t => {
  const { brokerLog, clientLog, connect } = await setUp(t, { oauth: { jwks }, maxReauthMs: 600 })
  const { url, issued } = await tokenEndpoint(t, 0.2)
  const cluster = await connect(bearer(url, '${SECRET}'), { SECRET: 'hush' })
  const connection = await cluster.connectionTo({ to: 'any' })
  assert.deepEqual([issued(), principalsIn(brokerLog)], [1, ['User:alice']])
  await until(() => principalsIn(brokerLog).length === 2)
  // Each lives a fifth of a second, the session three.
  assert.ok(issued() >= 3, String(issued()))
  await connection.send(metadataApi, { topics: [] })
  assert.equal(connection.isOpen, true)
  assert.deepEqual(
    clientLog.lines.filter(({ level }) => level === 'warn'),
    []
  )
})

test('a client that the token endpoint refuses ends at once, and says what to correct', async t => {
  const { connect } = await setUp(t, { oauth: { jwks } })
  const { url } = await tokenEndpoint(t, 60)
  const error: unknown = await connect(bearer(url, 'wrong-secret')).catch((cause: unknown) => cause)
  assert.match(String(error), /the token endpoint answered 401 \(invalid_client\): correct clientId and clientSecret/)
  assert.doesNotMatch(String(error), /wrong-secret/)
})

test('a token file is read for every authentication; one that has ended, or is none, is an error', async t => {
  const { brokerLog, connect } = await setUp(t, { oauth: { jwks }, maxReauthMs: 100 })
  const file = join(folder(t), 'token')
  writeFileSync(file, `${await tokenFor('alice')}\n`)
  const sasl = `{ mechanism: OAUTHBEARER, tokenFile: ${file} }`
  const cluster = await connect(sasl)
  await opened(cluster)
  const before = principalsIn(brokerLog).length
  writeFileSync(file, await tokenFor('alice', 120))
  await until(() => principalsIn(brokerLog).length > before)

  writeFileSync(file, await tokenFor('alice', -3600))
  await assert.rejects(connect(sasl), { code: 'ERR_CLI_CREDENTIALS_UNREACHABLE', message: /the token in .* ended at / })
  writeFileSync(file, 'one two')
  await assert.rejects(connect(sasl), { code: 'ERR_CONFIG_CREDENTIALS', message: /has more in it than one token/ })
  writeFileSync(file, '')
  await assert.rejects(connect(sasl), { code: 'ERR_CONFIG_CREDENTIALS', message: /is empty/ })
})
