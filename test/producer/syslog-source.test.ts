import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { SyslogSource, type SyslogSourceOptions } from '../../src/producer/sources/syslog/syslog-source.ts'
import type { SyslogAddress } from '../../src/producer/sources/syslog/syslog-source.ts'
import { Authority } from '../support/certificates.ts'
import { runProcess } from '../support/child-process.ts'
import { HeldIntake } from './held-intake.ts'

interface Running {
  readonly source: SyslogSource
  readonly intake: HeldIntake
  readonly address: SyslogAddress
  readonly messages: () => string[]
  readonly stop: () => Promise<void>
}

async function start(t: TestContext, options: SyslogSourceOptions = {}, intake = automatic()): Promise<Running> {
  const source = new SyslogSource({ port: 0, retry: { initialMs: 1, maxMs: 5 }, ...options })
  const stopping = new AbortController()
  const ended = source.run(intake, stopping.signal)
  ended.catch(() => undefined)
  t.after(async () => {
    stopping.abort()
    await source.close()
  })
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended
  }
  return { source, intake, address: await source.listening, messages: () => messagesOf(intake), stop }
}

function messagesOf(intake: HeldIntake): string[] {
  const events = intake.held.flatMap(chunk => chunk.events)
  return events.map(event => (JSON.parse(event) as { readonly message: string }).message)
}

function automatic(): HeldIntake {
  const intake = new HeldIntake()
  intake.isAutomatic = true
  return intake
}

async function tcp(t: TestContext, { address }: Running): Promise<Socket> {
  const socket = connect(address.tcpPort ?? 0, '127.0.0.1')
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await new Promise(resolve => socket.once('connect', resolve))
  return socket
}

