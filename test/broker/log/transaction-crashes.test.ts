/**
 * Random transactions of several producers, with writes that fail and crashes at
 * any write; after each crash the log is opened again. At all times its last
 * stable offset, its aborted transactions, its producers and what a reader of
 * committed records gets are those that a simple model works out from the
 * batches; and no acknowledged batch is missing.
 */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Random } from '../../../src/core/index.ts'
import { type Disk, type PartitionLog, systemDisk } from '../../../src/broker/log/index.ts'
import { TransactionIndex } from '../../../src/broker/log/transaction-index.ts'
import { batchOf, openLog, seededRandom, START_MS, systemError, temporaryFolder } from './support.ts'
import { batchesOf, type ModelState, readCommitted, stateOf } from './transaction-model.ts'

const PRODUCER_COUNT = 4
/** Each begins with another seed: what ten rounds miss today they find tomorrow. `npm run test:crash` has more. */
const ROUND_COUNT = process.env['CRASH'] === 'long' ? 100 : 10
const STEPS_PER_ROUND = 25
const CONFIG = { segmentBytes: 900, indexIntervalBytes: 200 }

/** The real disk until the machine "dies": then a part of one write is left, and nothing works any more. */
class MortalDisk implements Disk {
  readonly #random: Random
  bytesLeft = Number.POSITIVE_INFINITY
  /** How many of the next writes to fail without dying. */
  faults = 0

  constructor(random: Random) {
    this.#random = random
  }

  get isDead(): boolean {
    return this.bytesLeft <= 0
  }

  async open(file: string, mayCreate: boolean): Promise<number> {
    this.#check()
    return systemDisk.open(file, mayCreate)
  }

  close(fd: number): Promise<void> {
    return systemDisk.close(fd)
  }

  read(fd: number, buffer: Buffer, position: number): Promise<number> {
    return systemDisk.read(fd, buffer, position)
  }

  async write(fd: number, buffers: Buffer[], position: number): Promise<number> {
    this.#check()
    const whole = Buffer.concat(buffers)
    const isFault = this.faults > 0
    if (isFault) this.faults -= 1
    const part = isFault ? Math.floor(this.#random.next() * whole.length) : this.bytesLeft
    this.bytesLeft -= Math.min(whole.length, part)
    if (part >= whole.length) return systemDisk.write(fd, [whole], position)
    if (part > 0) await systemDisk.write(fd, [whole.subarray(0, part)], position)
    throw systemError(isFault ? 'ENOSPC' : 'EIO')
  }

  async truncate(fd: number, sizeBytes: number): Promise<void> {
    this.#check()
    await systemDisk.truncate(fd, sizeBytes)
  }

  async sync(): Promise<void> {
    this.#check()
  }

  #check(): void {
    if (this.isDead) throw systemError('EIO')
  }
}

interface Context {
  readonly folder: string
  readonly random: Random
  readonly acknowledged: Map<bigint, string>
}

/** A client with transactions, as far as the log goes. */
interface Client {
  readonly id: bigint
  epoch: number
  sequence: number
  isOpen: boolean
}

class Workload {
  readonly #random: Random
  readonly #log: PartitionLog
  /** Values of acknowledged batches by offset. */
  readonly #acknowledged: Map<bigint, string>
  #clients: Client[] = []
  #count = 0

  constructor(log: PartitionLog, { random, acknowledged }: Context) {
    this.#log = log
    this.#random = random
    this.#acknowledged = acknowledged
  }

  /** A few appends at once; resolves when all are settled. */
  async steps(): Promise<void> {
    // What failed is sent again as if the client had asked where it stands.
    const known = new Map(this.#log.describeProducers().map(each => [each.producerId, each]))
    this.#clients = Array.from({ length: PRODUCER_COUNT }, (_, index) => {
      const entry = known.get(BigInt(index))
      return {
        id: BigInt(index),
        epoch: entry?.producerEpoch ?? 0,
        sequence: (entry?.lastSequence ?? -1) + 1,
        isOpen: (entry?.transactionFirstOffset ?? -1n) >= 0n
      }
    })
    await Promise.all(Array.from({ length: 1 + this.below(4) }, () => this.#step()))
  }

  chance(ratio: number): boolean {
    return this.#random.next() < ratio
  }

  below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }

