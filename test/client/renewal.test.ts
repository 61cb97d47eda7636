/** Connections whose certificates or passwords change: another socket takes over, and nobody notices. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Cluster, type Renewable, type UserCredentials } from '../../src/client/index.ts'
import { Connection, type ConnectionOptions } from '../../src/client/connection.ts'
import { VirtualClock } from '../../src/core/index.ts'
import { metadataApi, saslAuthenticateApi, saslHandshakeApi } from '../../src/protocol/index.ts'
import { RecordingLogger } from '../broker/support.ts'
import { type FakeBroker, type RequestHandler, type SeenRequest, startFakeBroker } from './fake-broker.ts'

const metadata = { clusterId: 'c', controllerId: 1, brokers: [], topics: [] }

/** Numbers sockets in the order in which they sent something. */
function socketNumbers(): (socket: Socket) => number {
  const numbers = new Map<Socket, number>()
  return socket => {
    if (!numbers.has(socket)) numbers.set(socket, numbers.size + 1)
    return numbers.get(socket) ?? 0
  }
}

/** Metadata requests as `topic@socket`, answered when a test says so. */
class HeldBroker {
  readonly seen: string[] = []
  readonly #number = socketNumbers()
  readonly #held: SeenRequest[] = []
  isHolding = false

  readonly handle: RequestHandler = request => {
    const socket = this.#number(request.socket)
    if (request.apiKey !== metadataApi.key) return false
    const { topics } = request.message as { topics: { name: string }[] | null } // Decoded by our own codec.
    this.seen.push(`${topics?.[0]?.name ?? '*'}@${socket}`)
    if (this.isHolding) this.#held.push(request)
    else request.answer(metadataApi, metadata)
    return true
  }

  get heldCount(): number {
    return this.#held.length
  }

  /** Answers the oldest. */
  answer(): void {
    this.#held.shift()?.answer(metadataApi, metadata)
  }
}

async function open(
  t: TestContext,
  handle: RequestHandler,
  options: Partial<ConnectionOptions> = {}
): Promise<{ broker: FakeBroker; connection: Connection }> {
  const broker = await startFakeBroker(t, handle)
  const connection = await Connection.open({ host: broker.host, port: broker.port, ...options })
  t.after(() => connection.close())
  return { broker, connection }
}

const ask = (connection: Connection, name: string): Promise<unknown> =>
  connection.send(metadataApi, { topics: [{ name }] })

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

test('an idle connection goes on over another socket, and the old one is closed', async t => {
  const held = new HeldBroker()
  const closes: unknown[] = []
  const { broker, connection } = await open(t, held.handle, { onClose: error => closes.push(error) })
  await ask(connection, 'a')
  const old = broker.requests[0]?.socket
  assert.ok(old !== undefined)
  const ended = once(old, 'close')
  assert.equal(await connection.renew(), true)
  await ask(connection, 'b')
  await ended
  assert.deepEqual(held.seen, ['a@1', 'b@2'])
  assert.equal(broker.connectionCount(), 2)
  assert.equal(connection.isOpen, true)
  assert.deepEqual(closes, [])
})

test('what is in flight is answered over the old socket, what waits goes over the new one in its order', async t => {
  const held = new HeldBroker()
  held.isHolding = true
  const { connection } = await open(t, held.handle, { inFlightMax: 2 })
  const answers = ['a', 'b', 'c', 'd'].map(name => ask(connection, name))
  await until(() => held.heldCount === 2)
  const renewed = connection.renew()
  await until(() => held.seen.length === 2)
  // Before the other socket is there the pipeline goes on over the old one.
  held.answer()
  held.answer()
  await until(() => held.heldCount === 2)
  held.isHolding = false
  const all = Promise.all(answers)
  while (held.heldCount > 0) held.answer()
  assert.equal(await renewed, true)
  await all
  await ask(connection, 'e')
  assert.deepEqual(
    held.seen.map(text => text.slice(0, 1)),
    ['a', 'b', 'c', 'd', 'e']
  )
  assert.equal(held.seen.at(-1), 'e@2')
})

