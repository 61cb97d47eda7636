/**
 * When certificates or passwords change: open connections are renewed, one at a time.
 *
 * Every change begins a generation, and a connection belongs to the one that
 * held when it was begun to be opened. Those of an older one are renewed in
 * turn; one that is busy, or cannot be opened with what is new, stays as it
 * is and is tried again after a while that grows. So a new certificate that a
 * broker does not know yet stops nothing that runs.
 */

import { backoffMs, type Clock, messageOf, type Random, sleep, systemClock, systemRandom } from '../core/index.ts'
import { type Logger, silentLogger } from '../telemetry/index.ts'
import type { ClusterOptions } from './cluster-options.ts'
import type { Connection } from './connection.ts'

/** Wait before those that were not renewed are tried again, in milliseconds; grows with every round. */
const retryBackoff = { initialMs: 500, maxMs: 60_000 }

/** Renews the connections of one pool. */
export class ConnectionRenewal {
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #connections: () => readonly Connection[]
  readonly #generations = new WeakMap<Connection, number>()
  readonly #closing = new AbortController()
  readonly #ends: (() => void)[] = []
  #generation = 0
  #isRunning = false

  /** @param connections - All that are open at the moment. */
  constructor(options: ClusterOptions, connections: () => readonly Connection[]) {
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
    this.#connections = connections
    const onChange = (): void => {
      this.#generation += 1
      this.#start()
    }
    const { tls, sasl } = options
    if (typeof tls === 'object' && 'onChange' in tls) this.#ends.push(tls.onChange(onChange))
    if (sasl !== undefined && 'credentials' in sasl) this.#ends.push(sasl.credentials.onChange(onChange))
  }

  /** What a connection that is opened now will belong to. */
  get generation(): number {
    return this.#generation
  }

  /** Takes note of an open connection; what has changed while it was opened is made up for. */
  opened(connection: Connection, generation: number): void {
    this.#generations.set(connection, generation)
    if (generation < this.#generation) this.#start()
  }

  /** Ends it: no connection is renewed any more. Idempotent. */
  close(): void {
    this.#closing.abort()
    for (const end of this.#ends.splice(0)) end()
  }

  #start(): void {
    if (this.#isRunning || this.#closing.signal.aborted) return
    this.#isRunning = true
    // It never rejects.
    void this.#run()
  }

  async #run(): Promise<void> {
    let renewedCount = 0
    let generation = this.#generation
    for (let round = 1; !this.#closing.signal.aborted; round += 1) {
      // What is new may be what works: it does not wait for what was tried in vain before.
      if (generation < this.#generation) round = 1
      generation = this.#generation
      const { renewed, left } = await this.#renewStale()
      renewedCount += renewed
      if (left === 0) break
      await sleep(this.#clock, backoffMs(retryBackoff, round, this.#random), this.#closing.signal)
    }
    this.#isRunning = false
    if (renewedCount > 0) this.#logger.info({ connections: renewedCount }, 'connections use the new credentials')
    // One may have been opened with what was old while the last one was renewed.
    if (this.#stale().length > 0) this.#start()
  }

  async #renewStale(): Promise<{ renewed: number; left: number }> {
    let renewed = 0
    let failure: { readonly connection: Connection; readonly error: unknown } | undefined
    for (const connection of this.#stale()) {
      if (this.#closing.signal.aborted) break
      const generation = this.#generation
      try {
        if (!(await connection.renew())) continue
        this.#generations.set(connection, generation)
        renewed += 1
      } catch (error) {
        failure = { connection, error }
      }
    }
    if (failure !== undefined && !this.#closing.signal.aborted) {
      const { connection, error } = failure
      const message = 'no connection with the new credentials: open ones stay on the old ones and are tried again'
      this.#logger.warn({ peer: connection.peer, reason: messageOf(error) }, message)
    }
    return { renewed, left: this.#stale().length }
  }

  #stale(): Connection[] {
    return this.#connections().filter(
      connection => connection.isOpen && (this.#generations.get(connection) ?? 0) < this.#generation
    )
  }
}
