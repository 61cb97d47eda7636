/**
 * One connection to a broker that sends exactly what a test says, in the
 * version that it says, and answers exactly what came back. No retries, no
 * negotiation: what our client would hide is what these tests look at.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type Api, decodeResponse, encodeRequest } from '../../src/protocol/index.ts'
import type { TestCluster } from './cluster.ts'

const answerTimeoutMs = 20_000

/** A request in one version of its API. */
export interface RawRequest<QI> {
  readonly version: number
  readonly message: QI
}

/** A connection for the length of one test. */
export class RawConnection {
  readonly #socket: Socket
  #received: Buffer[] = []
  #receivedBytes = 0
  #isClosed = false
  #correlationId = 0
  #wake: () => void = () => {}

  /** Connects to the first broker of the cluster; the connection ends with the test. */
  static async open(
    t: Pick<TestContext, 'after'>,
    cluster: Pick<TestCluster, 'bootstrapServers'>,
    options: { localAddress?: string } = {}
  ): Promise<RawConnection> {
    const [host, port] = (cluster.bootstrapServers.split(',')[0] ?? '').split(':')
    const socket = connect({ ...options, port: Number(port), host: host ?? '' })
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      this.#received.push(chunk)
      this.#receivedBytes += chunk.length
      this.#wake()
    })
    // A reset is how some peers close; what matters is that the connection is over.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  /** Sends a request and answers its response. */
  async request<QI, S>(api: Api<unknown, QI, S, never>, { version, message }: RawRequest<QI>): Promise<S> {
    const correlationId = ++this.#correlationId
    this.send(Buffer.concat(encodeRequest(api, version, { correlationId, clientId: 'conformance' }, message)))
    const response = decodeResponse(api, version, await this.frame())
    if (response.correlationId !== correlationId) {
      throw new Error(`response to request ${response.correlationId} instead of ${correlationId}`)
    }
    return response.message
  }

  /** Sends a request to which no response is due. */
  sendOnly<QI>(api: Api<unknown, QI, unknown, never>, { version, message }: RawRequest<QI>): void {
    const correlationId = ++this.#correlationId
    this.send(Buffer.concat(encodeRequest(api, version, { correlationId, clientId: 'conformance' }, message)))
  }

  /** Sends bytes as they are. */
  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** The next response, without its length. */
  async frame(): Promise<Buffer> {
    const length = (await this.#bytes(4)).readInt32BE(0)
    return this.#bytes(length)
  }

  /** Resolves when the broker has closed the connection, and answers how many bytes it sent before. */
  async closed(): Promise<number> {
    await this.#until(() => this.#isClosed, 'the broker to close the connection')
    return this.#receivedBytes
  }

  async #bytes(count: number): Promise<Buffer> {
    await this.#until(() => this.#receivedBytes >= count || this.#isClosed, `${count} bytes`)
    if (this.#receivedBytes < count) throw new Error('the broker closed the connection')
    const all = Buffer.concat(this.#received)
    this.#received = [all.subarray(count)]
    this.#receivedBytes = all.length - count
    return all.subarray(0, count)
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const deadline = AbortSignal.timeout(answerTimeoutMs)
    const expire = (): void => this.#wake()
    deadline.addEventListener('abort', expire)
    while (!isTrue()) {
      if (deadline.aborted) throw new Error(`waited ${answerTimeoutMs} ms for ${what}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    deadline.removeEventListener('abort', expire)
  }
}