test('a connection that always has something in flight is held for a moment, and no request fails', async t => {
  const held = new HeldBroker()
  held.isHolding = true
  const { connection } = await open(t, held.handle, { inFlightMax: 3 })
  let isOn = true
  let answered = 0
  const pump = async (): Promise<void> => {
    while (isOn) {
      await ask(connection, 'x')
      answered += 1
    }
  }
  const pumps = [pump(), pump(), pump()]
  // One stays in flight as long as others come behind it.
  const feeder = setInterval(() => {
    while (held.heldCount > 1) held.answer()
  }, 1)
  const last = setInterval(() => {
    if (held.heldCount === 1) held.answer()
  }, 20)
  t.after(() => [feeder, last].forEach(clearInterval))
  assert.equal(await connection.renew(), true)
  const before = answered
  await until(() => answered > before + 3)
  isOn = false
  await Promise.all(pumps)
  assert.ok(held.seen.some(text => text.endsWith('@2')))
})

test('a long poll is not disturbed: the connection stays as it was, and can be renewed later', async t => {
  const held = new HeldBroker()
  held.isHolding = true
  const clock = new VirtualClock()
  const { broker, connection } = await open(t, held.handle, { clock })
  const poll = ask(connection, 'poll')
  await until(() => held.heldCount === 1)
  const renewed = connection.renew()
  await until(() => broker.connectionCount() === 2 && broker.requests.length === 3)
  await new Promise(resolve => setTimeout(resolve, 20)) // The answer of ApiVersions is on its way.
  // While it is held back.
  await clock.advance(300)
  const later = ask(connection, 'later')
  await clock.advance(3_000)
  assert.equal(await renewed, false)
  await until(() => held.heldCount === 2)
  held.answer()
  held.answer()
  await Promise.all([poll, later])
  assert.deepEqual(held.seen, ['poll@1', 'later@1'])
  assert.equal(await connection.renew(), true)
})

test('a connection that ends while it is renewed ends for good', async t => {
  const held = new HeldBroker()
  held.isHolding = true
  const { broker, connection } = await open(t, held.handle)
  const poll = ask(connection, 'poll')
  await until(() => held.heldCount === 1)
  const renewed = connection.renew()
  await until(() => broker.requests.length === 3)
  connection.close()
  await assert.rejects(poll, { code: 'ERR_CLIENT_CLOSED' })
  assert.equal(await renewed, false)
  assert.equal(await connection.renew(), false)
})

/** Users and passwords that a test changes. */
class Users implements Renewable<UserCredentials> {
  readonly #listeners = new Set<() => void>()
  #now: UserCredentials

  constructor(now: UserCredentials) {
    this.#now = now
  }

  get listenerCount(): number {
    return this.#listeners.size
  }

