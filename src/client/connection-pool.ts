/**
 * Connections by broker address and lane: opened when needed, shared while open, forgotten when closed.
 *
 * Who asks for a connection that is being opened waits for the same one. After
 * a failure an address rests for a while that grows with every failure in a
 * row; who asks meanwhile waits, so that a dead broker costs one attempt per
 * rest and not one per request.
 */

import {
  backoffMs,
  type Clock,
  isRetriable,
  PipelineError,
  type Random,
  randomInt,
  sleep,
  systemClock,
  systemRandom
} from '../core/index.ts'
import type { BrokerNode, ClusterOptions } from './cluster-options.ts'
import { Connection } from './connection.ts'
import { ConnectionRenewal } from './connection-renewal.ts'

interface Address {
  readonly host: string
  readonly port: number
}

interface Rest {
  readonly failureCount: number
  readonly untilMs: number
}

/** All connections of one cluster client. */
export class ConnectionPool {
  readonly #options: ClusterOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #bootstrap: readonly Address[]
  readonly #open = new Map<string, Connection>()
  readonly #opening = new Map<string, Promise<Connection>>()
  readonly #rests = new Map<string, Rest>()
  readonly #closing = new AbortController()
  readonly #renewal: ConnectionRenewal

  /** @throws PipelineError `ERR_CLIENT_OPTIONS_INVALID` if an address is not `host:port`. */
  constructor(options: ClusterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#bootstrap = options.bootstrapServers.map(parseAddress)
    this.#renewal = new ConnectionRenewal(options, () => [...this.#open.values()])
  }

  /** How many connections are open. */
  get openCount(): number {
    return this.#open.size
  }

  /**
   * A connection to a broker.
   *
   * @throws PipelineError of `Connection.open`, or `ERR_CLIENT_CLOSED`.
   */
  get(address: Address, lane: string): Promise<Connection> {
    const key = `${address.host}:${address.port}/${lane}`
    const open = this.#open.get(key)
    if (open?.isOpen === true) return Promise.resolve(open)
    const opening = this.#opening.get(key) ?? this.#connect(address, key).finally(() => this.#opening.delete(key))
    this.#opening.set(key, opening)
    return opening
  }

  /** A connection to any broker: an open one, else to one of the known brokers, else to a bootstrap server. */
  async any(brokers: readonly BrokerNode[], lane: string): Promise<Connection> {
    const candidates = rotated(brokers, this.#random)
    const free = this.#leastPending(candidates, lane)
    if (free !== undefined) return free
    let failure: unknown
    for (const address of [...candidates, ...rotated(this.#bootstrap, this.#random)]) {
      try {
        return await this.get(address, lane)
      } catch (error) {
        failure = error
        // Refused credentials are refused everywhere: trying them on every broker may lock the account.
        if (this.#closing.signal.aborted || !isRetriable(error)) break
      }
    }
    throw failure
  }

  /** Addresses of brokers other than those that were asked already: first those with an open connection. */
  others(brokers: readonly BrokerNode[], asked: ReadonlySet<string>, lane: string): BrokerNode[] {
    const left = rotated(brokers, this.#random).filter(broker => !asked.has(`${broker.host}:${broker.port}`))
    const isOpen = (broker: BrokerNode): boolean => this.#open.has(`${broker.host}:${broker.port}/${lane}`)
    return [...left.filter(isOpen), ...left.filter(broker => !isOpen(broker))]
  }

  /** Connections on which an answer has been due for at least so long. */
  silent(silenceMs: number): Connection[] {
    return [...this.#open.values()].filter(connection => connection.silentMs >= silenceMs)
  }

  /** The open connection with the fewest requests: one whose broker hangs has some. */
  #leastPending(brokers: readonly BrokerNode[], lane: string): Connection | undefined {
    let best: Connection | undefined
    for (const broker of brokers) {
      const open = this.#open.get(`${broker.host}:${broker.port}/${lane}`)
      if (open?.isOpen === true && open.pendingCount < (best?.pendingCount ?? Number.POSITIVE_INFINITY)) best = open
    }
    return best
  }

  /** Closes idle connections to addresses that are not among the brokers, such as the bootstrap servers' names. */
  retain(brokers: readonly BrokerNode[]): void {
    if (brokers.length === 0) return
    const known = new Set(brokers.map(broker => `${broker.host}:${broker.port}`))
    for (const connection of this.#open.values()) {
      if (!known.has(connection.peer) && connection.pendingCount === 0) connection.retire()
    }
  }

  /** Closes the connections of a lane that its owner no longer needs. */
  closeLane(lane: string): void {
    for (const [key, connection] of this.#open) if (key.endsWith(`/${lane}`)) connection.close()
    for (const [key, opening] of this.#opening) {
      // Nobody would close it later. Who asked for it hears of a failure.
      if (key.endsWith(`/${lane}`)) void opening.then(connection => connection.close()).catch(() => undefined)
    }
  }

  /** Closes all connections and refuses new ones. Idempotent. */
  close(): void {
    this.#closing.abort()
    this.#renewal.close()
    for (const connection of this.#open.values()) connection.close()
  }

  async #connect(address: Address, key: string): Promise<Connection> {
    const peer = `${address.host}:${address.port}`
    await this.#rest(peer)
    if (this.#closing.signal.aborted) throw new PipelineError('ERR_CLIENT_CLOSED', 'the cluster client is closed')
    try {
      const connection = await this.#openConnection(address, key)
      this.#rests.delete(peer)
      return connection
    } catch (error) {
      const failureCount = (this.#rests.get(peer)?.failureCount ?? 0) + 1
      const { reconnectBackoffMs: initialMs = 50, reconnectBackoffMaxMs: maxMs = 1_000 } = this.#options
      const untilMs = this.#clock.monotonicMs() + backoffMs({ initialMs, maxMs }, failureCount, this.#random)
      this.#rests.set(peer, { failureCount, untilMs })
      throw error
    }
  }

  async #openConnection(address: Address, key: string): Promise<Connection> {
    // It may close while it still opens: then there is nothing to forget.
    let opened: Connection | undefined
    const generation = this.#renewal.generation
    const connection = await Connection.open({
      ...this.#options,
      ...address,
      onClose: () => {
        if (opened !== undefined && this.#open.get(key) === opened) this.#open.delete(key)
      }
    })
    opened = connection
    if (this.#closing.signal.aborted) {
      connection.close()
      throw new PipelineError('ERR_CLIENT_CLOSED', 'the cluster client is closed')
    }
    if (connection.isOpen) this.#open.set(key, connection)
    this.#renewal.opened(connection, generation)
    return connection
  }

  async #rest(peer: string): Promise<void> {
    const waitMs = (this.#rests.get(peer)?.untilMs ?? 0) - this.#clock.monotonicMs()
    if (waitMs > 0) await sleep(this.#clock, waitMs, this.#closing.signal)
  }
}

/** The list from a random start on: the first choice is spread over all, and every item gets its turn. */
function rotated<T>(items: readonly T[], random: Random): T[] {
  if (items.length < 2) return [...items]
  const start = randomInt(random, items.length)
  return [...items.slice(start), ...items.slice(0, start)]
}

/** Reads `host:port`; an IPv6 address stands in brackets. */
function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new PipelineError('ERR_CLIENT_OPTIONS_INVALID', `bootstrap server "${text}" is not host:port`)
  }
  return { host, port }
}
