/**
 * Syslog over TCP and UDP: RFC 5424, with RFC 3164 as well as it can be read.
 *
 * A message becomes one JSON event; what cannot be read becomes a dead letter with
 * the bytes as they came. Neither protocol knows acknowledgements: a message that
 * was received is kept in memory until it is safe, and handed over again when its
 * delivery fails. When Kafka is slow, TCP is not read, so that its senders wait;
 * UDP has no such way: what does not fit into the queue is dropped and counted, and
 * what the kernel drops before is counted only by the kernel.
 *
 * A stop takes no new connection, reads on until the senders are silent, and
 * publishes what was received. A kill loses what was received and is not in Kafka.
 */

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

import {
  backoffMs,
  type BackoffOptions,
  type Clock,
  Doorbell,
  messageOf,
  PipelineError,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  turn
} from '../../../core/index.ts'
import { type Logger, silentLogger } from '../../../telemetry/index.ts'
import { EVENT_OUTCOME, type Settlement } from '../../delivery.ts'
import type { Intake } from '../../intake.ts'
import { isRetriedFailure } from '../attempts.ts'
import type { Source, SourceProgress } from '../source.ts'
import { type SyslogFrame, SyslogFramer } from './syslog-framer.ts'
import { readSyslog } from './syslog-message.ts'
import { bytesOfChunk, chunkOf, type QueuedMessage, SyslogQueue } from './syslog-queue.ts'

/** Options of `SyslogSource`. */
export interface SyslogSourceOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string
  /** TCP and UDP port; 0 lets the system choose one for each. Default 5514. */
  readonly port?: number
  /** Default both. */
  readonly protocols?: readonly ('tcp' | 'udp')[]
  /** TCP speaks TLS: PEM texts. With `ca` clients must show a certificate of it. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string | undefined } | undefined
  /** Longest message, in bytes; a longer one becomes a dead letter. Default 65_536. */
  readonly messageBytesMax?: number
  /** Most connections. Default 1_000. */
  readonly connectionsMax?: number
  /** A connection that says nothing for so long is closed, in milliseconds. Default 600_000. */
  readonly idleMs?: number
  /** With TLS, a connection whose handshake takes longer is closed, in milliseconds. Default 10_000. */
  readonly handshakeMs?: number
  /** Most bytes that wait for Kafka, for TCP and UDP each. Default 16_777_216. */
  readonly queueBytesMax?: number
  /** Waits after failed events, before they are handed over again. Default 1 s, doubling up to 30 s. */
  readonly retry?: BackoffOptions
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** Where a syslog source listens. */
export interface SyslogAddress {
  readonly host: string
  readonly tcpPort: number | undefined
  readonly udpPort: number | undefined
}

const RETRY: BackoffOptions = { initialMs: 1000, maxMs: 30_000 }
/** A stop ends when no sender has said anything for so long, … */
const SILENCE_MS = 100
/** … and at the latest after this. */
const SILENCE_WAIT_MS = 2000
/** Drops are logged at most this often. */
const DROP_LOG_MS = 10_000
const HANDSHAKE_MS = 10_000
/** Asked of the system for UDP, which gives less where its limit is lower. */
const UDP_BUFFER_BYTES = 4_194_304

/** Receives syslog messages. Runs once. */
export class SyslogSource implements Source {
  readonly name = 'syslog'
  /** Where it listens; rejects with `ERR_PRODUCER_LISTEN_FAILED` if it cannot. */
  readonly listening: Promise<SyslogAddress>
  readonly #options: SyslogSourceOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #queue = new SyslogQueue()
  readonly #bell: Doorbell
  readonly #sockets = new Map<Socket, SyslogFramer>()
  readonly #queueBytesMax: number
  readonly #messageBytesMax: number
  readonly #resolveListening: (address: SyslogAddress) => void
  readonly #rejectListening: (error: PipelineError) => void
  #server: Server | undefined
  #udp: UdpSocket | undefined
  #isPaused = false
  #isStopping = false
  #failureCount = 0
  #failure: PipelineError | undefined
  #openCount = 0
  #heardAtMs = 0
  #dropLoggedAtMs = Number.NEGATIVE_INFINITY
  #messageCount = 0
  #eventCount = 0
  #readBytes = 0
  #safeBytes = 0
  #droppedCount = 0
  #retryCount = 0

