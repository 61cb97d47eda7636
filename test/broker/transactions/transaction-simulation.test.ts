/**
 * Producers of both protocols, several to a transactional id, that begin, write,
 * end, give up, and take over from each other, while writes take their time and
 * the broker crashes between any two of them. Whatever happens, when the noise
 * stops: no transaction is open, the records of each are committed in all its
 * partitions or in none, an answered end holds, and who was fenced wrote nothing.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomInt, type Random, SeededRandom, turn } from '../../../src/core/index.ts'
import { encodeTransaction } from '../../../src/broker/transactions/transaction-records.ts'
import { newTransaction } from '../../../src/broker/transactions/transaction-state.ts'
import { type Identity, SimulatedCluster } from './simulated-cluster.ts'

const ROUNDS = Number(process.env['TEST_ROUNDS'] ?? 20)
const STEPS = 400
const RETRIED = new Set(['CONCURRENT_TRANSACTIONS', 'NOT_COORDINATOR'])

/** What the producers know of one transaction. */
interface Told {
  readonly acknowledged: Set<string>
  /** How its end was asked for. */
  asked: 'commit' | 'abort' | undefined
  /** How its end was answered. */
  answered: 'commit' | 'abort' | undefined
}

/** Everything that was asked and answered. */
class Ledger {
  readonly transactions = new Map<string, Told>()
  /** Who was the last to be given an identity, by transactional id. */
  readonly owners = new Map<string, string>()
  commits = 0

  begin(tag: string): Told {
    const told: Told = { acknowledged: new Set(), asked: undefined, answered: undefined }
    this.transactions.set(tag, told)
    return told
  }
}

interface World {
  readonly cluster: SimulatedCluster
  readonly ledger: Ledger
  readonly random: Random
  isOver: boolean
}

/** One producer; it lives until somebody takes its transactional id. */
class SimulatedProducer {
  readonly #world: World
  readonly #transactionalId: string
  readonly #name: string
  readonly #isVersion2: boolean
  #identity: Identity = { producerId: -1n, producerEpoch: -1 }
  #count = 0

  constructor(world: World, transactionalId: string, index: number) {
    this.#world = world
    this.#transactionalId = transactionalId
    this.#name = `${transactionalId}-${index}`
    this.#isVersion2 = world.random.next() < 0.5
  }

