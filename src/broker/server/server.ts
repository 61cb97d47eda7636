/**
 * One listener of the broker: accepts connections within the limits, lets TLS
 * ones through the handshake, closes idle ones, ends them all on `close`. What a
 * request means is the dispatcher's business.
 */

import net from 'node:net'
import { type Clock, PipelineError, sleep, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { ANONYMOUS, Connection, type Dispatcher } from './connection.ts'
import { type ConnectionLimits, plainAddress } from './connection-limits.ts'
import type { FramePool } from './frame-pool.ts'
import type { Listener } from './resolve-listeners.ts'
import type { TlsAcceptor } from './tls-acceptor.ts'

/** How long a stopping broker waits for the answers of requests that have started. */
const END_DEADLINE_MS = 1000
/** At most one line about refused connections in this time, in milliseconds. */
const REFUSAL_LOG_PERIOD_MS = 10_000
/** Most refused connections that are kept for a while before they are closed. */
const HELD_COUNT_MAX = 1000

/** What to do when an address cannot be had, by the system's error. */
const LISTEN_REMEDIES: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'another program has the port: stop it, or choose another port (0 for any free one)'],
  ['EADDRNOTAVAIL', 'this machine has no such address: choose one of its own'],
  ['EACCES', 'ports below 1024 are for root: choose another']
])

/** What serves one connection. */
export interface Service {
  readonly dispatcher: Dispatcher
  /** Smallest and largest request until the dispatcher says otherwise. */
  readonly requestBytesMin?: number
  readonly requestBytesMax: number
  /** Called once the connection is there. */
  onConnected?(connection: Connection): void
}

/** How one listener runs. */
export interface ServerOptions {
  readonly listener: Listener
  /** Makes what serves a connection; called for each. */
  readonly serve: () => Service
  readonly limits: ConnectionLimits
  readonly framePool: FramePool
  /** Kafka `connections.max.idle.ms`. */
  readonly idleMsMax: number
  readonly clock: Clock
  readonly logger: Logger
  readonly onBytes: (direction: 'in' | 'out', bytes: number) => void
  readonly onConnectionCount: (change: 1 | -1) => void
}

/** A listening server. */
export interface Server {
  /** The port in use. */
  readonly port: number
  /** Stops listening and ends all connections. Idempotent. */
  close(): Promise<void>
}

interface Context {
  readonly options: ServerOptions
  readonly connections: Set<Connection>
  readonly acceptor: TlsAcceptor | undefined
  readonly refusals: { count: number; loggedAtMs: number }
  /** Connections that wait: for their turn, or for being closed. */
  readonly waiting: Set<net.Socket>
}

/**
 * Starts listening.
 *
 * @throws PipelineError `ERR_BROKER_LISTEN_FAILED` if the address cannot be bound, `ERR_BROKER_INVALID_SETTING` if
 *   its certificate cannot be used.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { listener, clock, logger } = options
  const connections = new Set<Connection>()
  const onSecure = (socket: net.Socket, principal: string): void => connect(socket, principal, context)
  // Loaded by those who need it: most brokers have no TLS, and are to be ready at once.
  const tls = listener.tls === undefined ? undefined : await import('./tls-acceptor.ts')
  const acceptor = await tls?.TlsAcceptor.open({ listener, clock, logger, onSecure })
  const context: Context = {
    options,
    connections,
    acceptor,
    refusals: { count: 0, loggedAtMs: -Infinity },
    waiting: new Set()
  }
  const server = net.createServer({ noDelay: true, keepAlive: true }, socket => void accept(socket, context))
  let port: number
  try {
    port = await listen(server, options)
  } catch (error) {
    acceptor?.close()
    throw error
  }
  const sweeper = sweepIdle(connections, options)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    sweeper.cancel()
    const isClosed = new Promise<void>(resolve => server.close(() => resolve()))
    acceptor?.close()
    for (const socket of context.waiting) socket.destroy()
    await Promise.all([...connections].map(connection => connection.end(END_DEADLINE_MS)))
    await isClosed
  }
  return { port, close: () => (closing ??= close()) }
}

async function accept(socket: net.Socket, context: Context): Promise<void> {
  const { options, acceptor } = context
  const { limits, listener } = options
  const address = plainAddress(socket.remoteAddress)
  const admission = limits.acquire(address, listener)
  if ('refusal' in admission) {
    logRefusal(admission.refusal, context)
    socket.on('error', () => undefined) // it is being thrown away
    await hold(socket, admission.holdMs ?? 0, context)
    socket.destroy()
    return
  }
  options.onConnectionCount(1)
  const gone = new AbortController()
  socket.once('close', () => {
    gone.abort()
    limits.release(address, listener)
    options.onConnectionCount(-1)
  })
  if (admission.delayMs > 0) {
    socket.on('error', () => undefined) // 'close' follows
    await wait(socket, { holdMs: admission.delayMs, gone: gone.signal }, context)
    if (gone.signal.aborted) return
  }
  if (acceptor === undefined) connect(socket, ANONYMOUS, context)
  else acceptor.accept(socket)
}

/** Keeps a client that comes back too often from coming back at once. */
async function hold(socket: net.Socket, holdMs: number, context: Context): Promise<void> {
  if (holdMs <= 0 || context.waiting.size >= HELD_COUNT_MAX) return
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  await wait(socket, { holdMs, gone: gone.signal }, context)
}