  constructor(options: SyslogSourceOptions = {}) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#bell = new Doorbell(this.#clock)
    this.#queueBytesMax = options.queueBytesMax ?? 16_777_216
    this.#messageBytesMax = options.messageBytesMax ?? 65_536
    const listening = Promise.withResolvers<SyslogAddress>()
    this.listening = listening.promise
    this.#resolveListening = listening.resolve
    this.#rejectListening = listening.reject
    this.listening.catch(() => undefined) // also thrown by `run`
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#sockets.size
  }

  async run(intake: Intake, signal: AbortSignal): Promise<void> {
    await this.#listen()
    const onAbort = (): void => this.#bell.ring()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const silent = this.#stopReceiving(signal)
      await this.#pump(intake, signal)
      if (this.#failure === undefined) await silent
    } finally {
      signal.removeEventListener('abort', onAbort)
      await this.close()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  progress(): SourceProgress {
    return {
      eventCount: this.#eventCount,
      readBytes: this.#readBytes,
      safeBytes: this.#safeBytes,
      droppedCount: this.#droppedCount,
      retryCount: this.#retryCount
    }
  }

  async close(): Promise<void> {
    const [server, udp] = [this.#server, this.#udp]
    this.#server = undefined
    this.#udp = undefined
    for (const socket of this.#sockets.keys()) socket.destroy()
    if (udp !== undefined) await new Promise<void>(resolve => udp.close(() => resolve()))
    if (server?.listening === true) await new Promise<void>(resolve => server.close(() => resolve()))
  }

  async #listen(): Promise<void> {
    const { host = '127.0.0.1', port = 5514, protocols = ['tcp', 'udp'] } = this.#options
    try {
      const tcpPort = protocols.includes('tcp') ? await this.#listenTcp(host, port) : undefined
      const udpPort = protocols.includes('udp') ? await this.#listenUdp(host, port) : undefined
      this.#logger.info({ host, tcpPort, udpPort }, 'syslog source is listening')
      this.#resolveListening({ host, tcpPort, udpPort })
    } catch (cause) {
      const message = `syslog cannot listen on ${host}:${port}: ${messageOf(cause)}`
      const error = new PipelineError('ERR_PRODUCER_LISTEN_FAILED', message, { cause })
      await this.close()
      this.#rejectListening(error)
      throw error
    }
  }

  async #listenTcp(host: string, port: number): Promise<number> {
    const { tls } = this.#options
    const server =
      tls === undefined
        ? createServer(socket => this.#accept(socket))
        : createTlsServer(
            {
              cert: tls.cert,
              key: tls.key,
              ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
              handshakeTimeout: this.#options.handshakeMs ?? HANDSHAKE_MS
            },
            socket => this.#accept(socket)
          )
    server.maxConnections = this.#options.connectionsMax ?? 1000
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      this.#logger.debug({ error: error.message }, 'syslog handshake failed')
      socket.destroy() // Node leaves one that says nothing open
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', error => this.#logger.warn({ error: error.message }, 'syslog source'))
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  async #listenUdp(host: string, port: number): Promise<number> {
    const udp = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: UDP_BUFFER_BYTES })
    this.#udp = udp
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject)
      udp.bind(port, host, () => {
        udp.off('error', reject)
        resolve()
      })
    })
    udp.on('error', error => this.#logger.warn({ error: error.message }, 'syslog source'))
    udp.on('message', (bytes, { address }) => this.#datagram(bytes, address))
    return udp.address().port
  }

  #accept(socket: Socket): void {
    const from = socket.remoteAddress ?? ''
    const framer = new SyslogFramer(this.#messageBytesMax, frame => this.#receive(frame, from, 'tcp'))
    this.#sockets.set(socket, framer)
    socket.setTimeout(this.#options.idleMs ?? 600_000)
    socket.on('timeout', () => {
      // While we do not read, silence is ours.
      if (!this.#isPaused) socket.destroy()
      else socket.setTimeout(this.#options.idleMs ?? 600_000)
    })
    socket.on('data', (bytes: Buffer) => {
      this.#heardAtMs = this.#clock.monotonicMs()
      this.#readBytes += bytes.length
      framer.push(bytes)
      if (framer.isBroken) socket.destroy()
      if (this.#queue.bytesOf('tcp') > this.#queueBytesMax) this.#pause()
    })
    socket.on('error', () => undefined) // followed by `close`
    socket.on('close', () => {
      framer.end(this.#isStopping)
      this.#sockets.delete(socket)
    })
    if (this.#isPaused) socket.pause()
  }

  #datagram(bytes: Buffer, from: string): void {
    this.#heardAtMs = this.#clock.monotonicMs()
    this.#readBytes += bytes.length
    if (this.#queue.bytesOf('udp') > this.#queueBytesMax) {
      this.#dropped()
      return
    }
    // Some senders end a datagram like a line.
    let end = bytes.length
    while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x00)) end -= 1
    const kept = bytes.subarray(0, Math.min(end, this.#messageBytesMax))
    this.#receive({ bytes: kept, wholeBytes: end }, from, 'udp')
  }

  #dropped(): void {
    this.#droppedCount += 1
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#dropLoggedAtMs < DROP_LOG_MS) return
    this.#dropLoggedAtMs = nowMs
    this.#logger.warn(
      { dropped: this.#droppedCount },
      'syslog over UDP comes faster than Kafka takes it: messages are dropped'
    )
  }

  #receive({ bytes, wholeBytes, problem }: SyslogFrame, from: string, protocol: 'tcp' | 'udp'): void {
    this.#messageCount += 1
    this.#eventCount += 1
    const number = this.#messageCount
    if (problem !== undefined) {
      this.#enqueue({ bytes, number, protocol, problem: { errorClass: 'malformed', reason: problem } })
    } else if (wholeBytes > bytes.length) {
      const reason = `the message has ${wholeBytes} bytes, allowed are ${this.#messageBytesMax}`
      this.#enqueue({ bytes, number, protocol, wholeBytes, problem: { errorClass: 'oversized', reason } })
    } else {
      const reading = readSyslog(bytes, from)
      if (reading.kind === 'event') this.#enqueue({ bytes: Buffer.from(reading.json), number, protocol })
      else this.#enqueue({ bytes, number, protocol, problem: { errorClass: 'malformed', reason: reading.reason } })
    }
  }

  #enqueue(message: QueuedMessage): void {
    this.#queue.push(message)
    this.#bell.ring()
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    for (const socket of this.#sockets.keys()) socket.pause()
  }

  #resume(): void {
    if (!this.#isPaused || this.#queue.bytesOf('tcp') > this.#queueBytesMax / 2) return
    this.#isPaused = false
    for (const socket of this.#sockets.keys()) socket.resume()
  }

  /** After the signal: waits until the senders are silent, then ends what receives. */
  async #stopReceiving(signal: AbortSignal): Promise<void> {
    if (!signal.aborted)
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    this.#server?.close() // no new connection; those that are open stay
    this.#heardAtMs = Math.max(this.#heardAtMs, this.#clock.monotonicMs() - SILENCE_MS / 2)
    const endsAtMs = this.#clock.monotonicMs() + SILENCE_WAIT_MS
    while (this.#clock.monotonicMs() < endsAtMs && this.#clock.monotonicMs() - this.#heardAtMs < SILENCE_MS) {
      await sleep(this.#clock, SILENCE_MS / 4)
    }
    this.#isStopping = true
    const udp = this.#udp
    this.#udp = undefined
    if (udp !== undefined) await new Promise<void>(resolve => udp.close(() => resolve()))
    for (const [socket, framer] of this.#sockets) {
      socket.removeAllListeners('data')
      framer.end(true)
      socket.destroy()
    }
    this.#sockets.clear()
    this.#bell.ring()
  }

  /** Hands over what comes, until nothing comes any more and everything is settled. */
  async #pump(intake: Intake, signal: AbortSignal): Promise<void> {
    while (!this.#isStopping || this.#queue.count > 0 || this.#openCount > 0) {
      if (this.#failureCount > 0 && this.#openCount === 0) await this.#waitToRetry(signal)
      // After a failure nothing new is handed over until what was under way is settled.
      const messages = this.#failureCount > 0 && this.#openCount > 0 ? [] : this.#queue.take()
      this.#resume()
      if (messages.length > 0) {
        await this.#hand(messages, intake)
      } else {
        await this.#bell.wait()
        await turn() // what comes at once is handed over at once
      }
      if (this.#failure !== undefined) return
    }
  }

  async #waitToRetry(signal: AbortSignal): Promise<void> {
    const random = this.#options.random ?? systemRandom
    const waitMs = backoffMs(this.#options.retry ?? RETRY, this.#failureCount, random)
    this.#retryCount += 1
    await sleep(this.#clock, waitMs, signal)
  }

  async #hand(messages: readonly QueuedMessage[], intake: Intake): Promise<void> {
    const chunk = chunkOf(messages, this.#readBytes)
    this.#openCount += 1
    try {
      const { settled } = await intake.submit(chunk, { source: this.name })
      void settled.then(settlement => {
        this.#openCount -= 1
        if (settlement.error === undefined) {
          this.#safeBytes += bytesOfChunk(chunk)
          if (this.#openCount === 0) this.#failureCount = 0
        } else {
          this.#failed(messages, settlement)
        }
        this.#bell.ring()
      })
    } catch (error) {
      this.#openCount -= 1
      throw error
    }
  }

  #failed(messages: readonly QueuedMessage[], { error, outcomes }: Settlement): void {
    if (error === undefined) return
    const again = messages.filter((_, index) => outcomes[index] === EVENT_OUTCOME.failed)
    if (this.#isStopping || !isRetriedFailure(error)) {
      this.#failure ??= error
      return
    }
    this.#failureCount += 1
    this.#queue.putBack(again)
    this.#logger.warn(
      { source: this.name, count: again.length, error: error.message },
      'messages are handed over again'
    )
  }
}
