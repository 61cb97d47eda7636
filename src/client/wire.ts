/**
 * The socket of a connection: plain or TLS, bytes out, whole answers in.
 *
 * A wire has one owner, which hears of every answer and of the end. It can be
 * handed over: a connection that changes its certificate opens another wire
 * and takes it over, so that its users do not notice.
 */

import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions as NodeTlsOptions, connect as connectTls } from 'node:tls'
import { type Clock, messageOf, PipelineError } from '../core/index.ts'
import { AnswerMemory } from './answer-memory.ts'
import type { TlsOptions } from './cluster-options.ts'
import { ResponseAssembler } from './response-assembler.ts'

const keepAliveDelayMs = 30_000
/** How long the other side may take to close a wire that has said all, in milliseconds. */
const finishDeadlineMs = 5_000

/** Who listens to a wire. */
export interface WireOwner {
  /** One whole answer. */
  onPayload(payload: Buffer): void
  /** The wire has ended, or sent what cannot be an answer. May be called more than once. */
  onEnd(error: PipelineError): void
}

/** Where a wire leads. */
export interface WireOptions {
  readonly host: string
  readonly port: number
  /** `undefined` for plain text. */
  readonly tls: TlsOptions | undefined
  readonly responseBytesMax: number
  readonly clock: Clock
}

/** One socket. */
export class Wire {
  readonly #options: WireOptions
  readonly #peer: string
  readonly #socket: Socket
  /** Resolves when bytes can be sent; rejects with `ERR_CLIENT_CONNECT_FAILED`. */
  readonly ready: Promise<void>
  #owner: WireOwner
  #isEnded = false

  /** Begins to connect. */
  constructor(options: WireOptions, owner: WireOwner) {
    this.#options = options
    this.#peer = `${options.host}:${options.port}`
    this.#owner = owner
    const { host, port, tls } = options
    const assembler = this.#assembler()
    // A plain socket reads into the answers themselves; one of TLS has chunks of its own, as it decrypts them.
    const onread = {
      buffer: () => assembler.target(),
      callback: (byteCount: number, bytes: Uint8Array) => {
        this.#take(() => assembler.advance(bytes as Buffer, byteCount))
        return true
      }
    }
    const socket =
      tls === undefined ? connectPlain({ host, port, onread }) : connectTls(nodeTlsOptions(host, port, tls))
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveDelayMs)
    if (tls !== undefined) socket.on('data', (chunk: Buffer) => this.#take(() => assembler.push(chunk)))
    this.ready = new Promise((resolve, reject) => {
      let isReady = false
      const onEnd = (cause: unknown): void => {
        const error = isReady ? disconnected(this.#peer, cause) : connectFailed(this.#peer, messageOf(cause), cause)
        this.#end(error)
        reject(error)
      }
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
        isReady = true
        resolve()
      })
      socket.on('error', onEnd)
      socket.on('close', () => onEnd(new Error('the broker closed the connection')))
    })
    this.ready.catch(() => undefined) // the owner hears of it, too
  }

  /** From now on another one listens. */
  handOver(owner: WireOwner): void {
    this.#owner = owner
  }

  /** Hands bytes to the socket, in one packet where they fit. */
  write(chunks: readonly Buffer[]): void {
    this.#socket.cork()
    for (const chunk of chunks) this.#socket.write(chunk)
    this.#socket.uncork()
  }

  /** Closes it after what was written has gone out. Nobody listens any more. */
  finish(): void {
    this.#isEnded = true
    this.#socket.end()
    const timer = this.#options.clock.after(finishDeadlineMs, () => this.#socket.destroy()).unref()
    this.#socket.once('close', () => timer.cancel())
  }

  /** Closes it at once. */
  destroy(): void {
    this.#isEnded = true
    this.#socket.destroy()
  }

  #end(error: PipelineError): void {
    if (!this.#isEnded) this.#owner.onEnd(error)
  }

  #take(consume: () => void): void {
    if (this.#isEnded) return
    try {
      consume()
    } catch (error) {
      this.#end(PipelineError.is(error) ? error : disconnected(this.#peer, error))
    }
  }

  #assembler(): ResponseAssembler {
    const memory = new AnswerMemory()
    return new ResponseAssembler(
      this.#options.responseBytesMax,
      payload => this.#owner.onPayload(payload),
      length => memory.take(length)
    )
  }
}

function nodeTlsOptions(host: string, port: number, tls: TlsOptions): NodeTlsOptions {
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined)
  const { ca, ...rest } = tls
  return {
    // Said aloud, or NODE_TLS_REJECT_UNAUTHORIZED=0, set for something else, would have passwords sent to anybody.
    rejectUnauthorized: true,
    ...rest,
    host,
    port,
    ...(ca === undefined ? {} : { ca: Array.isArray(ca) ? [...(ca as readonly (string | Buffer)[])] : ca }),
    ...(servername === undefined ? {} : { servername })
  } as NodeTlsOptions
}

/** The error of a connection that never came to be. */
export function connectFailed(peer: string, reason: string, cause?: unknown): PipelineError {
  return new PipelineError('ERR_CLIENT_CONNECT_FAILED', `cannot connect to ${peer}: ${reason}`, { cause })
}

/** The error of a connection that has ended. */
export function disconnected(peer: string, cause: unknown): PipelineError {
  return new PipelineError('ERR_CLIENT_DISCONNECTED', `the connection to ${peer} ended: ${messageOf(cause)}`, { cause })
}
