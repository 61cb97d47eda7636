/**
 * One HTTP/1.1 connection that carries one request at a time.
 *
 * The head and the body of a request are written together, the reply is read into a small buffer that the connection
 * keeps. A reply counts only if the request was sent in full before it ended: whoever says that all is well without
 * having seen the end of the records is not believed. After anything irregular the connection is closed.
 */

import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import type { Clock, Timer } from '../../core/index.ts'
import { type HttpReply, ReplyError, ReplyParser } from './reply-parser.ts'

/** Where to connect to. */
export interface HttpOrigin {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  /** Certificates to trust instead of the system's. */
  readonly ca?: Buffer | undefined
  /** Longest wait for the connection, TLS included, in milliseconds. */
  readonly connectTimeoutMs: number
}

/** A request. */
export interface HttpRequest {
  /** Request line and headers, up to and with the empty line. */
  readonly head: string
  /** Not to be changed until the reply is there; after an error, not at all. */
  readonly body: Buffer
  /** Bytes of the reply's body after which it is not kept. */
  readonly replyBytesMax: number
  readonly signal: AbortSignal
}

/** A failure before anything of the request was sent. */
export class ConnectError extends Error {
  /** The system's code where it says enough. */
  readonly code: string

  /** @param cause - What ended the connection before it was there. */
  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

const READ_BYTES = 16_384

/** A connection that is being made, is in use, or waits for a request. */
export class HttpConnection {
  /** When it was last in use, in milliseconds of the monotonic clock. */
  idleSinceMs = 0
  /** The same in epoch milliseconds. */
  idleSinceEpochMs = 0
  /** Time that the other side keeps it open without a request, as far as it says. */
  keepAliveMs: number | undefined
  readonly #socket: Socket
  readonly #ready: Promise<void>
  readonly #onClosed: (connection: HttpConnection) => void
  readonly #clock: Clock
  readonly #isTls: boolean
  #isReady = false
  #isClosed = false
  #parser: ReplyParser | undefined
  /** Whether the kernel has taken all of the request. */
  #isSent = false
  /** A whole reply that came before it was known that the request was sent. */
  #early: HttpReply | undefined
  #settle: { resolve: (reply: HttpReply) => void; reject: (error: unknown) => void } | undefined

