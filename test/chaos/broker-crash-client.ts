/**
 * A producer of our own client that outlives every crash: what it was given must
 * be in the log exactly once, in order of each key, when all is over.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { Appender, Cluster } from '../../src/client/index.ts'
import { type Random, randomInt } from '../../src/core/index.ts'
import type { Link } from './broker-crash-link.ts'
import { readPartition } from './broker-crash-reader.ts'
import { CRASH_PARTITIONS } from './broker-crash-topics.ts'

const TOPIC = 'plain'
const KEY_COUNT = 20
const PREFIX = 'client/'

/** A producer of our own client. */
export class ClientProducer {
  readonly #random: Random
  readonly #cluster: Cluster
  readonly #appender: Appender
  #sent = 0
  #delivered = 0
  readonly #failures: string[] = []
  #isStopping = false
  readonly #running: Promise<void>

  private constructor(random: Random, cluster: Cluster) {
    this.#random = random
    this.#cluster = cluster
    this.#appender = new Appender({ cluster, lingerMs: 2 })
    this.#running = this.#run()
  }

  /** Connects and begins to produce. */
  static async start(port: number, random: Random): Promise<ClientProducer> {
    const cluster = await Cluster.connect({ bootstrapServers: [`127.0.0.1:${port}`], clientId: 'crash-client' })
    return new ClientProducer(random, cluster)
  }

  /** Records that were acknowledged. */
  get deliveredCount(): number {
    return this.#delivered
  }

  /** Ends, and waits until everything that was given is acknowledged; the broker must be up. */
  async finish(): Promise<void> {
    this.#isStopping = true
    await this.#running
    await this.#appender.flush()
    await this.#appender.close()
    await this.#cluster.close()
  }

  /** Gives up, whatever is under way. */
  async abandon(): Promise<void> {
    this.#isStopping = true
    await this.#appender.close(0)
    await this.#cluster.close()
  }

  /** Checks the log once all is acknowledged. */
  async check(link: Link): Promise<void> {
    assert.deepEqual(this.#failures, [], 'no record of our client was given up')
    assert.equal(this.#delivered, this.#sent, 'our client told the end of every record')
    const seen = new Set<number>()
    for (const { topic, partition } of CRASH_PARTITIONS.filter(at => at.topic.name === TOPIC)) {
      const { records } = await readPartition(link, { topic: topic.name, partition })
      const lastOfKey = new Map<string | null, number>()
      for (const { key, value, offset } of records) {
        if (!value.startsWith(PREFIX)) continue
        const number = Number(value.slice(PREFIX.length))
        assert.ok(!seen.has(number), `${value} is in ${TOPIC}-${partition} again at ${offset}`)
        assert.ok(number > (lastOfKey.get(key) ?? -1), `${value} is out of order at ${TOPIC}-${partition}@${offset}`)
        seen.add(number)
        lastOfKey.set(key, number)
      }
    }
    assert.equal(seen.size, this.#sent, 'every record of our client is in the log')
  }

  async #run(): Promise<void> {
    const listener = {
      delivered: (batch: { readonly recordCount: number }): void => {
        this.#delivered += batch.recordCount
      },
      failed: (error: Error): void => void this.#failures.push(error.message)
    }
    while (!this.#isStopping) {
      for (let count = 1 + randomInt(this.#random, 20); count > 0; count--) {
        const key = Buffer.from(`client-key-${randomInt(this.#random, KEY_COUNT)}`)
        const value = Buffer.from(`${PREFIX}${this.#sent}`)
        while (!this.#appender.append({ topic: TOPIC, key, value }, listener)) await this.#appender.room()
        this.#sent += 1
      }
      await delay(2)
    }
  }
}