  current(): UserCredentials {
    return this.#now
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  change(now: UserCredentials, isTold = true): void {
    this.#now = now
    if (isTold) for (const listener of this.#listeners) listener()
  }
}

/** A broker with SASL PLAIN that notes who came on which socket. */
function plainBroker(
  isRight: (credentials: string) => boolean,
  sessionLifetimeMs = 0n
): { handle: RequestHandler; seen: string[] } {
  const seen: string[] = []
  const number = socketNumbers()
  const handle: RequestHandler = request => {
    const socket = number(request.socket)
    switch (request.apiKey) {
      case saslHandshakeApi.key:
        return request.answer(saslHandshakeApi, { errorCode: 0, mechanisms: ['PLAIN'] })
      case saslAuthenticateApi.key: {
        const { authBytes } = request.message as { authBytes: Buffer } // Decoded by our own codec.
        const credentials = authBytes.toString().slice(1).replace('\0', ':')
        const errorCode = isRight(credentials) ? 0 : 58
        seen.push(`${credentials}@${socket}${errorCode === 0 ? '' : ' refused'}`)
        return request.answer(saslAuthenticateApi, { errorCode, sessionLifetimeMs })
      }
      case metadataApi.key: {
        const { localAddress: host = '', localPort: port = 0 } = request.socket
        const brokers = [{ nodeId: 1, host, port, rack: null }]
        return request.answer(metadataApi, { ...metadata, brokers })
      }
      default:
        return false
    }
  }
  return { handle, seen }
}

async function connected(t: TestContext, handle: RequestHandler, users: Users): Promise<RecordingLogger> {
  const { bootstrapServers } = await startFakeBroker(t, handle)
  const logger = new RecordingLogger()
  const cluster = await Cluster.connect({
    bootstrapServers,
    logger,
    sasl: { mechanism: 'PLAIN', credentials: users }
  })
  t.after(() => cluster.close())
  await cluster.connectionTo({ to: 'any', lane: 'second' })
  return logger
}

test('a new password is used by new connections, and open ones are renewed one by one', async t => {
  const { handle, seen } = plainBroker(() => true)
  const users = new Users({ username: 'u', password: 'one' })
  const logger = await connected(t, handle, users)
  users.change({ username: 'u', password: 'two' })
  await logger.until('info', 'connections use the new credentials')
  assert.deepEqual(seen, ['u:one@1', 'u:one@2', 'u:two@3', 'u:two@4'])
})

test('while the broker does not know the new password, connections stay and are tried again', async t => {
  let known = 'u:one'
  const { handle, seen } = plainBroker(credentials => credentials === known)
  const users = new Users({ username: 'u', password: 'one' })
  const logger = await connected(t, handle, users)
  users.change({ username: 'u', password: 'two' })
  await logger.until('warn', 'open ones stay on the old ones')
  assert.deepEqual(seen, ['u:one@1', 'u:one@2', 'u:two@3 refused', 'u:two@4 refused'])
  assert.doesNotMatch(JSON.stringify(logger.lines), /two/)
  known = 'u:two'
  await logger.until('info', 'connections use the new credentials')
  assert.deepEqual(seen.slice(4), ['u:two@5', 'u:two@6'])
})

test('a client that is closed listens to changes no more', async t => {
  const { handle } = plainBroker(() => true)
  const users = new Users({ username: 'u', password: 'one' })
  const { bootstrapServers } = await startFakeBroker(t, handle)
  let closedCount = 0
  const onClosed = (): void => void (closedCount += 1)
  const sasl = { mechanism: 'PLAIN', credentials: users } as const
  const cluster = await Cluster.connect({ bootstrapServers, sasl, onClosed })
  assert.equal(users.listenerCount, 1)
  await cluster.close()
  await cluster.close()
  assert.deepEqual([users.listenerCount, closedCount], [0, 1])
})

test('authenticating again takes the newest password, but never another user: brokers refuse that', async t => {
  const { handle, seen } = plainBroker(() => true, 60n)
  const users = new Users({ username: 'u', password: 'one' })
  await open(t, handle, { sasl: { mechanism: 'PLAIN', credentials: users } })
  users.change({ username: 'u', password: 'two' }, false)
  await until(() => seen.includes('u:two@1'))
  users.change({ username: 'v', password: 'three' }, false)
  const before = seen.length
  await until(() => seen.length > before)
  assert.equal(seen.at(-1), 'u:two@1')
})

test('the session of the new socket is prolonged in time, and that of the old one no more', async t => {
  const { handle, seen } = plainBroker(() => true, 80n)
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
  const { broker, connection } = await open(t, handle, { sasl })
  assert.equal(await connection.renew(), true)
  await until(() => seen.filter(text => text === 'u:p@2').length === 3)
  assert.equal(seen.filter(text => text === 'u:p@1').length, 1)
  await ask(connection, 'a')
  assert.equal(broker.connectionCount(), 2)
})
