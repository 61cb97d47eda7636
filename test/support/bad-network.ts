/**
 * A TCP proxy that treats its connections badly: it cuts the stream into small
 * pieces, dawdles, falls silent and breaks connections, all by a seed.
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

import { type Random, randomInt, sleep, systemClock } from '../../src/core/index.ts'

/** How bad the network is. */
export interface BadNetworkOptions {
  readonly random: Random
  /** Largest piece that is passed on at once, in bytes. Default 4096. */
  readonly pieceBytesMax?: number
  /** Longest pause between two pieces, in milliseconds; most have none. Default 3. */
  readonly pauseMsMax?: number
}

interface Link {
  readonly near: Socket
  readonly far: Socket
  /** Whether it still takes bytes but passes none on. */
  isSilent: boolean
}

/** A proxy in front of one server. */
export class BadNetwork {
  readonly #options: BadNetworkOptions
  readonly #links = new Set<Link>()
  readonly #server: Server
  #target = { host: '127.0.0.1', port: 0 }
  /** Connections that were broken. */
  brokenCount = 0

  private constructor(options: BadNetworkOptions) {
    this.#options = options
    this.#server = createServer(near => this.#accept(near))
  }

  /** Listens on a free port; `leadTo` says where to. */
  static async listen(options: BadNetworkOptions): Promise<BadNetwork> {
    const network = new BadNetwork(options)
    await new Promise<void>(resolve => network.#server.listen(0, '127.0.0.1', resolve))
    return network
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    return address.port
  }

  leadTo(port: number): void {
    this.#target = { host: '127.0.0.1', port }
  }

  /** Harms each connection with some probability: breaks it, or lets it fall silent. */
  harm(probability: number): void {
    const { random } = this.#options
    for (const link of this.#links) {
      if (random.next() >= probability) continue
      if (random.next() < 0.2) link.isSilent = true
      else this.#break(link)
    }
  }

  /** Breaks what has fallen silent, and everything else, and goes on well from here. */
  breakAll(): void {
    for (const link of this.#links) this.#break(link)
  }

  async close(): Promise<void> {
    this.breakAll()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #accept(near: Socket): void {
    const link: Link = { near, far: connect(this.#target), isSilent: false }
    this.#links.add(link)
    for (const [from, to] of [
      [link.near, link.far],
      [link.far, link.near]
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => this.#forget(link))
      from.on('close', () => this.#forget(link))
      void this.#pass(link, from, to)
    }
  }

  async #pass(link: Link, from: Socket, to: Socket): Promise<void> {
    const { random, pieceBytesMax = 4096, pauseMsMax = 3 } = this.#options
    try {
      for await (const chunk of from) {
        let rest = chunk as Buffer
        while (rest.length > 0) {
          const piece = rest.subarray(0, 1 + randomInt(random, pieceBytesMax))
          rest = rest.subarray(piece.length)
          if (link.isSilent) continue
          if (random.next() < 0.05) await sleep(systemClock, randomInt(random, pauseMsMax + 1))
          if (!to.write(piece)) await new Promise(resolve => to.once('drain', resolve).once('close', resolve))
        }
      }
      to.end()
    } catch {
      this.#forget(link) // broken by either side: what the test is about
    }
  }

  #break(link: Link): void {
    this.brokenCount += 1
    // A reset reaches the peer at once, an orderly end behind what is on its way: both happen.
    for (const socket of [link.near, link.far]) {
      if (this.#options.random.next() < 0.5) socket.resetAndDestroy()
      else socket.destroy()
    }
    this.#links.delete(link)
  }

  #forget(link: Link): void {
    if (!this.#links.delete(link)) return
    link.near.destroy()
    link.far.destroy()
  }
}