  async run(): Promise<void> {
    if (!(await this.#init())) return
    while (!this.#world.isOver) {
      const isAlive = await this.#transaction()
      if (!isAlive) return
    }
  }

  async #init(): Promise<boolean> {
    const { cluster, ledger } = this.#world
    while (!this.#world.isOver) {
      const request = { timeoutMs: 2000 + randomInt(this.#world.random, 20_000), expected: undefined }
      const answer = await cluster.ask(each => each.initProducerId(this.#transactionalId, request))
      if (answer !== 'lost' && answer.error === 'NONE') {
        const { producerId, producerEpoch } = answer
        this.#identity = { producerId, producerEpoch }
        ledger.owners.set(this.#transactionalId, this.#name)
        return true
      }
      await turn()
    }
    return false
  }

  /** Answers whether the producer may go on. */
  async #transaction(): Promise<boolean> {
    const { random, ledger } = this.#world
    const tag = `${this.#name}#${this.#count++}`
    const told = ledger.begin(tag)
    const recordCount = 1 + randomInt(random, 4)
    for (let index = 0; index < recordCount; index++) {
      const isWritten = await this.#write(`${tag}.${index}`, randomInt(random, 3), told)
      if (!isWritten) return this.#init()
    }
    if (random.next() < 0.1) return false
    return this.#end(told, random.next() < 0.7)
  }

  async #write(record: string, partition: number, told: Told): Promise<boolean> {
    const { cluster, ledger } = this.#world
    const transactionalId = this.#transactionalId
    if (!this.#isVersion2 && !(await this.#add(partition))) return false
    while (!this.#world.isOver) {
      const isFenced = ledger.owners.get(transactionalId) !== this.#name
      const sent = { ...this.#identity, tag: record }
      const answer = await cluster.ask(() =>
        cluster.produce(partition, sent, { transactionalId, mayAdd: this.#isVersion2 })
      )
      assert.ok(answer !== 'NONE' || !isFenced, `${record} was taken from a producer that was fenced`)
      if (answer === 'NONE') told.acknowledged.add(record)
      // What was lost may be in the log: a real client would retry it under the same sequence.
      if (!RETRIED.has(answer)) return answer === 'NONE'
      await turn()
    }
    return false
  }

  async #add(partition: number): Promise<boolean> {
    const { cluster } = this.#world
    const partitions = [{ topic: 'orders', partition }]
    const request = { transactionalId: this.#transactionalId, ...this.#identity, partitions, clientVersion: 0 }
    while (!this.#world.isOver) {
      const error = await cluster.ask(coordinator => coordinator.addPartitions(request))
      if (error !== 'lost' && !RETRIED.has(error)) return error === 'NONE'
      await turn()
    }
    return false
  }

  async #end(told: Told, isCommit: boolean): Promise<boolean> {
    const { cluster, ledger } = this.#world
    const clientVersion = this.#isVersion2 ? 2 : 0
    const request = { transactionalId: this.#transactionalId, ...this.#identity, isCommit, clientVersion }
    told.asked = isCommit ? 'commit' : 'abort'
    while (!this.#world.isOver) {
      const answer = await cluster.ask(coordinator => coordinator.endTransaction(request))
      if (answer !== 'lost' && answer.error === 'NONE') {
        told.answered = told.asked
        if (isCommit) ledger.commits += 1
        if (this.#isVersion2) this.#identity = { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
        return true
      }
      if (answer !== 'lost' && !RETRIED.has(answer.error)) return this.#init()
      await turn()
    }
    return false
  }
}

/** One round; answers how many commits were answered. */
async function simulate(seed: number): Promise<number> {
  const random = new SeededRandom(seed)
  // An id whose epochs run out during the round.
  const old = { ...newTransaction(50n, 10_000, 0), producerEpoch: 32_758 }
  const cluster = new SimulatedCluster(random, [encodeTransaction('old', old)])
  const world: World = { cluster, ledger: new Ledger(), random, isOver: false }
  await cluster.start()
  const running = new Set<Promise<void>>()
  let count = 0
  const spawn = (): void => {
    const id = ['old', 'new'][randomInt(random, 2)] ?? 'old'
    const run = new SimulatedProducer(world, id, count++).run().finally(() => running.delete(run))
    // A failed assertion is thrown by the race below.
    void run.catch(() => undefined)
    running.add(run)
  }
  spawn()
  for (let step = 0; step < STEPS; step++) {
    const dice = random.next()
    if (dice < 0.02 && running.size < 4) spawn()
    else if (dice < 0.03) await cluster.crash()
    else if (dice < 0.05) await cluster.clock.advance(randomInt(random, 4000))
    else await cluster.finishOne()
    await Promise.race([...running, turn()])
  }
  world.isOver = true
  await cluster.settle()
  await Promise.all(running)
  check(world)
  return world.ledger.commits
}

function check({ cluster, ledger }: World): void {
  const fates = new Map<string, Map<string, boolean>>()
  for (const { entries } of cluster.partitions) {
    const open = new Map<bigint, string[]>()
    for (const entry of entries) {
      if (entry.kind === 'record') {
        open.set(entry.producerId, [...(open.get(entry.producerId) ?? []), entry.tag])
        continue
      }
      for (const record of open.get(entry.producerId) ?? []) {
        const tag = record.slice(0, record.lastIndexOf('.'))
        fates.set(tag, (fates.get(tag) ?? new Map()).set(record, entry.isCommit))
      }
      open.delete(entry.producerId)
    }
    assert.deepEqual([...open.values()], [], 'transactions are left open')
  }
  for (const [tag, { acknowledged, asked, answered }] of ledger.transactions) {
    const records = fates.get(tag) ?? new Map<string, boolean>()
    const committed = [...records.values()].filter(Boolean).length
    assert.ok(committed === 0 || committed === records.size, `${tag} is committed in part`)
    if (asked !== 'commit') assert.equal(committed, 0, `${tag} is committed though nobody asked for it`)
    if (answered !== 'commit') continue
    for (const record of acknowledged) assert.equal(records.get(record), true, `${record} is lost from a commit`)
  }
}

test('transactions are atomic whatever crashes, fails or takes over', async (t: TestContext) => {
  const first = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
  t.diagnostic(`TEST_SEED=${first}`)
  let commits = 0
  for (let round = 0; round < ROUNDS; round++) {
    try {
      commits += await simulate(first + round)
    } catch (error) {
      throw new Error(`with TEST_SEED=${first + round} TEST_ROUNDS=1`, { cause: error })
    }
  }
  assert.ok(commits > ROUNDS, `only ${commits} commits were answered: the simulation does too little`)
})
