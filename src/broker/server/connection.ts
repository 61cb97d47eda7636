/**
 * One client connection: frames in, responses out, in the order of the requests.
 *
 * How it works. As in Kafka, a connection's requests run one after another;
 * only requests the dispatcher calls overlappable (Produce) may start before the
 * ones before them have finished, because their effects are ordered when they
 * start. Nothing is queued in advance: while a request cannot start, its bytes
 * stay in the frame reader and the socket is not read, which is the client's
 * backpressure. A request does not start either while the client leaves more
 * than `RESPONSE_BYTES_MAX` unread.
 *
 * Limits: `REQUESTS_IN_FLIGHT_MAX` requests; unread responses of
 * `RESPONSE_BYTES_MAX` plus those of the requests in flight.
 */

import type { Socket } from 'node:net'
import { type Clock, messageOf, PipelineError, type Timer, within } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { plainAddress } from './connection-limits.ts'
import type { FramePool } from './frame-pool.ts'
import { type Frame, FrameReader, REQUEST_BYTES_MIN } from './frame-reader.ts'

/** Most overlapping requests of one connection. */
export const REQUESTS_IN_FLIGHT_MAX = 32
/** Response bytes a client may leave unread before its next request waits. */
export const RESPONSE_BYTES_MAX = 1024 * 1024

/** Whom a connection without authentication speaks for. Source: Kafka `KafkaPrincipal.ANONYMOUS`. */
export const ANONYMOUS = 'User:ANONYMOUS'
/** First byte of a TLS connection: a handshake record. */
export const TLS_HANDSHAKE_BYTE = 0x16
/** Name of a listener that was given none. */
export const DEFAULT_LISTENER = 'PLAINTEXT'

/** What the connection does with one request. */
export interface RequestTask {
  /** Whether this request may start while other overlappable ones are unfinished. */
  readonly isOverlappable: boolean
  /**
   * Starts the request. Resolves with the chunks of the response, or with
   * `undefined` if the protocol has none (acks=0); rejecting closes the connection.
   * After that nothing may use the bytes of the frame: its buffer is filled again.
   */
  run(): Promise<readonly Buffer[] | undefined>
  /** Called once when nothing uses the bytes of the response any more; not at all if the connection ends before. */
  sent?(): void
}

/** Turns frames into tasks; throwing closes the connection. */
export interface Dispatcher {
  /** Reads the header of a frame and decides how it runs, without starting it. */
  prepare(frame: Buffer, connection: Connection): RequestTask
}

/** What a connection needs. */
export interface ConnectionOptions {
  readonly socket: Socket
  /** Name of the listener that accepted it. Default `PLAINTEXT`. */
  readonly listener?: string
  /** For whom the client speaks from the start. Default `ANONYMOUS`. */
  readonly principal?: string
  /** Whether the bytes come out of TLS. Default `false`. */
  readonly isTls?: boolean
  readonly dispatcher: Dispatcher
  /** Smallest request, in bytes. Default `REQUEST_BYTES_MIN`. */
  readonly requestBytesMin?: number
  /** Largest request, in bytes. Kafka `socket.request.max.bytes`. */
  readonly requestBytesMax: number
  readonly framePool: FramePool
  readonly clock: Clock
  readonly logger: Logger
  /** Called once when the connection is gone. */
  readonly onClosed: (connection: Connection) => void
  /** Called with the size of everything received and sent, for metrics. */
  readonly onBytes: (direction: 'in' | 'out', bytes: number) => void
}

interface WaitingRequest {
  readonly task: RequestTask
  readonly frame: Frame
}

interface Slot {
  readonly task: RequestTask
  response: readonly Buffer[] | undefined
  isDone: boolean
}

