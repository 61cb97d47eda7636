/** One world of the crash fuzzer from beginning to end: rounds of load and crash, a check after each. */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, randomInt, SeededRandom } from '../../src/core/index.ts'
import { type Actor, ConfigChanger, OffsetCommitter, RecordDeleter, TopicChanger } from './broker-crash-admin.ts'
import { ClientProducer } from './broker-crash-client.ts'
import { BrokerGone, Link, Refused } from './broker-crash-link.ts'
import { checkCompacted, CrashProducer } from './broker-crash-producers.ts'
import { readPartition } from './broker-crash-reader.ts'
import { CRASH_PARTITIONS, createCrashTopics } from './broker-crash-topics.ts'
import { TransactionalProducer } from './broker-crash-transactions.ts'
import { CrashWorld, type End } from './broker-crash-world.ts'

const PRODUCER_COUNT = 3
const TRANSACTIONAL_COUNT = 4

/** What a world went through. */
export interface CrashReport {
  readonly rounds: number
  readonly kills: number
  readonly ackedRecords: number
  readonly committedTransactions: number
  readonly abortedTransactions: number
  readonly batchesOnDisk: number
  /** What happened, in order: for the message of a failure. */
  readonly history: readonly string[]
}

/** How long a world is. */
export interface CrashPlan {
  readonly seed: number
  readonly rounds: number
  /** Longest load of a round, in milliseconds. */
  readonly loadMsMax: number
  /** Looks at the files when all is over and the broker has stopped in good order. */
  readonly verify?: (dataDir: string) => Promise<void>
}

/** Runs one world; throws at the first thing that is wrong, with the seed and what happened. */
export async function runCrashWorld(plan: CrashPlan): Promise<CrashReport> {
  const world = await CrashWorld.create()
  const run = new CrashRun(plan, world)
  try {
    return await run.all()
  } catch (error) {
    const lines = [`seed ${plan.seed}`, ...run.history, ...world.errors]
    throw new Error(`the crash fuzzer found something:\n${lines.join('\n')}`, { cause: error })
  } finally {
    await world.remove()
  }
}

class CrashRun {
  readonly history: string[] = []
  readonly #plan: CrashPlan
  readonly #random: Random
  readonly #world: CrashWorld
  readonly #producers: readonly CrashProducer[]
  readonly #transactional: readonly TransactionalProducer[]
  readonly #actors: readonly Actor[]
  readonly #clientRandom: Random
  #kills = 0

  constructor(plan: CrashPlan, world: CrashWorld) {
    this.#plan = plan
    this.#world = world
    this.#random = new SeededRandom(plan.seed)
    const randomOf = (): Random => new SeededRandom(randomInt(this.#random, 0x7fff_ffff))
    const producerIds = new Set<bigint>()
    this.#producers = Array.from(
      { length: PRODUCER_COUNT },
      (_, index) => new CrashProducer(`producer-${index}`, randomOf(), producerIds)
    )
    this.#transactional = Array.from(
      { length: TRANSACTIONAL_COUNT },
      (_, index) => new TransactionalProducer(`transactional-${index}`, randomOf(), index % 2 === 0)
    )
    this.#clientRandom = randomOf()
    this.#actors = [
      ...this.#transactional,
      new TopicChanger(randomOf()),
      new ConfigChanger(),
      new RecordDeleter(randomOf()),
      new OffsetCommitter(randomOf())
    ]
  }

  async all(): Promise<CrashReport> {
    assert.ok(await this.#world.start())
    await this.#withLink(createCrashTopics)
    const client = await ClientProducer.start(this.#world.port, this.#clientRandom)
    try {
      for (let round = 1; round <= this.#plan.rounds; round++) {
        await this.#load(round)
        await this.#restart()
        await this.#withLink(link => this.#check(link))
      }
      await client.finish()
      await this.#withLink(link => client.check(link))
    } catch (error) {
      await client.abandon()
      throw error
    }
    await this.#world.end('stopped')
    const batchesOnDisk = await this.#world.assertSegmentsAreSound()
    await this.#plan.verify?.(this.#world.dataDir)
    assert.deepEqual(this.#world.errors, [], 'the broker logged errors')
    const ackedRecords = this.#producers.reduce((sum, producer) => sum + producer.ackedRecords, client.deliveredCount)
    const ended = this.#transactional.map(producer => producer.endedCount)
    return {
      rounds: this.#plan.rounds,
      kills: this.#kills,
      ackedRecords,
      committedTransactions: ended.reduce((sum, { committed }) => sum + committed, 0),
      abortedTransactions: ended.reduce((sum, { aborted }) => sum + aborted, 0),
      batchesOnDisk,
      history: this.history
    }
  }

  /** Everybody works until the broker ends, at an instant that nobody knows. */
  async #load(round: number): Promise<void> {
    // Half of the rounds end within the first writes.
    const isShort = randomInt(this.#random, 2) === 0
    const loadMs = 1 + randomInt(this.#random, isShort ? 60 : this.#plan.loadMsMax)
    const how: End = randomInt(this.#random, 8) === 0 ? 'stopped' : 'killed'
    this.history.push(`round ${round}: ${how} after ${loadMs} ms`)
    let isStopping = false
    const workers = [...this.#producers, ...this.#actors]
    const failed = new AbortController()
    const working = workers.map(async worker => {
      let link: Link | undefined
      try {
        link = await Link.open(this.#world.port)
        await worker.run(link)
      } catch (error) {
        if (error instanceof BrokerGone) return
        if (isStopping && error instanceof Refused && error.isRetriable) return
        failed.abort()
        throw error
      } finally {
        link?.close()
      }
    })
    // What is rejected before the broker ends is thrown below, after it has ended.
    for (const each of working) each.catch(() => undefined)
    await delay(loadMs, undefined, { signal: failed.signal }).catch(() => undefined)
    isStopping = how === 'stopped'
    if (how === 'killed') this.#kills += 1
    await this.#world.end(how)
    await Promise.all(working)
    if (how === 'killed' && randomInt(this.#random, 4) === 0) {
      this.history.push(`  ${await this.#world.harm(this.#random)}`)
    }
  }

  /** Starts the broker again; now and then it is killed while it starts. */
  async #restart(): Promise<void> {
    while (randomInt(this.#random, 6) === 0) {
      const ms = randomInt(this.#random, 500)
      this.history.push(`  killed ${ms} ms after its start`)
      const started = this.#world.start()
      await Promise.race([delay(ms), started])
      await this.#world.end('killed')
      await started
      this.#kills += 1
    }
    assert.ok(await this.#world.start(), 'the broker starts')
  }

  async #check(link: Link): Promise<void> {
    for (const actor of this.#actors) await actor.settle?.(link)
    for (const actor of this.#actors) await actor.check(link)
    for (const at of CRASH_PARTITIONS) {
      const read = await readPartition(link, { topic: at.topic.name, partition: at.partition })
      for (const producer of this.#producers) producer.check(at, read)
      if (at.topic.isCompacted === true) checkCompacted(at, read, this.#producers)
      else assert.equal(read.nextOffset, read.highWatermark, `${at.name} can be read to its end`)
    }
  }

  async #withLink(work: (link: Link) => Promise<void>): Promise<void> {
    const link = await Link.open(this.#world.port)
    try {
      await work(link)
    } finally {
      link.close()
    }
  }
}
