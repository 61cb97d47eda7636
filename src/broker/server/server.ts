/**
 * The broker's listener: accepts connections, closes idle ones, ends them all
 * on `close`. What a request means is the dispatcher's business.
 */

import net from 'node:net'
import { type Clock, PipelineError, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { Connection, type Dispatcher } from './connection.ts'
import { FramePool } from './frame-pool.ts'

/** How long a stopping broker waits for the answers of requests that have started. */
const END_DEADLINE_MS = 1000

/** How the broker listens. */
export interface ServerOptions {
  /** Address to bind. */
  readonly host: string
  /** Port to bind; 0 lets the system choose. */
  readonly port: number
  readonly dispatcher: Dispatcher
  /** Kafka `socket.request.max.bytes`. */
  readonly requestBytesMax: number
  /** Kafka `connections.max.idle.ms`. */
  readonly idleMsMax: number
  /** Kafka `max.connections`. */
  readonly connectionCountMax: number
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

/**
 * Starts listening.
 *
 * @throws PipelineError `ERR_BROKER_LISTEN_FAILED` if the address cannot be bound.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const connections = new Set<Connection>()
  const context = { connections, framePool: new FramePool(), options }
  const server = net.createServer({ noDelay: true, keepAlive: true }, socket => accept(socket, context))
  const port = await listen(server, options)
  const sweeper = sweepIdle(connections, options)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    sweeper.cancel()
    const isClosed = new Promise<void>(resolve => server.close(() => resolve()))
    await Promise.all([...connections].map(connection => connection.end(END_DEADLINE_MS)))
    await isClosed
  }
  return { port, close: () => (closing ??= close()) }
}

function accept(
  socket: net.Socket,
  { connections, framePool, options }: { connections: Set<Connection>; framePool: FramePool; options: ServerOptions }
): void {
  if (connections.size >= options.connectionCountMax) {
    options.logger.warn({ connectionCountMax: options.connectionCountMax }, 'connection refused: too many connections')
    socket.on('error', () => undefined) // it is being thrown away
    socket.destroy()
    return
  }
  options.onConnectionCount(1)
  const connection = new Connection({
    socket,
    dispatcher: options.dispatcher,
    requestBytesMax: options.requestBytesMax,
    framePool,
    clock: options.clock,
    logger: options.logger,
    onBytes: options.onBytes,
    onClosed: gone => {
      connections.delete(gone)
      options.onConnectionCount(-1)
    }
  })
  connections.add(connection)
}

async function listen(server: net.Server, options: ServerOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new PipelineError(
          'ERR_BROKER_LISTEN_FAILED',
          `the broker cannot listen on ${options.host}:${options.port}: ${cause.message}`,
          { cause, fields: { host: options.host, port: options.port } }
        )
      )
    )
    server.listen(options.port, options.host, () => resolve())
  })
  server.removeAllListeners('error')
  server.on('error', error => options.logger.error({ reason: error.message }, 'the listener failed'))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : options.port
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
