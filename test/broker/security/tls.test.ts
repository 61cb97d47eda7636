/** TLS listeners, seen by our own client, and by those who speak otherwise. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Broker, ListenerTlsOptions } from '../../../src/broker/index.ts'
import { HANDSHAKE_DEADLINE_MS } from '../../../src/broker/server/tls-acceptor.ts'
import { RELOAD_PERIOD_MS } from '../../../src/broker/server/tls-credentials.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { brokerFor, RecordingLogger } from '../support.ts'
import { CA, connectClient, pem, principalsIn, SERVER_TLS, TLS_DIR } from './support.ts'

async function tlsBroker(
  t: TestContext,
  tls: Partial<ListenerTlsOptions> = {},
  options: { clock?: VirtualClock } = {}
): Promise<{ broker: Broker; logger: RecordingLogger }> {
  const logger = new RecordingLogger()
  const listeners = [{ name: 'SSL', tls: { ...SERVER_TLS, ...tls } }]
  return { broker: await brokerFor(t, { listeners, logger, ...options }), logger }
}

const API_VERSIONS_0 = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255])

const clientOf = (name: string): { ca: string; cert: string; key: string } => ({
  ca: CA,
  cert: pem(name),
  key: pem(`${name}-key`)
})

async function secure(t: TestContext, broker: Broker, options: object = {}): Promise<TLSSocket> {
  const socket = connectTls({ port: broker.port, host: broker.host, ca: CA, ...options })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a reset is one way to close
  await once(socket, 'secureConnect')
  return socket
}

/** Whether the broker answers a request (ApiVersions version 0) on a new TLS connection. */
async function isServed(t: TestContext, broker: Broker, options: object): Promise<boolean> {
  const socket = connectTls({ port: broker.port, host: broker.host, ...options })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a reset is one way to close
  socket.once('secureConnect', () => socket.write(API_VERSIONS_0))
  const [answer]: unknown[] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
  return Buffer.isBuffer(answer)
}

test('a client that trusts the authority is served, and told the TLS address', async t => {
  const { broker } = await tlsBroker(t)
  const cluster = await connectClient(t, broker.bootstrapServers, { tls: { ca: CA } })
  const { brokers } = await cluster.metadata([])
  assert.deepEqual(brokers[0]?.port, broker.port)
})

test('certificate and key may lie in files, and in one file', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-tls-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'both.pem'), SERVER_TLS.key + SERVER_TLS.cert)
  const listeners = [{ name: 'SSL', tls: { cert: join(dir, 'both.pem') } }]
  const broker = await brokerFor(t, { listeners })
  await connectClient(t, broker.bootstrapServers, { tls: { ca: CA } })
})

test('what cannot be a certificate is refused at the start', async () => {
  const { startBroker } = await import('../../../src/broker/index.ts')
  for (const tls of [
    { cert: '/nowhere/broker.pem' },
    { ...SERVER_TLS, key: pem('client-key') },
    { cert: SERVER_TLS.cert }
  ]) {
    await assert.rejects(startBroker({ listeners: [{ name: 'SSL', tls }] }), {
      code: 'ERR_BROKER_INVALID_SETTING',
      message: /TLS of the listener SSL cannot be set up/
    })
  }
})