/** Waits with a connection that is not read yet; it ends with the listener. */
async function wait(
  socket: net.Socket,
  { holdMs, gone }: { holdMs: number; gone: AbortSignal },
  { options, waiting }: Context
): Promise<void> {
  waiting.add(socket)
  await sleep(options.clock, holdMs, gone)
  waiting.delete(socket)
}

function connect(socket: net.Socket, principal: string, { options, connections }: Context): void {
  const { listener, framePool, clock, logger, onBytes } = options
  const service = options.serve()
  const connection = new Connection({
    socket,
    listener: listener.name,
    principal,
    isTls: listener.tls !== undefined,
    dispatcher: service.dispatcher,
    ...(service.requestBytesMin === undefined ? {} : { requestBytesMin: service.requestBytesMin }),
    requestBytesMax: service.requestBytesMax,
    framePool,
    clock,
    logger,
    onBytes,
    onClosed: gone => void connections.delete(gone)
  })
  connections.add(connection)
  service.onConnected?.(connection)
}

/** Whoever is refused may come again at once and often: one line says how many there were. */
function logRefusal(reason: string, { options, refusals }: Context): void {
  const nowMs = options.clock.monotonicMs()
  refusals.count += 1
  if (nowMs - refusals.loggedAtMs < REFUSAL_LOG_PERIOD_MS) return
  const { listener, logger } = options
  logger.warn({ listener: listener.name, reason, connections: refusals.count }, 'connections refused')
  refusals.count = 0
  refusals.loggedAtMs = nowMs
}

async function listen(server: net.Server, options: ServerOptions): Promise<number> {
  const { name, host, port } = options.listener
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new PipelineError(
          'ERR_BROKER_LISTEN_FAILED',
          `the broker cannot listen on ${host}:${port}: ${cause.message}${listenRemedy(cause)}`,
          { cause, fields: { host, port } }
        )
      )
    )
    server.listen(port, host, () => resolve())
  })
  server.removeAllListeners('error')
  server.on('error', error => options.logger.error({ listener: name, reason: error.message }, 'the listener failed'))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

function listenRemedy(cause: NodeJS.ErrnoException): string {
  const remedy = LISTEN_REMEDIES.get(cause.code ?? '')
  return remedy === undefined ? '' : `; ${remedy}`
}

function sweepIdle(connections: Set<Connection>, options: ServerOptions): Timer {
  const periodMs = Math.max(1, Math.min(30_000, Math.floor(options.idleMsMax / 2)))
  const sweep = (): void => {
    for (const connection of connections) {
      if (connection.isIdle(options.idleMsMax)) connection.close(`idle for ${options.idleMsMax} ms`)
    }
  }
  return options.clock.every(periodMs, sweep).unref()
}
