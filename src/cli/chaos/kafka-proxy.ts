/**
 * A network between a client and its brokers that can be cut, fall silent or be slow.
 *
 * Clients of Kafka find brokers by what brokers say of themselves, so a proxy in front of one address is left at once.
 * This one reads the three answers that name brokers (Metadata, FindCoordinator, DescribeCluster), opens a door for
 * each broker and puts its own address there; everything else passes as it is, frame by frame. Plain text only: what is
 * encrypted cannot be read.
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

import type { NetworkTreatment } from '../../ops/index.ts'
import {
  ByteReader,
  decodeRequestHeader,
  decodeResponse,
  describeClusterApi,
  encodeResponse,
  findCoordinatorApi,
  metadataApi
} from '../../protocol/index.ts'

/** A broker's address. */
interface Address {
  readonly host: string
  readonly port: number
}

interface Door {
  readonly server: Server
  readonly port: number
}

interface Link {
  readonly near: Socket
  readonly far: Socket
  /** Questions whose answers name brokers, by correlation id. */
  readonly asked: Map<number, { readonly apiKey: number; readonly version: number }>
  /** Bytes are missing: the connection cannot go on. */
  hasHole: boolean
}

const NAMING_APIS: ReadonlySet<number> = new Set([metadataApi.key, findCoordinatorApi.key, describeClusterApi.key])
const HOST = '127.0.0.1'
/** Questions of one connection that wait for an answer: clients ask few of these at once. */
const ASKED_MAX = 1000

/** A network of one client. */
export class KafkaProxy {
  readonly #doors = new Map<string, Promise<Door>>()
  readonly #links = new Set<Link>()
  #bootstrapServers: readonly string[] = []
  #treatment: NetworkTreatment = 'pass'
  #harmedCount = 0

