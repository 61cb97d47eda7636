/**
 * Transactional producers under a broker that is killed: each transaction writes
 * to several partitions and commits an offset, and ends by a commit or an abort.
 * Half of them speak the protocol from before KIP-890, half the one after it.
 *
 * The rules that are checked, reading committed records only: a transaction whose
 * commit was acknowledged is there with all its records, in order; one that was
 * aborted, or never ended, is not there with any; one whose commit was not
 * answered is there as a whole or not at all; the group's offset is that of the
 * last transaction that is there.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, randomInt } from '../../src/core/index.ts'
import {
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  endTxnApi,
  findCoordinatorApi,
  initProducerIdApi,
  offsetFetchApi,
  produceApi,
  RecordBatchBuilder,
  txnOffsetCommitApi
} from '../../src/protocol/index.ts'
import type { Actor } from './broker-crash-admin.ts'
import { assertOk, BrokerGone, type Link, Refused } from './broker-crash-link.ts'
import { type ReadPartition, readPartition } from './broker-crash-reader.ts'
import { CRASH_PARTITIONS, type CrashPartition } from './broker-crash-topics.ts'

const TIMEOUT_MS = 30_000
/** How long a coordinator may be busy with what the transaction before left. */
const RETRY_MS_MAX = 15_000
const TRANSACTION_KEY_TYPE = 1
const OFFSET_TOPIC = 'plain'

/** What is known of the end of a transaction. */
type Fate = 'open' | 'committing' | 'committed' | 'aborted'

interface Transaction {
  readonly number: number
  fate: Fate
  /** The records of each partition, by its name. */
  readonly values: Map<string, string[]>
  hasOffset: boolean
}

/** Where transactions write: not where records are deleted. */
const PARTITIONS = CRASH_PARTITIONS.filter(({ topic }) => topic.name !== 'trimmed')

/** One transactional producer. */
export class TransactionalProducer implements Actor {
  readonly #name: string
  readonly #random: Random
  readonly #isVersion2: boolean
  readonly #transactions: Transaction[] = []
  #producerId = -1n
  #producerEpoch = -1
  #sequences = new Map<string, number>()

  constructor(name: string, random: Random, isVersion2: boolean) {
    this.#name = name
    this.#random = random
    this.#isVersion2 = isVersion2
  }

  /** Transactions whose end is known. */
  get endedCount(): { readonly committed: number; readonly aborted: number } {
    const count = (fate: Fate): number => this.#transactions.filter(each => each.fate === fate).length
    return { committed: count('committed'), aborted: count('aborted') }
  }

  async run(link: Link): Promise<never> {
    await this.#initialise(link)
    for (;;) await this.#runTransaction(link)
  }

  /** A new epoch ends what is left of the last transaction; whoever reads afterwards sees its fate. */
  async settle(link: Link): Promise<void> {
    await this.#initialise(link)
  }

  async check(link: Link): Promise<void> {
    const open = this.#transactions.filter(({ fate }) => fate === 'committing')
    const found = new Map<string, string[]>()
    for (const at of PARTITIONS) {
      const read = await this.#readStable(link, at)
      const values = read.records.map(({ value }) => value)
      found.set(
        at.name,
        values.filter(value => value.startsWith(`${this.#name}/`))
      )
    }
    for (const transaction of open) transaction.fate = this.#isThere(transaction, found) ? 'committed' : 'aborted'
    for (const at of PARTITIONS) {
      const committed = this.#transactions.filter(({ fate }) => fate === 'committed')
      const expected = committed.flatMap(({ values }) => values.get(at.name) ?? [])
      assert.deepEqual(found.get(at.name), expected, `committed records of ${this.#name} in ${at.name}`)
    }
    await this.#checkOffset(link)
  }