test('TLS older than 1.2 is not offered, and 1.3 may be asked for', async t => {
  const { broker } = await tlsBroker(t)
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }
  await assert.rejects(secure(t, broker, old), /ERR_SSL|alert|version|disconnected|reset/i)
  assert.equal((await secure(t, broker, { maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2')

  const { broker: modern } = await tlsBroker(t, { minVersion: 'TLSv1.3' })
  assert.equal((await secure(t, modern)).getProtocol(), 'TLSv1.3')
  await assert.rejects(secure(t, modern, { maxVersion: 'TLSv1.2' }), /alert|version|disconnected|reset/i)
})

test('mutual TLS: the certificate is the principal', async t => {
  const { broker, logger } = await tlsBroker(t, { clientAuth: 'required', ca: CA })
  await connectClient(t, broker.bootstrapServers, { tls: clientOf('client') })
  await connectClient(t, broker.bootstrapServers, { tls: clientOf('odd-client') })
  const principals = new Set(principalsIn(logger))
  assert.ok(principals.has('User:CN=ingest,OU=Events,O=Acme,C=DE'))
  assert.equal(principals.size, 2)
})

test('mutual TLS: who has no certificate, or a stranger’s, is not served, and the log says why', async t => {
  const { broker, logger } = await tlsBroker(t, { clientAuth: 'required', ca: CA })
  assert.equal(await isServed(t, broker, { ca: CA }), false)
  await logger.until('warn', 'the client has no certificate')
  assert.equal(await isServed(t, broker, clientOf('stranger')), false)
  await logger.until('warn', 'the certificate of the client is not trusted')
  assert.deepEqual(principalsIn(logger), [])
})

test('requested: no certificate is anonymous, a stranger’s is refused', async t => {
  const { broker, logger } = await tlsBroker(t, { clientAuth: 'requested', ca: CA })
  await connectClient(t, broker.bootstrapServers, { tls: { ca: CA } })
  assert.deepEqual(principalsIn(logger), [])
  await connectClient(t, broker.bootstrapServers, { tls: clientOf('client') })
  assert.ok(principalsIn(logger).includes('User:CN=ingest,OU=Events,O=Acme,C=DE'))
  assert.equal(await isServed(t, broker, clientOf('stranger')), false)
})

test('mapping rules shorten the principal, and refuse whom none fits', async t => {
  const principalMappingRules = 'RULE:^CN=(.*?),OU=Events,.*$/$1/U'
  const { broker, logger } = await tlsBroker(t, { clientAuth: 'required', ca: CA, principalMappingRules })
  await connectClient(t, broker.bootstrapServers, { tls: clientOf('client') })
  assert.deepEqual(new Set(principalsIn(logger)), new Set(['User:INGEST']))
  assert.equal(await isServed(t, broker, clientOf('odd-client')), false)
  await logger.until('warn', 'no rule of ssl.principal.mapping.rules')
})

test('plain bytes on a TLS port end with a clear line, as a closed connection', async t => {
  const { broker, logger } = await tlsBroker(t)
  const socket = connect(broker.port, broker.host)
  socket.on('error', () => undefined) // a reset is one way to close
  socket.write(Buffer.from([0, 0, 0, 20, 0, 18]))
  await once(socket.resume(), 'close')
  await logger.until('warn', 'plain bytes on a TLS listener')
})

test('a TLS hello on a plain port ends with a clear line, as a closed connection', async t => {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, { logger })
  const socket = connectTls({ port: broker.port, host: broker.host, ca: CA })
  await assert.rejects(once(socket, 'secureConnect'))
  await logger.until('warn', 'a TLS handshake on a listener without TLS')
})

test('garbage that begins like TLS, and a handshake that never ends, cost a connection each and no more', async t => {
  const clock = new VirtualClock()
  const { broker, logger } = await tlsBroker(t, {}, { clock })
  const garbage = connect(broker.port, broker.host)
  garbage.on('error', () => undefined) // a reset is one way to close
  garbage.write(Buffer.alloc(64, 0x16))
  await once(garbage.resume(), 'close')
  await logger.until('warn', 'the TLS handshake failed')

  const silent = connect(broker.port, broker.host)
  const halfOpen = connect(broker.port, broker.host)
  await Promise.all([once(silent, 'connect'), once(halfOpen, 'connect')])
  halfOpen.write(Buffer.from([0x16, 3, 1, 2, 0]))
  // Served after them: both have been accepted.
  await secure(t, broker)
  const ended = Promise.all([once(silent.resume(), 'close'), once(halfOpen.resume(), 'close')])
  await clock.advance(HANDSHAKE_DEADLINE_MS)
  await ended
  await secure(t, broker)
})

test('a new certificate is taken from its file, and open connections stay', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-tls-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
  const install = (name: string): void => {
    copyFileSync(join(TLS_DIR, `${name}.pem`), cert)
    copyFileSync(join(TLS_DIR, `${name}-key.pem`), key)
  }
  install('broker')
  const clock = new VirtualClock()
  const { broker, logger } = await tlsBroker(t, { cert, key }, { clock })
  const before = await secure(t, broker)
  assert.equal(before.getPeerCertificate().subject.O, undefined)

  // Between two writes the pair does not hold together: the old one stays.
  copyFileSync(join(TLS_DIR, 'broker-next.pem'), cert)
  await clock.advance(RELOAD_PERIOD_MS)
  await logger.until('error', 'the one before stays')
  assert.equal((await secure(t, broker)).getPeerCertificate().subject.O, undefined)

  install('broker-next')
  await clock.advance(RELOAD_PERIOD_MS)
  await logger.until('info', 'the TLS certificate was read again')
  assert.equal((await secure(t, broker)).getPeerCertificate().subject.O, 'Next')

  before.write(API_VERSIONS_0)
  const [answer] = (await once(before, 'data')) as [Buffer]
  assert.equal(answer.readInt32BE(4), 7)
})
