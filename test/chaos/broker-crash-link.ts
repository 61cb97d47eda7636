/**
 * A connection for the crash fuzzer: many requests in flight, answers in their
 * order, and one way to fail: the connection is gone, which is what happens to
 * all of them when the broker is killed.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type Api,
  decodeResponse,
  encodeRequest,
  isKafkaErrorRetriable,
  kafkaErrorName
} from '../../src/protocol/index.ts'

/** Whether a request failed because the broker is gone, and not for a reason that must be looked at. */
export class BrokerGone extends Error {}

/** A request that was refused with an error of the protocol. */
export class Refused extends Error {
  /** Whether a client may try again: the answer of a broker that is stopping. */
  readonly isRetriable: boolean

  constructor(errorCode: number, what: string) {
    super(`${what}: ${kafkaErrorName(errorCode)}`)
    this.isRetriable = isKafkaErrorRetriable(errorCode)
  }
}

/** Throws unless a part of a response says that it went well. */
export function assertOk(part: { readonly errorCode: number } | undefined, what: string): void {
  if (part === undefined) throw new Error(`${what}: nothing was answered`)
  if (part.errorCode !== 0) throw new Refused(part.errorCode, what)
}

interface Waiting {
  readonly correlationId: number
  readonly resolve: (frame: Buffer) => void
  readonly reject: (error: Error) => void
}

/** A request in one version of its API. */
export interface LinkRequest<QI> {
  readonly version: number
  readonly message: QI
}

/** One connection. */
export class Link {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #isGone = false
  #correlationId = 0
  readonly #waiting: Waiting[] = []

  /** Connects; rejects with `BrokerGone` if nobody listens. */
  static async open(port: number): Promise<Link> {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
    } catch (error) {
      throw new BrokerGone('nobody listens', { cause: error })
    }
    return new Link(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => undefined) // `close` follows
    socket.on('close', () => {
      this.#isGone = true
      for (const { reject } of this.#waiting.splice(0)) reject(new BrokerGone('the connection is gone'))
    })
  }

  /** Whether the connection is over. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Sends a request and answers its response. */
  async request<QI, S>(api: Api<unknown, QI, S, never>, { version, message }: LinkRequest<QI>): Promise<S> {
    if (this.#isGone) throw new BrokerGone('the connection is gone')
    const correlationId = ++this.#correlationId
    const bytes = Buffer.concat(encodeRequest(api, version, { correlationId, clientId: 'crash' }, message))
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    this.#waiting.push({ correlationId, resolve, reject })
    this.#socket.write(bytes)
    const response = decodeResponse(api, version, await promise)
    if (response.correlationId !== correlationId) throw new Error(`${api.name}: the answer to another request`)
    return response.message
  }

  /** Ends the connection. */
  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      this.#waiting.shift()?.resolve(this.#received.subarray(4, end))
      this.#received = this.#received.subarray(end)
    }
  }
}
