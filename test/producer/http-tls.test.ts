import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TLSSocket } from 'node:tls'

import { VirtualClock } from '../../src/core/index.ts'
import { HttpSource } from '../../src/producer/index.ts'
import { type Logger, silentLogger } from '../../src/telemetry/index.ts'
import { Authority, type CertificatePair } from '../support/certificates.ts'
import { HeldIntake } from './held-intake.ts'

interface Files {
  readonly cert: string
  readonly key: string
  readonly clientCa: string
  readonly write: (pair: CertificatePair, ca?: string) => Promise<void>
}

async function files(t: TestContext): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const [cert, key, clientCa] = ['cert.pem', 'key.pem', 'ca.pem'].map(name => join(folder, name))
  assert.ok(cert !== undefined && key !== undefined && clientCa !== undefined)
  const write = async (pair: CertificatePair, ca = ''): Promise<void> => {
    await Promise.all([writeFile(cert, pair.cert), writeFile(key, pair.key), writeFile(clientCa, ca)])
  }
  return { cert, key, clientCa, write }
}

/** Posts an event; returns status and the certificate that the server showed. */
async function post(port: number, ca: string, own?: CertificatePair): Promise<{ status: number; fingerprint: string }> {
  const sending = request({
    host: '127.0.0.1',
    port,
    path: '/events',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    ca,
    agent: false,
    ...own
  })
  sending.end('{"a":1}')
  const [response] = (await once(sending, 'response')) as [IncomingMessage]
  const { socket } = response
  const fingerprint = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : ''
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode ?? 0, fingerprint }
}

async function serve(
  t: TestContext,
  tls: { readonly cert: string; readonly key: string; readonly clientCa?: string },
  { logger = silentLogger, ...more }: { readonly logger?: Logger; readonly headersTimeoutMs?: number } = {}
): Promise<{ port: number; clock: VirtualClock; protocol: string }> {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  const clock = new VirtualClock()
  const options = { host: '127.0.0.1', port: 0, bodyBytesMax: 10_000, pendingBytesMax: 10_000 }
  const source = new HttpSource({ ...options, ...more, tls, clock, logger })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  ended.catch(() => undefined)
  t.after(async () => {
    stopping.abort()
    await source.close()
    await ended.catch(() => undefined)
  })
  return { ...(await source.listening), clock }
}

test('events come over TLS, and a renewed certificate is used by new connections', async t => {
  const authority = new Authority('ca')
  const { cert, key, write } = await files(t)
  await write(authority.issue({ name: 'first', isServer: true }))
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warnings.push(message ?? '') }
  const { port, clock, protocol } = await serve(t, { cert, key }, { logger })
  assert.equal(protocol, 'https')
  const first = await post(port, authority.cert)
  assert.equal(first.status, 202)

  await writeFile(key, 'no key')
  await clock.advance(60_000)
  while (warnings.length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.match(warnings.join(), /the new certificate cannot be used, the old one stays/)
  assert.equal((await post(port, authority.cert)).fingerprint, first.fingerprint)

  await write(authority.issue({ name: 'second', isServer: true }))
  await clock.advance(60_000)
  let second = await post(port, authority.cert)
  for (let tries = 0; second.fingerprint === first.fingerprint && tries < 100; tries += 1) {
    second = await post(port, authority.cert)
  }
  assert.notEqual(second.fingerprint, first.fingerprint)
  assert.equal(second.status, 202)
})

test('with authorities of clients, only clients that they know are let in', async t => {
  const authority = new Authority('ca')
  const stranger = new Authority('stranger')
  const { cert, key, clientCa, write } = await files(t)
  await write(authority.issue({ name: 'server', isServer: true }), authority.cert)
  const { port } = await serve(t, { cert, key, clientCa })
  assert.equal((await post(port, authority.cert, authority.issue({ name: 'client' }))).status, 202)
  await assert.rejects(post(port, authority.cert))
  await assert.rejects(post(port, authority.cert, stranger.issue({ name: 'client' })))
})

test('a certificate that is not there ends the start with a message', async t => {
  await assert.rejects(serve(t, { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' }), {
    code: 'ERR_PRODUCER_LISTEN_FAILED',
    message: /the certificate of the http source cannot be used: ENOENT/
  })
})

/*
 * Symptom: connections that begin no handshake are never closed, and nobody else gets one when there are 2,000 of them.
 * Cause: they were ended with an answer, which waits for the handshake. Reach: anybody who reaches the port.
 */
test('connections without a handshake, or with half of one, are ended in time', async t => {
  const authority = new Authority('test')
  const tls = await files(t)
  await tls.write(authority.issue({ name: 'localhost', isServer: true }))
  const { port } = await serve(t, { cert: tls.cert, key: tls.key }, { headersTimeoutMs: 100 })
  const closings = ['', '\x16\x03\x01', 'GET / HTTP/1.1\r\n\r\n'].map(async bytes => {
    const socket = connect(port, '127.0.0.1').resume()
    socket.on('error', () => undefined)
    t.after(() => socket.destroy())
    if (bytes !== '') socket.write(Buffer.from(bytes, 'latin1'))
    await new Promise(resolve => socket.once('close', resolve))
  })
  await Promise.all(closings)
  assert.equal((await post(port, authority.cert)).status, 202)
})