  /** Opens a door for each bootstrap address, `host:port`. */
  static async open(bootstrapServers: readonly string[]): Promise<KafkaProxy> {
    const proxy = new KafkaProxy()
    proxy.#bootstrapServers = await Promise.all(
      bootstrapServers.map(async text => {
        const colon = text.lastIndexOf(':')
        return `${HOST}:${await proxy.#portFor({ host: text.slice(0, colon), port: Number(text.slice(colon + 1)) })}`
      })
    )
    return proxy
  }

  /** What the client connects to. */
  get bootstrapServers(): readonly string[] {
    return this.#bootstrapServers
  }

  /** Connections that were broken or refused, and messages that were swallowed or late, since the last treatment. */
  get harmedCount(): number {
    return this.#harmedCount
  }

  /** Treats everything that passes in some way from now on. What has lost bytes is broken when the network is whole. */
  treat(treatment: NetworkTreatment): void {
    this.#treatment = treatment
    this.#harmedCount = treatment === 'cut' ? this.#links.size : 0
    for (const link of this.#links) if (treatment === 'cut' || (treatment === 'pass' && link.hasHole)) this.#break(link)
  }

  async close(): Promise<void> {
    for (const link of this.#links) this.#break(link)
    const doors = await Promise.all(this.#doors.values())
    await Promise.all(doors.map(({ server }) => new Promise(resolve => server.close(resolve))))
  }

  async #portFor(to: Address): Promise<number> {
    const name = `${to.host}:${to.port}`
    let door = this.#doors.get(name)
    if (door === undefined) this.#doors.set(name, (door = this.#openDoor(to)))
    return (await door).port
  }

  async #openDoor(to: Address): Promise<Door> {
    const server = createServer(near => this.#accept(near, to))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, HOST, resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    return { server, port: address.port }
  }

  #accept(near: Socket, to: Address): void {
    if (this.#treatment === 'cut') {
      this.#harmedCount += 1
      near.destroy()
      return
    }
    const link: Link = { near, far: connect(to.port, to.host), asked: new Map(), hasHole: false }
    this.#links.add(link)
    for (const socket of [link.near, link.far]) {
      socket.setNoDelay(true)
      socket.on('error', () => this.#break(link))
      socket.on('close', () => this.#break(link))
    }
    const requests = new FrameSplitter()
    near.on('data', (bytes: Buffer) => {
      for (const frame of requests.push(bytes)) {
        noteQuestion(link, frame)
        this.#pass(link, link.far, frame)
      }
    })
    const answers = new FrameSplitter()
    // A door may have to be opened before an answer can name it; answers stay in their order.
    let last: Promise<void> = Promise.resolve()
    link.far.on('data', (bytes: Buffer) => {
      for (const frame of answers.push(bytes)) {
        last = last
          .then(async () => this.#pass(link, near, await this.#renamed(link, frame)))
          // What cannot be read cannot be led through here: the client connects anew.
          .catch(() => this.#break(link))
      }
    })
  }

  #pass(link: Link, to: Socket, frame: Buffer): void {
    const treatment = this.#treatment
    if (treatment !== 'pass') this.#harmedCount += 1
    if (treatment === 'swallow') link.hasHole = true
    else if (typeof treatment === 'object') setTimeout(() => to.writable && to.write(frame), treatment.delayMs)
    else if (to.writable) to.write(frame)
  }

  /** The frame, with doors in the place of brokers if it names some. */
  async #renamed({ asked }: Link, frame: Buffer): Promise<Buffer> {
    const correlationId = frame.readInt32BE(LENGTH_BYTES)
    const question = asked.get(correlationId)
    if (question === undefined) return frame
    asked.delete(correlationId)
    const { apiKey, version } = question
    const payload = frame.subarray(LENGTH_BYTES)
    if (apiKey === findCoordinatorApi.key) {
      const { message } = decodeResponse(findCoordinatorApi, version, payload)
      // One coordinator in the answer itself before version 4, several in a list since.
      const coordinators = await this.#behindDoors(message.coordinators)
      const named = { ...message, ...(await this.#behindDoor(message)), coordinators }
      return Buffer.concat(encodeResponse(findCoordinatorApi, version, correlationId, named))
    }
    if (apiKey === metadataApi.key) {
      const { message } = decodeResponse(metadataApi, version, payload)
      const named = { ...message, brokers: await this.#behindDoors(message.brokers) }
      return Buffer.concat(encodeResponse(metadataApi, version, correlationId, named))
    }
    const { message } = decodeResponse(describeClusterApi, version, payload)
    const named = { ...message, brokers: await this.#behindDoors(message.brokers) }
    return Buffer.concat(encodeResponse(describeClusterApi, version, correlationId, named))
  }

  async #behindDoors<T extends Address>(brokers: readonly T[]): Promise<T[]> {
    return await Promise.all(brokers.map(async each => ({ ...each, ...(await this.#behindDoor(each)) })))
  }

  async #behindDoor({ host, port }: Address): Promise<Address> {
    // A coordinator that was not found has no address.
    return host === '' || port <= 0 ? { host, port } : { host: HOST, port: await this.#portFor({ host, port }) }
  }

  #break(link: Link): void {
    if (!this.#links.delete(link)) return
    link.near.destroy()
    link.far.destroy()
  }
}

const LENGTH_BYTES = 4

function noteQuestion({ asked }: Link, frame: Buffer): void {
  const { apiKey, apiVersion, correlationId } = decodeRequestHeader(new ByteReader(frame, LENGTH_BYTES))
  if (NAMING_APIS.has(apiKey) && asked.size < ASKED_MAX) asked.set(correlationId, { apiKey, version: apiVersion })
}

/** Cuts a stream into whole frames of Kafka's protocol, length included. */
class FrameSplitter {
  #chunks: Buffer[] = []
  #length = 0

  push(bytes: Buffer): Buffer[] {
    this.#chunks.push(bytes)
    this.#length += bytes.length
    // A large frame comes in many pieces: they are joined once, when all are there.
    if (this.#length < this.#needed()) return []
    let rest = Buffer.concat(this.#chunks)
    const frames: Buffer[] = []
    while (rest.length >= LENGTH_BYTES && rest.length >= LENGTH_BYTES + rest.readInt32BE(0)) {
      const end = LENGTH_BYTES + rest.readInt32BE(0)
      frames.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    this.#chunks = [rest]
    this.#length = rest.length
    return frames
  }

  #needed(): number {
    if (this.#length < LENGTH_BYTES) return LENGTH_BYTES
    if ((this.#chunks[0]?.length ?? 0) < LENGTH_BYTES) this.#chunks = [Buffer.concat(this.#chunks)]
    return LENGTH_BYTES + (this.#chunks[0]?.readInt32BE(0) ?? 0)
  }
}
