/**
 * A lean HTTP/1.1 client for one origin: connections that are kept, each with one request at a time.
 *
 * The newest idle connection is used first, so that those that are not needed grow old. One that has been idle for
 * longer than the other side promises is not used: the other side might be closing it at this moment.
 *
 * Limit: at most `connectionsMax` connections; further requests wait in order.
 */

import type { Clock } from '../../core/index.ts'
import { HttpConnection, type HttpOrigin, type HttpRequest } from './http-connection.ts'
import type { HttpReply } from './reply-parser.ts'

/** Longest time that an idle connection is trusted, in milliseconds: Node's servers close theirs after 5 s. */
const IDLE_MS_MAX = 4_000
/** Time, in milliseconds, that a request may take to the other side while it closes an idle connection. */
const CLOSING_MS = 1_000

/** What a client is made from. */
export interface HttpClientOptions extends HttpOrigin {
  /** Most connections. Default: as many as there are requests at once. */
  readonly connectionsMax?: number | undefined
  readonly clock: Clock
}

/** Sends requests to one origin. */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #all = new Set<HttpConnection>()
  readonly #idle: HttpConnection[] = []
  readonly #waiting: (() => void)[] = []
  #isClosed = false

  constructor(options: HttpClientOptions) {
    this.#options = options
  }

  /** Connections that are open or being made. */
  get connectionCount(): number {
    return this.#all.size
  }

  /** Sends a request and reads its reply. @throws What `HttpConnection.send` throws. */
  async send(request: HttpRequest): Promise<HttpReply> {
    const connection = this.#take() ?? (await this.#untilFree(request.signal))
    try {
      return await connection.send(request)
    } finally {
      this.#giveBack(connection)
    }
  }

  /** Closes all connections; requests that are under way fail. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#all) connection.close()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #take(): HttpConnection | undefined {
    const { clock, connectionsMax = Number.POSITIVE_INFINITY } = this.#options
    if (this.#isClosed) throw new Error('the client is closed')
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      const keptMs = Math.min(IDLE_MS_MAX, (idle.keepAliveMs ?? Number.POSITIVE_INFINITY) - CLOSING_MS)
      if (idle.isUsable && this.#idleMs(idle) < keptMs) return idle
      idle.close()
    }
    if (this.#all.size >= connectionsMax) return undefined
    const connection = new HttpConnection(this.#options, clock, closed => this.#closed(closed))
    this.#all.add(connection)
    return connection
  }

  async #untilFree(signal: AbortSignal): Promise<HttpConnection> {
    for (;;) {
      const isMyTurn = await new Promise<boolean>(resolve => {
        const wake = (): void => {
          signal.removeEventListener('abort', onAbort)
          resolve(true)
        }
        // Out of the line: a free connection that wakes it would be lost to those behind.
        const onAbort = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(wake), 1)
          resolve(false)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        this.#waiting.push(wake)
        if (signal.aborted) onAbort()
      })
      if (signal.aborted) {
        if (isMyTurn) this.#waiting.shift()?.()
        throw signal.reason
      }
      const connection = this.#take()
      if (connection !== undefined) return connection
    }
  }

  /** By either clock: the monotonic one may rest in a process that is frozen, as a function of Lambda is. */
  #idleMs({ idleSinceMs, idleSinceEpochMs }: HttpConnection): number {
    const { clock } = this.#options
    return Math.max(clock.monotonicMs() - idleSinceMs, clock.now() - idleSinceEpochMs)
  }

  #giveBack(connection: HttpConnection): void {
    if (connection.isUsable) {
      connection.idleSinceMs = this.#options.clock.monotonicMs()
      connection.idleSinceEpochMs = this.#options.clock.now()
      this.#idle.push(connection)
    }
    this.#waiting.shift()?.()
  }

  #closed(connection: HttpConnection): void {
    this.#all.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#waiting.shift()?.()
  }
}
