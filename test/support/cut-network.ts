/**
 * A TCP proxy in front of one broker that can take single clients off the network: cut their connections, swallow
 * what they send and are sent, or delay it. A client is known by the client id in its first request.
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

/** What happens to the bytes of a client. */
export type Treatment = 'pass' | 'cut' | 'swallow' | { readonly delayMs: number }

interface Link {
  readonly near: Socket
  readonly far: Socket
  clientId: string
  /** Bytes are missing: the connection cannot go on. */
  hasHole: boolean
}

/** Offset of the client id in a Kafka request: behind size, API key, version and correlation id. */
const CLIENT_ID_AT = 12

/** A proxy in front of one broker. */
export class CutNetwork {
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #treatments = new Map<string, Treatment>()
  #targetPort = 0

  private constructor() {
    this.#server = createServer(near => this.#accept(near))
  }

  /** Listens on a free port; `leadTo` says where to. */
  static async listen(): Promise<CutNetwork> {
    const network = new CutNetwork()
    await new Promise<void>(resolve => network.#server.listen(0, '127.0.0.1', resolve))
    return network
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    return address.port
  }

  leadTo(port: number): void {
    this.#targetPort = port
  }

  /** Treats a client from now on in some way; `*` is everybody who is not named. */
  treat(clientId: string, treatment: Treatment): void {
    this.#treatments.set(clientId, treatment)
    for (const link of this.#links) {
      const now = this.#treatmentOf(link)
      if (now === 'cut' || (now === 'pass' && link.hasHole)) this.#break(link)
    }
  }

  async close(): Promise<void> {
    for (const link of this.#links) this.#break(link)
    await new Promise(resolve => this.#server.close(resolve))
  }

  #treatmentOf({ clientId }: Link): Treatment {
    return this.#treatments.get(clientId) ?? this.#treatments.get('*') ?? 'pass'
  }

  #accept(near: Socket): void {
    const link: Link = { near, far: connect(this.#targetPort, '127.0.0.1'), clientId: '', hasHole: false }
    this.#links.add(link)
    for (const socket of [link.near, link.far]) {
      socket.setNoDelay(true)
      socket.on('error', () => this.#break(link))
      socket.on('close', () => this.#break(link))
    }
    near.once('data', (first: Buffer) => {
      const length = first.length > CLIENT_ID_AT + 2 ? first.readInt16BE(CLIENT_ID_AT) : -1
      if (length > 0) link.clientId = first.toString('utf8', CLIENT_ID_AT + 2, CLIENT_ID_AT + 2 + length)
      if (this.#treatmentOf(link) === 'cut') this.#break(link)
    })
    near.on('data', (bytes: Buffer) => this.#pass(link, link.far, bytes))
    link.far.on('data', (bytes: Buffer) => this.#pass(link, near, bytes))
  }

  #pass(link: Link, to: Socket, bytes: Buffer): void {
    const treatment = this.#treatmentOf(link)
    if (treatment === 'swallow') link.hasHole = true
    else if (typeof treatment === 'object') setTimeout(() => to.writable && to.write(bytes), treatment.delayMs)
    else if (to.writable) to.write(bytes)
  }

  #break(link: Link): void {
    if (!this.#links.delete(link)) return
    link.near.destroy()
    link.far.destroy()
  }
}
