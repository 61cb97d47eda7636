/** Limits of connections: what is above them costs the newcomer, and nobody else. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Broker } from '../../../src/broker/index.ts'
import { ConnectionLimits, parseOverrides, plainAddress } from '../../../src/broker/server/connection-limits.ts'
import { resolveListeners } from '../../../src/broker/server/resolve-listeners.ts'
import { BrokerSettings } from '../../../src/broker/settings.ts'
import { VirtualClock } from '../../../src/core/index.ts'
import { metadataApi } from '../../../src/protocol/index.ts'
import { brokerFor, connectTo, RecordingLogger } from '../support.ts'

const metadata = { version: 9, message: { topics: [] } }

function limitsWith(config: Record<string, string>, clock = new VirtualClock()): (address?: string) => number | string {
  const settings = new BrokerSettings(config)
  const [listener] = resolveListeners({}, settings).listeners
  assert.ok(listener !== undefined)
  const limits = new ConnectionLimits(settings, clock)
  return (address = '127.0.0.1') => {
    const admission = limits.acquire(address, listener)
    return 'refusal' in admission ? admission.refusal : Math.round(admission.delayMs)
  }
}

/** A connection from another address of this machine. */
function connectFrom(t: TestContext, broker: Broker, localAddress: string): Socket {
  const socket = connect({ port: broker.port, host: broker.host, localAddress })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a reset is one way to close
  return socket.resume()
}

test('connections above max.connections are closed, and those from before are served', async t => {
  const logger = new RecordingLogger()
  const broker = await brokerFor(t, { config: { 'max.connections': '2' }, logger })
  const [first, second] = [await connectTo(t, broker), await connectTo(t, broker)]
  await first.request(metadataApi, metadata)
  await second.request(metadataApi, metadata)
  for (let index = 0; index < 50; index++) await once(connectFrom(t, broker, '127.0.0.1'), 'close')
  await first.request(metadataApi, metadata)
  const lines = logger.lines.filter(line => line.message === 'connections refused')
  assert.equal(lines.length, 1, 'one line, however often somebody knocks')
  assert.equal(lines[0]?.fields['reason'], 'max.connections are open')
})

test('one address cannot take the connections of all', async t => {
  const broker = await brokerFor(t, { config: { 'max.connections.per.ip': '1' } })
  const mine = await connectTo(t, broker)
  await mine.request(metadataApi, metadata)
  await once(connectFrom(t, broker, '127.0.0.1'), 'close')
  const other = connectFrom(t, broker, '127.0.0.2')
  await once(other, 'connect')
  await mine.request(metadataApi, metadata)
  assert.equal(other.closed, false)
  other.destroy()
})

test('a closed connection makes room', async t => {
  const broker = await brokerFor(t, { config: { 'max.connections.per.ip': '1' } })
  for (let index = 0; index < 20; index++) {
    const socket = connect(broker.port, broker.host)
    socket.on('error', () => undefined) // a reset is one way to close
    const isOpen = await Promise.race([
      once(socket, 'close').then(() => false),
      new Promise<boolean>(resolve => {
        socket.once('data', () => resolve(true))
        socket.write(Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]))
      })
    ])
    // The one before may not be gone on the broker's side yet: then this one is refused, and makes room itself.
    if (!isOpen) index -= 1
    socket.destroy()
  }
})

test('limits of single addresses go before the one for all', () => {
  const acquire = limitsWith({
    'max.connections.per.ip': '0',
    'max.connections.per.ip.overrides': '10.0.0.1:2,[::1]:1'
  })
  assert.match(String(acquire('10.0.0.2')), /max.connections.per.ip/)
  assert.equal(acquire('10.0.0.1'), 0)
  assert.equal(acquire('10.0.0.1'), 0)
  assert.match(String(acquire('10.0.0.1')), /max.connections.per.ip/)
  assert.equal(acquire('::1'), 0)
  assert.match(String(acquire('::1')), /max.connections.per.ip/)
})

test('new connections above the rate wait, and those that would wait too long are refused', async () => {
  const clock = new VirtualClock()
  await clock.advance(60_000)
  const acquire = limitsWith({ 'max.connection.creation.rate': '10' }, clock)
  const burst = Array.from({ length: 10 }, () => acquire())
  assert.deepEqual(new Set(burst), new Set([0]))
  assert.equal(acquire(), 100)
  assert.equal(acquire(), 200)
  await clock.advance(200)
  assert.equal(acquire(), 100)
  const waiting = Array.from({ length: 200 }, () => acquire())
  assert.match(String(waiting.at(-1)), /max.connection.creation.rate/)
  assert.ok(waiting.filter(each => typeof each === 'number').every(delayMs => delayMs <= 10_000))
  await clock.advance(60_000)
  assert.equal(acquire(), 0)
})

test('addresses are counted as they are written', () => {
  assert.equal(plainAddress('::ffff:10.1.2.3'), '10.1.2.3')
  assert.equal(plainAddress('::1'), '::1')
  assert.equal(plainAddress(undefined), 'unknown')
  assert.equal(parseOverrides('a:1,b')?.size, undefined)
  assert.equal(parseOverrides('')?.size, 0)
})