  /** Whether a transaction of unknown fate was committed: its first record says so, the others must agree. */
  #isThere({ values, number }: Transaction, found: ReadonlyMap<string, readonly string[]>): boolean {
    const seen = [...values].flatMap(([name, sent]) => sent.map(value => found.get(name)?.includes(value) === true))
    assert.ok(new Set(seen).size <= 1, `transaction ${number} of ${this.#name} is there in part`)
    return seen[0] === true
  }

  /** Reads committed records once the last stable offset has come to the end, for nobody writes now. */
  async #readStable(link: Link, at: CrashPartition): Promise<ReadPartition> {
    const wish = { topic: at.topic.name, partition: at.partition, isReadCommitted: true }
    for (const startMs = performance.now(); ;) {
      const read = await readPartition(link, wish)
      if (read.lastStableOffset === read.highWatermark) return read
      const isLate = performance.now() - startMs > RETRY_MS_MAX
      assert.ok(!isLate, `${at.name}: a transaction stays open at ${read.lastStableOffset} of ${read.highWatermark}`)
      await delay(20)
    }
  }

  async #checkOffset(link: Link): Promise<void> {
    const topics = [{ name: OFFSET_TOPIC, partitionIndexes: [0] }]
    const message = { groupId: this.#group, topics, requireStable: true }
    const found = await retried(async () => {
      const answer = await link.request(offsetFetchApi, { version: 7, message })
      const partition = answer.topics[0]?.partitions[0]
      assertOk(partition, `the offset of ${this.#group}`)
      return partition
    })
    const last = this.#transactions.findLast(({ fate, hasOffset }) => fate === 'committed' && hasOffset)
    assert.equal(found?.committedOffset, BigInt(last?.number ?? -1), `the offset of ${this.#group}`)
  }

  get #group(): string {
    return `group-of-${this.#name}`
  }

  async #initialise(link: Link): Promise<void> {
    const key = { key: this.#name, keyType: TRANSACTION_KEY_TYPE }
    const message = { transactionalId: this.#name, transactionTimeoutMs: 60_000 }
    const answer = await retried(async () => {
      assertOk(
        await link.request(findCoordinatorApi, { version: 2, message: key }),
        `${this.#name} finds its coordinator`
      )
      const initialised = await link.request(initProducerIdApi, { version: 4, message })
      assertOk(initialised, `${this.#name} gets a producer id`)
      return initialised
    })
    const isNewer = answer.producerId !== this.#producerId || answer.producerEpoch > this.#producerEpoch
    assert.ok(isNewer, `${this.#name} gets epoch ${answer.producerEpoch} after ${this.#producerEpoch}`)
    this.#begin(answer)
    for (const transaction of this.#transactions) if (transaction.fate === 'open') transaction.fate = 'aborted'
  }

  #begin({ producerId, producerEpoch }: { readonly producerId: bigint; readonly producerEpoch: number }): void {
    if (producerId !== this.#producerId || producerEpoch !== this.#producerEpoch) this.#sequences = new Map()
    this.#producerId = producerId
    this.#producerEpoch = producerEpoch
  }

  get #identity(): { transactionalId: string; producerId: bigint; producerEpoch: number } {
    return { transactionalId: this.#name, producerId: this.#producerId, producerEpoch: this.#producerEpoch }
  }

  async #runTransaction(link: Link): Promise<void> {
    const number = this.#transactions.length + 1
    const transaction: Transaction = { number, fate: 'open', values: new Map(), hasOffset: false }
    this.#transactions.push(transaction)
    const first = randomInt(this.#random, PARTITIONS.length)
    const count = 1 + randomInt(this.#random, 3)
    const partitions = Array.from({ length: count }, (_, index) => PARTITIONS[(first + 3 * index) % PARTITIONS.length])
    const written = [...new Set(partitions)].filter(at => at !== undefined)
    if (!this.#isVersion2) await this.#addPartitions(link, written)
    for (let round = 1 + randomInt(this.#random, 2); round > 0; round--) {
      for (const at of written) await this.#produce(link, at, transaction)
    }
    if (randomInt(this.#random, 2) === 0) await this.#commitOffset(link, transaction)
    await this.#end(link, transaction, randomInt(this.#random, 10) < 7)
  }

  async #addPartitions(link: Link, partitions: readonly CrashPartition[]): Promise<void> {
    const { transactionalId, producerId, producerEpoch } = this.#identity
    const message = {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: partitions.map(at => ({ name: at.topic.name, partitions: [at.partition] }))
    }
    await retried(async () => {
      const answer = await link.request(addPartitionsToTxnApi, { version: 3, message })
      const results = answer.resultsByTopicV3AndBelow.flatMap(topic => topic.resultsByPartition)
      for (const { partitionErrorCode } of results) {
        assertOk({ errorCode: partitionErrorCode }, `${this.#name} adds partitions`)
      }
    })
  }

  async #produce(link: Link, at: CrashPartition, transaction: Transaction): Promise<void> {
    const builder = new RecordBatchBuilder()
    const sent = transaction.values.get(at.name) ?? []
    const baseSequence = this.#sequences.get(at.name) ?? 0
    const count = 1 + randomInt(this.#random, 4)
    for (let index = 0; index < count; index++) {
      const value = `${this.#name}/${transaction.number}/${at.name}/${sent.length}`
      // Each record has a key of its own, so that compaction must keep all that are committed.
      builder.tryAppend(Date.now(), Buffer.from(value), Buffer.from(value))
      sent.push(value)
    }
    transaction.values.set(at.name, sent)
    this.#sequences.set(at.name, baseSequence + count)
    const { transactionalId, producerId, producerEpoch } = this.#identity
    const stamp = { producerId, producerEpoch, baseSequence, isTransactional: true }
    const partitionData = [{ index: at.partition, records: Buffer.from(builder.build(stamp)) }]
    const message = {
      transactionalId,
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [{ name: at.topic.name, partitionData }]
    }
    await retried(async () => {
      const answer = await link.request(produceApi, { version: this.#isVersion2 ? 12 : 9, message })
      const result = answer.responses[0]?.partitionResponses[0]
      assertOk(result, `${this.#name} to ${at.name}: ${result?.errorMessage}`)
    })
  }

  async #commitOffset(link: Link, transaction: Transaction): Promise<void> {
    if (!this.#isVersion2) {
      const message = { ...this.#identity, groupId: this.#group }
      await retried(async () =>
        assertOk(await link.request(addOffsetsToTxnApi, { version: 3, message }), `${this.#name} adds offsets`)
      )
    }
    const committedOffset = BigInt(transaction.number)
    const topics = [{ name: OFFSET_TOPIC, partitions: [{ partitionIndex: 0, committedOffset }] }]
    const message = { ...this.#identity, groupId: this.#group, topics }
    await retried(async () => {
      const answer = await link.request(txnOffsetCommitApi, { version: this.#isVersion2 ? 5 : 3, message })
      assertOk(answer.topics[0]?.partitions[0], `${this.#name} commits ${committedOffset}`)
    })
    transaction.hasOffset = true
  }

  async #end(link: Link, transaction: Transaction, committed: boolean): Promise<void> {
    transaction.fate = committed ? 'committing' : 'aborted'
    const message = { ...this.#identity, committed }
    const answer = await retried(async () => {
      const ended = await link.request(endTxnApi, { version: this.#isVersion2 ? 5 : 3, message })
      assertOk(ended, `${this.#name} ends transaction ${transaction.number}`)
      return ended
    })
    if (committed) transaction.fate = 'committed'
    if (this.#isVersion2) this.#begin(answer)
  }
}

/** Tries again what a coordinator that is busy refuses; the connection's end ends it. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (const startMs = performance.now(); ;) {
    try {
      return await work()
    } catch (error) {
      const mayRetry = error instanceof Refused && error.isRetriable && performance.now() - startMs < RETRY_MS_MAX
      if (error instanceof BrokerGone || !mayRetry) throw error
      await delay(5)
    }
  }
}