async function sendUdp({ address }: Running, messages: readonly (string | Buffer)[]): Promise<void> {
  const socket = createSocket('udp4')
  for (const message of messages) {
    await new Promise(resolve => socket.send(message, address.udpPort ?? 0, '127.0.0.1', resolve))
  }
  await new Promise<void>(resolve => socket.close(resolve))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

function header(text: string): string {
  return `<13>1 - host app - - - ${text}`
}

test('messages come over TCP in both framings and over UDP; a stop publishes what was sent', async t => {
  const running = await start(t)
  const socket = await tcp(t, running)
  const counted = header('counted')
  socket.write(`${header('one')}\n${Buffer.byteLength(counted)} ${counted}${header('tw')}`)
  await sendUdp(running, [header('datagram'), `${header('with newline')}\n`])
  await until(() => running.messages().length === 4)
  socket.write('o\n')
  socket.write(`${header('cut')}`)
  await new Promise(resolve => setTimeout(resolve, 10))
  await running.stop()
  assert.deepEqual(running.messages().toSorted(), ['counted', 'datagram', 'one', 'two', 'with newline'])
  const { eventCount, droppedCount } = running.source.progress()
  assert.deepEqual([eventCount, droppedCount], [6, 0])
  assert.equal(running.source.connectionCount, 0)
})

test('what util-linux logger sends is read', { skip: !existsSync('/usr/bin/logger') }, async t => {
  const running = await start(t)
  const { tcpPort, udpPort } = running.address
  const send = async (...args: string[]): Promise<void> => {
    await runProcess('/usr/bin/logger', ['--server', '127.0.0.1', '--tag', 'mytag', ...args])
  }
  await send('--tcp', '--port', String(tcpPort), '--rfc5424', '--msgid', 'ID1', 'over tcp')
  await send('--tcp', '--octet-count', '--port', String(tcpPort), '--rfc5424', 'counted')
  await send('--udp', '--port', String(udpPort), '--rfc5424', '--sd-id', 'a@1', '--sd-param', 'b="c"', 'over udp')
  await send('--udp', '--port', String(udpPort), '--rfc3164', '--id=77', 'old format')
  await until(() => running.messages().length === 4)
  await running.stop()
  const events = running.intake.held
    .flatMap(chunk => chunk.events)
    .map(event => JSON.parse(event) as Record<string, unknown>)
  const byMessage = new Map(events.map(event => [event['message'], event]))
  assert.equal(byMessage.get('over tcp')?.['msgid'], 'ID1')
  assert.equal(byMessage.get('over tcp')?.['appname'], 'mytag')
  assert.equal(byMessage.get('counted')?.['format'], 'rfc5424')
  const { 'a@1': data } = (byMessage.get('over udp')?.['structuredData'] ?? {}) as Record<string, unknown>
  assert.deepEqual(data, { b: 'c' })
  const old = byMessage.get('old format')
  assert.deepEqual([old?.['format'], old?.['appname'], old?.['procid']], ['rfc3164', 'mytag', '77'])
})

test('what is malformed or too long is handed over with its reason, and its neighbours pass', async t => {
  const running = await start(t, { messageBytesMax: 480 })
  const socket = await tcp(t, running)
  socket.write(`no message\n${header('a')}\n${header('x'.repeat(1000))}\n<13>9 - - - -\n${header('b')}\n`)
  await sendUdp(running, [header('y'.repeat(1000)), Buffer.alloc(0), header('c')])
  await until(() => running.messages().length === 3)
  await running.stop()
  assert.deepEqual(running.messages().toSorted(), ['a', 'b', 'c'])
  const refused = (await Promise.all(running.intake.settlements)).flatMap(({ refusals }) => refusals)
  assert.deepEqual(refused.map(({ problem }) => problem.errorClass).toSorted(), [
    'malformed',
    'malformed',
    'malformed',
    'oversized',
    'oversized'
  ])
})

test('a slow Kafka stops the reading of TCP, and drops UDP with count', async t => {
  const intake = new HeldIntake()
  const gate = Promise.withResolvers<void>()
  const submit = intake.submit.bind(intake)
  intake.submit = async (...parameters) => {
    await gate.promise
    return await submit(...parameters)
  }
  intake.isAutomatic = true
  const running = await start(t, { queueBytesMax: 65_536 }, intake)
  const socket = await tcp(t, running)
  const line = `${header('x'.repeat(30_000))}\n`
  let sentCount = 0
  let isFull = false
  // The kernel's buffers on both sides hold some megabytes.
  while (!isFull && sentCount < 10_000) {
    isFull = !socket.write(line.repeat(10))
    sentCount += 10
    if (isFull) isFull = !(await Promise.race([drained(socket), after(200)]))
  }
  assert.ok(isFull, 'the sender was never stopped')
  await sendUdp(
    running,
    Array.from({ length: 60 }, () => line)
  )
  await until(() => (running.source.progress().droppedCount ?? 0) > 0)
  const queuedMax = 2 * 65_536 * 2 + 1_048_576 * 2
  assert.ok(running.source.progress().eventCount * 30_000 < queuedMax, `${running.source.progress().eventCount} events`)
  gate.resolve()
  await until(() => running.messages().length >= sentCount)
  await running.stop()
  const { droppedCount = 0, eventCount } = running.source.progress()
  assert.equal(eventCount, running.messages().length)
  assert.ok(eventCount - sentCount + droppedCount <= 60)
})

async function drained(socket: Socket): Promise<boolean> {
  await new Promise(resolve => socket.once('drain', resolve))
  return true
}

async function after(ms: number): Promise<boolean> {
  await new Promise(resolve => setTimeout(resolve, ms))
  return false
}

test('messages whose delivery failed are handed over again until they are safe', async t => {
  const intake = new HeldIntake()
  const running = await start(t, {}, intake)
  await sendUdp(running, [header('a')])
  ;(await intake.chunk(0)).fail()
  ;(await intake.chunk(1)).fail()
  const third = await intake.chunk(2)
  assert.equal(third.events.length, 1)
  third.acknowledge()
  await running.stop()
  assert.equal(running.source.progress().retryCount, 2)
  assert.ok(running.source.progress().safeBytes > 0)
})

test('a failure during the stop is the error of the source', async t => {
  const intake = new HeldIntake()
  const running = await start(t, {}, intake)
  await sendUdp(running, [header('a')])
  const first = await intake.chunk(0)
  const stopped = running.stop()
  await until(() => running.source.connectionCount === 0)
  await new Promise(resolve => setTimeout(resolve, 300))
  first.fail()
  await assert.rejects(stopped, { code: 'ERR_PRODUCER_DELIVERY_FAILED' })
})

test('connections beyond the limit and silent ones are closed; hostile bytes harm nobody', async t => {
  const running = await start(t, { connectionsMax: 2, idleMs: 50 })
  const hostile = await tcp(t, running)
  hostile.write('99999999999999 hello')
  await new Promise(resolve => hostile.once('close', resolve))
  const silent = await tcp(t, running)
  await new Promise(resolve => silent.once('close', resolve))
  const [first, second] = [await tcp(t, running), await tcp(t, running)]
  await until(() => running.source.connectionCount === 2)
  const third = await tcp(t, running)
  await new Promise(resolve => third.once('close', resolve))
  first.end(`${header('still here')}`)
  second.destroy()
  await until(() => running.messages().length === 1)
  await running.stop()
})

test('a port that is taken is a failure to listen', async t => {
  const { address } = await start(t)
  const source = new SyslogSource({ port: address.tcpPort ?? 0, protocols: ['tcp'] })
  const running = source.run(automatic(), new AbortController().signal)
  await assert.rejects(running, { code: 'ERR_PRODUCER_LISTEN_FAILED' })
  await assert.rejects(source.listening, { code: 'ERR_PRODUCER_LISTEN_FAILED' })
})

test('TLS asks for a certificate where an authority is named', async t => {
  const authority = new Authority('authority')
  const ca = authority.cert
  const [server, client] = [authority.issue({ name: 'localhost', isServer: true }), authority.issue({ name: 'client' })]
  const running = await start(t, { protocols: ['tcp'], tls: { cert: server.cert, key: server.key, ca } })
  const port = running.address.tcpPort ?? 0
  const good = connectTls({ port, host: '127.0.0.1', ca, cert: client.cert, key: client.key, servername: 'localhost' })
  t.after(() => good.destroy())
  good.write(`${Buffer.byteLength(header('secret'))} ${header('secret')}`)
  await until(() => running.messages().length === 1)
  const bad = connectTls({ port, host: '127.0.0.1', ca, servername: 'localhost' })
  bad.on('error', () => undefined)
  bad.write(`${header('unknown')}\n`)
  await new Promise(resolve => bad.once('close', resolve))
  await running.stop()
  assert.deepEqual(running.messages(), ['secret'])
})

/*
 * Symptom: connections over TLS that begin no handshake are never closed, and nobody else gets one when there are
 * `connectionsMax` of them. Cause: Node says that the time is over, and leaves the socket to the caller. Reach: anybody
 * who reaches the port, without a certificate.
 */
test('connections without a handshake, or with half of one, are closed in time', async t => {
  const server = new Authority('syslog').issue({ name: 'syslog', isServer: true })
  const running = await start(t, { protocols: ['tcp'], tls: server, handshakeMs: 50, connectionsMax: 2 })
  for (const bytes of ['', '\u0016\u0003\u0001', 'no handshake\n', '']) {
    const socket = (await tcp(t, running)).resume()
    socket.on('error', () => undefined)
    if (bytes !== '') socket.write(Buffer.from(bytes, 'latin1'))
    await new Promise(resolve => socket.once('close', resolve))
  }
})