  async #step(): Promise<void> {
    const client = this.#clients[this.below(PRODUCER_COUNT)]
    if (client === undefined || this.chance(0.15)) return this.#append(undefined)
    if (client.isOpen && this.chance(0.3)) return this.#end(client)
    return this.#append(client)
  }

  async #append(client: Client | undefined): Promise<void> {
    const count = 1 + this.below(3)
    const values = Array.from({ length: count }, () => `${this.#count++}`.padStart(1 + this.below(60), '.'))
    const isTransactional = client !== undefined && (client.isOpen || client.id > 0n)
    const producer = client && {
      producerId: client.id,
      producerEpoch: client.epoch,
      baseSequence: client.sequence,
      isTransactional
    }
    const batch = batchOf(
      values.map(value => ({ value, timestampMs: START_MS })),
      producer
    )
    if (client !== undefined) {
      client.sequence += count
      client.isOpen = isTransactional
    }
    const result = await this.#log.append(batch, { transaction: { isVerified: true } })
    if (result.errorCode === 0 && 'baseOffset' in result) this.#acknowledged.set(result.baseOffset, values.join())
  }

  async #end(client: Client): Promise<void> {
    if (this.chance(0.5)) {
      client.epoch += 1
      client.sequence = 0
    }
    client.isOpen = false
    const isCommit = this.chance(0.5)
    const marker = { producerId: client.id, producerEpoch: client.epoch, coordinatorEpoch: 3, isCommit }
    const result = await this.#log.appendMarker(marker)
    if (result.errorCode === 0 && 'baseOffset' in result) this.#acknowledged.set(result.baseOffset, '')
  }
}

async function check(log: PartitionLog, random: Random): Promise<ModelState> {
  const model = stateOf(await batchesOf(log), log.highWatermark)
  assert.equal(log.lastStableOffset, model.lastStableOffset)
  assert.deepEqual(await readCommitted(log, 1 + Math.floor(random.next() * 1500)), model.committed)
  assert.deepEqual(await log.abortedTransactions(0n, log.highWatermark), model.aborted)
  const producers = log.describeProducers().map(each => {
    const { producerId, producerEpoch, lastSequence, coordinatorEpoch, transactionFirstOffset } = each
    return [producerId, [producerEpoch, lastSequence, coordinatorEpoch, transactionFirstOffset]] as const
  })
  assert.deepEqual(new Map(producers), model.producers)
  return model
}

/** What the index files hold together. */
async function indexedAborts(folder: string): Promise<unknown[]> {
  const names = (await fs.readdir(folder)).filter(name => name.endsWith('.txnindex')).toSorted()
  const files = await Promise.all(names.map(name => fs.readFile(path.join(folder, name))))
  return files.flatMap(file => new TransactionIndex(file).entries())
}

/** Harms what a crash of the machine may harm: the latest snapshot, or all index files of aborted transactions. */
async function harm(folder: string, random: Random): Promise<void> {
  const names = await fs.readdir(folder)
  const snapshot = names
    .filter(name => name.endsWith('.snapshot'))
    .toSorted()
    .at(-1)
  if (snapshot !== undefined && random.next() < 0.3) await fs.truncate(path.join(folder, snapshot), 11)
  const index = names.filter(name => name.endsWith('.txnindex')).toSorted()
  const one = index[Math.floor(random.next() * index.length)]
  if (one !== undefined && random.next() < 0.3) await fs.appendFile(path.join(folder, one), Buffer.alloc(5, 1))
}

/** Opens the log, loads it, and ends it one way or the other. Resolves with its recovery point. */
async function round(t: TestContext, context: Context, recoveryPoint: bigint): Promise<bigint> {
  const { folder, random, acknowledged } = context
  const disk = new MortalDisk(random)
  const log = await openLog(t, { folder, disk, config: CONFIG, recoveryPoint, wasCleanStop: false })
  await check(log, random)
  for (const [offset, values] of acknowledged) {
    assert.ok(offset < log.highWatermark, `the batch at ${offset} (${values}) was acknowledged and is gone`)
  }
  const load = new Workload(log, context)
  if (load.chance(0.7)) disk.bytesLeft = load.below(STEPS_PER_ROUND * 250)
  for (let step = 0; step < STEPS_PER_ROUND && !disk.isDead && !log.isOffline; step++) {
    if (load.chance(0.05)) disk.faults = 1
    const steps = load.steps()
    if (load.chance(0.1)) await log.flush()
    await steps
    if (load.chance(0.2) && !disk.isDead) await check(log, random)
  }
  // The checkpoint of the recovery point may be an older one.
  const point = load.chance(0.5) ? log.recoveryPoint : recoveryPoint
  if (disk.isDead || log.isOffline) {
    disk.bytesLeft = 0
    await log.abandon()
    await harm(folder, random)
    return point
  }
  const state = await check(log, random)
  await log.close()
  if (!log.isOffline) assert.deepEqual(await indexedAborts(folder), state.aborted)
  return point
}

test('last stable offset, aborted transactions and readable records survive failures and crashes', async t => {
  const random = seededRandom(t)
  const folder = await temporaryFolder(t)
  const acknowledged = new Map<bigint, string>()
  let recoveryPoint = 0n

  for (let count = 0; count < ROUND_COUNT; count++) {
    recoveryPoint = await round(t, { folder, random, acknowledged }, recoveryPoint)
  }

  const log = await openLog(t, { folder, config: CONFIG })
  const state = await check(log, random)
  t.diagnostic(`${acknowledged.size} batches, ${state.aborted.length} aborted, ${log.segmentCount} segments`)
  assert.ok(state.aborted.length > ROUND_COUNT / 5 && state.committed.length > 2 * ROUND_COUNT)
})