/** A connected client. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #frames: FrameReader
  readonly #slots: Slot[] = []
  /** A request whose turn has not come. */
  #next: WaitingRequest | undefined
  #isExclusive = false
  /** Whether the next bytes are the first, and might be TLS. */
  #isFirst: boolean
  #isPumping = false
  #isClosed = false
  #isEnding = false
  #mutedUntilMs = 0
  #unmute: Timer | undefined
  #onAnswered: () => void = () => undefined
  #lastActivityMs: number
  /** Since when a part of a request has been there, waiting for the rest. */
  #partialSinceMs: number | undefined
  /** Address of the client without the port. */
  readonly host: string
  /** Name of the listener that accepted it. */
  readonly listener: string
  /** For whom the client speaks: what its last authentication proved. */
  principal: string
  readonly #gone = new AbortController()

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#socket = options.socket
    this.#frames = new FrameReader({
      frameBytesMin: options.requestBytesMin ?? REQUEST_BYTES_MIN,
      frameBytesMax: options.requestBytesMax,
      pool: options.framePool
    })
    this.#lastActivityMs = options.clock.monotonicMs()
    this.host = plainAddress(options.socket.remoteAddress)
    this.principal = options.principal ?? ANONYMOUS
    this.#isFirst = options.isTls !== true
    this.listener = options.listener ?? DEFAULT_LISTENER
    const socket = this.#socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#received(chunk))
    socket.on('drain', () => this.#pump())
    socket.on('error', error => this.close(`socket error: ${messageOf(error)}`, 'debug'))
    socket.on('close', () => this.#closed())
  }

  /**
   * Whether nothing is in flight and nothing was received or sent for `idleMs` milliseconds, or one request has been
   * coming in for so long: a client that sends a byte now and then must not stay for ever.
   */
  isIdle(idleMs: number): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    const sinceMs = Math.min(this.#lastActivityMs, this.#partialSinceMs ?? Infinity)
    return this.#slots.length === 0 && nowMs - sinceMs >= idleMs
  }

  /** Aborts when the connection is gone: parked work for it may be dropped. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * Ends the connection in good order: no further request starts, those that
   * wait for records or members are let go, the rest is answered first.
   *
   * @param deadlineMs - Longest wait for answers, in milliseconds.
   * @param reason - Why, for the log.
   */
  async end(deadlineMs: number, reason = 'the broker is stopping'): Promise<void> {
    if (this.#isClosed) return
    this.#isEnding = true
    this.#socket.pause()
    this.#gone.abort()
    if (this.#slots.length > 0) {
      const answered = new Promise<void>(resolve => (this.#onAnswered = resolve))
      await within(this.#options.clock, deadlineMs, answered)
    }
    if (this.#isClosed) return
    await within(this.#options.clock, deadlineMs, new Promise<void>(resolve => this.#socket.end(() => resolve())))
    this.close(reason)
  }

  /**
   * Reads no further request for a while: how a client is throttled (KIP-219).
   * Requests that have started are answered as ever, and the answer of the
   * request that called this is not held back. The longest of several calls counts.
   *
   * @param durationMs - Milliseconds from now.
   */
  mute(durationMs: number): void {
    const untilMs = this.#options.clock.monotonicMs() + durationMs
    if (this.#isClosed || durationMs <= 0 || untilMs <= this.#mutedUntilMs) return
    this.#mutedUntilMs = untilMs
    this.#unmute?.cancel()
    this.#unmute = this.#options.clock
      .after(durationMs, () => {
        this.#unmute = undefined
        this.#pump()
      })
      .unref()
  }

  /** Changes the sizes of requests, from the next one on that has not been announced. */
  setRequestLimits(limits: { readonly bytesMin: number; readonly bytesMax: number }): void {
    this.#frames.setLimits({ frameBytesMin: limits.bytesMin, frameBytesMax: limits.bytesMax })
  }

  /** Closes the connection and logs why. */
  close(reason: string, level: 'debug' | 'warn' | 'error' = 'debug'): void {
    if (this.#isClosed) return
    this.#options.logger[level](
      { client: this.host, port: this.#socket.remotePort, listener: this.listener, reason },
      'connection closed'
    )
    this.#socket.destroy()
    this.#closed()
  }

  #closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#next = undefined
    this.#unmute?.cancel()
    this.#gone.abort()
    this.#onAnswered()
    this.#options.onClosed(this)
  }

  #received(chunk: Buffer | string): void {
    if (typeof chunk === 'string') return
    this.#lastActivityMs = this.#options.clock.monotonicMs()
    this.#options.onBytes('in', chunk.length)
    if (this.#isFirst) {
      this.#isFirst = false
      if (chunk[0] === TLS_HANDSHAKE_BYTE) {
        // As a length it would be more than 350 MB: nobody's request.
        this.close('a TLS handshake on a listener without TLS: the client must not use SSL or SASL_SSL here', 'warn')
        return
      }
    }
    this.#frames.push(chunk)
    this.#pump()
  }

  /** Starts requests until one has to wait or no whole frame is left. */
  #pump(): void {
    if (this.#isPumping || this.#isClosed || this.#isEnding) return
    this.#isPumping = true
    try {
      while (!this.#isClosed && this.#unmute === undefined) {
        this.#next ??= this.#readRequest()
        if (this.#next === undefined || !this.#canStart(this.#next.task)) break
        const request = this.#next
        this.#next = undefined
        this.#start(request)
      }
    } catch (error) {
      this.close(describe(error), 'warn')
    } finally {
      this.#isPumping = false
    }
    if (this.#isClosed) return
    // Later bytes wait too while a request waits, or while the client is muted.
    if (this.#next === undefined && this.#unmute === undefined) this.#socket.resume()
    else this.#socket.pause()
  }

  #readRequest(): WaitingRequest | undefined {
    const frame = this.#frames.next()
    if (frame !== undefined || this.#frames.bufferedBytes === 0) this.#partialSinceMs = undefined
    else this.#partialSinceMs ??= this.#options.clock.monotonicMs()
    return frame === undefined ? undefined : { frame, task: this.#options.dispatcher.prepare(frame.bytes, this) }
  }

  #canStart(task: RequestTask): boolean {
    if (this.#socket.writableLength > RESPONSE_BYTES_MAX) return false
    if (this.#slots.length === 0) return true
    return task.isOverlappable && !this.#isExclusive && this.#slots.length < REQUESTS_IN_FLIGHT_MAX
  }

  #start({ task, frame }: WaitingRequest): void {
    const slot: Slot = { task, response: undefined, isDone: false }
    this.#slots.push(slot)
    this.#isExclusive = !task.isOverlappable
    task.run().then(
      response => {
        this.#frames.release(frame)
        slot.response = response
        slot.isDone = true
        this.#flush()
      },
      (error: unknown) => this.close(describe(error), isOurFault(error) ? 'error' : 'warn')
    )
  }

  /** Sends what is finished at the head of the line. */
  #flush(): void {
    if (this.#isClosed) return
    this.#socket.cork()
    for (let slot = this.#slots[0]; slot?.isDone === true; slot = this.#slots[0]) {
      this.#slots.shift()
      if (slot.response === undefined) slot.task.sent?.()
      else this.#write(slot.response, slot.task)
    }
    this.#socket.uncork()
    if (this.#slots.length === 0) this.#onAnswered()
    this.#lastActivityMs = this.#options.clock.monotonicMs()
    this.#pump()
  }

  #write(response: readonly Buffer[], task: RequestTask): void {
    let sentBytes = 0
    const last = response.length - 1
    const done = (error?: Error | null): void => {
      if (error === undefined || error === null) task.sent?.()
    }
    response.forEach((chunk, index) => {
      sentBytes += chunk.length
      if (index === last && task.sent !== undefined) this.#socket.write(chunk, done)
      else this.#socket.write(chunk)
    })
    this.#options.onBytes('out', sentBytes)
  }
}

/** Whether a request failed through no fault of the client's. */
function isOurFault(error: unknown): boolean {
  return !PipelineError.is(error) || PipelineError.is(error, 'ERR_CORE_INVARIANT')
}

function describe(error: unknown): string {
  return PipelineError.is(error) ? `${error.code}: ${error.message}` : messageOf(error)
}