  constructor(origin: HttpOrigin, clock: Clock, onClosed: (connection: HttpConnection) => void) {
    this.#onClosed = onClosed
    this.#clock = clock
    this.#isTls = origin.isTls
    const socket = this.#connect(origin)
    this.#socket = socket
    socket.setNoDelay(true)
    const timer = clock.after(origin.connectTimeoutMs, () => {
      const message = `no connection to ${origin.host}:${origin.port} after ${origin.connectTimeoutMs} ms`
      socket.destroy(new ConnectError(message, 'ERR_HTTP_CONNECT_TIMEOUT'))
    })
    this.#ready = this.#untilReady(origin, timer)
    // Whoever sends hears of it; nobody else has to.
    this.#ready.catch(() => undefined)
    socket.on('error', error => this.#fail(error))
    socket.on('end', () => this.#ended())
    socket.on('close', () => {
      this.#judgeEarly()
      this.#fail(new Error('the target closed the connection'))
    })
  }

  /** Whether it can carry a request. */
  get isUsable(): boolean {
    return !this.#isClosed
  }

  /**
   * Sends a request and reads its reply.
   *
   * @throws ConnectError if nothing was sent, ReplyError, the system's errors, or the signal's reason.
   */
  async send(request: HttpRequest): Promise<HttpReply> {
    const { signal } = request
    const onAbort = (): void => this.close(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted) throw signal.reason
      if (!this.#isReady) await this.#untilUsable(signal)
      return await this.#exchange(request)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** @throws The signal's reason if that is why the connection does not come about. */
  async #untilUsable(signal: AbortSignal): Promise<void> {
    try {
      await this.#ready
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    }
  }

  /** Closes the connection; a request that is under way fails. */
  close(reason?: unknown): void {
    this.#fail(reason ?? new Error('the connection was closed'))
    this.#socket.destroy()
  }

  #exchange({ head, body, replyBytesMax }: HttpRequest): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new ConnectError('the connection has ended', 'ERR_HTTP_NOT_CONNECTED'))
        return
      }
      this.#parser = new ReplyParser(replyBytesMax)
      this.#settle = { resolve, reject }
      this.#isSent = false
      const socket = this.#socket
      socket.ref()
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body, () => {
        // What is cut off by the end of the socket is called written as well.
        this.#isSent = !socket.destroyed
      })
      socket.uncork()
    })
  }

  #connect({ host, port, isTls, ca }: HttpOrigin): Socket {
    if (isTls) {
      const named = { ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) }
      const socket = connectTls({ host, port, ALPNProtocols: ['http/1.1'], ...named })
      socket.on('data', (bytes: Buffer) => this.#received(bytes))
      return socket
    }
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const callback = (byteCount: number): boolean => {
      this.#received(buffer.subarray(0, byteCount))
      return true
    }
    return connectPlain({ host, port, onread: { buffer, callback } })
  }

  #untilReady(origin: HttpOrigin, timer: Timer): Promise<void> {
    const socket = this.#socket
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        timer.cancel()
        reject(asConnectError(error, origin))
      }
      const onClose = (): void => onError(new Error('the target closed the connection'))
      socket.once('error', onError)
      socket.once('close', onClose)
      socket.once(origin.isTls ? 'secureConnect' : 'connect', () => {
        timer.cancel()
        socket.off('error', onError)
        socket.off('close', onClose)
        this.#isReady = true
        resolve()
      })
    })
  }

  #received(bytes: Buffer): void {
    const parser = this.#parser
    if (parser === undefined) {
      // Nothing was asked: whatever this is, the next reply cannot be told from it.
      this.close(new ReplyError('bytes came that no request has asked for'))
      return
    }
    try {
      const reply = parser.push(bytes)
      if (reply !== undefined) this.#done(reply)
    } catch (error) {
      this.close(error)
    }
  }

  #ended(): void {
    // Judged in a moment, by what was sent.
    if (this.#early !== undefined) return
    const reply = this.#parser?.end()
    if (reply === undefined) this.close(new Error('the target closed the connection'))
    else this.#done(reply)
  }

  #done(reply: HttpReply): void {
    if (this.#isSent || reply.statusCode >= 300) this.#answer(reply)
    else if (this.#isTls) {
      // Node tells of a write over TLS one turn after the kernel took it, and a target that is near answers sooner.
      this.#early = reply
      this.#clock.after(0, () => {
        if (this.#early === reply) this.#judgeEarly()
      })
    } else this.#refuseEarly()
  }

  #judgeEarly(): void {
    if (this.#early === undefined) return
    if (this.#isSent) this.#answer(this.#early)
    else this.#refuseEarly()
  }

  #refuseEarly(): void {
    this.close(new ReplyError('the reply came before the request was sent'))
  }

  #answer(reply: HttpReply): void {
    const settle = this.#settle
    this.#parser = undefined
    this.#early = undefined
    this.#settle = undefined
    if (!reply.isKept || !this.#isSent || this.#socket.readableEnded) this.close()
    else {
      this.keepAliveMs = reply.keepAliveMs
      this.#socket.unref()
    }
    settle?.resolve(reply)
  }

  #fail(error: unknown): void {
    const settle = this.#settle
    this.#settle = undefined
    this.#parser = undefined
    this.#early = undefined
    settle?.reject(error)
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.destroy()
    this.#onClosed(this)
  }
}

/** Whatever ends a connection that is not there yet: no record can be the cause. */
function asConnectError(error: Error, { host, port }: HttpOrigin): ConnectError {
  if (error instanceof ConnectError) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const isSaid = code !== undefined && code !== 'ECONNRESET' && code !== 'EPIPE'
  // Node tries all addresses of a name, and puts what became of each into a list without a message.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : undefined
  const reason = first instanceof Error ? first.message : error.message
  return new ConnectError(
    `cannot connect to ${host}:${port}: ${reason}`,
    isSaid ? code : 'ERR_HTTP_NOT_CONNECTED',
    error
  )
}
